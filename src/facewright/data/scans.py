"""Synthetic scans: people with detail of their own, each scanned several times, every point known."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.data.depth_camera import FrameSettings, color_picture, depth_picture, frame_light
from facewright.data.face_frame import FaceFrame
from facewright.data.hair import draw_hair, draw_shell
from facewright.data.protocols import EXPRESSIONS, ScanProtocol
from facewright.data.sampling import rotation_of
from facewright.data.scanner import ScanSettings, scan_ahead, scan_around, smooth_field
from facewright.data.synthesis import Studio
from facewright.geometry.normals import vertex_normals
from facewright.models.combination import combine
from facewright.models.face_model import FaceModel
from facewright.registration.depth_image import Intrinsics

COARSE, FINE = 1.0, 0.25  # mm on each axis, root mean square of what is a person's own and in no model
FINE_LENGTHS = (8.0, 30.0)  # mm, of its fine part
ROLL, PLACE = math.radians(3), 20.0  # standard deviations of a scan's pose


@dataclass(frozen=True)
class DepthFrame:
    """A frame of a depth camera.

    Attributes:
        depth: mm along the camera's +Z, 0 where there is nothing.
        colors: sRGB of the same view.
        intrinsics: of the depth picture.
    """

    depth: Float[ndarray, "H W"]
    colors: UInt8[ndarray, "H2 W2 3"]
    intrinsics: Intrinsics


@dataclass(frozen=True)
class ScanSample:
    """A scan, or a frame, and the head that it shows; mm, in the scan's frame (of a frame: the camera's).

    Attributes:
        seed: of the run.
        index: of the scan in the run.
        subject: number of the person.
        scan: number among the person's scans.
        expression_name: what the person was asked to show.
        vertices: of the scan; none of a frame.
        faces: of the scan.
        frame: of a depth camera, or None.
        landmarks: iBUG's 68 points on the head itself.
        truth: the head's own vertices, in the model's topology.
        identity: coefficients.
        expression: activations.
        detail: mm, root mean square of what no coefficient describes, on the face.
        turn: yaw, pitch and roll, radians.
    """

    seed: int
    index: int
    subject: int
    scan: int
    expression_name: str
    vertices: Float[ndarray, "N 3"]
    faces: Int64[ndarray, "F 3"]
    frame: DepthFrame | None
    landmarks: Float[ndarray, "68 3"]
    truth: Float[ndarray, "V 3"]
    identity: Float[ndarray, " K"]
    expression: Float[ndarray, " E"]
    detail: float
    turn: Float[ndarray, " 3"]


@dataclass(frozen=True)
class _Subject:
    """What all scans of a person share."""

    identity: Float[ndarray, " K"]
    detail: Float[ndarray, "V 3"]
    albedo: Float[Tensor, "V 3"]
    hair: int | None


def scan_sample(studio: Studio, protocol: ScanProtocol, seed: int, index: int) -> ScanSample:
    """The scan of a seed and an index: the same bits, whatever else is made.

    Raises:
        InputError: the protocol has no such scan, or the seed is negative.
    """
    if seed < 0 or not 0 <= index < protocol.count:
        raise InputError(
            f"{protocol.name} has the scans 0 to {protocol.count - 1} of a seed of at least 0, got scan "
            f"{index} of seed {seed}."
        )
    subject, scan = divmod(index, protocol.scans)
    model = studio.model
    with torch.inference_mode():
        person = _person(studio, protocol, np.random.default_rng([seed, 1, subject]))
        rng = np.random.default_rng([seed, 2, index])
        name = protocol.expressions[scan % len(protocol.expressions)]
        expression = draw_scan_expression(studio.model, studio.spread, name, protocol.residual, rng)
        identity = torch.from_numpy(person.identity.astype(np.float32))[None]
        activations = torch.from_numpy(expression.astype(np.float32))[None]
        head = combine(model.mean, (model.identity_basis, identity), (model.expression_basis, activations))[0]
        vertices = head.double().numpy() + person.detail
        turn = _turn(protocol, scan, rng)
        near = studio.topology.label[: len(studio.topology.head)] >= 2
        face = studio.topology.head[near].unique().numpy()
        made = _measured(studio, protocol, person, vertices, turn, rng)
        place, scanned, faces, frame = made
        points = model.landmarks["ibug68"].on(torch.from_numpy(place), model.topology.faces)
    return ScanSample(
        seed,
        index,
        subject,
        scan,
        name,
        scanned,
        faces,
        frame,
        points.numpy(),
        place,
        person.identity,
        expression,
        float(np.sqrt((person.detail[face] ** 2).sum(1).mean())),
        turn,
    )


def _person(studio: Studio, protocol: ScanProtocol, rng: np.random.Generator) -> _Subject:
    model = studio.model
    identity = studio.settings.identity * rng.normal(size=model.identity_count)
    detail = own_detail(model.mean.double().numpy(), rng)
    skin = np.array([rng.uniform(-studio.settings.tone, studio.settings.tone), *rng.normal(size=600)])
    tone = torch.from_numpy(skin[: model.diffuse_count].astype(np.float32))[None]
    albedo = combine(model.diffuse_mean, (model.diffuse_basis, tone))[0].clamp(0, 1)
    hair = int(rng.integers(2**31)) if rng.random() < protocol.hair else None
    return _Subject(identity, detail, albedo, hair)


def own_detail(points: Float[ndarray, "V 3"], rng: np.random.Generator) -> Float[ndarray, "V 3"]:
    """Displacements (mm) of points of the mean head by what is a person's own and in no model."""
    return COARSE * smooth_field(points, rng) + FINE * smooth_field(
        points, rng, waves=48, lengths=FINE_LENGTHS
    )


def draw_scan_expression(
    model: FaceModel,
    spread: Float[ndarray, "E E"],
    name: str,
    residual: float,
    rng: np.random.Generator,
) -> Float[ndarray, " E"]:
    """Activations of a scan: what was asked for, and a little that was not.

    Args:
        model: the head.
        spread: its ``expression_spread``.
        name: of what was asked for.
        residual: strength of the rest, as a share of the prior's spread.
        rng: of the scan.
    """
    prior = model.expression_prior
    mean, normal = prior.mean.double().numpy(), rng.normal(size=model.expression_count)
    strength = 1.0 if name == "any" else residual
    drawn = (mean if name == "any" else 0.0) + strength * (spread * normal).sum(1)
    drawn = drawn * (rng.random(len(normal)) < 0.5)
    for shape, activation in EXPRESSIONS.get(name, {}).items():
        strength = activation * rng.uniform(0.7, 1.2)
        for side in ("", "Left", "Right"):
            if shape + side in model.expression_names:
                drawn[model.expression_names.index(shape + side)] += strength * rng.uniform(0.9, 1.1)
    return drawn.clip(0, 1)


def _turn(protocol: ScanProtocol, scan: int, rng: np.random.Generator) -> ndarray:
    roll = ROLL * rng.normal()
    if protocol.device == "depth":
        yaw = protocol.yaw[scan % len(protocol.yaw)]
        pitch = protocol.pitch[scan // len(protocol.yaw) % len(protocol.pitch)]
        return np.array([yaw, pitch, roll])
    return np.array([rng.uniform(-protocol.yaw[0], protocol.yaw[0]), protocol.pitch[0] * rng.normal(), roll])


def _measured(
    studio: Studio,
    protocol: ScanProtocol,
    person: _Subject,
    head: Float[ndarray, "V 3"],
    turn: ndarray,
    rng: np.random.Generator,
) -> tuple[ndarray, ndarray, ndarray, DepthFrame | None]:
    """The head in the scan's frame, and the scan."""
    flip = np.diag([1.0, -1.0, -1.0])
    rotation = rotation_of(turn).double().numpy()  # camera_from_head
    none = np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    (own,) = rng.spawn(1)  # so that pose, expression and noise do not depend on it
    scale = float(np.exp(own.uniform(*np.log(protocol.scale))))
    if protocol.device == "depth":
        usual = FrameSettings()
        side = round(usual.size[0] / scale)
        settings = replace(
            usual,
            size=(side, side),
            focal=usual.focal * side / usual.size[0],
            noise=protocol.noise,
            distance=float(rng.uniform(420, 600)),
        )
        place = head @ rotation.T + [0.0, 0.0, settings.distance]
        vertices = torch.from_numpy(place).float()
        depth = depth_picture(vertices, studio.model.topology, settings, rng)
        light = frame_light(rng)
        colors = color_picture(vertices, studio.model.topology, person.albedo, settings, light, rng)
        return place, *none, DepthFrame(depth, colors, settings.intrinsics)
    settings = ScanSettings(spacing=scale * protocol.spacing, noise=protocol.noise, holes=protocol.holes)
    whole, faces = _with_hair(studio, person, head)
    turned = flip @ rotation  # a head that is turned, still with +Y up
    shift = PLACE * rng.normal(size=3)
    if protocol.device == "around":
        # This scanner travels around the head's own axis; the head is turned afterwards.
        points, triangles = scan_around(whole, faces, settings, rng)
        points = points @ turned.T
    else:
        points, triangles = scan_ahead(whole @ turned.T, faces, settings, rng)
    return head @ turned.T + shift, points + shift, triangles, None


def _with_hair(studio: Studio, person: _Subject, head: ndarray) -> tuple[ndarray, ndarray]:
    """The head and its hair as one mesh."""
    faces = studio.topology.head.numpy()
    if person.hair is None:
        return head, faces
    model, shell = studio.model, studio.skin.shell
    rng = np.random.default_rng(person.hair)
    vertices = torch.from_numpy(head).float()[None]
    landmarks = model.landmark_points(vertices, "ibug68")
    frame = FaceFrame.of(landmarks, vertices[:, model.parts["skin"]])
    normals = vertex_normals(vertices, model.topology.faces)
    style, draw = draw_hair(rng, long=False), draw_shell(shell.count, rng)
    grown = shell.on(vertices, normals, frame, style, draw)
    there = grown.there[0]
    kept = shell.faces[there[shell.faces].all(1)].numpy() + len(head)
    placed = torch.where(there[:, None], grown.vertices[0], vertices[0, shell.vertex]).double().numpy()
    return np.concatenate([head, placed]), np.concatenate([faces, kept])
