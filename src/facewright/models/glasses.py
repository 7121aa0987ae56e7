"""Spectacles as an object: a few numbers for their shape, and where they sit on a head.

Everything is small and computed on the CPU in float64. Each of the two lenses has its own flat coordinates,
outward from the nose and up, in mm from its middle; the front that they lie in is bent around the face.
"""

from dataclasses import astuple, dataclass, fields

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.models.face_model import FaceModel

SIDES = (-1.0, 1.0)  # of the subject: right, left
TILT = np.tan(np.radians(8.0))  # pantoscopic: the lower rim is nearer to the cheeks
BENT = 170.0  # mm, radius of the front seen from above
BEFORE = 13.0  # mm from the foremost point of the eyeball to the lens, as opticians fit it
NEAR_FRONT, NEAR_SIDE = 45.0, 30.0  # mm above and below the eyes where skin may be in the way
NEIGHBOURS = 3  # skin vertices that tell how far the skin reaches at a place
STANDS = 4.0  # mm off the skull, from which on skin is the ear's...
EAR_REST = (4.0, 3.0)  # ... and mm, inward and up, from the highest of it to where a temple rests


@dataclass(frozen=True)
class GlassesShape:
    """Numbers of one pair, alike on both sides; lengths in mm.

    Attributes:
        width: half of a lens, its rim included.
        height: likewise.
        upper: exponent of the outline's upper half (2 is an ellipse, more is squarer).
        lower: of the lower half.
        taper: by what share the lens is wider at its top than in its middle.
        slant: by what share of its distance outward a place lies higher (cat eyes).
        lean: by what share of its height a place lies further outward.
        apart: half of the distance of the lenses' middles.
        right: of the middle from that of the eyes, along +X of the head.
        up: likewise, along +Y.
        before: from the foremost points of the eyeballs to the lenses.
        roll: radians about +Z.
    """

    width: float = 26.0
    height: float = 19.0
    upper: float = 3.0
    lower: float = 2.6
    taper: float = 0.06
    slant: float = 0.02
    lean: float = 0.0
    apart: float = 33.0
    right: float = 0.0
    up: float = -3.0
    before: float = BEFORE
    roll: float = 0.0

    @property
    def numbers(self) -> Float[ndarray, " P"]:
        """All of them, in the order of the fields."""
        return np.array(astuple(self))

    @classmethod
    def of(cls, numbers: Float[ndarray, " P"]) -> "GlassesShape":
        """The shape with these numbers."""
        return cls(*(float(number) for number in numbers))

    @classmethod
    def index(cls, name: str) -> int:
        """Where a number stands."""
        return [each.name for each in fields(cls)].index(name)

    def outline(self, angle: Float[ndarray, " N"]) -> Float[ndarray, "N 2"]:
        """Places of the outer edge, outward and up from a lens' middle; angle from outward towards up."""
        cosine, sine = np.cos(angle), np.sin(angle)
        power = 2 / np.where(sine > 0, self.upper, self.lower)
        up = self.height * np.sign(sine) * np.abs(sine) ** power
        out = self.width * np.sign(cosine) * np.abs(cosine) ** power
        out = out * (1 + self.taper * up / self.height) + self.lean * up
        return np.stack([out, up + self.slant * out], 1)

    def inside(self, out: Float[ndarray, " N"], up: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
        """How far (mm, along the line from the middle) places of a lens lie inside its outer edge."""
        up = up - self.slant * out
        out = (out - self.lean * up) / np.clip(1 + self.taper * up / self.height, 0.2, None)
        power = np.where(up > 0, self.upper, self.lower)
        x, y = np.abs(out / self.width), np.abs(up / self.height)
        share = (np.maximum(x, 1e-6) ** power + np.maximum(y, 1e-6) ** power) ** (1 / power)
        return np.hypot(out, up) * (1 / np.maximum(share, 1e-3) - 1)

    def of_lens(
        self, across: Float[ndarray, " N"], up: Float[ndarray, " N"]
    ) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
        """Places of the front (right and up from the middle of the eyes) in the nearer lens' coordinates."""
        x, y = across - self.right, up - self.up
        cosine, sine = np.cos(self.roll), np.sin(self.roll)
        x, y = cosine * x + sine * y, cosine * y - sine * x
        return np.abs(x) - self.apart, y

    def on_front(self, side: float, lens: Float[ndarray, "N 2"]) -> Float[ndarray, "N 2"]:
        """Places of one lens on the front, right and up from the middle of the eyes."""
        x, y = side * (lens[:, 0] + self.apart), lens[:, 1]
        cosine, sine = np.cos(self.roll), np.sin(self.roll)
        return np.stack([cosine * x - sine * y + self.right, cosine * y + sine * x + self.up], 1)


@dataclass(frozen=True)
class GlassesSeat:
    """What a head has for spectacles to sit on, mm, head frame.

    Attributes:
        eyes: foremost point of the right and the left eyeball.
        ears: where temples rest, right and left.
        front: skin around the eyes.
        sides: skin of the right and the left temple.
    """

    eyes: Float[ndarray, "2 3"]
    ears: Float[ndarray, "2 3"]
    front: Float[ndarray, "N 3"]
    sides: tuple[Float[ndarray, "R 3"], Float[ndarray, "L 3"]]

    @property
    def middle(self) -> Float[ndarray, "3"]:
        """Between the eyes."""
        return self.eyes.mean(0)

    def bent(self, front: Float[ndarray, "N 2"], before: float) -> Float[ndarray, "N 3"]:
        """Places of the front in the head frame, without heed to the skin."""
        across, up = front.T
        depth = before + TILT * up - across**2 / (2 * BENT)
        return self.middle + np.stack([across, up, depth], 1)

    def skin_before(self, places: Float[ndarray, "N 2"]) -> Float[ndarray, " N"]:
        """How far forward the skin reaches at places (x, y)."""
        near = KDTree(self.front[:, :2]).query(places, k=NEIGHBOURS)[1]
        return self.front[near, 2].max(1)

    def skin_beside(self, side: float, places: Float[ndarray, "N 2"]) -> Float[ndarray, " N"]:
        """How far out the skin of a temple reaches at places (y, z)."""
        skin = self.sides[int(side > 0)]
        near = KDTree(skin[:, 1:]).query(places, k=NEIGHBOURS)[1]
        return np.abs(skin[near, 0]).max(1)


@dataclass(frozen=True)
class GlassesPlaces:
    """Rows of a model's vertices that a seat is taken from."""

    eyes: tuple[Int64[ndarray, " R"], Int64[ndarray, " L"]]
    ears: Int64[ndarray, "2"]
    front: Int64[ndarray, " M"]
    sides: tuple[Int64[ndarray, " I"], Int64[ndarray, " J"]]

    @classmethod
    def of(cls, model: FaceModel) -> "GlassesPlaces | None":
        """Choose them on the mean head; None for a model that does not tell its eyes, ears and face."""
        mean = model.mean.detach().cpu().double().numpy()
        regions = {name: mask.cpu().numpy() for name, mask in model.regions.items()}
        parts = {name: mask.cpu().numpy() for name, mask in model.parts.items()}
        names = ("right_eye", "left_eye"), ("ear_right", "ear_left")
        if not (set(names[0]) <= parts.keys() and {*names[1], "scalp", "face"} <= regions.keys()):
            return None
        eyes = tuple(np.flatnonzero(parts[name]) for name in names[0])
        if not all(map(len, eyes)):
            return None
        level = np.mean([mean[rows][mean[rows, 2].argmax(), 1] for rows in eyes])
        skin = parts.get("skin", np.ones(len(mean), dtype=bool))
        ear = regions[names[1][0]] | regions[names[1][1]]
        scalp = regions["scalp"] & ~ear
        if not scalp.any():
            return None
        skull = np.abs(mean[scalp, 0]).max()
        rests = []
        for name in names[1]:
            stands = np.flatnonzero(regions[name] & (np.abs(mean[:, 0]) > skull + STANDS))
            if not len(stands):
                return None
            rests.append(stands[mean[stands, 1].argmax()])
        around = np.abs(mean[:, 1] - level)
        lids = regions.get("eye_sockets", np.zeros(len(mean), dtype=bool))
        front = np.flatnonzero(regions["face"] & skin & ~lids & (around < NEAR_FRONT))
        beside = skin & ~ear & (around < NEAR_SIDE)
        sides = tuple(np.flatnonzero(beside & (side * mean[:, 0] > 0)) for side in SIDES)
        if min(map(len, (front, *sides))) < NEIGHBOURS:
            return None
        return cls((eyes[0], eyes[1]), np.array(rests), front, (sides[0], sides[1]))

    def on(self, vertices: Float[ndarray, "V 3"]) -> GlassesSeat:
        """The seat on a head with these vertices (mm, head frame)."""
        balls = [vertices[rows] for rows in self.eyes]
        # Gaze turns an eyeball, but hardly moves its box.
        eyes = np.stack([[*((ball.min(0) + ball.max(0)) / 2)[:2], ball[:, 2].max()] for ball in balls])
        inward, up = EAR_REST
        ears = vertices[self.ears] + np.array([[-inward * side, up, 0.0] for side in SIDES])
        sides = vertices[self.sides[0]], vertices[self.sides[1]]
        return GlassesSeat(eyes, ears, vertices[self.front], sides)
