"""ResNet-50 with the parameter names of torchvision, so that its files of ImageNet weights can be read."""

from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facewright.core.assets import read_safetensors
from facewright.core.errors import AssetError

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution with a shortcut; the 3x3 one has the stride, as in torchvision."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Features."""
        inner = torch.relu(self.bn1(self.conv1(x)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class ResNet50(nn.Module):
    """Pooled features of a photo.

    **Source:** He et al., "Deep Residual Learning for Image Recognition", 2016, table 1.
    """

    FEATURES = 512 * EXPANSION

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (width, blocks, stride) in enumerate(STAGES, 1):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range(blocks):
                parts[str(block)] = Bottleneck(inputs, width, stride if block == 0 else 1)
                inputs = width * EXPANSION
            self.add_module(f"layer{number}", nn.Sequential(parts))

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 2048"]:
        """Features of images whose channels are normalised."""
        x = torch.relu(self.bn1(self.conv1(image)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean((2, 3))

    def load_imagenet(self, path: Path) -> None:
        """Start from a safetensors file with torchvision's names; its last layer is left out.

        Raises:
            AssetError: the file is damaged, or of another network.
        """
        tensors, _ = read_safetensors(path)
        tensors = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
        expected = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        counters = {name for name in expected if name.endswith("num_batches_tracked")}
        if {n: s for n, s in expected.items() if n not in counters} != {
            n: s for n, s in found.items() if n not in counters
        }:
            raise AssetError(f"{path}: expected the tensors of torchvision's resnet50, found others.")
        self.load_state_dict(tensors, strict=False)
