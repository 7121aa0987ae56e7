"""Augmented landmark training batches, and fixed evaluation batches."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from facewright.detection.crop import crop_from_photo, frames_from_landmarks

from . import warp
from .canvases import Backdrops
from .photos import RENDERED, TURNED, PhotoSet

# Share of the crops of rotate-and-render faces and of renderings, by source index.
SHARES = {TURNED: 0.15, RENDERED: 0.10}


@dataclass(frozen=True)
class Look:
    """What the crops of one look at a face are like.

    Attributes:
        spreads: mixture of (share, shift, zoom, roll): how far crops lie off, as standard deviations in parts
            of the side, of the logarithm of the side, in radians.
        negatives: share of the crops without a face.
        noise: of the sensor, at most.
    """

    spreads: tuple[tuple[float, float, float, float], ...]
    negatives: float
    noise: float


# The first look follows the detector, on photos (0.03, 0.06, 0.07) off and more in scenes of small faces; the
# second follows the first, (0.010, 0.030, 0.012) off with long tails.
FIRST = Look(((0.3, 0.030, 0.06, 0.07), (0.7, 0.055, 0.10, 0.20)), 0.20, 0.06)
SECOND = Look(((0.75, 0.011, 0.030, 0.014), (0.25, 0.025, 0.060, 0.040)), 0.06, 0.03)


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
    landmarks: np.ndarray, mirror: np.ndarray, look: Look, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (478, 3) and principal modes (count, 478, 3), one standard deviation each, of jittered targets."""
    rng = np.random.default_rng(seed)
    pick = rng.integers(0, len(landmarks), 6000)
    shapes = landmarks[pick].astype(np.float64)
    frames = _jitter(rng, frames_from_landmarks(shapes[..., :2]), look)
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


def _jitter(rng: np.random.Generator, frames: np.ndarray, look: Look) -> np.ndarray:
    """Frames (N, 4) displaced as those of ``look`` are."""
    spreads = np.array(look.spreads)
    spread = spreads[rng.choice(len(spreads), len(frames), p=spreads[:, 0]), 1:]
    off = rng.normal(0.0, 1.0, (len(frames), 4)).clip(-2.5, 2.5)
    out = frames.astype(np.float64).copy()
    out[:, :2] += off[:, :2] * spread[:, :1] * frames[:, 2:3]
    out[:, 2] *= np.exp(off[:, 2] * spread[:, 1])
    out[:, 3] += off[:, 3] * spread[:, 2]
    return out


class LandmarkBatches:
    """Draws augmented batches from a photo set, each from the generator it is given."""

    def __init__(self, photos: PhotoSet, empty: Backdrops, mirror: np.ndarray, size: int, look: Look) -> None:
        """Draw crops of ``size`` px from ``photos``, and negatives also from ``empty``."""
        self.mirror, self.size, self.look = mirror, size, look
        bank = empty.images
        self.pixels = np.concatenate([photos.pixels, bank.ravel()])
        self.photos = replace(photos, pixels=self.pixels)
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
        weight = 1.0 + turned.clip(0, 2) + 3.0 * names[:, 25] + 1.5 * np.maximum(names[:, 9], names[:, 10])
        shares = {source: share for source, share in SHARES.items() if (photos.source == source).any()}
        photographed = ~np.isin(photos.source, list(SHARES))
        weight[photographed] *= (1 - sum(shares.values())) / weight[photographed].sum()
        for source, share in shares.items():
            weight[photos.source == source] *= share / weight[photos.source == source].sum()
        self.probability = weight / weight.sum()
        self.noise = np.random.default_rng(0).normal(0.0, 1.0, 1 << 20).astype(np.float32)

    def __call__(self, count: int, rng: np.random.Generator) -> Batch:
        """``count`` augmented crops."""
        size = self.size
        pick = rng.choice(len(self.photos), count, p=self.probability)
        frames = _jitter(rng, self.frames[pick], self.look)
        presence = (rng.random(count) >= self.look.negatives).astype(np.float32)
        places = self.places[pick]
        self._spoil(places, frames, presence, rng)
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
        self._degrade(crops, rng)
        return Batch(crops, points, presence)

    def _spoil(
        self, places: np.ndarray, frames: np.ndarray, presence: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Move the frames of negatives off the face (far aside, too small, too large) or to a backdrop."""
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

    def _degrade(self, crops: np.ndarray, rng: np.random.Generator) -> None:
        size, count = self.size, len(crops)
        coarse = size * np.exp(rng.uniform(np.log(0.175), np.log(0.625), count))
        small = np.where(rng.random(count) < 0.25, coarse, 0)
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
        covers[..., 6] = np.where(rng.random((count, 2)) < 0.10, rng.integers(1, 3, (count, 2)), 0)
        strong = rng.random(count) < 0.5
        exposures = np.stack(
            [
                np.exp(rng.normal(0, 0.28, count).clip(-0.8, 0.8)),
                np.exp(rng.normal(0, 0.2, count).clip(-0.6, 0.4)),
                rng.normal(0, 0.06, count),
                np.where(strong, rng.normal(0, 0.5, count).clip(-1.2, 1.2), 0),
                np.where(strong, rng.normal(0, 0.3, count).clip(-1, 1), 0),
                np.where(
                    rng.random(count) < 0.6,
                    np.exp(rng.uniform(np.log(0.004), np.log(self.look.noise), count)),
                    0,
                ),
            ],
            1,
        )
        sharp = np.where(rng.random(count) < 0.3, rng.uniform(0.2, 1.5, count), 0)
        starts = rng.integers(0, len(self.noise) - size * size, count)
        warp.degrade_batch(crops, small.astype(np.int64), blurs, sharp, covers, exposures, self.noise, starts)


def evaluation_batch(
    photos: PhotoSet, spread: tuple[float, float, float], count: int, size: int, seed: int
) -> tuple[Batch, np.ndarray]:
    """Kept-out crops that lie off by ``spread`` (shift, zoom, roll as in ``Look``), and their frames."""
    rng = np.random.default_rng(seed)
    pick = np.sort(rng.permutation(len(photos))[:count])
    chosen = photos.landmarks[pick]
    frames = frames_from_landmarks(chosen[..., :2]).astype(np.float64)
    frames[:, :2] += rng.normal(0, spread[0], (len(pick), 2)) * frames[:, 2:3]
    frames[:, 2] *= np.exp(rng.normal(0, spread[1], len(pick)))
    frames[:, 3] += rng.normal(0, spread[2], len(pick))
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
