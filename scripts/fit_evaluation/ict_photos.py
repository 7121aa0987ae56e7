"""Photographs of heads of the ICT model with known shape: skin of the base head's albedo model, random light.

Soft light from all sides (spherical harmonics), for 60 % also a point light; gloss, spots on the skin, sensor
noise and 8 bits. No hair, no cast shadows: light and albedo explain these better than real photos.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from torch import Tensor

from facewright.geometry.alignment import align_points
from facewright.geometry.mesh import Topology
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.image.color import srgb_from_linear
from facewright.models.face_model import FaceModel
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material
from fit_evaluation.ict_heads import DISTANCE, PITCH, ROLL, YAW, IctHeads

SIZE, EYES_PX = 512, 195.0  # px; the latter of the eyes' distance
FIT_STEPS = 10
EYES, SKIN_END = slice(21451, 24591), 11248  # vertices of the eyeballs; first vertex behind the skin
EYE_ALBEDO, MOUTH_ALBEDO = 0.5, (0.25, 0.08, 0.07)
SPOTS, NOISE, BACKDROP, GLOSS = 0.03, 0.01, 0.2, 0.15


@dataclass(frozen=True)
class HeadPhoto:
    """A photograph and what is known of it.

    Attributes:
        photo: sRGB in [0, 1].
        landmarks: exact places, pixels.
        truth: points of the face and landmarks, mm.
    """

    photo: Float[Tensor, "3 S S"]
    landmarks: Float[Tensor, "478 2"]
    truth: tuple[Float[ndarray, "P 3"], Float[ndarray, "478 3"]]


def skin_of_base(heads: IctHeads, model: FaceModel) -> Int64[ndarray, " V"]:
    """Vertex of the base head, fitted to the ICT neutral's landmarks, that is nearest to each ICT vertex."""
    landmarks = (heads.model.neutral[heads.corners] * heads.weights[..., None]).sum(1)
    target = torch.from_numpy(landmarks)[None]
    mean = model.landmark_points(model.mean[None], "dense478")[0].double()
    moved = model.landmark_points(model.mean + model.identity_basis, "dense478").double() - mean
    rows, identity = moved.flatten(1), torch.zeros(len(moved), dtype=torch.float64)
    for _ in range(FIT_STEPS):
        alignment = align_points(target, (mean + torch.tensordot(identity, moved, 1))[None])
        missed = (alignment.apply(target)[0] - mean).flatten()
        identity = torch.linalg.solve(rows @ rows.mT + torch.eye(len(rows)), rows @ missed)
    base = model.vertices(identity[None].float())[0].numpy()
    skin = np.flatnonzero(model.parts["skin"].numpy() & ~model.regions["inner_mouth"].numpy())
    placed = alignment.apply(torch.from_numpy(heads.model.neutral)[None])[0].numpy()
    return skin[KDTree(base[skin]).query(placed)[1]]


def photograph_head(
    heads: IctHeads, model: FaceModel, skin: Int64[ndarray, " V"], generator: np.random.Generator
) -> HeadPhoto:
    """A random person in random light, from a random side and distance."""
    vertices = heads.model.person(generator.standard_normal(len(heads.model.modes)))
    landmarks = (vertices[heads.corners] * heads.weights[..., None]).sum(1)
    angles = generator.standard_normal(3) * [PITCH, 0.0, ROLL]
    angles[1] = generator.uniform(-YAW, YAW)
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotation_from_axis_angle(_tensor(angles)[None])[0]
    distance = generator.uniform(*DISTANCE)
    away = torch.tensor([0.0, 0.0, distance])

    def placed(points: ndarray) -> Tensor:
        return (_tensor(points - landmarks.mean(0)) @ turn.mT + away)[None]

    focal = torch.tensor([EYES_PX / 90.0 * distance])
    camera = PerspectiveCamera(focal, torch.full((1, 2), SIZE / 2), (SIZE, SIZE))
    faces = torch.from_numpy(heads.model.drawn_faces.astype(np.int64))
    topology = Topology(faces, torch.zeros(1, 2), torch.zeros_like(faces))
    drawing = draw_mesh(
        placed(vertices),
        topology,
        camera,
        _material(model, skin, generator),
        _lighting(distance, generator),
        settings=DrawSettings(supersample=2),
    )
    image = srgb_from_linear(over(drawing, torch.full((3,), BACKDROP)).clamp(0, 1))[0].permute(2, 0, 1)
    image = image + NOISE * _tensor(generator.standard_normal(tuple(image.shape)))
    photo = (image.clamp(0, 1) * 255).round() / 255
    pixels = camera.project(placed(landmarks))[0, :, :2]
    return HeadPhoto(photo, pixels, (vertices[heads.surface], landmarks))


def _material(model: FaceModel, skin: ndarray, generator: np.random.Generator) -> Material:
    diffuse = _tensor(generator.standard_normal((1, model.diffuse_count)))
    albedo = model.diffuse_albedo(diffuse)[0][skin]
    albedo = albedo * (1 + SPOTS * _tensor(generator.standard_normal((len(albedo), 1))))
    albedo[SKIN_END:] = torch.tensor(MOUTH_ALBEDO)
    albedo[EYES] = EYE_ALBEDO
    return Material(albedo=albedo[None].clamp(0, 1), specular=torch.full((1, len(albedo)), GLOSS))


def _lighting(distance: float, generator: np.random.Generator) -> Lighting:
    light = ambient_light(1, float(generator.uniform(0.5, 0.9))).coefficients.clone()
    light[:, 1:4] += 0.35 * _tensor(generator.standard_normal((1, 3, 1)))
    light[:, 4:] += 0.12 * _tensor(generator.standard_normal((1, 5, 1)))
    light = light * (1 + 0.06 * _tensor(generator.standard_normal((1, 1, 3))))
    side = np.array([generator.uniform(-1, 1), generator.uniform(-1, 0.3), -generator.uniform(0.3, 1)])
    strength = generator.uniform(0, 0.6) * (generator.random() < 0.6)
    position = np.array([0.0, 0.0, distance]) + 1500.0 * side / np.linalg.norm(side)
    bulb = PointLight(_tensor(position)[None], torch.full((1, 3), float(strength)))
    return Lighting(SphericalHarmonicsLight(light), bulb)


def _tensor(values: ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
