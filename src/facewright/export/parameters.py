"""parameters.json: every number behind one reconstruction, written for people and read back exactly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright import __version__
from facewright.core.errors import InputError
from facewright.core.files import atomic_file
from facewright.export.fields import Fields
from facewright.scene.camera import Camera, PerspectiveCamera, WeakPerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

FORMAT_VERSION = 1
MAX_FILE_BYTES = 8 << 20
MAX_COEFFICIENTS = 100_000
MAX_SIDE = 1_000_000  # pixels of a photo
ROTATION_ERROR = 1e-3  # largest entry of R R^T - I; a fit's float32 rotations stay a hundred times below


@dataclass(frozen=True)
class SavedParameters:
    """The content of a parameters.json.

    Attributes:
        model_name: the face model whose coefficients these are.
        model_version: its version.
        photo: file name of the photo.
        parameters: coefficients, pose, camera (size: the photo with EXIF orientation applied), light; B = 1.
        expression_names: names of the expression coefficients.
        detected_landmarks_px: what the landmarker saw, in pixels of the photo.
        fitted_landmarks_px: the same points of the fitted head, projected.
        landmarks_mm: the same points on the mesh of head.obj, head frame.
        seconds: how long each stage took.
        package_version: version of facewright that made the file.
        notes: anything else that JSON can hold, such as the settings of the run.
    """

    model_name: str
    model_version: str
    photo: str
    parameters: HeadParameters
    expression_names: tuple[str, ...]
    detected_landmarks_px: Float[Tensor, "L 2"]
    fitted_landmarks_px: Float[Tensor, "L 2"]
    landmarks_mm: Float[Tensor, "L 3"]
    seconds: Mapping[str, float]
    package_version: str = __version__
    notes: Mapping[str, Any] = field(default_factory=dict)


def write_parameters(path: Path, saved: SavedParameters) -> None:
    """Write a parameters.json; what is read back is equal bit by bit (float32).

    Raises:
        InputError: not exactly one head, or a value is not finite.
        OutputError: the file cannot be written.
    """
    content = _document(saved)
    try:
        lines = [f"  {json.dumps(key)}: {_compact(value)}" for key, value in content.items()]
    except ValueError as error:
        raise InputError(
            f"parameters must be finite numbers ({error}): nothing was written to {path}."
        ) from error
    with atomic_file(path) as partial:
        partial.write_bytes(("{\n" + ",\n".join(lines) + "\n}\n").encode())


def read_parameters(path: Path) -> SavedParameters:
    """Read a parameters.json.

    Raises:
        InputError: not such a file, of another format version, or a field is missing, of the wrong type,
            of the wrong length or not finite, or describes a camera or pose that cannot be.
    """
    fields = Fields.read(path, MAX_FILE_BYTES)
    version = fields.integer("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: expected format version {FORMAT_VERSION}, got {version}: "
            "reconstruct the photo again with this facewright."
        )
    coefficients = fields.group("coefficients")
    names = tuple(coefficients.texts("expression_names", MAX_COEFFICIENTS))
    expression = coefficients.vector("expression", MAX_COEFFICIENTS)
    if len(names) != len(expression):
        raise InputError(f"{path}: {len(expression)} expression values but {len(names)} names.")
    model = fields.group("model")
    light, point_light = _read_light(fields.group("light"))
    detected = fields.rows("detected_landmarks_px", 2, MAX_COEFFICIENTS)
    count = len(detected)
    return SavedParameters(
        model_name=model.text("name"),
        model_version=model.text("version"),
        photo=fields.text("photo"),
        parameters=HeadParameters(
            identity=coefficients.vector("identity", MAX_COEFFICIENTS)[None],
            expression=expression[None],
            diffuse=coefficients.vector("diffuse", MAX_COEFFICIENTS)[None],
            specular=coefficients.vector("specular", MAX_COEFFICIENTS)[None],
            pose=_read_pose(fields.group("pose")),
            camera=_read_camera(fields.group("camera")),
            light=light,
            point_light=point_light,
            # Absent from files that were written before it was kept.
            shininess=None
            if coefficients.raw.get("shininess") is None
            else torch.tensor([coefficients.positive("shininess")]),
        ),
        expression_names=names,
        detected_landmarks_px=detected,
        fitted_landmarks_px=fields.rows("fitted_landmarks_px", 2, count, exactly=True),
        landmarks_mm=fields.rows("landmarks_mm", 3, count, exactly=True),
        seconds=fields.group("seconds").numbers(),
        package_version=fields.text("facewright_version"),
        notes=fields.group("notes").raw,
    )


def read_light(path: Path) -> tuple[SphericalHarmonicsLight, PointLight | None, Float[Tensor, "1 3"] | None]:
    """Read the light of a parameters.json, of a relight.json, or of a file with its member ``light`` alone.

    Returns:
        Soft light, hard light or None, and where the head was (mm, camera frame) if the file tells.

    Raises:
        InputError: not such a file, or a field is missing, of the wrong type or length, or not finite.
    """
    fields = Fields.read(path, MAX_FILE_BYTES)
    light = fields.group("light") if "light" in fields.raw else fields
    soft, bulb = _read_light(light)
    head = None
    if "pose" in fields.raw:
        head = fields.group("pose").vector("translation_mm", 3, exactly=True)[None]
    return soft, bulb, head


def light_document(light: SphericalHarmonicsLight, point_light: PointLight | None) -> dict[str, Any]:
    """The member ``light`` of a file."""
    document: dict[str, Any] = {
        "frame": "camera",
        "spherical_harmonics": _numbers(light.coefficients[0]),
        "point_light": None,
    }
    if point_light is not None:
        document["point_light"] = {
            "position_mm": _numbers(point_light.position[0]),
            "intensity": _numbers(point_light.intensity[0]),
        }
    return document


def pose_document(pose: Pose) -> dict[str, Any]:
    """The member ``pose`` of a file."""
    return {
        "convention": "camera_from_head",
        "rotation": _numbers(pose.rotation[0]),
        "translation_mm": _numbers(pose.translation[0]),
    }


def _read_light(light: Fields) -> tuple[SphericalHarmonicsLight, PointLight | None]:
    light.constant("frame", "camera")
    soft = SphericalHarmonicsLight(light.rows("spherical_harmonics", 3, 9, exactly=True)[None])
    return soft, _read_point_light(light)


def _document(saved: SavedParameters) -> dict[str, Any]:
    parameters = saved.parameters
    if parameters.identity.shape[0] != 1:
        raise InputError(f"a parameters.json describes one head, got {parameters.identity.shape[0]}.")
    return {
        "format_version": FORMAT_VERSION,
        "facewright_version": saved.package_version,
        "model": {"name": saved.model_name, "version": saved.model_version},
        "photo": saved.photo,
        "camera": _camera_document(parameters.camera),
        "pose": pose_document(parameters.pose),
        "coefficients": {
            "identity": _numbers(parameters.identity[0]),
            "expression": _numbers(parameters.expression[0]),
            "expression_names": list(saved.expression_names),
            "diffuse": _numbers(parameters.diffuse[0]),
            "specular": _numbers(parameters.specular[0]),
            "shininess": None if parameters.shininess is None else _numbers(parameters.shininess[0]),
        },
        "light": light_document(parameters.light, parameters.point_light),
        "seconds": dict(saved.seconds),
        "notes": dict(saved.notes),
        "detected_landmarks_px": _numbers(saved.detected_landmarks_px),
        "fitted_landmarks_px": _numbers(saved.fitted_landmarks_px),
        "landmarks_mm": _numbers(saved.landmarks_mm),
    }


def _camera_document(camera: Camera) -> dict[str, Any]:
    height, width = camera.size
    size = {"height": height, "width": width}
    if isinstance(camera, PerspectiveCamera):
        focal = _numbers(camera.focal[0])
        return {
            "type": "perspective",
            "focal_px": focal,
            "principal_px": _numbers(camera.principal[0]),
            **size,
        }
    scale = _numbers(camera.scale[0])
    return {
        "type": "weak_perspective",
        "scale_px_per_mm": scale,
        "offset_px": _numbers(camera.offset[0]),
        **size,
    }


def _read_pose(fields: Fields) -> Pose:
    fields.constant("convention", "camera_from_head")
    rotation = fields.rows("rotation", 3, 3, exactly=True)
    error = float((rotation.double() @ rotation.double().mT - torch.eye(3)).abs().max())
    if not error < ROTATION_ERROR or float(torch.det(rotation.double())) < 0:
        raise InputError(
            f"{fields.where}: rotation: expected a proper rotation (orthonormal, determinant 1), "
            f"got {str(rotation.tolist())[:120]}."
        )
    return Pose(rotation[None], fields.vector("translation_mm", 3, exactly=True)[None])


def _read_camera(fields: Fields) -> Camera:
    kind = fields.text("type")
    size = (fields.positive_integer("height", MAX_SIDE), fields.positive_integer("width", MAX_SIDE))
    if kind == "perspective":
        focal = torch.tensor([fields.positive("focal_px")])
        return PerspectiveCamera(focal, fields.vector("principal_px", 2, exactly=True)[None], size)
    if kind == "weak_perspective":
        scale = torch.tensor([fields.positive("scale_px_per_mm")])
        return WeakPerspectiveCamera(scale, fields.vector("offset_px", 2, exactly=True)[None], size)
    raise InputError(f"{fields.where}.type: expected 'perspective' or 'weak_perspective', got {kind!r}.")


def _read_point_light(light: Fields) -> PointLight | None:
    if light.raw.get("point_light") is None:
        return None
    fields = light.group("point_light")
    return PointLight(
        fields.vector("position_mm", 3, exactly=True)[None],
        fields.vector("intensity", 3, exactly=True)[None],
    )


def _numbers(values: Tensor) -> Any:
    """Nested lists with the shortest digits that give the same float32 back."""
    array = values.detach().float().cpu().numpy()
    short = [float(np.format_float_scientific(value, unique=True)) for value in array.ravel()]
    if array.ndim == 0:
        return short[0]
    if array.ndim == 1:
        return short
    width = array.shape[1]
    return [short[start : start + width] for start in range(0, len(short), width)]


def _compact(value: Any) -> str:
    """One line; the members of an object one line each."""
    if isinstance(value, dict) and value:
        members = [
            f"    {json.dumps(key)}: {json.dumps(item, allow_nan=False)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(members) + "\n  }"
    return json.dumps(value, allow_nan=False)
