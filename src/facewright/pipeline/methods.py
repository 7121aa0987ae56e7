"""The table of methods: how each is loaded, and what of its paper can be reproduced.

Homes are named, not imported: the command line reads the names, and methods import torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewright.core.assets import read_manifest
from facewright.core.device import DeviceName
from facewright.core.errors import AssetError, InputError

if TYPE_CHECKING:
    from facewright.fitting.landmark_basis import LandmarkBasis
    from facewright.methods.base import Method
    from facewright.models.face_model import FaceModel
    from facewright.pipeline.reproduce import Study


@dataclass(frozen=True)
class MethodEntry:
    """Where a method is.

    Attributes:
        home: module and class with ``load(model, *, weights, basis)``; "" for the fit, which
            ``Reconstructor`` does itself.
        asset: file of its weights.
        study: module and class with ``of(scale, examples)`` and, where trainings can be of another length or
            on another device, ``with_steps(steps)`` and ``on_device(name)``; "" if there is no
            table to reproduce.
        about_mean: whether it learned on landmark fits that expect the mean head of anyone.
    """

    home: str = ""
    asset: str = ""
    study: str = ""
    about_mean: bool = False


FIT = "fit"
METHODS: dict[str, MethodEntry] = {
    FIT: MethodEntry(),
    "specular": MethodEntry(
        "facewright.methods.specular.infer:SpecularMethod",
        "specular.safetensors",
        "facewright.pipeline.reproduce_specular:SpecularStudy",
        about_mean=True,
    ),
    "sphere": MethodEntry(
        "facewright.methods.sphere.infer:SphereMethod",
        "sphere_encoder.safetensors",
        "facewright.pipeline.reproduce_sphere:SphereStudy",
    ),
}


def require_weights(name: str, weights: Path | None = None) -> None:
    """Check that a method can be loaded, before anything is.

    Raises:
        InputError: there is no such method, or it has no weights but some are given.
        AssetError: its weights are missing.
    """
    if name not in METHODS:
        raise InputError(f"expected a method of {', '.join(METHODS)}, got {name!r}.")
    entry = METHODS[name]
    if weights is not None:
        if not entry.home:
            raise InputError(f"--weights belongs to a network: the method {name!r} has none.")
        if not weights.is_file():
            raise AssetError(f"expected a weight file, found nothing at {weights}.")
    elif entry.asset and entry.asset not in read_manifest():
        raise AssetError(
            f"the weights of the method {name!r} ({entry.asset}) are not in this installation: train them "
            f"with `facewright train {name}` and give them with --weights FILE, or use --method {FIT}."
        )


def basis_for(name: str, model: "FaceModel", *, by_another: bool) -> "LandmarkBasis":
    """``basis_of_found`` as a method wants it.

    Raises:
        InputError: there is no such method.
    """
    from facewright.fitting.landmark_basis import basis_of_found

    if name not in METHODS:
        raise InputError(f"expected a method of {', '.join(METHODS)}, got {name!r}.")
    return basis_of_found(model, by_another=by_another, about_mean=METHODS[name].about_mean)


def load_method(
    name: str, model: "FaceModel", basis: "LandmarkBasis", weights: Path | None = None
) -> "Method | None":
    """Load a method for a model, on the model's device; None for the fit.

    Raises:
        InputError: there is no such method, or its weights are of another head.
        AssetError: its weights are missing or damaged.
    """
    require_weights(name, weights)
    home = METHODS[name].home
    return _found(home).load(model, weights=weights, basis=basis) if home else None


def load_study(
    name: str,
    scale: str,
    examples: Sequence[Path],
    steps: int | None = None,
    device: DeviceName | None = None,
) -> "Study":
    """What of a method's paper can be reproduced.

    Raises:
        InputError: there is no such method, or nothing of it can be; or the examples are none; or its
            trainings cannot be of this length, or on another device.
    """
    studies = {known: entry.study for known, entry in METHODS.items() if entry.study}
    if name not in studies:
        raise InputError(f"expected a method of {', '.join(studies)}, got {name!r}.")
    study = _found(studies[name]).of(scale, examples)
    if steps is not None:
        if not hasattr(study, "with_steps"):
            raise InputError(f"the trainings of {name} have one length a scale: leave --steps out.")
        study = study.with_steps(steps)
    if device is not None:
        if not hasattr(study, "on_device"):
            raise InputError(f"the trainings of {name} are small and run on the CPU: leave --device out.")
        study = study.on_device(device)
    return study


def _found(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)
