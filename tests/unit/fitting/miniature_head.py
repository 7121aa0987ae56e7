"""A miniature head model with the shape of the real one: a bulged shell with 478 landmarks."""

import math

import torch

from facewright.geometry.mesh import Topology
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

ROWS = COLUMNS = 30
IDENTITIES, EXPRESSIONS = 12, 6


def shell():
    """Vertices of the front of an ellipsoid with a nose, on a grid, and its triangles."""
    longitude = torch.linspace(-1.5, 1.5, COLUMNS)
    latitude = torch.linspace(-1.2, 1.2, ROWS)
    b, a = torch.meshgrid(latitude, longitude, indexing="ij")
    x, y, z = 75 * torch.sin(a) * torch.cos(b), 105 * torch.sin(b), 90 * torch.cos(a) * torch.cos(b)
    z = z + 25 * torch.exp(-(x**2 + (y + 10) ** 2) / 300)
    index = torch.arange(ROWS * COLUMNS).view(ROWS, COLUMNS)
    p, q, r, s = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = torch.cat([torch.stack(t, -1).view(-1, 3) for t in ((p, q, r), (p, r, s))])
    return torch.stack([x, y, z], -1).view(-1, 3), faces


def smooth_fields(vertices, count, size, generator):
    """Random smooth displacement fields of the given root mean square (mm)."""
    frequency = torch.randn(count, 3, 3, generator=generator) / 50
    phase = torch.rand(count, 1, 3, generator=generator) * 2 * math.pi
    fields = torch.sin(vertices @ frequency + phase)
    return fields / fields.pow(2).mean((1, 2), keepdim=True).sqrt() * size


def landmark_set(vertices, faces):
    """478 points: 36 on a ring, the two outer eye corners at their indices, the rest spread inside."""
    generator = torch.Generator().manual_seed(3)
    centres = vertices[faces].mean(1)
    normalised = centres[:, :2] / torch.tensor([68.0, 92.0])
    inside = (normalised.norm(dim=-1) < 0.85).nonzero()[:, 0]
    triangle = inside[torch.randint(len(inside), (478,), generator=generator)]
    weights = torch.rand(478, 3, generator=generator) + 0.2
    contour = torch.zeros(478, dtype=torch.bool)
    for step in range(36):
        angle = 2 * math.pi * step / 36
        goal = torch.tensor([0.95 * math.cos(angle), 0.95 * math.sin(angle)])
        triangle[100 + step] = (normalised - goal).norm(dim=-1).argmin()
        contour[100 + step] = True
    for point, goal in ((33, (-45.0, 30.0)), (263, (45.0, 30.0))):
        triangle[point] = (centres[:, :2] - torch.tensor(goal)).norm(dim=-1).argmin()
    return LandmarkSet(triangle, weights / weights.sum(1, keepdim=True), contour)


def build_model():
    generator = torch.Generator().manual_seed(0)
    vertices, faces = shell()
    count = len(vertices)
    longitude = vertices[:, 0] / 160 + 0.5
    uv = torch.stack([longitude, vertices[:, 1] / 230 + 0.5], -1)
    identity = (
        smooth_fields(vertices, IDENTITIES, 1.0, generator)
        * torch.linspace(3, 0.6, IDENTITIES)[:, None, None]
    )
    return FaceModel(
        name="miniature",
        version="1",
        topology=Topology(faces, uv, faces),
        mean=vertices,
        identity_basis=identity,
        expression_basis=smooth_fields(vertices, EXPRESSIONS, 3.0, generator),
        expression_names=tuple(f"expression{i}" for i in range(EXPRESSIONS)),
        expression_prior=ExpressionPrior.independent(
            torch.full((EXPRESSIONS,), 0.1), torch.full((EXPRESSIONS,), 0.3)
        ),
        diffuse_mean=torch.tensor([0.55, 0.35, 0.25]).expand(count, 3).clone(),
        diffuse_basis=smooth_fields(vertices, 5, 0.05, generator),
        specular_mean=torch.full((count,), 0.2),
        specular_basis=torch.zeros(2, count),
        mirror=torch.arange(count),
        regions={"face": torch.ones(count, dtype=torch.bool), "skin": torch.ones(count, dtype=torch.bool)},
        parts={"skin": torch.ones(count, dtype=torch.bool)},
        landmarks={"dense478": landmark_set(vertices, faces)},
        eye_centers=torch.tensor([[30.0, 30, 60], [-30, 30, 60]]),
    )


def draw_parameters(model, batch, seed=0, focal=1300.0, size=(600, 800)):
    """Heads of random identity, expression and pose, one metre away."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.randn(batch, 3, generator=generator) * torch.tensor([0.15, 0.25, 0.1])
    rotation = rotation_from_axis_angle(turn) @ torch.diag(torch.tensor([1.0, -1, -1]))
    shift = torch.randn(batch, 3, generator=generator) * torch.tensor([40.0, 40, 80])
    expression = (torch.rand(batch, model.expression_count, generator=generator) * 1.4 - 0.7).clamp(0, 1)
    return HeadParameters(
        identity=torch.randn(batch, model.identity_count, generator=generator),
        expression=expression,
        diffuse=torch.zeros(batch, model.diffuse_count),
        specular=torch.zeros(batch, model.specular_count),
        pose=Pose(rotation, shift + torch.tensor([0.0, 0, 1000])),
        camera=PerspectiveCamera(
            torch.full((batch,), focal),
            torch.tensor([[size[1] / 2, size[0] / 2]]).expand(batch, 2).clone(),
            size,
        ),
        light=ambient_light(batch),
    )


def landmarks_of(model, parameters):
    """Pixels of the 478 points."""
    vertices = model.vertices(parameters.identity, parameters.expression)
    points = model.landmark_points(vertices, "dense478")
    return parameters.camera.project(parameters.pose.camera_from_head(points))[..., :2]
