"""Photometric refinement: albedo and light, and shape where it is asked for, from the pixels of the face."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.errors import HiddenFaceError
from facewright.fitting.appearance import LightPrior, PixelSamples, solve_appearance
from facewright.fitting.face_crop import FaceCrops, crop_faces
from facewright.fitting.landmark import with_parameters
from facewright.fitting.landmark_basis import LandmarkBasis, landmark_basis
from facewright.fitting.photometric_shape import ShapeSettings, refine_shape
from facewright.fitting.point_light import LightPriors, PointLightPrior, SoftlyLit, solve_point_lights
from facewright.fitting.records import FaceFit
from facewright.fitting.skin import SeenSkin, seen_skin
from facewright.image.color import lacks_color, luminance
from facewright.image.cover import Cover
from facewright.models.face_model import FaceModel
from facewright.scene.lighting import SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters

LEAST_PIXELS = 50  # of skin that are looked at
BLACK = 0.0016  # linear: 5 of 255
CLIPPED = 0.95  # linear: 249 of 255, and some room for what JPEG does to white


@dataclass(frozen=True)
class PhotometricFitSettings:
    """How a photometric refinement works.

    Attributes:
        resolution: side (px) of the face crop.
        sample_step: every so many pixels in each direction are used for albedo and light.
        precision: how many independent pixels of 100 % relative error a photo is worth against the priors
            of albedo and light.
        light: prior of the light.
        point_light: prior of one point light a photo, or None to explain photos by soft light alone.
        shape: how identity, expression and pose follow the shading; None leaves them alone.
    """

    resolution: int = 192
    sample_step: int = 2
    precision: float = 1.0e3
    light: LightPrior = field(default_factory=LightPrior)
    point_light: PointLightPrior | None = None
    shape: ShapeSettings | None = field(default_factory=ShapeSettings)


def refine_photometric(
    model: FaceModel,
    photos: Sequence[Float[Tensor, "3 _ _"]],
    fit: FaceFit,
    *,
    groups: Int64[Tensor, " B"] | None = None,
    basis: LandmarkBasis | None = None,
    settings: PhotometricFitSettings | None = None,
    covers: Sequence[Cover] | None = None,
) -> FaceFit:
    """Find albedo and light from the pixels; the shape follows the shading only if the settings say so.

    Args:
        model: the one of the fit.
        photos: sRGB in [0, 1], one for each face of the fit.
        fit: from ``fit_landmarks``.
        groups: photos of the same number show the same person and get one albedo; None: all different.
        basis: ``landmark_basis(model)``, to save making it again.
        settings: defaults if None.
        covers: what lies before each face, which is left aside; None: nothing.

    Raises:
        InputError: the photos are not those of the fit.
        HiddenFaceError: a face does not lie in its photo.
    """
    settings = settings or PhotometricFitSettings()
    crops = crop_faces(photos, fit, settings.resolution, covers)
    device = fit.landmarks_px.device
    person = torch.arange(len(photos), device=device)
    if groups is not None:
        person = torch.unique(groups.to(device), return_inverse=True)[1]
    samples = sample_pixels(model, crops, fit.parameters, settings.sample_step)
    fit = replace(fit, clipped=torch.stack([clipped_share(each) for each in samples]))
    # The shape is refined under soft light; a point light comes when the shape is done.
    first = replace(settings, point_light=None) if settings.shape else settings
    parameters = _appearance(samples, fit.parameters, person, first)
    if settings.shape:
        basis = basis or landmark_basis(model)
        small = crop_faces(photos, fit, settings.shape.resolution, covers)
        lit = replace(fit, parameters=parameters)
        moved = refine_shape(model, small, lit, person, basis, settings.light, settings.shape)
        samples = sample_pixels(model, crops, moved, settings.sample_step)
        parameters = _appearance(samples, moved, person, settings, nearly=parameters)
    return with_parameters(model, parameters, fit.detected_px, fit)


def _appearance(
    samples: list[PixelSamples],
    parameters: HeadParameters,
    person: Int64[Tensor, " B"],
    settings: PhotometricFitSettings,
    *,
    nearly: HeadParameters | None = None,
) -> HeadParameters:
    known = None if nearly is None else (nearly.diffuse, nearly.light.coefficients)
    diffuse, light = solve_appearance(samples, person, settings.light, settings.precision, known)
    if settings.point_light is None:
        return replace(parameters, diffuse=diffuse, light=SphericalHarmonicsLight(light))
    start = SoftlyLit(diffuse, light, parameters.pose.translation)
    priors = LightPriors(settings.light, settings.point_light)
    diffuse, specular, light, bulb = solve_point_lights(samples, person, start, priors, settings.precision)
    return replace(
        parameters,
        diffuse=diffuse,
        specular=specular,
        light=SphericalHarmonicsLight(light),
        point_light=bulb,
    )


def clipped_share(sample: PixelSamples) -> Float[Tensor, ""]:
    """Share of the pixels of a photo's skin that are as bright or as dark as a photo can say."""
    ends = sample.clipped.any(-1) | (sample.color.amax(-1) < BLACK)
    return (ends * sample.weight).sum() / sample.weight.sum().clamp_min(1e-9)


def sample_pixels(
    model: FaceModel, crops: FaceCrops, parameters: HeadParameters, step: int
) -> list[PixelSamples]:
    """Pixels of each crop that show skin of the face, with what the model says of them.

    Raises:
        HiddenFaceError: hardly any pixel of some faces lies in their photos.
    """
    skin = seen_skin(model, crops, parameters)
    chosen = torch.zeros_like(skin.weight, dtype=torch.bool)
    chosen[:, ::step, ::step] = skin.weight[:, ::step, ::step] > 0.1
    hidden = torch.nonzero(chosen.sum((1, 2)) < LEAST_PIXELS)[:, 0].tolist()
    if hidden:
        raise HiddenFaceError(
            f"faces {hidden} hardly lie in their photos: leave out their photometric refinement.", hidden
        )
    return [_one_photo(model, crops.images[row], skin, row, chosen[row]) for row in range(len(crops.images))]


def _one_photo(
    model: FaceModel,
    image: Float[Tensor, "S S 3"],
    skin: SeenSkin,
    row: int,
    chosen: Bool[Tensor, "S S"],
) -> PixelSamples:
    weight, fragments = skin.weight[row], skin.fragments
    corners = model.topology.faces[fragments.triangle[row][chosen].long()]
    bary = fragments.barycentric[row][chosen]
    albedo = (model.diffuse_mean[corners] * bary[..., None]).sum(1)
    basis = (model.diffuse_basis[:, corners] * bary[..., None]).sum(2)
    gloss = (model.specular_mean[corners] * bary).sum(1)
    gloss_basis = (model.specular_basis[:, corners] * bary).sum(2)
    color = image[chosen]
    if lacks_color(color):
        color, albedo, basis = (luminance(part)[..., None] for part in (color, albedo, basis))
    clipped = color >= CLIPPED
    return PixelSamples(
        color=color,
        weight=weight[chosen],
        normals=skin.normals[row][chosen],
        albedo=albedo,
        albedo_basis=basis,
        points=skin.points[row][chosen],
        specular=gloss,
        specular_basis=gloss_basis,
        clipped=clipped,
    )
