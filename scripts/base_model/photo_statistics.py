"""What landmarks in photos of real people say about the identity coefficients: their mean and covariance.

All photos of a person share the identity; pose, scale and expression are each photo's own. Identity and
landmark error are both Gaussian, and their covariances are estimated together: people with several photos
tell which differences are the person's and which are the landmarks'. Only coefficients leave this file.

**Source:** expectation maximisation for factor analysis (Rubin and Thayer 1982) with one latent vector a
person (Prince and Elder, "Probabilistic linear discriminant analysis", ICCV 2007).
**Differs:** pose, scale and expression are further latents of a photo, linearised anew in each round.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facewright.data.datasets.kept_out import is_kept_out
from facewright.geometry.spread import spread_points

PIXELS_PER_UNIT = 64  # of the stored labels
DISTANCE = 1500.0  # mm from camera to head, which the photos do not tell
PHOTOS_OF_ONE = 4  # at most, so that famous people do not outweigh the others
SINGLES = 800  # people with a single photo
EXPRESSION_SPREAD = 0.25  # of our activations about those of the labels
FIRST_ERROR, FIRST_REACH = (
    (1.0, 1.5),
    20.0,
)  # mm: independent and common error, and how far the latter reaches
LEAST_ERROR = 0.3  # mm
PLAIN_SHARE = 0.1  # of the error's covariance, taken as independent
BAD_FIT = 2.0  # photos whose error exceeds the median by this factor count no more
CALM_ROUNDS = 3  # poses settle before covariances move
UNSURE_STEP = 8  # of so many photos one is looked at for what its latents' uncertainty hides
LARGEST_TURN = 0.6  # rad: beyond, half of the landmarks are guesses


@dataclasses.dataclass(frozen=True)
class LandmarkSpace:
    """Landmarks as ``mean + identity . b + expression . e``; mm, head frame; b has a unit Gaussian prior."""

    mean: np.ndarray  # (L,3)
    identity: np.ndarray  # (Q,L,3)
    expression: np.ndarray  # (E,L,3)


@dataclasses.dataclass(frozen=True)
class Photos:
    """Landmarks of photos, grouped: those of person ``i`` are ``start[i]:start[i+1]``."""

    points: np.ndarray  # (N,L,2) pixels, y up
    turn: np.ndarray  # (N,3,3) first guess
    activation: np.ndarray  # (N,E)
    start: np.ndarray  # (P+1,)


@dataclasses.dataclass(frozen=True)
class PhotoStatistics:
    """Mean (Q,) and covariance (Q,Q) of b over people, and what the landmarks' errors are."""

    mean: np.ndarray
    covariance: np.ndarray
    posterior: np.ndarray  # (P,Q) best guess of each person
    error: np.ndarray  # (2,L,L) mm^2, across and up the picture


def read_photos(labels: Path, marks: np.ndarray, names: tuple[str, ...], seed: int) -> Photos:
    """Photos of people that training may see; ``marks`` of the 478 landmarks, activations by ``names``."""
    with np.load(labels, allow_pickle=False) as stored:
        people = stored["identity"]
        turn = stored["transform"][:, :3, :3].astype(np.float64)
        turn /= np.cbrt(np.linalg.det(turn))[:, None, None]
        near_front = np.arccos(np.clip(turn[:, 2, 2], -1, 1)) < LARGEST_TURN
        order = _chosen(people, near_front, np.random.default_rng(seed))
        columns = [str(n) for n in stored["blendshape_names"]]
        known = [columns.index(n) if n in columns else -1 for n in names]
        values = np.concatenate([stored["blendshapes"] / 255.0, np.zeros((len(people), 1))], axis=1)
        points = stored["landmarks"][order][:, marks, :2].astype(np.float64) / PIXELS_PER_UNIT
    start = np.flatnonzero(np.r_[True, people[order][1:] != people[order][:-1], True])
    return Photos(points * [1.0, -1.0], turn[order], values[order][:, known], start)


def _chosen(people: np.ndarray, usable: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    order, singles = [], []
    for person in np.unique(people[usable]):
        if is_kept_out(str(person)):
            continue
        mine = np.flatnonzero((people == person) & usable)
        (order if len(mine) > 1 else singles).append(generator.permutation(mine)[:PHOTOS_OF_ONE])
    return np.concatenate([*order, *singles[:: max(1, len(singles) // SINGLES)]])


def spread_out(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` of the points (N,3), each the farthest from those before it."""
    chosen, _ = spread_points(torch.from_numpy(points), count, int(points[:, 2].argmax()))
    return np.sort(chosen.numpy())


def estimate(space: LandmarkSpace, photos: Photos, rounds: int) -> PhotoStatistics:
    """Mean and covariance of the people's identity.

    Args:
        space: the prior's landmarks.
        photos: what was seen.
        rounds: of expectation maximisation.
    """
    fit = _Fit(space, photos)
    for number in range(rounds):
        fit.round(settle=number < CALM_ROUNDS)
    return PhotoStatistics(fit.mean, fit.covariance, fit.identity, fit.error)


class _Fit:
    """The latents and the covariances while they are estimated."""

    def __init__(self, space: LandmarkSpace, photos: Photos) -> None:
        count, size = len(photos.start) - 1, len(space.identity)
        self.space, self.photos = space, photos
        self.mean, self.covariance = np.zeros(size), np.eye(size)
        self.identity = np.zeros((count, size))
        self.expression = photos.activation.copy()
        self.turn = photos.turn.copy()
        spread = space.mean[:, :2].std()
        self.scale = photos.points.std(1).mean(1) / spread
        self.shift = photos.points.mean(1) - self.scale[:, None] * np.einsum(
            "nij,j->ni", self.turn[:, :2], space.mean.mean(0)
        )
        away = np.linalg.norm(space.mean[:, None] - space.mean[None], axis=2)
        common = FIRST_ERROR[1] ** 2 * np.exp(-0.5 * (away / FIRST_REACH) ** 2)
        self.error = np.stack([FIRST_ERROR[0] ** 2 * np.eye(len(space.mean)) + common] * 2)
        self.weight = np.ones(len(photos.points))

    def round(self, *, settle: bool) -> None:
        """One Gauss-Newton step of every latent, then new covariances."""
        self.dark = np.linalg.cholesky(self.error)  # (2,L,L)
        self.white = np.linalg.inv(self.dark)
        moves = np.concatenate([self.space.expression, self.space.identity])
        # Whitened once: a turn only mixes the three axes.
        self.moves = np.einsum("clm,kmd->cdlk", self.white, moves, optimize=True).astype(np.float32)
        precision = np.linalg.inv(self.covariance)
        second, residuals = np.zeros_like(self.covariance), np.zeros((2, *self.error.shape[1:]))
        spans = list(zip(self.photos.start[:-1], self.photos.start[1:], strict=True))
        for person, (first, last) in enumerate(spans):
            blocks = [self._photo(n, self.identity[person]) for n in range(first, last)]
            alive = self.weight[first:last, None, None]
            left = precision + sum(w * b.left for w, b in zip(alive, blocks, strict=True))
            right = precision @ self.mean + sum(w[0, 0] * b.right for w, b in zip(alive, blocks, strict=True))
            spread = np.linalg.inv(left)
            self.identity[person] = spread @ right
            second += spread
            for n, block in zip(range(first, last), blocks, strict=True):
                self._move(n, block, self.identity[person])
                if self.weight[n]:
                    residuals += self._residual_square(
                        n, block, person, spread if n % UNSURE_STEP == 0 else None
                    )
        if not settle:
            self.mean = self.identity.mean(0)
            centred = self.identity - self.mean
            self.covariance = (second + centred.T @ centred) / len(self.identity)
            error = residuals / self.weight.sum()
            plain = np.stack([np.diag(np.diag(e)) for e in error])
            self.error = (
                (1 - PLAIN_SHARE) * error + PLAIN_SHARE * plain + LEAST_ERROR**2 * np.eye(error.shape[1])
            )
            size = np.array([np.sqrt((self._residual(n) ** 2).mean()) for n in range(len(self.weight))])
            self.weight = (size < BAD_FIT * np.median(size)).astype(float)

    def _posed(self, n: int, person: int | None = None) -> np.ndarray:
        person = int(np.searchsorted(self.photos.start, n, "right") - 1) if person is None else person
        shape = self.space.mean + np.tensordot(self.identity[person], self.space.identity, 1)
        shape = shape + np.tensordot(self.expression[n], self.space.expression, 1)
        return shape @ self.turn[n].T

    def _residual(self, n: int, posed: np.ndarray | None = None) -> np.ndarray:
        """(L,2) mm: the landmarks less the model, at the model's depth."""
        posed = self._posed(n) if posed is None else posed
        seen = (self.photos.points[n] - self.shift[n]) / self.scale[n]
        return seen * (1.0 - posed[:, 2:] / DISTANCE) - posed[:, :2]

    def _photo(self, n: int, identity: np.ndarray) -> _Block:
        posed = self._posed(n)
        off = self._residual(n, posed)
        pose = np.zeros((2, 6, len(posed)))
        x, y, z = posed.T
        pose[0, 1], pose[0, 2], pose[1, 0], pose[1, 2] = z, -y, -z, x
        pose[0, 3], pose[1, 4] = 1.0, 1.0
        pose[:, 5] = posed[:, :2].T
        white = np.matmul(self.white, np.concatenate([pose, off.T[:, None]], axis=1).transpose(0, 2, 1))
        moved = np.einsum("cd,cdlk->clk", self.turn[n, :2].astype(np.float32), self.moves)
        jacobian = np.concatenate([white[..., :6].astype(np.float32), moved], axis=2).reshape(
            2 * len(posed), -1
        )
        target = white[..., 6].reshape(-1).astype(np.float32)
        gram = (jacobian.T @ jacobian).astype(np.float64)
        pull = (jacobian.T @ target).astype(np.float64)
        own = 6 + len(self.space.expression)
        inner = gram[:own, :own].copy()
        inner[np.arange(own), np.arange(own)] += np.r_[
            np.full(6, 1e-6), np.full(own - 6, 1 / EXPRESSION_SPREAD**2)
        ]
        pull[6:own] += (self.photos.activation[n] - self.expression[n]) / EXPRESSION_SPREAD**2
        pull_whole = pull[own:] + gram[own:, own:] @ identity
        inverse = np.linalg.inv(inner)
        answer = inverse @ gram[:own, own:]
        left = gram[own:, own:] - gram[own:, :own] @ answer
        right = pull_whole - gram[own:, :own] @ (inverse @ (pull[:own] + gram[:own, own:] @ identity))
        return _Block(left, right, inverse, answer, pull[:own], identity.copy(), jacobian)

    def _move(self, n: int, block: _Block, identity: np.ndarray) -> None:
        step = block.inverse @ block.pull - block.answer @ (identity - block.identity)
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        self.turn[n] = turn @ self.turn[n]
        self.shift[n] += self.scale[n] * step[3:5]
        self.scale[n] *= np.exp(step[5])
        self.expression[n] += step[6:]

    def _residual_square(self, n: int, block: _Block, person: int, spread: np.ndarray | None) -> np.ndarray:
        """(2,L,L) of the landmarks' error; with ``spread``, what the latents' uncertainty hides."""
        off = self._residual(n, self._posed(n, person))
        square = np.stack([np.outer(o, o) for o in off.T])
        if spread is None:
            return square
        own = len(block.inverse)
        joint = np.concatenate([-block.answer, np.eye(len(spread))])
        joint = joint @ spread @ joint.T
        joint[:own, :own] += block.inverse
        half = block.jacobian @ np.linalg.cholesky(joint + 1e-9 * np.eye(len(joint)))
        half = half.reshape(2, len(off), -1)
        dark = self.dark @ half
        return square + UNSURE_STEP * dark @ dark.transpose(0, 2, 1)


@dataclasses.dataclass(frozen=True)
class _Block:
    """One photo's normal equations with its own latents eliminated."""

    left: np.ndarray
    right: np.ndarray
    inverse: np.ndarray
    answer: np.ndarray
    pull: np.ndarray
    identity: np.ndarray
    jacobian: np.ndarray
