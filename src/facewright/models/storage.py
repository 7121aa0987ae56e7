"""The package's own model file: any ``FaceModel`` as one safetensors file with a header that says what it is.

Tensors carry the arrays; the header's text carries names, units, frame, licence and the model's origin.
Nothing in the file is executed, and a model that is read is as checked as one that was shipped.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.geometry.mesh import Topology
from facewright.models.base import FORMAT as BASE_FORMAT
from facewright.models.base import load_base_model
from facewright.models.checks import check_whole
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet
from facewright.models.variant import FORMAT as VARIANT_FORMAT
from facewright.models.variant import load_variant

FORMAT = "facewright face model 1"
UNITS = "mm; head frame: +X the subject's left, +Y up, +Z out of the face"
MAX_EXTENT = 2_000.0  # mm: a head of more than two metres is in other units
ARRAYS = ("mean", "identity_basis", "expression_basis", "diffuse_mean", "diffuse_basis")
ARRAYS += ("specular_mean", "specular_basis", "eye_centers")
MAX_MASKS = 64


@dataclass(frozen=True)
class ModelOrigin:
    """Where a model comes from and what may be done with it.

    Attributes:
        licence: of the model, in a word or a sentence.
        source: what it was made from (a format and a file name, or how many scans).
        made_by: the command that made the file.
        notes: what the maker saw and could not mend, one fact each.
    """

    licence: str
    source: str
    made_by: str
    notes: tuple[str, ...] = ()


def save_face_model(
    path: Path,
    model: FaceModel,
    origin: ModelOrigin,
    *,
    tensors: Mapping[str, Tensor] | None = None,
    header: Mapping[str, str] | None = None,
) -> None:
    """Write a model, whole or not at all.

    Args:
        path: the .safetensors file.
        model: on any device.
        origin: goes into the header.
        tensors: of a kind of model that knows more; who reads a face model overlooks them.
        header: of the same.

    Raises:
        InputError: the model is not whole; nothing was written.
        OutputError: the file cannot be written.
    """
    model = model.to("cpu")
    try:
        _check(model)
    except ValueError as error:
        raise InputError(f"model {model.name!r} is not whole ({error}): nothing was written.") from error
    topology = model.topology
    held = {name: getattr(model, name).float() for name in ARRAYS}
    held |= {
        "expression_prior_mean": model.expression_prior.mean,
        "expression_prior_std": model.expression_prior.std,
        "expression_prior_correlation": model.expression_prior.correlation,
        "faces": topology.faces.int(),
        "uv": topology.uv,
        "uv_faces": topology.uv_faces.int(),
        "mirror": model.mirror.int(),
        "regions": _stacked(model.regions, len(model.mean)),
        "parts": _stacked(model.parts, len(model.mean)),
    }
    for number, points in enumerate(model.landmarks.values()):
        held[f"landmarks{number}.triangle"] = points.triangle.int()
        held[f"landmarks{number}.weights"] = points.weights
        held[f"landmarks{number}.contour"] = points.contour.byte()
    told = {
        "format": FORMAT,
        "units": UNITS,
        "name": model.name,
        "version": model.version,
        "expression_names": json.dumps(model.expression_names),
        "regions": json.dumps(list(model.regions)),
        "parts": json.dumps(list(model.parts)),
        "landmark_sets": json.dumps(list(model.landmarks)),
        "origin": json.dumps(asdict(origin)),
    }
    write_safetensors(path, {**(tensors or {}), **held}, {**(header or {}), **told})


def load_face_model(path: Path) -> FaceModel:
    """Read a model file that ``save_face_model`` wrote, or a base head (float32, CPU).

    Raises:
        AssetError: the file is missing, damaged, or holds something else; its text says what is wrong.
    """
    tensors, header = read_safetensors(path)
    if header.get("format") == BASE_FORMAT:
        return load_base_model(path)
    if header.get("format") == VARIANT_FORMAT:
        return load_variant(path)
    _check_format(path, header)
    try:
        model = _assemble(tensors, header)
        _check(model)
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        told = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise AssetError(f"{path} is not a whole face model ({told}): make or fetch it again.") from error
    return model


def read_origin(path: Path) -> ModelOrigin:
    """Read where a model file comes from.

    Raises:
        AssetError: the file is missing, damaged, or holds something else.
    """
    _, header = read_safetensors(path)
    if header.get("format") == BASE_FORMAT:
        return ModelOrigin(header.get("licence", "not stated"), "shipped with facewright", "scripts")
    if header.get("format") != VARIANT_FORMAT:
        _check_format(path, header)
    try:
        stored = json.loads(header["origin"])
        texts = [stored[name] for name in ("licence", "source", "made_by")]
        notes = stored["notes"]
        if not all(isinstance(text, str) for text in [*texts, *notes]):
            raise TypeError("a text is missing")
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        raise AssetError(f"{path} does not say where it comes from ({error}): make it again.") from error
    return ModelOrigin(texts[0], texts[1], texts[2], tuple(notes))


def _check_format(path: Path, header: Mapping[str, str]) -> None:
    if header.get("format") != FORMAT:
        raise AssetError(
            f"{path} should say format {FORMAT!r}, says {header.get('format')!r}: "
            "make it with `facewright model import` or `facewright model build`."
        )
    if header.get("units") != UNITS:
        raise AssetError(f"{path} should be in {UNITS!r}, says {header.get('units')!r}.")


def _check(model: FaceModel) -> None:
    check_whole(model)
    extent = float((model.mean.max(0).values - model.mean.min(0).values).max())
    if not 1.0 <= extent <= MAX_EXTENT:
        raise ValueError(f"the mean head is {extent:.3g} mm large, expected 1 to {MAX_EXTENT:.0f}")
    for name in ("diffuse_mean", "specular_mean"):
        low, high = (float(bound) for bound in torch.aminmax(getattr(model, name)))
        if low < 0 or high > 1:
            raise ValueError(f"{name} reaches from {low:.3g} to {high:.3g}, expected within 0 to 1")
    if bool((model.expression_prior.std < 0).any()):
        raise ValueError("expression_prior_std is negative")
    correlation = model.expression_prior.correlation
    if not torch.equal(correlation, correlation.T) or bool((correlation.abs() > 1 + 1e-5).any()):
        raise ValueError("expression_prior_correlation is no correlation")
    for name, points in model.landmarks.items():
        if not bool(((points.weights.sum(1) - 1).abs() < 1e-3).all()):
            raise ValueError(f"{name}.weights do not sum to 1")


def _assemble(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> FaceModel:
    arrays = {name: _floats(tensors[name], name) for name in ARRAYS}
    keys = (f"expression_prior_{part}" for part in ("mean", "std", "correlation"))
    prior = ExpressionPrior(*(_floats(tensors[key], key) for key in keys))
    faces, uv_faces = (_indices(tensors[name], name) for name in ("faces", "uv_faces"))
    landmarks = {
        name: LandmarkSet(
            _indices(tensors[f"landmarks{number}.triangle"], f"{name}.triangle"),
            _floats(tensors[f"landmarks{number}.weights"], f"{name}.weights"),
            tensors[f"landmarks{number}.contour"].bool(),
        )
        for number, name in enumerate(_names(header, "landmark_sets"))
    }
    return FaceModel(
        name=header["name"],
        version=header["version"],
        topology=Topology(faces, _floats(tensors["uv"], "uv"), uv_faces),
        expression_names=_names(header, "expression_names"),
        expression_prior=prior,
        mirror=_indices(tensors["mirror"], "mirror"),
        regions=_masks(tensors["regions"], _names(header, "regions")),
        parts=_masks(tensors["parts"], _names(header, "parts")),
        landmarks=landmarks,
        **arrays,
    )


def _stacked(masks: Mapping[str, Tensor], count: int) -> Tensor:
    return torch.stack([mask.byte() for mask in masks.values()]) if masks else torch.zeros(0, count).byte()


def _masks(stacked: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
    if len(stacked) != len(names) or stacked.dim() != 2 or len(names) > MAX_MASKS:
        raise ValueError(f"masks of shape {tuple(stacked.shape)} for {len(names)} names")
    return {name: mask.bool() for name, mask in zip(names, stacked, strict=True)}


def _floats(tensor: Tensor, name: str) -> Tensor:
    if not tensor.is_floating_point():
        raise TypeError(f"{name} holds {tensor.dtype}, expected floating point")
    return tensor.float()


def _indices(tensor: Tensor, name: str) -> Tensor:
    if tensor.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{name} holds {tensor.dtype}, expected whole numbers")
    return tensor.long()


def _names(header: Mapping[str, str], key: str) -> tuple[str, ...]:
    names = json.loads(header[key])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is no list of names")
    if len(set(names)) != len(names):
        raise ValueError(f"{key} names something twice")
    return tuple(names)
