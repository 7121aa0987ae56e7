"""How well codes of faces tell persons apart: clustering scores and verification."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError

Metric = Literal["euclidean", "cosine"]
ROWS = 1024  # rows of the distance matrix at once


def silhouette(
    codes: Float[ndarray, "N K"], labels: Int64[ndarray, " N"], metric: Metric = "euclidean"
) -> float:
    """Mean silhouette coefficient, from -1 to 1, higher is better; SCE (euclidean) or SCC (cosine).

    A code that is alone in its class counts as 0.

    Args:
        codes: shape codes.
        labels: person of each code.
        metric: distance between codes; cosine is ``1 - cos``.

    Raises:
        InputError: fewer than 2 persons, as many persons as codes, or a code of length 0 under cosine.

    **Source:** Rousseeuw 1987; Sphere Face Model, eq. 21.
    **Differs:** (b - a) / max(a, b) and a mean; eq. 21 prints the opposite sign and a sum.
    """
    classes, owner = _classes(codes, labels)
    count = len(classes)
    # In the order of their persons: distances to each are then sums of neighbours.
    order = np.argsort(owner, kind="stable")
    codes, owner = codes[order], owner[order]
    counts = np.bincount(owner, minlength=count)
    sizes, starts = counts.astype(np.float64), np.concatenate([[0], np.cumsum(counts)[:-1]])
    scores = np.zeros(len(codes))
    prepared = _prepared(codes, metric)
    for start in range(0, len(codes), ROWS):
        rows = slice(start, min(start + ROWS, len(codes)))
        totals = np.add.reduceat(_distances(prepared[rows], prepared, metric, start), starts, axis=1)
        mine = np.arange(totals.shape[0]), owner[rows]
        own_size = sizes[owner[rows]]
        inner = totals[mine] / np.maximum(own_size - 1, 1)
        means = totals / sizes
        means[mine] = np.inf
        outer = means.min(1)
        larger = np.maximum(inner, outer)
        score = np.where(larger > 0, (outer - inner) / np.where(larger > 0, larger, 1), 0.0)
        scores[rows] = np.where(own_size > 1, score, 0.0)
    return float(scores.mean())


def calinski_harabasz(codes: Float[ndarray, "N K"], labels: Int64[ndarray, " N"]) -> float:
    """Spread between persons over spread within, higher is better.

    Raises:
        InputError: fewer than 2 persons, or as many persons as codes.

    **Source:** Calinski & Harabasz 1974, ``tr(B) / tr(W) * (N - k) / (k - 1)``.
    """
    classes, owner = _classes(codes, labels)
    count = len(classes)
    values = codes.astype(np.float64)
    sizes = np.bincount(owner, minlength=count)
    means = np.zeros((count, values.shape[1]))
    np.add.at(means, owner, values)
    means /= sizes[:, None]
    between = (sizes[:, None] * (means - values.mean(0)) ** 2).sum()
    within = ((values - means[owner]) ** 2).sum()
    if within == 0:
        return 1.0
    return float(between / within * (len(codes) - count) / (count - 1))


@dataclass(frozen=True)
class Verification:
    """How well similarities tell pairs of one person from pairs of two.

    Attributes:
        accuracy: mean over the folds, each with the threshold that is best on the others.
        accuracy_std: standard deviation over the folds.
        equal_error_rate: where false accepts and false rejects are equally frequent.
        area_under_roc: probability that a pair of one person is more similar than a pair of two.
    """

    accuracy: float
    accuracy_std: float
    equal_error_rate: float
    area_under_roc: float


def pair_similarity(
    first: Float[ndarray, "N K"], second: Float[ndarray, "N K"], metric: Metric = "cosine"
) -> Float[ndarray, " N"]:
    """Similarity of each pair of codes: the cosine, or minus the euclidean distance.

    Raises:
        InputError: a code is not finite, or has length 0 under cosine.
    """
    _finite(first, second)
    if metric == "cosine":
        return (_prepared(first, metric) * _prepared(second, metric)).sum(1)
    return -np.linalg.norm(first - second, axis=1)


def verify(
    similarity: Float[ndarray, " N"], same: Bool[ndarray, " N"], folds: int | Int64[ndarray, " N"] = 10
) -> Verification:
    """Verification by the protocol of Labeled Faces in the Wild.

    Args:
        similarity: of each pair, higher is more alike.
        same: whether the pair shows one person.
        folds: consecutive groups of pairs, as the lists of LFW are ordered; or the fold of each pair.

    Raises:
        InputError: fewer than 2 folds, fewer pairs than folds, pairs of one kind only, or a similarity that
            is not a finite number.
    """
    _finite(similarity)
    groups = _groups(len(similarity), folds)
    if same.all() or not same.any():
        raise InputError("verification needs pairs of one person and pairs of two: got one kind only.")
    accuracies = []
    for fold in groups:
        other = np.ones(len(similarity), dtype=bool)
        other[fold] = False
        threshold = best_threshold(similarity[other], same[other])
        accuracies.append(((similarity[fold] >= threshold) == same[fold]).mean())
    false_accept, true_accept = roc_curve(similarity, same)
    return Verification(
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        equal_error_rate=_equal_error(false_accept, true_accept),
        area_under_roc=float(np.trapezoid(true_accept, false_accept)),
    )


def true_accepts(similarity: Float[ndarray, " N"], same: Bool[ndarray, " N"], false_accepts: float) -> float:
    """TAR at FAR: share of the pairs of one person that are accepted where so few of the others are.

    Raises:
        InputError: pairs of one kind only.
    """
    if same.all() or not same.any():
        raise InputError("verification needs pairs of one person and pairs of two: got one kind only.")
    wrong, right = roc_curve(similarity, same)
    return float(right[wrong <= false_accepts].max())


def roc_curve(
    similarity: Float[ndarray, " N"], same: Bool[ndarray, " N"]
) -> tuple[Float[ndarray, " T"], Float[ndarray, " T"]]:
    """False accept rate and true accept rate from the strictest threshold to the most lenient."""
    order = np.argsort(-similarity, kind="stable")
    values, truth = similarity[order], same[order]
    last = np.append(values[1:] != values[:-1], True)  # equal similarities are accepted together
    accepted = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    true_accept = np.concatenate([[0.0], accepted[0] / truth.sum()])
    return np.concatenate([[0.0], accepted[1] / (~truth).sum()]), true_accept


def _groups(count: int, folds: int | Int64[ndarray, " N"]) -> list[ndarray]:
    """Numbers of the pairs in each fold."""
    if isinstance(folds, int):
        number = folds
        groups = np.array_split(np.arange(count), folds) if 2 <= folds <= count else []
    else:
        kinds = np.unique(folds)
        number, groups = len(kinds), [np.flatnonzero(folds == kind) for kind in kinds]
    if not len(groups) >= 2:
        raise InputError(f"expected 2 to {count} folds (one pair each at least), got {number}.")
    return groups


def best_threshold(similarity: Float[ndarray, " N"], same: Bool[ndarray, " N"]) -> float:
    """The threshold with most pairs right, halfway between two similarities; the strictest of equals."""
    order = np.argsort(-similarity, kind="stable")
    values, truth = similarity[order], same[order]
    right = (~same).sum() + np.concatenate([[0], np.cumsum(np.where(truth, 1, -1))])
    allowed = np.concatenate([[True], values[1:] != values[:-1], [True]])
    best = int(np.argmax(np.where(allowed, right, -1)))
    if best == 0:
        return float(np.nextafter(values[0], np.inf))
    if best == len(values):
        return float(values[-1])
    return float(0.5 * (values[best - 1] + values[best]))


def _equal_error(false_accept: ndarray, true_accept: ndarray) -> float:
    """Where the ROC meets the line false accepts = false rejects, linear between its points."""
    gap = false_accept - (1 - true_accept)
    after = int(np.argmax(gap >= 0))
    if after == 0:
        return float(false_accept[0])
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(false_accept[after - 1] + share * (false_accept[after] - false_accept[after - 1]))


def _finite(*arrays: ndarray) -> None:
    if not all(np.isfinite(each).all() for each in arrays):
        raise InputError("codes and similarities must be finite, got NaN or infinity: leave such photos out.")


def _classes(codes: ndarray, labels: ndarray) -> tuple[ndarray, ndarray]:
    _finite(codes)
    classes, owner = np.unique(labels, return_inverse=True)
    if not 2 <= len(classes) < len(codes):
        raise InputError(
            f"clustering scores need at least 2 persons and more codes than persons, got {len(classes)} "
            f"persons and {len(codes)} codes."
        )
    return classes, owner


def _prepared(codes: ndarray, metric: Metric) -> ndarray:
    values = codes.astype(np.float64)
    if metric == "euclidean":
        return values
    length = np.linalg.norm(values, axis=1, keepdims=True)
    if not (length > 0).all():
        raise InputError("the cosine of a code of length 0 is not defined: leave such codes out.")
    return values / length


def _distances(rows: ndarray, every: ndarray, metric: Metric, start: int) -> ndarray:
    if metric == "cosine":
        distance = 1 - rows @ every.T
    else:
        squares = (rows**2).sum(1)[:, None] + (every**2).sum(1) - 2 * rows @ every.T
        distance = np.sqrt(np.maximum(squares, 0))
    own = np.arange(len(rows))
    distance[own, start + own] = 0.0
    return distance


@dataclass(frozen=True)
class Spread:
    """How far codes lie apart.

    Attributes:
        within: root mean square distance of a person's codes from their mean, each person counting alike.
        between: the same of the people's means from theirs.
    """

    within: float
    between: float

    @property
    def ratio(self) -> float:
        """Within over between: the smaller, the more alike one person stays."""
        return self.within / self.between


def spread(codes: Float[ndarray, "N K"], people: Int64[ndarray, " N"]) -> Spread:
    """Spread of codes within people and between them; who has one code only is left out.

    Raises:
        InputError: fewer than 2 people have 2 codes, or a code is not finite.
    """
    _finite(codes)
    groups = [codes[people == who] for who in np.unique(people)]
    several = [group.astype(np.float64) for group in groups if len(group) > 1]
    if len(several) < 2:
        raise InputError(f"expected 2 people with 2 codes each at least, got {len(several)}.")
    own = [np.square(group - group.mean(0)).sum() / (len(group) - 1) for group in several]
    means = np.stack([group.mean(0) for group in several])
    apart = np.square(means - means.mean(0)).sum() / (len(means) - 1)
    return Spread(float(np.mean(own)) ** 0.5, float(apart) ** 0.5)
