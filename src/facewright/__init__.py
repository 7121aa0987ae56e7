"""facewright: photographs of a face into a 3D head that can be measured, relit, edited and animated."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from facewright import render
    from facewright.detection import detect
    from facewright.models.base import load_base_model
    from facewright.models.face_model import FaceModel
    from facewright.pipeline.reconstruct import reconstruct
    from facewright.pipeline.result import Reconstruction

__all__ = ["FaceModel", "Reconstruction", "__version__", "detect", "load_base_model", "reconstruct", "render"]

# Loaded on first use: importing facewright takes milliseconds, torch alone takes seconds.
_HOMES = {
    "FaceModel": "facewright.models.face_model",
    "Reconstruction": "facewright.pipeline.result",
    "detect": "facewright.detection",
    "load_base_model": "facewright.models.base",
    "reconstruct": "facewright.pipeline.reconstruct",
}


def __getattr__(name: str) -> Any:
    if name == "render":
        return import_module("facewright.render")
    if name not in _HOMES:
        raise AttributeError(f"module 'facewright' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
