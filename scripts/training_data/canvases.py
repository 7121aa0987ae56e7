"""Synthetic scenes for the face detector: photographs of faces pasted over scenes without labelled faces."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from facewright.detection.crop import CROP_MARGIN, frames_from_landmarks

from . import warp
from .photos import PhotoSet

TEXTURES = (
    "brick", "camera", "chelsea", "clock_motion", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
    "moon", "motorcycle_left", "page", "rocket", "text", "ihc", "cell",
)  # fmt: skip
FACE_SIZES = (9.0, 230.0)  # px of a canvas, extent of the landmarks
MAX_FACES = 6
RECT, OVAL = 0, 1


@dataclass(frozen=True)
class Scenes:
    """Canvases (B, S, S) in [0, 1]; frames (B, MAX_FACES, 4) centre, side, roll; side 0 where there is no face."""

    canvases: np.ndarray
    frames: np.ndarray


@njit(nogil=True, cache=True, fastmath=True)
def paste(canvas, pixels, photo, photo_frame, frame, flip, shape, reach, feather, gain, bias):
    """Paste the surroundings of a face so that the photo's crop ``photo_frame`` lands on ``frame``, in place.

    ``reach`` is how much is pasted around the centre (1 = the crop frame), an oval or what the photo holds.
    """
    size_y, size_x = canvas.shape
    start, height, width = photo
    cos, sin = np.float32(math.cos(frame[3])), np.float32(math.sin(frame[3]))
    turn = photo_frame[3]
    cos_p, sin_p = np.float32(photo_frame[2] * math.cos(turn)), np.float32(photo_frame[2] * math.sin(turn))
    extent = int(frame[2] * reach * 0.75) + 2
    x_0, y_0 = int(frame[0]), int(frame[1])
    scale = photo_frame[2] / frame[2]
    samples = 1 if scale < 1.7 else (2 if scale < 3.4 else (4 if scale < 7 else 7))
    for row in range(max(y_0 - extent, 0), min(y_0 + extent + 1, size_y)):
        for column in range(max(x_0 - extent, 0), min(x_0 + extent + 1, size_x)):
            total = np.float32(0.0)
            edge = np.float32(1.0)
            for sub in range(samples * samples):
                dx = np.float32((column + (sub % samples + 0.5) / samples - frame[0]) / frame[2])
                dy = np.float32((row + (sub // samples + 0.5) / samples - frame[1]) / frame[2])
                u, v = dx * cos + dy * sin, -dx * sin + dy * cos
                if flip:
                    u = -u
                x = np.float32(photo_frame[0]) + u * cos_p - v * sin_p
                y = np.float32(photo_frame[1]) + u * sin_p + v * cos_p
                if sub == 0:
                    inner = min(min(x, width - x), min(y, height - y)) / np.float32(photo_frame[2])
                    if shape == OVAL:
                        inner = min(inner, (1.0 - math.sqrt(u * u / 0.16 + v * v / 0.25) / reach) * 0.4)
                    else:
                        inner = min(inner, reach * 0.5 - max(abs(u), abs(v)))
                    edge = min(max(np.float32(inner / feather), np.float32(0.0)), np.float32(1.0))
                    if edge <= 0.0:
                        break
                total += warp._clamped(pixels, start, height, width, x, y)
            if edge > 0.0:
                value = total / np.float32(255.0 * samples * samples) * gain + bias
                canvas[row, column] += edge * (value - canvas[row, column])


def procedural(rng: np.random.Generator, size: int) -> np.ndarray:
    """Noise of several octaves with a few discs, bars and stripes, (size, size) in [0, 1]."""
    grid = np.arange(size)
    image = np.full((size, size), rng.random())
    for cells in (2, 5, 12, 30, 80):
        coarse = rng.normal(0, rng.exponential(0.12), (cells, cells))
        index = grid * cells // size if rng.random() < 0.5 else (grid + rng.integers(0, size)) % size * cells // size
        image += coarse[np.ix_(index, index)]
    y, x = np.mgrid[:size, :size]
    for _ in range(rng.integers(0, 14)):
        angle, radius = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(size / 3)))
        cx, cy = rng.uniform(0, size, 2)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) * rng.uniform(0.5, 4)
        inside = u**2 + v**2 < radius**2 if rng.random() < 0.6 else np.maximum(abs(u), abs(v)) < radius
        image = np.where(inside, rng.random() + (rng.random() < 0.3) * np.sin(u / rng.uniform(1, 8)) * 0.3, image)
    return image.clip(0, 1)


def backdrop_bank(photos: PhotoSet, rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Backdrops without faces (count, size, size) uint8: parts of photos off the face, textures, noise."""
    from skimage import data, io

    sources = [np.asarray(io.imread(_texture_path(data, name), as_gray=True), np.float64) for name in TEXTURES]
    sources = [image / 255.0 if image.max() > 1.5 else image for image in sources]
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


def _texture_path(data: object, name: str) -> str:
    from pathlib import Path

    folder = Path(str(getattr(data, "__file__", ""))).parent
    return str(next(folder.glob(f"{name}.*")))


def _window(source: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    zoom = rng.uniform(0.5, 1.5) * min(source.shape) / size
    offset = rng.uniform(0, 1, 2) * np.maximum(np.array(source.shape) - size * zoom, 0)
    rows = (offset[0] + np.arange(size) * zoom).astype(int) % source.shape[0]
    columns = (offset[1] + np.arange(size) * zoom).astype(int) % source.shape[1]
    image = source[np.ix_(rows, columns)]
    return image if rng.random() < 0.5 else image.T


def _off_face(photos: PhotoSet, index: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """A part of the photo that holds no face, mirrored outwards to fill the backdrop."""
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
        return procedural(rng, size)
    x0, y0, x1, y1 = regions[rng.integers(len(regions))]
    part = image[y0:y1, x0:x1] / 255.0
    part = np.concatenate([part, part[::-1]])
    part = np.concatenate([part, part[:, ::-1]], 1)
    zoom = rng.uniform(0.3, 1.2)
    rows = (rng.integers(0, 999) + np.arange(size) * zoom).astype(int) % part.shape[0]
    columns = (rng.integers(0, 999) + np.arange(size) * zoom).astype(int) % part.shape[1]
    return part[np.ix_(rows, columns)]


class SceneBatches:
    """Draws scenes from a photo set and a bank of backdrops with one generator."""

    def __init__(self, photos: PhotoSet, bank: np.ndarray, size: int, rng: np.random.Generator) -> None:
        self.photos, self.bank, self.size, self.rng = photos, bank, size, rng
        self.places = np.concatenate([photos.offsets[:, None], photos.sizes], 1)
        self.frames = frames_from_landmarks(photos.landmarks[..., :2]).astype(np.float64)
        share = np.array([1.0, 1.6, 0.9])[photos.source]
        self.probability = share / share.sum()
        self.noise = rng.normal(0.0, 1.0, 1 << 20).astype(np.float32)

    def __call__(self, count: int) -> Scenes:
        """``count`` scenes."""
        canvases = np.empty((count, self.size, self.size), np.float32)
        frames = np.zeros((count, MAX_FACES, 4))
        for index in range(count):
            self._backdrop(canvases[index])
            self._faces(canvases[index], frames[index])
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

    def _faces(self, canvas: np.ndarray, frames: np.ndarray) -> None:
        rng, size = self.rng, self.size
        wanted = rng.choice(MAX_FACES + 1, p=[0.12, 0.30, 0.2, 0.14, 0.1, 0.08, 0.06])
        placed = 0
        for _ in range(4 * wanted):
            if placed == wanted:
                break
            low, high = FACE_SIZES
            extent = np.exp(rng.uniform(np.log(low), np.log(high if wanted < 3 else high / 3)))
            side = extent * CROP_MARGIN
            x, y = rng.uniform(-0.1, 1.1, 2) * size if rng.random() < 0.15 else rng.uniform(0.0, 1.0, 2) * size
            inner = np.minimum([x, y], [size - x, size - y]).min()
            if inner < 0.2 * extent:  # half of the face or more would be cut off
                continue
            others = frames[:placed]
            gap = np.hypot(others[:, 0] - x, others[:, 1] - y) - 0.45 * (others[:, 2] + side)
            if placed and gap.min() < 0:
                continue
            roll = rng.uniform(-1.0, 1.0) * np.radians(60) if rng.random() < 0.9 else rng.uniform(-np.pi, np.pi)
            if rng.random() < 0.3:
                roll = rng.normal(0, 0.08)
            pick = rng.choice(len(self.photos), p=self.probability)
            frame = np.array([x, y, side, roll])
            oval = rng.random() < 0.45
            paste(
                canvas, self.photos.pixels, self.places[pick], self.frames[pick], frame, rng.random() < 0.5,
                OVAL if oval else RECT, rng.uniform(0.95, 1.3) if oval else rng.uniform(0.85, 2.2),
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
        paste(
            canvas, self.photos.pixels, self.places[pick], source, np.array([x, y, side, 0.0]),
            False, RECT, 1.0, 0.05, 1.0, 0.0,
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
        warp.expose(
            canvas, float(np.exp(np.clip(rng.normal(0, 0.25), -0.7, 0.7))), float(np.exp(rng.normal(0, 0.15))),
            rng.normal(0, 0.05), rng.normal(0, 0.2), rng.normal(0, 0.2), self.noise,
            int(rng.integers(0, len(self.noise) - canvas.size)),
            float(np.exp(rng.uniform(np.log(0.003), np.log(0.05)))) if rng.random() < 0.6 else 0.0,
        )  # fmt: skip
