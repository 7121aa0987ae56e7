"""Augmented landmark training batches, and fixed evaluation batches."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from facewright.detection.crop import crop_from_photo, frames_from_landmarks

from . import warp
from .canvases import Backdrops
from .photos import PhotoSet

NEGATIVES = 0.14
TURNED, TURNED_SHARE = 2, 0.18  # source index of rotate-and-render faces, their share of the crops
OUTER_EYE = (33, 263)


@dataclass(frozen=True)
class Batch:
    """Crops (B, S, S) in [0, 1], targets (B, 478, 3) in crop units, presence (B,)."""

    crops: np.ndarray
    points: np.ndarray
    presence: np.ndarray


def upright_shapes(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (N, 478, 3) px in the units of their own crop frame (x, y in [0, 1], z the same scale)."""
    frames = frames_from_landmarks(landmarks[..., :2])
    flat = crop_from_photo(landmarks[..., :2], frames)
    return np.concatenate([flat, landmarks[..., 2:] / frames[:, None, 2:3]], -1)


def mirror_table(landmarks: np.ndarray) -> np.ndarray:
    """The landmark that each landmark becomes under reflection, from the mean of many upright shapes.

    Raises:
        ValueError: the mean shape is not symmetric enough for a one-to-one table that is its own inverse.
    """
    mean = upright_shapes(landmarks).mean(0)
    centred = mean - mean.mean(0)
    reflected = centred * np.array([-1.0, 1.0, 1.0])
    cost = ((reflected[:, None] - centred[None]) ** 2).sum(-1)
    table = linear_sum_assignment(cost)[1]
    if (table[table] != np.arange(len(table))).any() or not (table[33] == 263 and table[61] == 291):
        raise ValueError("the reflection of the mean shape is not its own inverse")
    return table


def shape_modes(
    landmarks: np.ndarray, mirror: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (478, 3) and principal modes (count, 478, 3), one standard deviation each, of jittered targets."""
    rng = np.random.default_rng(seed)
    pick = rng.integers(0, len(landmarks), 6000)
    shapes = landmarks[pick].astype(np.float64)
    frames = _jitter(rng, frames_from_landmarks(shapes[..., :2]), len(pick))
    flat = np.concatenate(
        [crop_from_photo(shapes[..., :2], frames), shapes[..., 2:] / frames[:, None, 2:3]], -1
    )
    flipped = flat[:, mirror] * [-1.0, 1.0, 1.0] + [1.0, 0.0, 0.0]
    flat = np.concatenate([flat, flipped]).reshape(2 * len(pick), -1)
    mean = flat.mean(0)
    _, values, vectors = np.linalg.svd(flat - mean, full_matrices=False)
    deviations = values[:count] / np.sqrt(len(flat))
    modes = vectors[:count] * deviations[:, None]
    return mean.reshape(-1, 3).astype(np.float32), modes.reshape(count, -1, 3).astype(np.float32)


def _jitter(rng: np.random.Generator, frames: np.ndarray, count: int) -> np.ndarray:
    """Displaced frames: half as after a first landmark pass, half as after the detector."""
    wide = rng.random(count) < 0.5
    shift = rng.normal(0.0, 1.0, (count, 2)).clip(-2.2, 2.2) * np.where(wide, 0.055, 0.012)[:, None]
    zoom = np.exp(rng.normal(0.0, 1.0, count).clip(-2.2, 2.2) * np.where(wide, 0.10, 0.025))
    roll = rng.normal(0.0, 1.0, count).clip(-2.2, 2.2) * np.where(wide, 0.20, 0.04)
    out = frames.astype(np.float64).copy()
    out[:, :2] += shift * frames[:, 2:3]
    out[:, 2] *= zoom
    out[:, 3] += roll
    return out


class LandmarkBatches:
    """Draws augmented batches from a photo set with one generator."""

    def __init__(
        self, photos: PhotoSet, empty: Backdrops, mirror: np.ndarray, size: int, rng: np.random.Generator
    ) -> None:
        """Draw from ``photos``, and negatives also from ``empty``."""
        self.photos, self.mirror, self.size, self.rng = photos, mirror, size, rng
        bank = empty.images
        self.pixels = np.concatenate([photos.pixels, bank.ravel()])
        self.places = np.concatenate([photos.offsets[:, None], photos.sizes], 1)
        starts = len(photos.pixels) + np.arange(len(bank)) * bank[0].size
        empty_places = np.stack([starts, *(np.full(len(bank), side) for side in bank.shape[1:])], 1)
        self.empty = empty_places
        # Where the detector erred, with the place of the image it erred on.
        self.mined = [(empty_places[int(row[0])], row[1:]) for row in empty.false_faces]
        self.mined_beside = [(self.places[int(row[0])], row[1:]) for row in empty.beside_faces]
        self.frames = frames_from_landmarks(photos.landmarks[..., :2])
        names = photos.expression
        # Turned heads, open mouths and closed eyes are rare in photographs; draw them more often.
        nose = upright_shapes(photos.landmarks)[:, 1]
        turned = np.abs(nose[:, 0] - 0.5) / 0.15
        weight = 1.0 + turned.clip(0, 2) + 1.5 * names[:, 25] + 1.0 * np.maximum(names[:, 9], names[:, 10])
        rendered = photos.source == TURNED
        if rendered.any():
            weight[rendered] *= (
                TURNED_SHARE / (1 - TURNED_SHARE) * weight[~rendered].sum() / weight[rendered].sum()
            )
        self.probability = weight / weight.sum()
        self.noise = rng.normal(0.0, 1.0, 1 << 20).astype(np.float32)

    def __call__(self, count: int) -> Batch:
        """``count`` augmented crops."""
        rng, size = self.rng, self.size
        pick = rng.choice(len(self.photos), count, p=self.probability)
        frames = _jitter(rng, self.frames[pick], count)
        presence = (rng.random(count) >= NEGATIVES).astype(np.float32)
        places = self.places[pick]
        self._spoil(places, frames, presence)
        flips = rng.random(count) < 0.5
        shapes = self.photos.landmarks[pick]
        points = np.concatenate(
            [
                crop_from_photo(shapes[..., :2].astype(np.float64), frames),
                shapes[..., 2:] / frames[:, None, 2:3],
            ],
            -1,
        )
        flipped = points[:, self.mirror] * [-1.0, 1.0, 1.0] + [1.0, 0.0, 0.0]
        points = np.where(flips[:, None, None], flipped, points).astype(np.float32)
        backdrops = self.places[rng.integers(0, len(self.photos), count)]
        spots = np.stack(
            [
                rng.random(count) * backdrops[:, 2],
                rng.random(count) * backdrops[:, 1],
                backdrops[:, 2] * rng.uniform(0.3, 1.5, count),
                rng.uniform(-0.5, 0.5, count),
            ],
            1,
        )
        fills = rng.choice(4, count, p=[0.2, 0.45, 0.25, 0.1])
        crops = np.empty((count, size, size), np.float32)
        warp.cut_batch(
            self.pixels, places, frames, flips, fills, backdrops, spots, rng.uniform(0, 255, count), crops
        )  # fmt: skip
        self._degrade(crops)
        return Batch(crops, points, presence)

    def _spoil(self, places: np.ndarray, frames: np.ndarray, presence: np.ndarray) -> None:
        """Move the frames of negatives off the face (far aside, too small, too large) or to a backdrop."""
        rng = self.rng
        for index in np.flatnonzero(presence == 0):
            kind = rng.integers(0, 8)
            if kind > 3:
                if len(self.mined) and kind > 4:
                    mined = self.mined_beside if len(self.mined_beside) and kind > 5 else self.mined
                    places[index], frame = mined[rng.integers(len(mined))]
                    frames[index] = frame * [1, 1, np.exp(rng.normal(0, 0.1)), 1]
                    frames[index, :2] += rng.normal(0, 0.05, 2) * frames[index, 2]
                    continue
                places[index] = self.empty[rng.integers(len(self.empty))]
                side = np.exp(rng.uniform(np.log(24), np.log(300)))
                frames[index] = (*rng.uniform(0, places[index, 1], 2), side, rng.uniform(-0.8, 0.8))
                continue
            angle = rng.uniform(0, 2 * np.pi)
            if kind <= 1:
                reach = rng.uniform(0.55, 1.2) * frames[index, 2]
                frames[index, :2] += reach * np.array([np.cos(angle), np.sin(angle)])
            elif kind == 2:
                frames[index, :2] += rng.uniform(-0.3, 0.3, 2) * frames[index, 2]
                frames[index, 2] *= rng.uniform(0.12, 0.35)
            else:
                frames[index, :2] += rng.uniform(-0.8, 0.8, 2) * frames[index, 2]
                frames[index, 2] *= rng.uniform(2.8, 5.0)
            frames[index, 3] = rng.uniform(-0.8, 0.8)

    def _degrade(self, crops: np.ndarray) -> None:
        rng, size, count = self.rng, self.size, len(crops)
        small = np.where(rng.random(count) < 0.25, np.exp(rng.uniform(np.log(28), np.log(100), count)), 0)
        angle = rng.uniform(0, np.pi, count)
        blurred = rng.random(count) < 0.2
        step = rng.uniform(0.5, 1.2, count)
        blurs = np.stack(
            [step * np.cos(angle), step * np.sin(angle), np.where(blurred, rng.integers(2, 8, count), 0)], 1
        )
        covers = np.zeros((count, 2, 7))
        covers[..., :2] = rng.uniform(0.1, 0.9, (count, 2, 2)) * size
        covers[..., 2:4] = np.exp(rng.uniform(np.log(0.04), np.log(0.25), (count, 2, 2))) * size
        covers[..., 4] = rng.uniform(0, np.pi, (count, 2))
        covers[..., 5] = rng.uniform(0, 1, (count, 2))
        covers[..., 6] = np.where(rng.random((count, 2)) < 0.13, rng.integers(1, 3, (count, 2)), 0)
        strong = rng.random(count) < 0.5
        exposures = np.stack(
            [
                np.exp(rng.normal(0, 0.28, count).clip(-0.8, 0.8)),
                np.exp(rng.normal(0, 0.2, count).clip(-0.6, 0.4)),
                rng.normal(0, 0.06, count),
                np.where(strong, rng.normal(0, 0.5, count).clip(-1.2, 1.2), 0),
                np.where(strong, rng.normal(0, 0.3, count).clip(-1, 1), 0),
                np.where(rng.random(count) < 0.6, np.exp(rng.uniform(np.log(0.004), np.log(0.06), count)), 0),
            ],
            1,
        )
        starts = rng.integers(0, len(self.noise) - size * size, count)
        warp.degrade_batch(crops, small.astype(np.int64), blurs, covers, exposures, self.noise, starts)


def evaluation_batch(photos: PhotoSet, count: int, size: int, seed: int) -> tuple[Batch, np.ndarray]:
    """Kept-out crops with the small jitter of a second pass, and their frames; no degradation."""
    rng = np.random.default_rng(seed)
    pick = np.sort(rng.permutation(len(photos))[:count])
    chosen = photos.landmarks[pick]
    frames = frames_from_landmarks(chosen[..., :2]).astype(np.float64)
    frames[:, :2] += rng.normal(0, 0.012, (len(pick), 2)) * frames[:, 2:3]
    frames[:, 2] *= np.exp(rng.normal(0, 0.025, len(pick)))
    frames[:, 3] += rng.normal(0, 0.04, len(pick))
    places = np.concatenate([photos.offsets[:, None], photos.sizes], 1)[pick]
    crops = np.empty((len(pick), size, size), np.float32)
    zeros = np.zeros(len(pick))
    warp.cut_batch(
        photos.pixels, places, frames, zeros > 0, np.full(len(pick), warp.CLAMP), places, frames, zeros, crops
    )
    points = np.concatenate(
        [crop_from_photo(chosen[..., :2].astype(np.float64), frames), chosen[..., 2:] / frames[:, None, 2:3]],
        -1,
    )
    return Batch(crops, points.astype(np.float32), np.ones(len(pick), np.float32)), frames
