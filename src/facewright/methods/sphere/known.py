"""Synthetic photos as examples of shape: what the face in each is like is known."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import cosine_similarity

from facewright.core.errors import InputError
from facewright.data.known_crops import KnownCrops
from facewright.models.sphere_model import SphereModel

HELD = 16  # one of so many photos is kept out of training, to measure by


@dataclass(frozen=True)
class KnownFaces:
    """Crops of synthetic photos and the true codes of their faces.

    Attributes:
        crops: of the photos.
        codes: along the sphere's axes, mm times root of vertices.
        seen: numbers of those that are trained on.
        held: of the others.
    """

    crops: KnownCrops
    codes: Float[Tensor, "N D"]
    seen: Int64[ndarray, " S"]
    held: Int64[ndarray, " H"]

    @classmethod
    def of(cls, crops: KnownCrops, sphere: SphereModel) -> "KnownFaces":
        """Of crops whose heads the sphere has.

        Raises:
            InputError: they are of another head, or too few.
        """
        face = sphere.face_model
        own = (face.name, face.version)
        if crops.head != own or len(crops.pixels) < HELD:
            raise InputError(
                f"expected {HELD} synthetic photos at least of the head {own}, got {len(crops.pixels)} of "
                f"{crops.head}: make a set of that head with facewright synthesize."
            )
        identity = sphere.own_coefficients(torch.from_numpy(crops.identity))
        numbers = np.arange(len(identity))
        last = numbers % HELD == HELD - 1
        return cls(crops, identity * sphere.deviations.cpu(), numbers[~last], numbers[last])


def face_errors(
    found: Float[Tensor, "B D"], true: Float[Tensor, "B D"], vertices: int
) -> Float[Tensor, " B"]:
    """Mean squared distance (mm^2) of the vertices of neutral faces with these codes."""
    return (found - true).square().sum(1) / vertices


def shape_figures(found: Float[Tensor, "B D"], true: Float[Tensor, "B D"], vertices: int) -> dict[str, float]:
    """Root mean square distance of faces, mm, and how alike their differences from the mean face are."""
    return {
        "shape_mm": float(face_errors(found, true, vertices).mean().sqrt()),
        "shape_cosine": float(cosine_similarity(found, true).mean()),
    }
