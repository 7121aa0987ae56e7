"""The regressor: from a crop (and landmarks) to everything that makes its picture."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from facewright.core.assets import asset_path
from facewright.core.errors import InputError
from facewright.detection.landmarker import SECOND
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.image.color import LUMA_WEIGHTS
from facewright.methods.specular.settings import CameraKind, NetworkSettings
from facewright.models.face_model import FaceModel
from facewright.networks.backbones import ResidualPyramid
from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from facewright.networks.resnet import ResNet50
from facewright.networks.weights import read_weights
from facewright.render.shading import unit
from facewright.scene.camera import Camera, PerspectiveCamera, WeakPerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight, ambient_light
from facewright.scene.material import SKIN_SHININESS
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

LANDMARKS = 478
SMALL = NetworkSettings()
# Focal length in sides of the photo (Deng et al. 2019: 1015 px of 224), and mm from the camera.
FOCAL, DISTANCE = 1015 / 224, 1050.0
LIGHT_LEVEL = 0.8
LIGHT_STEP = (1.0, 0.6, 0.6, 0.6, 0.3, 0.3, 0.3, 0.3, 0.3)  # of an output of 1, for each harmonic
LAMP_START, LAMP_DISTANCE, LAMP_STEP = (0.0, -0.5, -0.87), 1500.0, 0.5  # direction and mm from the head
INTENSITY_START = -1.0
SHININESS_STEP, SHININESS_REACH = 0.5, 3.0  # of its logarithm, and the furthest from the usual skin's
TURN_STEP, SHIFT_STEP, DEPTH_STEP, EXPRESSION_STEP = 0.2, 10.0, 0.1, 0.3  # rad, mm, log, activation
FIT_SCALE, POINT_SCALE = 40.0, 4.0  # of the parts of the geometry, to be about 1


def output_sizes(settings: NetworkSettings) -> dict[str, int]:
    """How many numbers the network gives for what, in their order."""
    return {
        "identity": settings.identity,
        "expression": settings.expression,
        "diffuse": settings.diffuse,
        "specular": settings.specular,
        "rotation": 3,
        "translation": 3,
        "scale": 1,
        "light": 27,
        "lamp": 3,
        "intensity": 3,
        "shininess": 1,
    }


class SpecularNetwork(nn.Module):
    """Regressor of the specular method; its heads start at zero, so that it starts from ``start``.

    With ``settings.geometry`` it also reads the landmarks and the fit to them, and its outputs are changes of
    that fit; otherwise they are changes of the mean head in the middle of the crop, as in the paper.
    """

    def __init__(self, settings: NetworkSettings = SMALL) -> None:
        super().__init__()
        self.settings = settings
        if settings.widths:
            self.backbone = ResidualPyramid(settings.widths, inputs=3)
            side = settings.input_size
            for _ in settings.widths:
                side = (side + 1) // 2
            features = settings.widths[-1] * side**2
        else:
            self.backbone = ResNet50()
            features = ResNet50.FEATURES
        if settings.geometry:
            self.geometry = nn.Linear(geometry_size(settings), settings.geometry)
            features += settings.geometry
        if settings.hidden:
            self.hidden = nn.Linear(features, settings.hidden)
            features = settings.hidden
        self.heads = nn.Linear(features, sum(output_sizes(settings).values()))
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(
        self, crops: Float[Tensor, "B 3 S S"], geometry: Float[Tensor, "B G"] | None = None
    ) -> Float[Tensor, "B _"]:
        """Raw outputs, in the order of ``output_sizes``.

        Args:
            crops: sRGB in [0, 1].
            geometry: of ``geometry_of``, where the settings ask for it.
        """
        found = self.backbone((crops - 0.45) * 4.0)
        features = found if isinstance(found, Tensor) else found[-1].flatten(1)
        if self.settings.geometry:
            if geometry is None:
                raise InputError("this network reads landmarks and the fit to them: give geometry_of(...).")
            features = torch.cat([features, torch.relu(self.geometry(geometry))], dim=1)
        if self.settings.hidden:
            features = torch.relu(self.hidden(features))
        return self.heads(features)


def start_from_landmarker(network: SpecularNetwork, path: Path | None = None) -> None:
    """Give the small backbone the weights of a landmarker's, which saw the same crops without colour.

    Args:
        network: whose widths are the landmarker's.
        path: the landmarker's weights; the shipped one of the second look if None.

    Raises:
        InputError: the sizes of the backbones differ.
    """
    known = read_weights(path or asset_path(SECOND), LandmarkNetwork, LandmarkNetworkSettings)
    if known.settings.widths != network.settings.widths:
        raise InputError(
            f"expected a backbone of the landmarker's widths {known.settings.widths}, "
            f"got {network.settings.widths}."
        )
    state = known.backbone.state_dict()
    stem = next(iter(name for name, value in state.items() if value.dim() == 4 and value.shape[1] == 1))
    state[stem] = state[stem] * torch.tensor(LUMA_WEIGHTS)[:, None, None]
    network.backbone.load_state_dict(state)


def start_from_imagenet(network: SpecularNetwork, path: Path) -> None:
    """Give the ResNet-50 the weights of ImageNet, as the paper does.

    Args:
        network: whose backbone is one.
        path: safetensors file with torchvision's names.

    Raises:
        InputError: the network has the small backbone.
        AssetError: the file is damaged, or of another network.
    """
    if not isinstance(network.backbone, ResNet50):
        raise InputError("weights of ImageNet are those of a ResNet-50: train --scale full, or without them.")
    network.backbone.load_imagenet(path)


def geometry_size(settings: NetworkSettings) -> int:
    """Numbers of ``geometry_of``."""
    return settings.identity + settings.expression + 9 + 2 + 4 * LANDMARKS


def geometry_of(
    start: HeadParameters, landmarks: Float[Tensor, "B 478 2"], fitted: Float[Tensor, "B 478 2"]
) -> Float[Tensor, "B G"]:
    """What a network that starts from a fit is told of it.

    Args:
        start: the fit, seen by the crop's camera.
        landmarks: as detected, pixels of the crop.
        fitted: of the fit, pixels of the crop.
    """
    camera, size = start.camera, start.camera.size[0]
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected a start that is seen by a perspective camera.")
    depth = start.pose.translation[:, 2].clamp_min(1.0)
    view = torch.stack([(depth / 1000).log(), (camera.focal / size / FOCAL).log()], dim=1)
    points = (landmarks / size - 0.5) * POINT_SCALE
    missed = (landmarks - fitted) / size * FIT_SCALE
    parts = [start.identity, start.expression, start.pose.rotation.flatten(1), view]
    return torch.cat([*parts, points.flatten(1), missed.flatten(1)], dim=1)


def mean_start(model: FaceModel, batch: int, size: int) -> HeadParameters:
    """The mean head in the middle of crops of ``size`` px, looking into the camera."""
    rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0])).to(model.device).expand(batch, 3, 3)
    points = model.landmark_points(model.mean, "ibug68")
    middle = (points.amin(0) + points.amax(0)) / 2
    away = torch.tensor([0.0, 0.0, DISTANCE], device=model.device)
    translation = (away - rotation[0] @ middle).expand(batch, 3)
    focal = torch.full((batch,), FOCAL * size, device=model.device)
    half = torch.full((batch, 2), size / 2, device=model.device)
    zeros = [
        torch.zeros(batch, count, device=model.device)
        for count in (model.identity_count, model.diffuse_count, model.specular_count)
    ]
    return HeadParameters(
        identity=zeros[0],
        expression=model.expression_prior.mean.to(model.device).expand(batch, -1),
        diffuse=zeros[1],
        specular=zeros[2],
        pose=Pose(rotation, translation),
        camera=PerspectiveCamera(focal, half, (size, size)),
        light=ambient_light(batch, LIGHT_LEVEL, device=model.device),
    )


def decode(
    raw: Float[Tensor, "B _"],
    start: HeadParameters,
    settings: NetworkSettings,
    camera: CameraKind = "perspective",
) -> HeadParameters:
    """Heads from raw outputs, all with a point light and an exponent; outputs of 0 give the start.

    **Differs:** activations stay in [0, 1] (their gradient passes the bounds as if there were none);
    rotations change by an axis and an angle instead of Euler angles; the point light keeps its distance from
    the head, which a photo hardly tells, and has an intensity, of which the paper does not speak.
    """
    sizes = output_sizes(settings)
    parts = dict(zip(sizes, raw.split(list(sizes.values()), dim=1), strict=True))
    turn = rotation_from_axis_angle(TURN_STEP * parts["rotation"])
    pose = Pose(turn @ start.pose.rotation, _moved(start.pose.translation, parts["translation"]))
    step = raw.new_tensor(LIGHT_STEP)[:, None]
    light = ambient_light(len(raw), LIGHT_LEVEL, device=raw.device).coefficients
    towards = unit(raw.new_tensor(LAMP_START) + LAMP_STEP * parts["lamp"])
    lamp = PointLight(
        pose.translation + LAMP_DISTANCE * towards, softplus(parts["intensity"] + INTENSITY_START)
    )
    return replace(
        start,
        identity=start.identity + parts["identity"],
        expression=_bounded(start.expression + EXPRESSION_STEP * parts["expression"]),
        diffuse=start.diffuse + parts["diffuse"],
        specular=start.specular + parts["specular"],
        pose=pose,
        camera=_camera(start, parts["scale"][:, 0], camera),
        light=SphericalHarmonicsLight(light + step * parts["light"].unflatten(1, (9, 3))),
        point_light=lamp,
        shininess=SKIN_SHININESS * _reaching(SHININESS_STEP * parts["shininess"][:, 0]).exp(),
    )


def _reaching(change: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Changes of the exponent's logarithm that level out."""
    return SHININESS_REACH * (change / SHININESS_REACH).tanh()


def _moved(translation: Float[Tensor, "B 3"], raw: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3"]:
    """Shifted across the view, and moved along the line to the camera."""
    shift = nn.functional.pad(SHIFT_STEP * raw[:, :2], (0, 1))
    return (translation + shift) * (DEPTH_STEP * raw[:, 2:]).exp()


def _camera(start: HeadParameters, raw: Float[Tensor, " B"], kind: CameraKind) -> Camera:
    camera = start.camera
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected a start that is seen by a perspective camera.")
    if kind == "perspective":
        return camera
    factor = (DEPTH_STEP * raw).exp()
    if kind == "scaled":
        return replace(camera, focal=camera.focal * factor)
    scale = camera.focal / start.pose.translation[:, 2]
    return WeakPerspectiveCamera(scale * factor, camera.principal, camera.size)


def _bounded(values: Tensor) -> Tensor:
    """Values clipped to [0, 1], with the gradient of the values themselves."""
    return values + (values.clamp(0, 1) - values).detach()
