"""The six losses of the paper, each a function of its own, and their weighted sum by name."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import InputError
from facewright.detection.aligned_crop import five_points
from facewright.detection.recognition import FaceFeatures
from facewright.fitting.face_probe import LOWER_LIP, UPPER_LIP, FaceProbe, ibug68
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.image.color import LUMA_WEIGHTS
from facewright.methods.specular.rendering import Rendering
from facewright.methods.specular.settings import LossSettings
from facewright.models.face_model import ExpressionPrior, FaceModel
from facewright.render.antialias import antialias
from facewright.render.fragments import Fragments
from facewright.render.rasterize import rasterize
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.parameters import HeadParameters

TINY = 1e-6  # added under square roots, so that the gradient of a length of 0 is 0
LEAST_STD = 0.05  # of an expression: rarer ones are not bound tighter
LIP_BIAS = 2.0  # mm that the face may lie in front of the opened mouth
STRONG = (*range(17, 27), *range(48, 60))  # brows and outer lips among the 68


@dataclass(frozen=True)
class Targets:
    """What is known of photos, at the size that is drawn.

    Attributes:
        photos: sRGB in [0, 1].
        face: 1 where the photo shows the face, nothing before it.
        skin: probability of skin.
        mouth: 1 where it shows the inside of the mouth.
        landmarks: 478 points, pixels.
        grey: 1 where the photo has no colour, so that only light and dark can be compared.
    """

    photos: Float[Tensor, "B H W 3"]
    face: Float[Tensor, "B H W"]
    skin: Float[Tensor, "B H W"]
    mouth: Float[Tensor, "B H W"]
    landmarks: Float[Tensor, "B 478 2"]
    grey: Float[Tensor, " B"]


def length(vectors: Float[Tensor, "*N C"]) -> Float[Tensor, "*N"]:
    """Length of the last axis with a gradient everywhere; 0 for a vector of 0."""
    return (vectors.square().sum(-1) + TINY).sqrt() - TINY**0.5


def identity_loss(
    recognition: FaceFeatures,
    rendering: Rendering,
    targets: Targets,
    points: Float[Tensor, "B 478 2"],
) -> Float[Tensor, ""]:
    """One minus the cosine of photo and picture, eq. 7; the photo is masked like the picture.

    Args:
        recognition: frozen; its gradient reaches the picture.
        rendering: of the heads.
        targets: of the photos.
        points: landmarks of the heads in the picture, pixels.
    """
    there = (rendering.fragments.covered & (targets.face > 0.5))[..., None].to(targets.photos.dtype)
    with torch.no_grad():
        wanted = recognition((targets.photos * there).permute(0, 3, 1, 2), five_points(targets.landmarks))
    found = recognition((rendering.image * there).permute(0, 3, 1, 2), five_points(points))
    return (1 - (wanted * found).sum(-1)).mean()


def skin_weight(probability: Float[Tensor, "*N"], threshold: float = 0.5) -> Float[Tensor, "*N"]:
    """1 where skin is likely, else its probability, eq. 9."""
    return torch.where(probability > threshold, torch.ones_like(probability), probability)


def photo_loss(rendering: Rendering, targets: Targets, settings: LossSettings) -> Float[Tensor, ""]:
    """Pixels of the diffuse picture, weighted by skin, and of the whole picture, eq. 8.

    **Differs:** means over each photo's own face before the mean over photos; 0 where no face is seen.
    """
    mask = (rendering.fragments.covered & (targets.face > 0.5)).to(targets.photos.dtype).detach()
    weight = mask * skin_weight(targets.skin, settings.skin_threshold)
    grey = targets.grey[:, None, None, None]
    diffuse, whole = (_as_seen(picture, grey) for picture in (rendering.diffuse, rendering.image))
    skin = (weight * length(targets.photos - diffuse)).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1.0)
    face = (mask * length(targets.photos - whole)).sum((1, 2)) / mask.sum((1, 2)).clamp_min(1.0)
    return (skin + settings.eta * face).mean()


def _as_seen(picture: Tensor, grey: Tensor) -> Tensor:
    """Without colours where the photo has none."""
    luma = (picture @ picture.new_tensor(LUMA_WEIGHTS))[..., None]
    return torch.lerp(picture, luma.expand_as(picture), grey)


def landmark_weights(settings: LossSettings) -> Float[Tensor, " 68"]:
    """Weight of each of the 68 points, eq. 10."""
    weights = torch.ones(68)
    weights[list(STRONG)] = settings.strong_landmarks
    return weights


def landmark_loss(
    points: Float[Tensor, "B 478 2"], targets: Float[Tensor, "B 478 2"], size: int, settings: LossSettings
) -> Float[Tensor, ""]:
    """Distances of 68 points in px of the paper's photos, eq. 10.

    Args:
        points: of the heads, pixels of a picture of ``size`` px.
        targets: of the photos, likewise.
        size: side of the picture.
        settings: weights and power.
    """
    offset = (ibug68(points) - ibug68(targets)) * (settings.reference_size / size)
    weights = landmark_weights(settings).to(offset)
    distance = length(offset) if settings.landmark_power == 1 else offset.square().sum(-1)
    return (weights * distance).mean(-1).mean()


@dataclass(frozen=True)
class MouthPatch:
    """Triangles between the inner margins of the lips.

    Attributes:
        faces: into the upper margin's points, then the lower one's.
        edges: of these.
    """

    faces: Tensor
    edges: EdgeTable

    @classmethod
    def make(cls) -> "MouthPatch":
        """The strip between the margins; it has no area where the lips meet."""
        count, rows = len(UPPER_LIP), []
        for i in range(count - 1):
            upper, lower = (i, i + 1), (count + i, count + i + 1)
            rows += [(upper[0], lower[0], lower[1]), (upper[0], lower[1], upper[1])]
        faces = torch.tensor(rows)
        return cls(faces, edge_table(faces))


def mouth_area(
    patch: MouthPatch,
    lips: Float[Tensor, "B L 3"],
    size: int,
    face: Fragments | None = None,
    *,
    perspective: bool = True,
) -> Float[Tensor, "B H W"]:
    """How much of each pixel the opened mouth covers; its outline has a gradient.

    Args:
        patch: the strip.
        lips: their inner margins on the picture (px, px, mm), upper then lower.
        size: side of the picture.
        face: the head drawn, which may hide the mouth; None: nothing does.
        perspective: of the camera.
    """
    faces, edges = patch.faces.to(lips.device), patch.edges.to(lips.device)
    fragments = rasterize(lips, faces, (size, size), perspective=perspective, cull_back_faces=True)
    there = fragments.covered[..., None].to(lips.dtype)
    area = antialias(there, fragments, lips, faces, edges=edges)[..., 0]
    if face is None:
        return area
    hidden = fragments.covered & face.covered & (fragments.depth > face.depth + LIP_BIAS)
    return area * ~hidden


def mouth_target(patch: MouthPatch, points: Float[Tensor, "B 478 2"], size: int) -> Float[Tensor, "B H W"]:
    """The opened mouth between the landmarks of photos, where no segmentation tells it."""
    lips = points[:, [*UPPER_LIP, *LOWER_LIP]]
    flat = torch.cat([lips, torch.ones_like(lips[..., :1])], dim=-1)
    return mouth_area(patch, flat, size, perspective=False)


def mouth_loss(
    found: Float[Tensor, "B H W"], wanted: Float[Tensor, "B H W"], settings: LossSettings
) -> Float[Tensor, ""]:
    """Area between two mouths in px of the paper's photos, eq. 11."""
    scale = (settings.reference_size / found.shape[-1]) ** 2
    return ((found - wanted).abs().sum((1, 2)) * scale).mean()


def regularisation_loss(at: HeadParameters, prior: ExpressionPrior) -> Float[Tensor, ""]:
    """Squared coefficients, eq. 12; activations count in standard deviations from the mean face's."""
    rest = (at.expression - prior.mean) / prior.std.clamp_min(LEAST_STD)
    squares = [values.square().sum(1) for values in (at.identity, at.diffuse, at.specular, rest)]
    return torch.stack(squares).sum(0).mean()


def uniform_loss(
    rendering: Rendering, light: Float[Tensor, "B 9 3"], settings: LossSettings
) -> Float[Tensor, ""]:
    """Spread of lit diffuse colours over the skin, and of the light over the channels, eq. 13.

    **Differs:** with squares (or absolute values); as printed both sums vanish. Over the drawn pixels of the
    skin instead of its vertices.
    """
    colors = rendering.lit if settings.uniform_on == "lit" else rendering.albedo
    skin = rendering.skin[..., None].to(colors.dtype)
    count = skin.sum((1, 2)).clamp_min(1.0)
    mean = (colors * skin).sum((1, 2)) / count
    offset = (colors - mean[:, None, None]) * skin
    tint = light - light.mean(-1, keepdim=True)
    if settings.uniform_power == 2:
        spread, tints = offset.square(), tint.square()
    else:
        spread, tints = offset.abs(), tint.abs()
    return ((spread.sum((1, 2)) / count).sum(-1) + tints.mean((1, 2))).mean()


@dataclass(frozen=True)
class LossTools:
    """What the losses need of a model; made once.

    Attributes:
        probe: its landmarks and lips.
        prior: of its expressions.
        patch: between the lips.
        recognition: for the identity loss.
    """

    probe: FaceProbe
    prior: ExpressionPrior
    patch: MouthPatch
    recognition: FaceFeatures | None = None

    @classmethod
    def of(cls, model: FaceModel, recognition: FaceFeatures | None = None) -> "LossTools":
        """Prepare a model."""
        return cls(FaceProbe.of(model), model.expression_prior, MouthPatch.make(), recognition)


def paper_losses(
    at: HeadParameters,
    rendering: Rendering,
    targets: Targets,
    tools: LossTools,
    settings: LossSettings,
    step: int,
) -> dict[str, Float[Tensor, ""]]:
    """The weighted losses by name; one with weight 0 (and the mouth before its start) is left out.

    Raises:
        InputError: the identity loss has a weight but no recognition network is given.
    """
    weights, size = settings.weights, targets.photos.shape[1]
    camera = at.camera.scaled(size / at.camera.size[0])
    points = camera.project(tools.probe.landmarks(at)[0])
    perspective = isinstance(camera, PerspectiveCamera)
    found: dict[str, Tensor] = {}
    if weights.identity > 0:
        if tools.recognition is None:
            raise InputError(
                "the identity loss needs a recognition network: give one, or set its weight to 0."
            )
        found["identity"] = identity_loss(tools.recognition, rendering, targets, points[..., :2])
    if weights.photo > 0:
        found["photo"] = photo_loss(rendering, targets, settings)
    if weights.landmark > 0:
        found["landmark"] = landmark_loss(points[..., :2], targets.landmarks, size, settings)
    if weights.mouth > 0 and step >= settings.mouth_start:
        lips = camera.project(tools.probe.lips(at))
        area = mouth_area(tools.patch, lips, size, rendering.fragments, perspective=perspective)
        found["mouth"] = mouth_loss(area, targets.mouth, settings)
    if weights.regularisation > 0:
        found["regularisation"] = regularisation_loss(at, tools.prior)
    if weights.uniform > 0:
        found["uniform"] = uniform_loss(rendering, at.light.coefficients, settings)
    return {name: getattr(weights, name) * value for name, value in found.items()}
