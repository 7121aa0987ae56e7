"""Which networks can be trained by name, and the run of one.

This module names the homes of the recipes without importing them: the command line reads the names, and
recipes import torch.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewright.core.errors import InputError

if TYPE_CHECKING:
    from facewright.training.loop import TrainingResult
    from facewright.training.recipe import Recipe, Scale

# Module and name of the ``Recipe`` of each method.
RECIPES: dict[str, str] = {
    "recognition": "facewright.methods.recognition.recipe:RECIPE",
    "segmentation": "facewright.methods.segmentation.recipe:RECIPE",
    "specular": "facewright.methods.specular.recipe:RECIPE",
    "sphere": "facewright.methods.sphere.recipe:RECIPE",
}


def training_recipe(method: str) -> "Recipe":
    """The recipe of a method.

    Raises:
        InputError: no method that can be trained has this name.
    """
    if method not in RECIPES:
        raise InputError(f"expected a method of {', '.join(sorted(RECIPES))}, got {method!r}.")
    module, name = RECIPES[method].split(":")
    return getattr(import_module(module), name)


def train_method(
    method: str,
    options: object,
    scale: "Scale",
    changes: Mapping[str, Any],
    out: Path,
    workers: int = 0,
    notes: Mapping[str, str] | None = None,
) -> "TrainingResult":
    """Train a method's network, or go on where a run stopped.

    Args:
        method: its name.
        options: of the type that its recipe names.
        scale: of the schedule.
        changes: fields of ``TrainingSettings`` that differ from the scale's.
        out: folder of the run.
        workers: processes that make batches ahead.
        notes: kept with the weights.

    Raises:
        InputError: the method or the scale is unknown, or a setting makes no sense.
        FacewrightError: as ``facewright.training.loop.train``.
    """
    from facewright.training.loop import train
    from facewright.training.settings import TrainingSettings

    recipe = training_recipe(method)
    if scale not in recipe.scales:
        raise InputError(f"{method} has the scales {', '.join(recipe.scales)}, got {scale!r}.")
    unknown = sorted(changes.keys() - {field.name for field in fields(TrainingSettings)})
    if unknown:
        raise InputError(f"expected fields of TrainingSettings, got {', '.join(unknown)}.")
    settings = replace(recipe.scales[scale], **changes)
    told = {"method": method, "scale": scale, **(notes or {})}
    return train(recipe.make(options, scale, settings), settings, out, workers=workers, notes=told)
