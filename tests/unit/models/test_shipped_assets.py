"""Every file that travels inside the package opens with the loader that belongs to it."""

from collections.abc import Callable

import pytest

from facewright.core.assets import asset_path, read_manifest
from facewright.detection.detector import FaceDetector
from facewright.detection.glasses_look import GlassesLooker
from facewright.detection.landmark_errors import load_landmark_errors
from facewright.detection.landmarker import FaceLandmarker
from facewright.detection.recognition import shipped_features
from facewright.detection.segmentation import FaceSegmenter
from facewright.detection.skin import SkinModel
from facewright.fitting.identity_centre import load_identity_centre
from facewright.fitting.landmark_expressions import load_landmark_expressions
from facewright.methods.specular.infer import NetworkSettings, SpecularNetwork
from facewright.methods.sphere.head_encoder import load_head_encoder
from facewright.models.base import load_base_model
from facewright.models.sphere_model import load_sphere_model
from facewright.networks.weights import read_weights

LOADERS: dict[str, Callable[[], object]] = {
    "base_head.safetensors": load_base_model,
    "detector.safetensors": FaceDetector.load,
    "glasses.safetensors": GlassesLooker.load,
    "identity_centre.safetensors": load_identity_centre,
    "landmark_errors.safetensors": load_landmark_errors,
    "landmark_expressions.safetensors": load_landmark_expressions,
    "landmarker_eyes.safetensors": FaceLandmarker.load,
    "landmarker_first.safetensors": FaceLandmarker.load,
    "landmarker_second.safetensors": FaceLandmarker.load,
    "recognition.safetensors": shipped_features,
    "segmentation.safetensors": FaceSegmenter.load,
    "skin.safetensors": SkinModel.load,
    "specular.safetensors": lambda: read_weights(
        asset_path("specular.safetensors"), SpecularNetwork, NetworkSettings
    ),
    "sphere.safetensors": lambda: load_sphere_model(asset_path("sphere.safetensors")),
    "sphere_encoder.safetensors": lambda: load_head_encoder(
        asset_path("sphere_encoder.safetensors"), load_base_model()
    ),
}


@pytest.mark.parametrize("name", sorted(read_manifest()))
def test_a_shipped_file_opens(name: str) -> None:
    assert LOADERS[name]() is not None


def test_no_loader_is_of_a_file_that_does_not_ship() -> None:
    assert sorted(LOADERS) == sorted(read_manifest())
