"""Backbones of the shipped networks."""

from jaxtyping import Float
from torch import Tensor, nn

from facewright.core.errors import InputError

from .blocks import ConvBlock, ResidualBlock

MAX_BLOCKS = 64  # of a stage; a hostile weight file could ask for millions


class ResidualPyramid(nn.Module):
    """A 5x5 stem, then stages of one strided convolution and residual blocks; each halves the size.

    Dense 3x3 convolutions on purpose: on a CPU they train two to three times faster than inverted
    residuals and are as fast at inference.

    Raises:
        InputError: more than ``MAX_BLOCKS`` residual blocks in a stage.
    """

    def __init__(
        self, widths: tuple[int, ...], inputs: int = 1, blocks: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        counts = blocks or (1,) * (len(widths) - 1)
        if max(counts, default=0) > MAX_BLOCKS:
            raise InputError(f"a stage needs at most {MAX_BLOCKS} residual blocks, got {max(counts)}.")
        self.stem = ConvBlock(inputs, widths[0], stride=2, kernel=5)
        self.stages = nn.ModuleList(
            nn.Sequential(ConvBlock(before, after, stride=2), *(ResidualBlock(after) for _ in range(count)))
            for before, after, count in zip(widths[:-1], widths[1:], counts, strict=True)
        )

    def forward(self, image: Float[Tensor, "B C H W"]) -> list[Tensor]:
        """Feature maps of the stages at strides 4, 8, 16, ..."""
        x = self.stem(image)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
