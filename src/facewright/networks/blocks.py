"""Convolution blocks, and folding of batch normalisation for inference."""

import copy
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two dense 3x3 convolutions with a shortcut, same size in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Features of the same shape."""
        return torch.relu(x + self.second(self.first(x)))


def channels_last(network: Network) -> Network:
    """The network itself with its weights laid out for channels-last images, which a CPU convolves faster."""
    # torch's stubs know no ``to`` with a memory format alone.
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of ``network`` for inference in which each batch normalisation is part of its convolution."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(len(module) - 1):
            convolution, norm = module[index], module[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[index] = fuse_conv_bn_eval(convolution, norm)
                module[index + 1] = nn.Identity()
    return folded
