"""Large scenes with kept-out faces, for the recall and the false finds of the detector."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from facewright.detection.crop import CROP_MARGIN, frames_from_landmarks
from training_data.canvases import off_face_part, procedural
from training_data.photos import PhotoSet
from training_data.warp import OVAL, RECT, paste

SIZE = (720, 1280)


@dataclass(frozen=True)
class Scene:
    """A grey scene (H, W) in [0, 1] and its faces (N, 4): centre, extent, roll."""

    image: np.ndarray
    faces: np.ndarray


def backdrop(photos: PhotoSet, textures: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A scene without faces (H, W): a part of a photo off its face, a picture, or shapes and noise."""
    kind = rng.random()
    size = (SIZE[1], SIZE[0])
    if kind < 0.5:
        colour = np.flatnonzero(photos.source == 1)
        part = off_face_part(photos, int(rng.choice(colour)), rng)
        if part is not None:
            mirrored = np.concatenate([part, part[:, ::-1]], 1)
            return np.asarray(Image.fromarray(mirrored).resize(size, Image.Resampling.BICUBIC)) / 255.0
    if kind < 0.8:
        source = textures[rng.integers(len(textures))]
        zoom = rng.uniform(0.6, 1.0)
        height, width = (int(zoom * side) for side in source.shape)
        top, left = (
            rng.integers(0, whole - part + 1)
            for whole, part in zip(source.shape, (height, width), strict=True)
        )
        part = (source[top : top + height, left : left + width] * 255).astype(np.uint8)
        return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BICUBIC)) / 255.0
    return procedural(rng, SIZE[1])[: SIZE[0]]


def build_scene(photos: PhotoSet, textures: list[np.ndarray], rng: np.random.Generator) -> Scene:
    """A backdrop with no to four kept-out faces of 30-600 px, rolled by up to 45 degrees."""
    height, width = SIZE
    canvas = backdrop(photos, textures, rng).astype(np.float32)
    frames = frames_from_landmarks(photos.landmarks[..., :2]).astype(np.float64)
    placed: list[np.ndarray] = []
    for _ in range(rng.integers(0, 5)):
        extent = np.exp(rng.uniform(np.log(30), np.log(600)))
        margin = 0.5 * extent
        x = rng.uniform(margin, width - margin)
        y = rng.uniform(margin, height - margin)
        gap = [np.hypot(f[0] - x, f[1] - y) - 0.75 * (f[2] + extent) for f in placed]
        if gap and min(gap) < 0:
            continue
        roll = rng.uniform(-np.pi / 4, np.pi / 4)
        pick = rng.integers(len(photos))
        place = np.array([photos.offsets[pick], *photos.sizes[pick]])
        oval = rng.random() < 0.3
        paste(
            canvas, photos.pixels, place, frames[pick], np.array([x, y, extent * CROP_MARGIN, roll]),
            rng.random() < 0.5, OVAL if oval else RECT, 1.15 if oval else rng.uniform(0.95, 2.2), 0.05,
            rng.uniform(0.8, 1.1), 0.0,
        )  # fmt: skip
        placed.append(np.array([x, y, extent, roll]))
    return Scene(canvas.clip(0, 1), np.array(placed).reshape(-1, 4))
