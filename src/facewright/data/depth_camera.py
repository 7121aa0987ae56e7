"""Frames of a depth camera in front of known heads: colour, depth with noise, and the head itself."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy.spatial.transform import Rotation
from torch import Tensor

from facewright.data.scanner import ScanSettings, random_head
from facewright.geometry.mesh import Topology
from facewright.image.color import srgb_from_linear
from facewright.models.face_model import FaceModel
from facewright.registration.depth_image import DepthImage, Intrinsics, depth_image
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.render.rasterize import rasterize
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SH_CONSTANTS, SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material


@dataclass(frozen=True)
class FrameSettings:
    """How the depth camera behaves.

    Attributes:
        size: (height, width) of the depth picture.
        color_scale: pixels of colour for one of depth.
        focal: px of depth.
        distance: mm to the head.
        noise: mm of depth, independent from pixel to pixel.
        yaw: turn to the side at most, uniform within.
        pitch: turn up or down at most, uniform within.
        field: mm, size of the deformation that the model does not know.
    """

    size: tuple[int, int] = (320, 320)
    color_scale: int = 2
    focal: float = 400.0
    distance: float = 500.0
    noise: float = 1.0
    yaw: float = math.radians(20)
    pitch: float = math.radians(10)
    field: float = 1.0

    @property
    def camera(self) -> PerspectiveCamera:
        """Of the depth picture."""
        height, width = self.size
        middle = torch.tensor([[width / 2, height / 2]])
        return PerspectiveCamera(torch.tensor([self.focal]), middle, self.size)

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the depth picture."""
        return Intrinsics(self.focal, self.focal, self.size[1] / 2, self.size[0] / 2)


@dataclass(frozen=True)
class KnownFrame:
    """A frame and the head that it shows.

    Attributes:
        image: the frame.
        truth: (V,3) the head's own vertices, mm, camera frame.
    """

    image: DepthImage
    truth: ndarray


def known_frame(model: FaceModel, settings: FrameSettings, seed: int) -> KnownFrame:
    """A random head with random skin under random light, seen by a depth camera."""
    generator = np.random.default_rng(seed)
    head = random_head(model, ScanSettings(field=settings.field), generator)
    yaw = generator.uniform(-settings.yaw, settings.yaw)
    pitch = generator.uniform(-settings.pitch, settings.pitch)
    turn = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_euler("yx", [yaw, pitch]).as_matrix()
    truth = head @ turn.T + np.array([0.0, 0.0, settings.distance])
    vertices = torch.from_numpy(truth).float()
    depth = depth_picture(vertices, model.topology, settings, generator)
    skin = torch.from_numpy(0.7 * generator.normal(size=(1, model.diffuse_count))).float()
    albedo = model.diffuse_albedo(skin)[0].clamp(0, 1)
    light = frame_light(generator)
    pixels = color_picture(vertices, model.topology, albedo, settings, light, generator)
    return KnownFrame(depth_image(f"head {seed}", depth, pixels, settings.intrinsics), truth)


def depth_picture(
    vertices: Float[Tensor, "V 3"],
    topology: Topology,
    settings: FrameSettings,
    generator: np.random.Generator,
) -> Float[ndarray, "H W"]:
    """Depth with noise of a mesh (mm, camera frame); 0 where there is nothing."""
    pixels = settings.camera.project(vertices[None])
    fragments = rasterize(pixels, topology.faces, settings.size, perspective=True, cull_back_faces=True)
    depth = fragments.depth[0].double().numpy()
    noise = settings.noise * generator.normal(size=depth.shape)
    return np.where(fragments.covered[0].numpy(), depth + noise, 0.0)


def color_picture(
    vertices: Float[Tensor, "V 3"],
    topology: Topology,
    albedo: Float[Tensor, "V 3"],
    settings: FrameSettings,
    light: SphericalHarmonicsLight,
    generator: np.random.Generator,
) -> UInt8[ndarray, "H W 3"]:
    """The same view in colour, before a grey wall."""
    drawing = draw_mesh(
        vertices[None],
        topology,
        settings.camera.scaled(settings.color_scale),
        Material(albedo=albedo[None]),
        Lighting(light),
        settings=DrawSettings(supersample=2),
    )
    backdrop = torch.from_numpy(np.full(3, generator.uniform(0.1, 0.6))).float()
    colors = srgb_from_linear(over(drawing, backdrop)[0].clamp(0, 1))
    return (colors * 255 + 0.5).to(torch.uint8).numpy()


def frame_light(generator: np.random.Generator) -> SphericalHarmonicsLight:
    """From above and the camera, and somewhat from a side."""
    light = ambient_light(1, 0.55)
    for row, slope in ((1, -0.25), (2, -0.35), (3, 0.0)):
        light.coefficients[:, row] = (slope + 0.1 * float(generator.normal())) / SH_CONSTANTS[row]
    return light
