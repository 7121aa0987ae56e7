"""How far heads are from known ones, and their pictures from photos; one number a photo."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from facewright.fitting.face_probe import FaceProbe, ibug68
from facewright.methods.specular.rendering import Rendering
from facewright.scene.parameters import HeadParameters

SHOWN = 0.02  # mean intensity of a lamp, below which a photo has no highlights
LEAST_SPREAD = 1e-9
INNER_LIPS = slice(60, 68)  # of 68


def head_errors(
    probe: FaceProbe, at: HeadParameters, truth: HeadParameters
) -> dict[str, Float[Tensor, " B"]]:
    """Of each photo: shape (mm, up to shift and size), expression, diffuse albedo (linear), gloss.

    All are mean errors but ``gloss_correlation``, of the specular map with the true one over the face;
    ``shininess``, of the exponent's logarithm, has only the photos with a lamp, by which it is seen.
    """
    face, goal = probe.neutral_face(at.identity), probe.neutral_face(truth.identity)
    gloss, true_gloss = probe.gloss(at.specular), probe.gloss(truth.specular)
    scale = (face * goal).sum((1, 2)) / face.square().sum((1, 2))
    return {
        "shape": (scale[:, None, None] * face - goal).norm(dim=-1).mean(1),
        "expression": (at.expression - truth.expression).abs().mean(1),
        "albedo": (probe.albedo(at.diffuse) - probe.albedo(truth.diffuse)).abs().mean((1, 2)),
        "gloss": (gloss - true_gloss).abs().mean(1),
        "shininess": (at.exponent / truth.exponent).log().abs()[has_lamp(truth)],
        "gloss_correlation": _cosine(
            gloss - gloss.mean(1, keepdim=True), true_gloss - true_gloss.mean(1, keepdim=True)
        ),
    }


def _cosine(a: Float[Tensor, "B N"], b: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """Of what has no mean that is a correlation; 0 where one of both does not vary."""
    spread = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(spread > LEAST_SPREAD, (a * b).sum(1) / spread.clamp_min(LEAST_SPREAD), 0.0)


def landmark_errors(
    found: Float[Tensor, "B 478 2"], true: Float[Tensor, "B 478 2"], size: int
) -> dict[str, Float[Tensor, " B"]]:
    """Mean distance of 68 points, and of the 8 of the inner lips, of the side of the crop."""
    off = (ibug68(found) - ibug68(true)).norm(dim=-1) / size
    return {"landmarks": off.mean(1), "mouth": off[:, INNER_LIPS].mean(1)}


def picture_errors(
    drawn: Rendering, photos: Float[Tensor, "B H W 3"], face: Float[Tensor, "B H W"]
) -> dict[str, Float[Tensor, " B"]]:
    """Of each photo: mean difference of the face's pixels (sRGB), spread of lit diffuse colours (linear).

    All of the photo's face counts, black where no head is drawn: a head that leaves it must not win.
    """
    shown = (face > 0.5).float()
    count = shown.sum((1, 2)).clamp_min(1.0)
    error = ((drawn.image - photos).abs().mean(-1) * shown).sum((1, 2)) / count
    skin = drawn.skin[..., None].float()
    number = skin.sum((1, 2)).clamp_min(1.0)
    middle = (drawn.lit * skin).sum((1, 2)) / number
    spread = ((drawn.lit - middle[:, None, None]) * skin).square().sum((1, 2)) / number
    return {"pixel": error, "lit_variance": spread.sum(-1)}


def highlight_correlation(
    found: Rendering, true: Rendering, face: Float[Tensor, "B H W"]
) -> Float[Tensor, " B"]:
    """Correlation of the highlights over the skin that both show; 0 where one of them has none at all."""
    seen = (found.skin & true.skin & (face > 0.5)).to(found.gloss.dtype)
    number = seen.sum((1, 2)).clamp_min(1.0)
    offsets = []
    for drawn in (found, true):
        gloss = drawn.gloss.mean(-1)
        middle = (gloss * seen).sum((1, 2)) / number
        offsets.append(((gloss - middle[:, None, None]) * seen).flatten(1))
    return _cosine(*offsets)


def has_lamp(truth: HeadParameters) -> Bool[Tensor, " B"]:
    """Whether a lamp shone on the photo."""
    lamp = truth.point_light
    if lamp is None:
        return torch.zeros(len(truth.identity), dtype=torch.bool, device=truth.identity.device)
    return lamp.intensity.mean(1) > SHOWN
