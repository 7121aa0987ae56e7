"""Synthetic scenes for the face detector: photographs of faces pasted over scenes without labelled faces."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from facewright.detection.crop import CROP_MARGIN, frames_from_landmarks

from . import warp
from .photos import PhotoSet

TEXTURES = (
    "brick", "chelsea", "clock_motion", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
    "moon", "motorcycle_left", "page", "rocket", "text", "ihc", "cell",
)  # fmt: skip
FACE_SIZES = (9.0, 230.0)  # px of a canvas, extent of the landmarks
MAX_FACES = 6
WHOLE_PHOTOS = 0.4  # share of the scenes that are a photo as it is, with more faces pasted in


@dataclass(frozen=True)
class Scenes:
    """Canvases (B, S, S) in [0, 1]; frames (B, MAX_FACES, 4) centre, side, roll; side 0: no face."""

    canvases: np.ndarray
    frames: np.ndarray


def procedural(rng: np.random.Generator, size: int) -> np.ndarray:
    """Noise of several octaves with a few discs, bars and stripes, (size, size) in [0, 1]."""
    grid = np.arange(size)
    image = np.full((size, size), rng.random())
    for cells in (2, 5, 12, 30, 80):
        coarse = rng.normal(0, rng.exponential(0.12), (cells, cells))
        index = (
            grid * cells // size
            if rng.random() < 0.5
            else (grid + rng.integers(0, size)) % size * cells // size
        )
        image += coarse[np.ix_(index, index)]
    y, x = np.mgrid[:size, :size]
    for _ in range(rng.integers(0, 14)):
        angle, radius = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(size / 3)))
        cx, cy = rng.uniform(0, size, 2)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) * rng.uniform(0.5, 4)
        inside = u**2 + v**2 < radius**2 if rng.random() < 0.6 else np.maximum(abs(u), abs(v)) < radius
        image = np.where(
            inside, rng.random() + (rng.random() < 0.3) * np.sin(u / rng.uniform(1, 8)) * 0.3, image
        )
    return image.clip(0, 1)


@dataclass(frozen=True)
class Backdrops:
    """Backdrops (N, S, S) uint8 and what a detector took for faces (M, 5): index, x, y, side, roll.

    ``false_faces`` lie on the backdrops, ``beside_faces`` on the training photos, off their labelled faces.
    """

    images: np.ndarray
    false_faces: np.ndarray
    beside_faces: np.ndarray


def load_backdrops(path: Path) -> Backdrops:
    """Read what ``scripts/mine_false_faces.py`` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return Backdrops(data["images"], data["false_faces"], data["beside_faces"])


def backdrop_bank(photos: PhotoSet, rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Backdrops without faces (count, size, size) uint8: parts of photos off the face, textures, noise."""
    sources = load_textures()
    bank = np.empty((count, size, size), np.uint8)
    colour = np.flatnonzero(photos.source == 1)
    for index in range(count):
        kind = rng.random()
        if kind < 0.5:
            image = _off_face(photos, int(rng.choice(colour)), rng, size)
        elif kind < 0.75:
            source = sources[rng.integers(len(sources))]
            image = _window(source, rng, size)
        else:
            image = procedural(rng, size)
        bank[index] = (image * 255).round().clip(0, 255)
    return bank


def load_textures() -> list[np.ndarray]:
    """Pictures without faces that travel inside scikit-image, grey in [0, 1]."""
    folder = Path(str(files("skimage"))) / "data"
    paths = [next(folder.glob(f"{name}.*")) for name in TEXTURES]
    return [np.asarray(Image.open(path).convert("L"), np.float64) / 255.0 for path in paths]


def _window(source: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    zoom = rng.uniform(0.5, 1.5) * min(source.shape) / size
    offset = rng.uniform(0, 1, 2) * np.maximum(np.array(source.shape) - size * zoom, 0)
    rows = (offset[0] + np.arange(size) * zoom).astype(int) % source.shape[0]
    columns = (offset[1] + np.arange(size) * zoom).astype(int) % source.shape[1]
    image = source[np.ix_(rows, columns)]
    return image if rng.random() < 0.5 else image.T


def off_face_part(photos: PhotoSet, index: int, rng: np.random.Generator) -> np.ndarray | None:
    """A part of the photo (h, w) uint8 beside, over or under its face; none if the face fills the photo."""
    image = photos.image(index)
    points = photos.landmarks[index, :, :2]
    low, high = points.min(0), points.max(0)
    margin = 0.25 * (high - low)
    height, width = image.shape
    regions = [
        (0, 0, max(int(low[0] - margin[0]), 0), height),
        (min(int(high[0] + margin[0]), width), 0, width, height),
        (0, min(int(high[1] + margin[1]), height), width, height),
        (0, 0, width, max(int(low[1] - 2 * margin[1]), 0)),
    ]
    regions = [r for r in regions if r[2] - r[0] >= 24 and r[3] - r[1] >= 24]
    if not regions:
        return None
    x0, y0, x1, y1 = regions[rng.integers(len(regions))]
    return image[y0:y1, x0:x1]


def _off_face(photos: PhotoSet, index: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """A part of the photo that holds no face, mirrored outwards to fill the backdrop."""
    part = off_face_part(photos, index, rng)
    if part is None:
        return procedural(rng, size)
    part = np.concatenate([part, part[::-1]]) / 255.0
    part = np.concatenate([part, part[:, ::-1]], 1)
    zoom = rng.uniform(0.3, 1.2)
    rows = (rng.integers(0, 999) + np.arange(size) * zoom).astype(int) % part.shape[0]
    columns = (rng.integers(0, 999) + np.arange(size) * zoom).astype(int) % part.shape[1]
    return part[np.ix_(rows, columns)]


class SceneBatches:
    """Draws scenes from a photo set and a bank of backdrops, each batch from the generator it is given."""

    def __init__(self, photos: PhotoSet, bank: np.ndarray, size: int) -> None:
        self.photos, self.bank, self.size = photos, bank, size
        self.rng = np.random.default_rng(0)  # of the batch being drawn
        self.places = np.concatenate([photos.offsets[:, None], photos.sizes], 1)
        self.colour = np.flatnonzero(photos.source == 1)
        self.frames = frames_from_landmarks(photos.landmarks[..., :2]).astype(np.float64)
        share = np.array([1.0, 1.6, 0.9, 0.5])[photos.source]
        self.probability = share / share.sum()
        self.noise = self.rng.normal(0.0, 1.0, 1 << 20).astype(np.float32)

    def __call__(self, count: int, rng: np.random.Generator) -> Scenes:
        """``count`` scenes."""
        self.rng = rng
        canvases = np.empty((count, self.size, self.size), np.float32)
        frames = np.zeros((count, MAX_FACES, 4))
        for index in range(count):
            placed = 0
            if self.rng.random() < WHOLE_PHOTOS:
                placed = self._whole_photo(canvases[index], frames[index])
            else:
                self._backdrop(canvases[index])
            self._faces(canvases[index], frames[index], placed)
            self._degrade(canvases[index])
        return Scenes(canvases, frames)

    def _backdrop(self, canvas: np.ndarray) -> None:
        rng, size = self.rng, self.size
        source = self.bank[rng.integers(len(self.bank))]
        y, x = rng.integers(0, source.shape[0] - size + 1, 2)
        part = source[y : y + size, x : x + size][:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        canvas[:] = part * (rng.uniform(0.5, 1.2) / 255.0)
        if rng.random() < 0.25:  # the scene ends inside the canvas, as a padded photo does
            level = 0.5
            edge = int(rng.uniform(0.05, 0.45) * size)
            side = rng.integers(4)
            if side == 0:
                canvas[:edge] = level
            elif side == 1:
                canvas[size - edge :] = level
            elif side == 2:
                canvas[:, :edge] = level
            else:
                canvas[:, size - edge :] = level

    def _whole_photo(self, canvas: np.ndarray, frames: np.ndarray) -> int:
        """A colour photo as it is: what is not its face is a natural negative."""
        rng, size = self.rng, self.size
        pick = rng.choice(self.colour)
        face = self.frames[pick]
        extent = np.exp(rng.uniform(np.log(12.0), np.log(150.0)))
        zoom = face[2] / CROP_MARGIN / extent
        roll = rng.normal(0, 0.3)
        x, y = rng.uniform(0.1, 0.9, 2) * size
        du, dv = (x - size / 2) * zoom, (y - size / 2) * zoom
        cos, sin = np.cos(roll), np.sin(roll)
        centre = face[:2] - [du * cos - dv * sin, du * sin + dv * cos]
        frame = np.array([*centre, size * zoom, roll])
        place = self.places[pick]
        level = rng.choice([0.0, 127.5, rng.uniform(0, 255)])
        warp.cut_crop(self.photos.pixels, place, frame, False, warp.CONSTANT, place, frame, level, canvas)
        frames[0] = (x, y, extent * CROP_MARGIN, face[3] - roll)
        return 1

    def _faces(self, canvas: np.ndarray, frames: np.ndarray, placed: int) -> None:
        rng, size = self.rng, self.size
        wanted = rng.choice(MAX_FACES + 1, p=[0.12, 0.30, 0.2, 0.14, 0.1, 0.08, 0.06])
        for _ in range(4 * wanted):
            if placed >= wanted:
                break
            low, high = FACE_SIZES
            extent = np.exp(rng.uniform(np.log(low), np.log(high if wanted < 3 else high / 3)))
            side = extent * CROP_MARGIN
            x, y = (
                rng.uniform(-0.1, 1.1, 2) * size if rng.random() < 0.15 else rng.uniform(0.0, 1.0, 2) * size
            )
            inner = np.minimum([x, y], [size - x, size - y]).min()
            if inner < 0.2 * extent:  # half of the face or more would be cut off
                continue
            others = frames[:placed]
            gap = np.hypot(others[:, 0] - x, others[:, 1] - y) - 0.45 * (others[:, 2] + side)
            if placed and gap.min() < 0:
                continue
            roll = (
                rng.uniform(-1.0, 1.0) * np.radians(60) if rng.random() < 0.9 else rng.uniform(-np.pi, np.pi)
            )
            if rng.random() < 0.3:
                roll = rng.normal(0, 0.08)
            pick = rng.choice(len(self.photos), p=self.probability)
            frame = np.array([x, y, side, roll])
            oval = rng.random() < 0.45
            warp.paste(
                canvas, self.photos.pixels, self.places[pick], self.frames[pick], frame, rng.random() < 0.5,
                warp.OVAL if oval else warp.RECT, rng.uniform(0.95, 1.3) if oval else rng.uniform(0.85, 2.2),
                rng.choice([0.004, 0.05, 0.1]), rng.uniform(0.75, 1.15), rng.normal(0, 0.04),
            )  # fmt: skip
            frames[placed] = frame
            placed += 1
        for _ in range(rng.integers(0, 3)):
            self._distractor(canvas, frames[:placed])

    def _distractor(self, canvas: np.ndarray, frames: np.ndarray) -> None:
        """A patch of a photo far from its face's centre: hair, ear, neck, clothes."""
        rng, size = self.rng, self.size
        side = np.exp(rng.uniform(np.log(14), np.log(160)))
        x, y = rng.uniform(0, size, 2)
        if len(frames) and (np.hypot(frames[:, 0] - x, frames[:, 1] - y) < 0.5 * (frames[:, 2] + side)).any():
            return
        pick = rng.choice(len(self.photos), p=self.probability)
        source = self.frames[pick].copy()
        angle = rng.uniform(0, 2 * np.pi)
        source[:2] += 0.62 * source[2] * np.array([np.cos(angle), np.sin(angle)])
        source[2] *= rng.uniform(0.35, 0.55)
        source[3] = rng.uniform(-1, 1)
        warp.paste(
            canvas, self.photos.pixels, self.places[pick], source, np.array([x, y, side, 0.0]),
            False, warp.RECT, 1.0, 0.05, 1.0, 0.0,
        )  # fmt: skip

    def _degrade(self, canvas: np.ndarray) -> None:
        rng = self.rng
        if rng.random() < 0.15:
            angle = rng.uniform(0, np.pi)
            scratch = np.empty_like(canvas)
            taps = int(rng.integers(2, 5))
            warp.blur(canvas, np.cos(angle), np.sin(angle), taps, scratch)
            if taps < 4:
                warp.blur(canvas, -np.sin(angle), np.cos(angle), taps, scratch)
        gamma, gain = np.exp(np.clip(rng.normal(0, 0.25), -0.7, 0.7)), np.exp(rng.normal(0, 0.15))
        warp.expose(
            canvas, float(gamma), float(gain),
            rng.normal(0, 0.05), rng.normal(0, 0.2), rng.normal(0, 0.2), self.noise,
            int(rng.integers(0, len(self.noise) - canvas.size)),
            float(np.exp(rng.uniform(np.log(0.003), np.log(0.05)))) if rng.random() < 0.6 else 0.0,
        )  # fmt: skip
