"""Sets of synthetic data, named after the sets of photos and scans that they stand in for."""

import math
from dataclasses import dataclass

from facewright.core.errors import InputError
from facewright.data.sampling import ExpressionSettings, PoseSettings, SamplingSettings


@dataclass(frozen=True)
class PhotoProtocol:
    """Photos, each of another person.

    Attributes:
        name: on the command line.
        settings: the distributions.
        count: how many photos are made if nobody says.
    """

    name: str
    settings: SamplingSettings
    count: int


@dataclass(frozen=True)
class ScanProtocol:
    """Scans of some people, or frames of a depth camera.

    Attributes:
        name: on the command line.
        subjects: how many people.
        scans: of each of them.
        device: "around" turns around the head, "ahead" stands before it, "depth" is a camera of colour and
            depth.
        spacing: mm between the points of a scan.
        noise: mm, along the ray.
        holes: share of the points that are missing.
        yaw: radians that heads are turned at most, evenly; of "depth" the views in a row.
        pitch: standard deviation, radians; of "depth" the views in a row.
        expressions: names of what subjects show, in turn; "any" is drawn from the model's prior.
        residual: strength of the expression that nobody asked for, as a share of the prior's spread.
        hair: share of subjects whose hairline is in the scan.
        scale: least and largest factor of a scan's spacing, or of the size of a frame's pixels; drawn for
            each scan, evenly in its logarithm.
    """

    name: str
    subjects: int
    scans: int
    device: str
    spacing: float
    noise: float
    holes: float
    yaw: tuple[float, ...]
    pitch: tuple[float, ...]
    expressions: tuple[str, ...]
    residual: float = 0.25
    hair: float = 0.8
    scale: tuple[float, float] = (0.8, 1.25)

    @property
    def count(self) -> int:
        """How many scans there are."""
        return self.subjects * self.scans


# What the named expressions are made of; of names that a model does not have, it shows nothing.
EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"mouthSmile": 0.8, "cheekSquint": 0.5, "eyeSquint": 0.3, "mouthUpperUp": 0.2},
    "sadness": {"mouthFrown": 0.7, "browInnerUp": 0.7, "mouthShrugLower": 0.3},
    "anger": {"browDown": 0.9, "mouthPress": 0.6, "noseSneer": 0.4, "eyeSquint": 0.4},
    "disgust": {"noseSneer": 0.9, "mouthUpperUp": 0.6, "browDown": 0.5},
    "fear": {"eyeWide": 0.9, "browInnerUp": 0.8, "mouthStretch": 0.7, "jawOpen": 0.2},
    "surprise": {"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.7, "jawOpen": 0.6},
    "mouth_open": {"jawOpen": 0.9},
}
_DEGREE = math.pi / 180
_ANY = ("any",)

PHOTO_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        PhotoProtocol("synthetic-celeba", SamplingSettings(), 10_000),
        PhotoProtocol(
            "synthetic-300wlp",
            SamplingSettings(
                expression=ExpressionSettings(open_mouth=0.2, closed_eyes=0.1),
                pose=PoseSettings(
                    turned=0.75, turned_yaw=(0.0, 80 * _DEGREE), pitch=12 * _DEGREE, roll=9 * _DEGREE
                ),
            ),
            10_000,
        ),
    )
}
SCAN_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        ScanProtocol(
            "synthetic-frgc", 466, 9, "ahead", 1.0, 0.2, 0.02, (10 * _DEGREE,), (5 * _DEGREE,), _ANY
        ),
        ScanProtocol(
            "synthetic-bosphorus",
            105,
            44,
            "ahead",
            0.8,
            0.25,
            0.04,
            (45 * _DEGREE,),
            (8 * _DEGREE,),
            tuple(EXPRESSIONS),
        ),
        ScanProtocol(
            "synthetic-florence",
            53,
            21,
            "depth",
            1.0,
            1.0,
            0.0,
            tuple(_DEGREE * yaw for yaw in (-80, -50, -25, 0, 25, 50, 80)),
            tuple(_DEGREE * pitch for pitch in (-15, 0, 20)),
            ("neutral",),
        ),
        ScanProtocol(
            "synthetic-stirling",
            116,
            8,
            "around",
            1.0,
            0.15,
            0.03,
            (12 * _DEGREE,),
            (5 * _DEGREE,),
            tuple(EXPRESSIONS),
        ),
    )
}


def photo_protocol(name: str) -> PhotoProtocol:
    """A protocol of photos by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PHOTO_PROTOCOLS:
        raise InputError(f"expected a protocol of photos, {' or '.join(PHOTO_PROTOCOLS)}, got {name!r}.")
    return PHOTO_PROTOCOLS[name]


def protocol_named(name: str) -> PhotoProtocol | ScanProtocol:
    """A protocol by its name.

    Raises:
        InputError: there is none of that name.
    """
    every = {**PHOTO_PROTOCOLS, **SCAN_PROTOCOLS}
    if name not in every:
        raise InputError(f"expected a protocol of {', '.join(every)}, got {name!r}.")
    return every[name]
