"""Crops that face recognition expects: five points of the face moved onto fixed places of 112 x 112 px."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError

SIZE = 112
# Eyes (the subject's right one first), tip of the nose, corners of the mouth, in px of the crop whose first
# pixel has its centre at 0: so the places are used, to cut training photos by warpAffine of OpenCV.
# Source: insightface, python-package/insightface/utils/face_align.py, ``arcface_dst``.
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
# Of the 478 points: corners of the right and the left eye, tip of the nose, corners of the mouth.
DENSE = ((33, 133), (362, 263), (1,), (61,), (291,))
# Of iBUG's 68: lids and corners of the eyes, tip of the nose, corners of the mouth.
IBUG = (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,))
FINEST = 4  # samples in a row for a pixel of the crop; of photos that are finer, pixels are skipped
Scheme = Literal["mediapipe478", "ibug68"]
GROUPS = {"mediapipe478": (DENSE, 478), "ibug68": (IBUG, 68)}


def five_points(points: Float[Tensor, "B L 2"], scheme: Scheme = "mediapipe478") -> Float[Tensor, "B 5 2"]:
    """Eyes, nose and corners of the mouth of dense landmarks in px, in the order of ``TEMPLATE``.

    Raises:
        InputError: the scheme has another number of points.
    """
    groups, count = GROUPS[scheme]
    if points.shape[1] != count:
        raise InputError(f"expected the {count} points of {scheme}, got {points.shape[1]}.")
    return torch.stack([points[:, list(group)].mean(1) for group in groups], 1)


def similarity(source: Float[Tensor, "B N 2"], target: Float[Tensor, "N 2"]) -> Float[Tensor, "B 2 3"]:
    """source_from_target: the inverse of the similarity that takes source points best onto the target.

    Raises:
        InputError: the points of a face coincide.

    **Source:** Umeyama 1991; in the plane the best similarity is a linear least-squares problem.
    """
    from_mean, to_mean = source.mean(1, keepdim=True), target.mean(0)
    a, b = source - from_mean, target - to_mean
    # Complex numbers: b = z a in the least-squares sense, z = sum(b conj(a)) / sum(|a|^2).
    squares = (a * a).sum((1, 2))
    if bool((squares <= 0).any()):
        raise InputError("the landmarks of a face all lie in one place: no crop can be aligned to them.")
    real = (a * b).sum((1, 2)) / squares
    imaginary = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(1) / squares
    length = (real**2 + imaginary**2).clamp_min(1e-12)
    cos, sin = real / length, -imaginary / length  # of 1 / z
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1)
    shift = from_mean[:, 0] - (turn @ to_mean)
    return torch.cat([turn, shift[..., None]], 2)


def aligned_crops(
    images: Float[Tensor, "B C H W"], points: Float[Tensor, "B 5 2"], size: int = SIZE, *, margin: int = 0
) -> Float[Tensor, "B C S S"]:
    """Crops of one face each in which the five points lie as ArcFace has them; differentiable in the images.

    Pixels that the crop shrinks are averaged over a grid of samples; beyond the image it is black.

    Args:
        images: one photo for each face.
        points: in px of the photo, order of ``TEMPLATE``.
        size: of the crop in px; the template is scaled along.
        margin: px more on each side.

    **Differs:** our pixel centres lie at +0.5; the template, whose lie at 0, is shifted.
    """
    template = (points.new_tensor(TEMPLATE) + 0.5) * (size / SIZE) + margin
    photo_from_crop = similarity(points, template)
    scale = torch.linalg.det(photo_from_crop[:, :, :2].detach()).clamp_min(0).sqrt().max()
    fine = min(max(1, round(float(scale))), FINEST)
    side = size + 2 * margin
    axis = (torch.arange(side * fine, device=images.device, dtype=images.dtype) + 0.5) / fine
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flatten(0, 1)
    places = grid @ photo_from_crop[:, :, :2].mT + photo_from_crop[:, None, :, 2]
    extent = places.new_tensor([images.shape[3], images.shape[2]])
    # grid_sample without aligned corners puts -1 and 1 on the outer edges, as our pixel frame does.
    spots = (2 * places / extent - 1).unflatten(1, (side * fine, side * fine))
    read = functional.grid_sample(images, spots, mode="bilinear", padding_mode="zeros", align_corners=False)
    return functional.avg_pool2d(read, fine) if fine > 1 else read
