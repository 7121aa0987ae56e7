"""Renderings of the base model in poses and expressions that photographs rarely show, with its own points."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facewright.data.sampling import ExpressionSettings, draw_expression
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.image.color import srgb_from_linear
from facewright.models.face_model import FaceModel
from facewright.render.draw import Lighting, draw_mesh
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight
from facewright.scene.material import Material
from facewright.scene.pose import Pose

from .canvases import backdrop_bank
from .photos import RENDERED, PhotoSet
from .turned import FACE_OVAL

SIZE = 192
BACKDROPS = 400
TURNED_FAR = 0.6  # share of the heads with |yaw| from 30 to 90 degrees; the others face the camera


@dataclass(frozen=True)
class Head:
    """What is drawn: vertices and landmarks in the head frame (mm), albedo per vertex, 52 activations."""

    vertices: Tensor
    landmarks: Tensor
    albedo: Tensor
    expression: Tensor


def random_head(model: FaceModel, rng: np.random.Generator) -> Head:
    """A head of random shape, expression, skin and hair colour."""
    expression = draw_expression(model, ExpressionSettings(), rng)
    identity = torch.from_numpy(rng.normal(size=(1, model.identity_count)).astype(np.float32))
    vertices = model.vertices(identity, expression[None])[0]
    coefficients = torch.from_numpy(rng.normal(size=(1, model.diffuse_count)).astype(np.float32))
    albedo = model.diffuse_albedo(coefficients)[0].clamp(0.01, 1)
    if rng.random() < 0.85:  # a cap of hair, with a hairline that varies
        line, back, low = rng.uniform(45, 75), rng.uniform(-70, -10), rng.uniform(-60, 20)
        y, z = model.mean[:, 1], model.mean[:, 2]
        hair = (y > line) | ((z < back) & (y > low))
        strands = torch.from_numpy(rng.uniform(0.6, 1.4, len(y)).astype(np.float32))
        skin = model.parts["skin"]
        albedo[hair & skin] = (np.exp(rng.uniform(-4.0, -0.8)) * strands[hair & skin, None]).expand(-1, 3)
    return Head(vertices, model.landmark_points(vertices, "dense478"), albedo, expression)


def random_pose(rng: np.random.Generator) -> Pose:
    """A head in front of the camera, far to the side or frontal, up or down by 35 degrees at most."""
    far = rng.random() < TURNED_FAR
    yaw = rng.choice([-1, 1]) * rng.uniform(30, 90) if far else rng.normal(0, 12)
    pitch = np.clip(rng.normal(0, 14), -35, 35)
    turns = np.radians([[pitch, 0.0, 0.0], [0.0, yaw, 0.0]]).astype(np.float32)
    nod, turn = rotation_from_axis_angle(torch.from_numpy(turns)[:, None])
    rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ nod @ turn
    return Pose(rotation, torch.tensor([[0.0, 0.0, float(np.exp(rng.uniform(np.log(350), np.log(2000))))]]))


def random_light(rng: np.random.Generator) -> SphericalHarmonicsLight:
    """Grey light from all around and more from one side."""
    coefficients = np.zeros(9)
    coefficients[0] = rng.uniform(1.5, 4.5)
    direction = rng.normal(size=3)
    coefficients[1:4] = direction / np.linalg.norm(direction) * coefficients[0] * rng.uniform(0, 0.6)
    coefficients[4:] = rng.normal(size=5) * coefficients[0] * 0.08
    return SphericalHarmonicsLight(
        torch.from_numpy(coefficients.astype(np.float32))[None, :, None].repeat(1, 1, 3)
    )


def camera_around(points: Tensor) -> PerspectiveCamera:
    """The camera whose picture of SIZE px holds points (L, 3; camera frame, mm) with room around them."""
    flat = points[:, :2] / points[:, 2:]
    low, high = flat.min(0).values, flat.max(0).values
    focal = SIZE / 1.75 / (high - low).max()
    centre = SIZE / 2 - focal * (low + high) / 2
    return PerspectiveCamera(focal[None], centre[None], (SIZE, SIZE))


def draw_head(
    model: FaceModel,
    head: Head,
    pose: Pose,
    light: SphericalHarmonicsLight,
    backdrop: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """A head over a grey backdrop (SIZE, SIZE) in [0, 1].

    Returns:
        Image (SIZE, SIZE) uint8; points (478, 3) px with z in the same scale from the face's outline, as the
        labels of turned faces have it.
    """
    points = pose.camera_from_head(head.landmarks[None])
    camera = camera_around(points[0])
    drawing = draw_mesh(
        pose.camera_from_head(head.vertices[None]),
        model.topology,
        camera,
        Material(albedo=head.albedo[None]),
        Lighting(light),
    )[0]
    coverage = drawing[..., 3]
    # The backdrop is laid behind in sRGB: it is a photograph as it is.
    front = srgb_from_linear((drawing[..., :3] / coverage[..., None].clamp(min=1e-3)).clamp(0, 1)).mean(-1)
    image = coverage * front + (1 - coverage) * torch.from_numpy(backdrop.astype(np.float32))
    depth = points[0, :, 2] - points[0, list(FACE_OVAL), 2].mean()
    scale = camera.focal[0] / points[0, :, 2].mean()
    labels = torch.cat([camera.project(points)[0, :, :2], (scale * depth)[:, None]], 1)
    return (image.numpy() * 255).round().clip(0, 255).astype(np.uint8), labels.numpy().astype(np.float32)


def render_faces(model: FaceModel, photos: PhotoSet, count: int, rng: np.random.Generator) -> PhotoSet:
    """``count`` renderings over backdrops without faces, among them parts of ``photos``."""
    bank = backdrop_bank(photos, rng, BACKDROPS, SIZE) / 255.0
    images, points, expressions = [], [], []
    for backdrop in bank[rng.integers(0, len(bank), count)]:
        head, pose, light = random_head(model, rng), random_pose(rng), random_light(rng)
        image, labels = draw_head(model, head, pose, light, backdrop)
        images.append(image.ravel())
        points.append(labels)
        expressions.append(np.concatenate([[0.0], head.expression[:-1]]))  # theirs: neutral first, no tongue
    return PhotoSet(
        np.concatenate(images),
        np.arange(count, dtype=np.int64) * SIZE * SIZE,
        np.full((count, 2), SIZE, np.int64),
        np.stack(points),
        np.stack(expressions).astype(np.float32),
        np.zeros(count, bool),
        np.full(count, RENDERED, np.int64),
    )
