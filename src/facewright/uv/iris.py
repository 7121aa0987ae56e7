"""Irises: round on the map, in the colour that a photo shows.

Eyelids leave so little of an eye that no texel of it is trusted, and the mesh is too coarse for a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.image.color import linear_from_srgb, luminance
from facewright.image.cover import Cover
from facewright.image.sample import sample_bilinear
from facewright.image.smoothstep import smoothstep
from facewright.models.face_model import FaceModel
from facewright.render.shading import shade_diffuse, shade_point_diffuse, unit
from facewright.scene.parameters import HeadParameters
from facewright.uv.chart import UvChart

# The part of the model that each iris lies on; of the 478 landmarks its centre, margin and lids' middles.
IRISES = (
    ("right_eye", 468, (469, 470, 471, 472), (159, 145)),
    ("left_eye", 473, (474, 475, 476, 477), (386, 374)),
)
DENSE = "dense478"
LEAST_RADIUS = 3.0  # px of the photo
LEAST_OPEN = 1.0  # of the radius, between the lids
COVERED = 0.5
SAMPLED = (0.5, 0.85)  # of the radius: beyond the pupil, before the margin
SAMPLES = 12  # along the radius, and around the centre to either side
ASIDE = 0.6  # radians above and below the horizontal, where neither lid hides the iris
DARKEST, LIGHTEST = (0.038, 0.018, 0.009), 0.3  # albedo of irises, linear; lashes shade them in photos
BROWN = 0.12  # of the skin's albedo: most irises, in the cast of a photo as well
UNLIT = 0.35  # quantile of what is sampled: windows and lamps are reflected in the brighter half
REDDEST, YELLOWEST = 2.5, 2.0  # red over green and green over blue: in small eyes the skin's colour runs in
PUPIL, PUPIL_ALBEDO = (0.34, 0.42), 0.006  # of the radius: its margin
MARGIN = (0.95, 1.06)  # of the radius, over which the white begins
LIMBUS, LIMBAL_SHADE = (0.72, 0.98), 0.4  # the dark ring at the margin; share of light left in it
FIBRES, CONTRAST = (23, 41), 0.1  # how many around the pupil; how much lighter and darker they are
WHITE = (1.25, 1.6)  # of the radius: where the model's white is clear of its own iris
# Share of the model's hue in the white: what else is in it is skin, lashes and the cast of the photo.
PURE = 0.7
BLEND = (1.15, 1.45)  # over which the map's white sets in


@dataclass(frozen=True)
class SeenIris:
    """The colour of a photo's irises.

    Attributes:
        albedo: linear RGB, the light of the photo divided out.
        radius: px of the photo: the larger, the surer.
    """

    albedo: Float[Tensor, "3"]
    radius: float


def seen_iris(
    model: FaceModel,
    photo: Float[Tensor, "3 H W"],
    parameters: HeadParameters,
    landmarks: Float[Tensor, "478 2"],
    cover: Cover | None = None,
) -> SeenIris | None:
    """What a photo tells of the colour of the irises; None where lids or things hide them, or they are small.

    Args:
        model: of the parameters.
        photo: sRGB.
        parameters: the fit, B = 1.
        landmarks: seen in the photo, px.
        cover: what lies before the head.
    """
    found, vertices = [], model.vertices(parameters.identity, parameters.expression)
    placed = parameters.pose.camera_from_head(vertices)
    for part, centre, margin, lids in IRISES:
        middle, rim = landmarks[centre], landmarks[list(margin)]
        radius = float((rim - middle).norm(dim=-1).mean())
        opened = float((landmarks[lids[0]] - landmarks[lids[1]]).norm())
        if radius < LEAST_RADIUS or opened < LEAST_OPEN * radius or part not in model.parts:
            continue
        share = torch.linspace(*SAMPLED, SAMPLES, device=photo.device)
        angle = torch.linspace(-ASIDE, ASIDE, SAMPLES, device=photo.device)
        around = torch.stack([angle.cos(), angle.sin()], -1)
        offsets = radius * share[:, None, None] * torch.cat([around, -around])
        places = (middle + offsets).flatten(0, 1)
        low, high = places.min(0).values, places.max(0).values
        if float(low.min()) < 0 or float(high[0]) > photo.shape[2] or float(high[1]) > photo.shape[1]:
            continue
        if cover is not None and float(cover(places).mean()) > COVERED:
            continue
        colors = linear_from_srgb(sample_bilinear(photo[None], places[None])[0])
        light = _light_on(placed[:, model.parts[part]], parameters)
        found.append((colors.quantile(UNLIT, 0) / light.clamp_min(1e-3), radius))
    if not found:
        return None
    # Both eyes have one colour; of two unlike ones the brighter reflects something, or it is partly white.
    albedo = min((color for color, _ in found), key=lambda color: float(luminance(color)))
    return SeenIris(_possible(albedo), sum(radius for _, radius in found) / len(found))


def likely_iris(albedo: Float[Tensor, "S S 3"], skin: Float[Tensor, "S S 1"]) -> Float[Tensor, "3"]:
    """Albedo of irises that no photo shows, on a map (linear RGB) with a mask of its skin: brown."""
    face = albedo[skin[..., 0] > 0.5]
    return _possible(BROWN * face.median(0).values if len(face) else albedo.new_tensor(DARKEST))


def _possible(albedo: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """The colour of an iris that comes closest to what was seen: no redder, no darker, as bright else."""
    red, green, blue = albedo.clamp_max(LIGHTEST).unbind()
    blue = torch.maximum(blue, green / YELLOWEST)
    natural = torch.stack([torch.minimum(red, REDDEST * green), green, blue])
    natural = natural * (luminance(albedo) / luminance(natural).clamp_min(1e-6))
    darkest = albedo.new_tensor(DARKEST)
    lacking = 1 - luminance(natural) / luminance(darkest)
    return (natural + darkest * lacking.clamp_min(0)).clamp_max(LIGHTEST)


@dataclass(frozen=True)
class IrisPlace:
    """Texels of one eye in and around its iris.

    Attributes:
        texel: place of each in the flattened map.
        away: from the middle of the iris, in its radii.
        offset: from there, mm.
    """

    texel: Int64[Tensor, " N"]
    away: Float[Tensor, " N"]
    offset: Float[Tensor, "N 3"]


def iris_places(chart: UvChart, model: FaceModel) -> tuple[IrisPlace, ...]:
    """Where the irises are on a map; nowhere if the model has no eyes or no landmarks of them."""
    if DENSE not in model.landmarks:
        return ()
    places, points = [], model.landmark_points(model.mean, DENSE)
    for part, centre, margin, _ in IRISES:
        if part not in model.parts:
            continue
        eye = chart.where(model.parts[part][chart.corners].all(1))
        offset = eye.gather(model.mean) - points[centre]
        away = offset.norm(dim=-1) / (points[list(margin)] - points[centre]).norm(dim=-1).mean()
        around = away < WHITE[1]
        if bool((around & (away > WHITE[0])).any()) and bool(
            ((away > SAMPLED[0]) & (away < SAMPLED[1])).any()
        ):
            places.append(IrisPlace(eye.texel[around], away[around], offset[around]))
    return tuple(places)


def draw_irises(
    places: Sequence[IrisPlace], albedo: Float[Tensor, "S S 3"], color: Float[Tensor, "3"]
) -> Float[Tensor, "S S 3"]:
    """The map with round irises.

    Args:
        places: where they are.
        albedo: map, linear RGB, row 0 is v = 1.
        color: albedo of the irises.
    """
    result = albedo.reshape(-1, 3).clone()
    for each in places:
        away, plain = each.away, result[each.texel]
        white = plain[away > WHITE[0]].median(0).values
        white = torch.lerp(white, plain, smoothstep(away, BLEND)[:, None])
        drawn = torch.lerp(
            _iris(away, each.offset, color.to(result)), white, smoothstep(away, MARGIN)[:, None]
        )
        result[each.texel] = torch.where((away < BLEND[1])[:, None], drawn, plain)
    return result.view_as(albedo)


def whitened(
    albedo: Float[Tensor, "S S 3"], plain: Float[Tensor, "S S 3"], white: Float[Tensor, "S S 1"]
) -> Float[Tensor, "S S 3"]:
    """A map whose whites of the eyes have little of the colour of the skin around them.

    Args:
        albedo: map, linear RGB, changed in place.
        plain: the model's map.
        white: mask of the whites.
    """
    own = white[..., 0] > 0.5
    shown, pure = albedo[own], plain[own]
    pure = pure * (luminance(shown) / luminance(pure).clamp_min(1e-3))[:, None]
    albedo[own] = torch.lerp(shown, pure.clamp(0, 1), PURE)
    return albedo


def _iris(away: Float[Tensor, " N"], offset: Float[Tensor, "N 3"], color: Float[Tensor, "3"]) -> Tensor:
    """Pupil, fibres and the dark ring at the margin."""
    angle = torch.atan2(offset[:, 1], offset[:, 0])
    fibres = sum(torch.sin(count * angle + 7.0 * away) for count in FIBRES) / len(FIBRES)
    light = (1 + CONTRAST * fibres) * (1 - (1 - LIMBAL_SHADE) * smoothstep(away, LIMBUS))
    shown = smoothstep(away, PUPIL)[:, None]
    return PUPIL_ALBEDO * (1 - shown) + shown * color * light[:, None]


def _light_on(eye: Float[Tensor, "1 N 3"], parameters: HeadParameters) -> Float[Tensor, "3"]:
    """Light of the fit on the front of an eyeball (camera frame)."""
    middle = eye.mean(1, keepdim=True)
    front = eye[:, eye[0, :, 2].argmin()][:, None]  # nearest to the camera
    normal, white = unit(front - middle), torch.ones_like(front)
    light = shade_diffuse(white, normal, parameters.light)
    if parameters.point_light is not None:
        light = light + shade_point_diffuse(white, normal, front, parameters.point_light)
    return light[0, 0]
