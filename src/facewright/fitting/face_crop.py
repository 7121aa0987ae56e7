"""The part of each photo that the photometric fit looks at: a square around the face, in linear light."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import InputError
from facewright.fitting.records import FaceFit
from facewright.image.cover import SURE, Cover
from facewright.image.smoothstep import smoothstep
from facewright.image.warp import crop_box
from facewright.scene.camera import PerspectiveCamera

MARGIN = 0.15  # of the landmarks' extent, on each side


@dataclass(frozen=True)
class FaceCrops:
    """Square crops of one size.

    Attributes:
        images: linear RGB.
        inside: 1 where the crop shows the photo, 0 beyond the photo's border and where something lies before
            the face.
        camera: of the crops; sees in them what the photos' camera sees in the photos.
    """

    images: Float[Tensor, "B S S 3"]
    inside: Float[Tensor, "B S S"]
    camera: PerspectiveCamera


def crop_faces(
    photos: Sequence[Float[Tensor, "3 _ _"]],
    fit: FaceFit,
    resolution: int,
    covers: Sequence[Cover] | None = None,
) -> FaceCrops:
    """Cut the fitted faces out of their photos.

    Args:
        photos: sRGB in [0, 1], one for each face of the fit, of the fit's sizes.
        fit: says where the faces are.
        resolution: side of the crops in pixels.
        covers: what lies before each face; None: nothing.

    Raises:
        InputError: the photos are not those of the fit.
    """
    if len(photos) != len(fit.sizes):
        raise InputError(f"the fit holds {len(fit.sizes)} faces, got {len(photos)} photos.")
    images, inside, cameras = [], [], []
    camera = fit.parameters.camera
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("a photometric fit needs a perspective camera, got a weak-perspective one.")
    for row, (photo, size) in enumerate(zip(photos, fit.sizes, strict=True)):
        if tuple(photo.shape[-2:]) != size:
            raise InputError(
                f"photo {row} should be {size} pixels (height, width), is {tuple(photo.shape[-2:])}."
            )
        x0, y0, side = _square(fit.landmarks_px[row])
        box = (x0, y0, x0 + side, y0 + side)
        image = crop_box(photo.float(), box, (resolution, resolution), linear=True)
        images.append(image.permute(1, 2, 0))
        shown = _inside(box, size, resolution, photo.device)
        if covers is not None:
            shown = shown * _uncovered(covers[row], box, resolution, photo.device)
        inside.append(shown)
        own = replace(camera, focal=camera.focal[row][None], principal=camera.principal[row][None])
        cameras.append(own.cropped(x0, y0, (side, side)).scaled(resolution / side))
    focal = torch.cat([each.focal for each in cameras])
    principal = torch.cat([each.principal for each in cameras])
    cropped = PerspectiveCamera(focal, principal, (resolution, resolution))
    return FaceCrops(torch.stack(images), torch.stack(inside), cropped)


def _square(points: Tensor) -> tuple[int, int, int]:
    """Whole pixels (x0, y0, side) of a square around points."""
    low, high = points.amin(0), points.amax(0)
    side = max(int(torch.ceil((high - low).max() * (1 + 2 * MARGIN))), 8)
    middle = (low + high) / 2
    x0, y0 = (int(torch.floor(value - side / 2)) for value in middle)
    return x0, y0, side


def _uncovered(cover: Cover, box: tuple[int, int, int, int], resolution: int, device: torch.device) -> Tensor:
    step = (torch.arange(resolution, device=device) + 0.5) * (box[2] - box[0]) / resolution
    places = torch.stack(torch.meshgrid(box[0] + step, box[1] + step, indexing="xy"), -1)
    return 1 - smoothstep(cover(places.flatten(0, 1)), SURE).unflatten(0, (resolution, resolution))


def _inside(
    box: tuple[int, int, int, int], size: tuple[int, int], resolution: int, device: torch.device
) -> Tensor:
    centre = (torch.arange(resolution, device=device) + 0.5) * (box[2] - box[0]) / resolution
    x, y = box[0] + centre, box[1] + centre
    columns, rows = (x > 0) & (x < size[1]), (y > 0) & (y < size[0])
    return (rows[:, None] & columns[None]).float()
