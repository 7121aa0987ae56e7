"""A miniature head with every difficulty of the real one: seams, eyes, mouth interior, still parts."""

import math

import torch

from facewright.geometry.mesh import Topology
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet

ARKIT = [
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
]


def globe(center, radii, uv_box, columns, rows, open_below=False):
    """A closed-up sphere grid; the first and last column share positions but not texture coordinates."""
    stop = 0.8 if open_below else 1.0
    u, v = torch.meshgrid(torch.linspace(0, 1, columns + 1), torch.linspace(0, stop, rows + 1), indexing="ij")
    uv = torch.stack([u, 1 - v], -1).reshape(-1, 2)
    azimuth, polar = 2 * math.pi * u[:-1], math.pi * v[:-1]  # column 0 at the back, +Z in the middle
    x, y, z = -azimuth.sin() * polar.sin(), polar.cos(), -azimuth.cos() * polar.sin()
    vertices = torch.stack([x, y, z], -1).reshape(-1, 3) * torch.tensor(radii) + torch.tensor(center)
    faces, uv_faces = [], []
    for i in range(columns):
        for j in range(rows):
            corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            texel = [a * (rows + 1) + b for a, b in corners]
            point = [(a % columns) * (rows + 1) + b for a, b in corners]
            # The diagonal changes at the middle, so that the mirror image of a triangle is a triangle.
            first, second = ((0, 1, 3), (1, 2, 3)) if i < columns // 2 else ((0, 2, 3), (0, 1, 2))
            if j > 0:
                faces.append([point[k] for k in first])
                uv_faces.append([texel[k] for k in first])
            if j < rows - 1 or open_below:
                faces.append([point[k] for k in second])
                uv_faces.append([texel[k] for k in second])
    left, bottom, width, height = uv_box
    uv = uv * torch.tensor([width, height]) + torch.tensor([left, bottom])
    column, row = torch.meshgrid(torch.arange(columns), torch.arange(rows + 1), indexing="ij")
    mirror = ((columns - column) % columns * (rows + 1) + row).flatten()
    return vertices, torch.tensor(faces), uv, torch.tensor(uv_faces), mirror


def miniature_model():
    pieces = {
        "skin": globe((0.0, 0.0, 0.0), (75.0, 110.0, 95.0), (0.0, 0.3, 1.0, 0.7), 24, 16, open_below=True),
        "left_eye": globe((31.0, 20.0, 80.0), (12.0, 12.0, 12.0), (0.0, 0.0, 0.3, 0.3), 10, 8),
        "right_eye": globe((-31.0, 20.0, 80.0), (12.0, 12.0, 12.0), (0.3, 0.0, 0.3, 0.3), 10, 8),
        "tongue": globe((0.0, -45.0, 50.0), (15.0, 5.0, 20.0), (0.6, 0.0, 0.4, 0.3), 8, 6),
    }
    vertices, faces, uv, uv_faces, owner, mirror = [], [], [], [], [], []
    start = {}
    count = texels = 0
    for index, (name, (points, triangles, coordinates, corners, _)) in enumerate(pieces.items()):
        start[name] = count
        vertices.append(points)
        faces.append(triangles + count)
        uv.append(coordinates)
        uv_faces.append(corners + texels)
        owner.append(torch.full((len(points),), index))
        count, texels = count + len(points), texels + len(coordinates)
    for name, (*_, partner) in pieces.items():
        other = {"left_eye": "right_eye", "right_eye": "left_eye"}.get(name, name)
        mirror.append(partner + start[other])
    mean, part = torch.cat(vertices), torch.cat(owner)
    masks = {name: part == index for index, name in enumerate(pieces)}
    topology = Topology(torch.cat(faces), torch.cat(uv), torch.cat(uv_faces))
    generator = torch.Generator().manual_seed(1)
    return FaceModel(
        name="miniature",
        version="1",
        topology=topology,
        mean=mean,
        identity_basis=torch.randn(3, 1, 3, generator=generator) * mean / 60,
        expression_basis=_expressions(mean, masks, generator),
        expression_names=tuple(ARKIT),
        expression_prior=ExpressionPrior.independent(torch.full((52,), 0.1), torch.full((52,), 0.1)),
        diffuse_mean=torch.full_like(mean, 0.4),
        diffuse_basis=torch.full((1, *mean.shape), 0.05),
        specular_mean=torch.full((count,), 0.3),
        specular_basis=torch.full((1, count), 0.05),
        mirror=torch.cat(mirror),
        regions={"face": masks["skin"] & (mean[:, 2] > 0)},
        parts=masks,
        landmarks={
            "now7": LandmarkSet(torch.arange(7), torch.full((7, 3), 1 / 3), torch.zeros(7, dtype=torch.bool))
        },
        eye_centers=torch.tensor([[31.0, 20.0, 80.0], [-31.0, 20.0, 80.0]]),
    )


def _expressions(mean, masks, generator):
    """Bumps on the skin; looks turn their eyeball; jawOpen and tongueOut move the tongue."""
    skin = mean[masks["skin"]]
    basis = torch.zeros(52, *mean.shape)
    for index, name in enumerate(ARKIT):
        middle = skin[torch.randint(len(skin), (1,), generator=generator)]
        fall_off = torch.exp(-((skin - middle) ** 2).sum(-1, keepdim=True) / (2 * 20.0**2))
        direction = torch.randn(1, 3, generator=generator) * 3
        basis[index, masks["skin"]] = torch.where(fall_off > 0.02, fall_off, 0) * direction
        if name in ("jawOpen", "tongueOut"):
            basis[index, masks["tongue"]] = torch.tensor([0.0, -10.0, 5.0])
        if name.startswith("eyeLook"):
            eye = masks["left_eye" if name.endswith("Left") else "right_eye"]
            arm = mean[eye] - mean[eye].mean(0)
            axis = torch.tensor([1.0, 0, 0] if "Up" in name or "Down" in name else [0, 1.0, 0])
            basis[index, eye] = torch.linalg.cross(axis.expand_as(arm), arm) * 0.4
    return basis


def two_coloured_texture():
    """Greenish rows on top, reddish below: which way is up shows."""
    texture = torch.full((64, 64, 3), 120, dtype=torch.uint8)
    texture[:32, :, 1] = 200
    texture[32:, :, 0] = 200
    return texture
