"""Features of faces in photos by the shipped recognition network, with a gradient to the photos."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path
from facewright.core.tensor_records import Movable
from facewright.detection.aligned_crop import aligned_crops
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import read_weights

FILE = "recognition.safetensors"
# Photos (B, 3, H, W), sRGB in [0, 1], and five points of a face in each (B, 5, 2), px: unit features (B, D).
FaceFeatures = Callable[[Tensor, Tensor], Tensor]


class NetworkFeatures:
    """A frozen network behind its crops; the points are those of ``aligned_crop.five_points``.

    It computes where the photos are, and can be pickled.
    """

    def __init__(self, network: RecognitionNetwork) -> None:
        self._network = Movable(network.eval().requires_grad_(False))

    def __call__(
        self, photos: Float[Tensor, "B 3 H W"], points: Float[Tensor, "B 5 2"]
    ) -> Float[Tensor, "B D"]:
        """Unit features."""
        return self._network.on(photos.device)(aligned_crops(photos, points))


def shipped_features() -> FaceFeatures:
    """Those of the shipped network.

    Raises:
        AssetError: the weights are missing or damaged.
    """
    return NetworkFeatures(read_weights(asset_path(FILE), RecognitionNetwork, RecognitionNetworkSettings))
