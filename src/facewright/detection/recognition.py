"""Features of faces in photos by the shipped recognition network, with a gradient to the photos."""

from collections.abc import Callable

import torch
from torch import Tensor

from facewright.core.assets import asset_path
from facewright.detection.aligned_crop import aligned_crops
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import read_weights

FILE = "recognition.safetensors"
# Photos (B, 3, H, W), sRGB in [0, 1], and five points of a face in each (B, 5, 2), px: unit features (B, D).
FaceFeatures = Callable[[Tensor, Tensor], Tensor]


def shipped_features(device: torch.device | str = "cpu") -> FaceFeatures:
    """The frozen network behind its crops; the points are those of ``aligned_crop.five_points``.

    Raises:
        AssetError: the weights are missing or damaged.
    """
    network = read_weights(asset_path(FILE), RecognitionNetwork, RecognitionNetworkSettings)
    network = network.to(device).eval().requires_grad_(False)
    return lambda photos, points: network(aligned_crops(photos, points))
