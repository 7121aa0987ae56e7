"""Principal components of heads in one topology, and the three curves by which such models are compared.

Everything runs on the Gram matrix of the samples, in float64 over blocks of float32 coordinates: N samples of
V vertices cost N^2 V operations and, beside the samples themselves, N^2 numbers of memory.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.alignment import align_points

BLOCK = 3 * 1_024  # coordinates that are looked at together: whole vertices
ROUNDS = 10  # of Procrustes; it settles within three or four
SETTLED = 1e-3  # mm
STEPS = 25
LEFT_OUT = 300  # heads that are left out in turn, at most


@dataclass(frozen=True)
class Components:
    """A mean and what varies around it.

    Attributes:
        mean: weighted mean of the samples.
        basis: displacement of one standard deviation, most varying first.
        variance: of all components there are (mm^2, summed over coordinates), also those that were left out.
    """

    mean: Float[ndarray, "V 3"]
    basis: Float[ndarray, "K V 3"]
    variance: Float[ndarray, " R"]


@dataclass(frozen=True)
class ModelCurves:
    """How a model does with 0, 1, 2 ... components.

    Attributes:
        components: the numbers of components.
        compactness: share of the variance that they carry.
        generalisation: mean distance (mm) between a vertex of an unseen head and its best reconstruction.
        specificity: mean distance (mm) between a vertex of a random head and the nearest sample's.
    """

    components: Int64[ndarray, " C"]
    compactness: Float[ndarray, " C"]
    generalisation: Float[ndarray, " C"]
    specificity: Float[ndarray, " C"]


def procrustes(
    samples: Float[ndarray, "N V 3"],
    chosen: Int64[ndarray, " S"],
    weights: Float[ndarray, " N"] | None = None,
    *,
    with_scale: bool = False,
) -> Float[ndarray, "N V 3"]:
    """Move every sample onto their common mean (generalised Procrustes), in the frame of the given mean.

    Args:
        samples: heads in one topology, mm.
        chosen: vertices that decide where a head is; the others follow.
        weights: how much each counts in the mean; all alike if None.
        with_scale: also take away differences of size.

    Raises:
        InputError: a weight is out of range.

    **Source:** Gower 1975: align to the mean, take the mean anew, until it stays.
    """
    points = torch.from_numpy(np.ascontiguousarray(samples[:, chosen], dtype=np.float64))
    part = torch.from_numpy(_shares(weights, len(samples)))[:, None, None]
    first = (part * points).sum(0)
    mean = first
    alignment = align_points(points, mean.expand_as(points), with_scale=with_scale)
    for _ in range(ROUNDS):
        moved = (part * alignment.apply(points)).sum(0)
        # The mean itself must neither drift nor shrink while all are aligned to it.
        back = align_points(moved[None], first[None], with_scale=with_scale)
        moved = back.apply(moved[None])[0]
        step = float((moved - mean).norm(dim=1).max())
        mean = moved
        alignment = align_points(points, mean.expand_as(points), with_scale=with_scale)
        if step < SETTLED:
            break
    rotation, translation = alignment.rotation.numpy(), alignment.translation.numpy()
    scaled = alignment.scale.numpy()[:, None, None] * rotation.transpose(0, 2, 1)
    result = np.empty(samples.shape, dtype=np.float32)
    for row, sample in enumerate(samples):
        result[row] = sample.astype(np.float64) @ scaled[row] + translation[row]
    return result


def principal_components(
    samples: Float[ndarray, "N V 3"],
    weights: Float[ndarray, " N"] | None = None,
    *,
    count: int | None = None,
    share: float | None = None,
) -> Components:
    """Weighted principal components.

    Args:
        samples: heads in one topology and one frame, mm.
        weights: how much each counts; all alike if None. Two of weight 1 are one of weight 2.
        count: at most so many components; all that there are if None.
        share: as many components as carry this share of the variance; all if None.

    Raises:
        InputError: fewer than two samples count, or a weight or choice is out of range.

    **Source:** Blanz & Vetter 1999, sec. 3; the eigenvectors from the Gram matrix (Turk & Pentland 1991).
    """
    part = _shares(weights, len(samples))
    effective = 1 / (part**2).sum()
    if effective < 1.5:
        raise InputError("principal components need two heads at least.")
    if share is not None and not 0 < share <= 1:
        raise InputError(f"expected a share of variance above 0 and up to 1, got {share}.")
    if count is not None and count < 1:
        raise InputError(f"expected one component or more, got {count}.")
    flat = samples.reshape(len(samples), -1)
    mean = np.einsum("n,nc->c", part, flat, dtype=np.float64)
    # Unbiased for equal weights: the sum of squares over N - 1.
    root = np.sqrt(part / (1 - 1 / effective))
    variance, vectors = np.linalg.eigh(_gram(flat, mean, root))
    variance, vectors = variance[::-1].clip(0), vectors[:, ::-1]
    rank = int((variance > 1e-9 * max(variance[0], 1e-300)).sum()) if variance[0] > 0 else 0
    keep = _kept(variance[:rank], count, share)
    basis = np.empty((keep, flat.shape[1]), dtype=np.float32)
    directions = root[:, None] * vectors[:, :keep]
    for start in range(0, flat.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        basis[:, block] = directions.T @ (flat[:, block].astype(np.float64) - mean[block])
    # A sign is arbitrary; the largest movement is made positive, so that a rebuild gives the same model.
    largest = np.abs(basis).argmax(axis=1) if keep else np.zeros(0, dtype=np.int64)
    basis *= np.sign(basis[np.arange(keep), largest])[:, None]
    return Components(mean.reshape(-1, 3), basis.reshape(keep, -1, 3), variance[:rank])


def _shares(weights: ndarray | None, count: int) -> ndarray:
    """Weights that add up to 1, float64.

    Raises:
        InputError: there is not one of 0 or more for each head, or all are 0.
    """
    weights = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (count,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"expected {count} weights of 0 or more, got {weights.shape}.")
    if not 0 < weights.sum() < np.inf:
        raise InputError("expected heads that count, got only weights of 0.")
    return weights / weights.sum()


def _kept(variance: ndarray, count: int | None, share: float | None) -> int:
    keep = len(variance) if count is None else min(count, len(variance))
    if share is not None and len(variance):
        carried = np.cumsum(variance) / variance.sum()
        keep = min(keep, int(np.searchsorted(carried, share - 1e-12)) + 1)
    return keep


def _gram(flat: ndarray, mean: ndarray, root: ndarray) -> ndarray:
    """Inner products (N,N) of the weighted, centred samples."""
    gram = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        centred = (flat[:, block].astype(np.float64) - mean[block]) * root[:, None]
        gram += centred @ centred.T
    return gram


def principal_axes(mean: Float[ndarray, "V 3"], basis: Float[ndarray, "K V 3"]) -> Components:
    """The same distribution with orthogonal components in the order of their variance.

    Args:
        mean: of a linear model.
        basis: displacement of one standard deviation of independent coefficients, in any order.
    """
    flat = basis.reshape(len(basis), -1)
    variance, vectors = np.linalg.eigh(_gram(flat, np.zeros(flat.shape[1]), np.ones(len(flat))))
    variance, vectors = variance[::-1].clip(0), vectors[:, ::-1]
    rank = int((variance > 1e-9 * variance[0]).sum())
    axes = (vectors[:, :rank].T @ flat).astype(np.float32)
    return Components(np.asarray(mean, dtype=np.float64), axes.reshape(rank, *mean.shape), variance[:rank])


def reconstruction_error(
    model: Components, samples: Float[ndarray, "N V 3"], components: Int64[ndarray, " C"]
) -> Float[ndarray, " C"]:
    """Mean distance (mm) between the vertices of heads and their best reconstructions by a given model.

    Args:
        model: with orthogonal components.
        samples: heads that the model was not built of, in its topology and frame.
        components: numbers of components.
    """
    flat = model.basis.reshape(len(model.basis), -1)
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    centred = samples.reshape(len(samples), -1) - model.mean.reshape(-1).astype(np.float32)
    scores = centred @ unit.T
    errors = np.empty(len(components))
    for place, k in enumerate(components):
        rest = centred - scores[:, :k] @ unit[:k]
        errors[place] = np.linalg.norm(rest.reshape(len(rest), -1, 3), axis=2).mean()
    return errors


def compactness(variance: Float[ndarray, " R"], components: Int64[ndarray, " C"]) -> Float[ndarray, " C"]:
    """Share of the variance that the first components carry.

    **Source:** Davies 2002, "Learning shape: optimal models for analysing natural variability", sec. 6.
    """
    carried = np.concatenate([[0.0], np.cumsum(variance)]) / max(variance.sum(), 1e-300)
    return carried[np.minimum(components, len(variance))]


def generalisation(
    samples: Float[ndarray, "N V 3"],
    components: Int64[ndarray, " C"],
    left_out: Int64[ndarray, " L"] | None = None,
    weights: Float[ndarray, " N"] | None = None,
) -> Float[ndarray, " C"]:
    """Leave-one-out error: a sample is reconstructed by a model of all the others.

    Mean over samples (by their weights) and vertices of the distance (mm), for each number of components. A
    number that is more than the others can give is answered with all of theirs.

    Args:
        samples: heads in one topology and one frame, mm.
        components: numbers of components.
        left_out: the samples that are left out in turn; every one if None.
        weights: how much each counts; all alike if None. A sample is left out with all its weight.

    Raises:
        InputError: fewer than three heads count, or a weight is out of range.

    **Source:** Davies 2002, sec. 6, with distances of vertices (Styner et al. 2003) and not of their squares.
    **Differs:** the model of the others is never formed: a reconstruction is a mixture of the others whose
    weights come from the Gram matrix without one row and column; one eigenproblem of N a sample.
    """
    part = _shares(weights, len(samples))
    if (part > 0).sum() < 3:
        raise InputError("leave-one-out needs three heads at least.")
    flat = samples.reshape(len(samples), -1)
    mean = flat.mean(0, dtype=np.float64)
    gram = _gram(flat, mean, np.ones(len(flat)))
    chosen = np.arange(len(flat)) if left_out is None else left_out
    mixtures = np.concatenate([_mixtures_without(gram, part, int(left), components) for left in chosen])
    targets = np.repeat(chosen, len(components))
    total = np.zeros(len(targets))
    for start in range(0, flat.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        centred = (flat[:, block] - mean[block]).astype(np.float32)
        difference = mixtures @ centred
        for row, target in enumerate(targets):
            difference[row] -= centred[target]
        total += np.linalg.norm(difference.reshape(len(targets), -1, 3), axis=2).sum(1)
    errors = total / (flat.shape[1] // 3)
    return np.average(errors.reshape(len(chosen), len(components)), axis=0, weights=part[chosen])


def _mixtures_without(gram: ndarray, part: ndarray, left: int, components: ndarray) -> ndarray:
    """Weights (C,N) of all samples in the reconstructions of one by the others; its own is 0, the sum 1."""
    others = np.delete(np.arange(len(gram)), left)
    inner = gram[np.ix_(others, others)]
    # Centring on the mean of the others, by inner products alone.
    share = part[others] / part[others].sum()
    root = np.sqrt(share)
    row = share @ inner
    centred = inner - row[None] - row[:, None] + share @ row
    toward = gram[others, left]
    toward = toward - share @ toward - row + share @ row
    variance, vectors = np.linalg.eigh(root[:, None] * centred * root)
    variance, vectors = variance[::-1], vectors[:, ::-1]
    rank = int((variance > 1e-9 * variance[0]).sum())
    # Unit component k is sum_j v_jk root_j (x_j - mean) / sqrt(variance_k), and the coordinate of the
    # left-out head along it is (v_k . root toward) / sqrt(variance_k).
    scores = (vectors[:, :rank].T @ (root * toward)) / variance[:rank]
    own = np.stack([root * (vectors[:, :k] @ scores[:k]) for k in np.minimum(components, rank)])
    result = np.zeros((len(components), len(gram)), dtype=np.float32)
    result[:, others] = own + share * (1 - own.sum(1, keepdims=True))
    return result


def specificity(
    model: Components,
    samples: Float[ndarray, "N V 3"],
    components: Int64[ndarray, " C"],
    *,
    draws: int,
    generator: torch.Generator,
) -> Float[ndarray, " C"]:
    """How near to real heads random ones are: mean distance (mm) of a vertex to the nearest sample's.

    Args:
        model: drawn from with independent standard normal coefficients.
        samples: the real heads.
        components: numbers of components that are drawn.
        draws: random heads for each.
        generator: of the coefficients.

    **Source:** Davies 2002, sec. 6; the nearest by root mean square distance, the mean distance told.
    """
    flat = torch.from_numpy(np.ascontiguousarray(samples.reshape(len(samples), -1), dtype=np.float32))
    mean = torch.from_numpy(model.mean.reshape(-1)).float()
    basis = torch.from_numpy(model.basis.reshape(len(model.basis), -1))
    drawn = torch.randn(draws, len(basis), generator=generator)
    centred = flat - mean
    lengths = centred.square().sum(1)
    return np.array(
        [
            _nearest_distance(drawn[:, : min(int(k), len(basis))] @ basis[: int(k)], centred, lengths)
            for k in components
        ]
    )


def _nearest_distance(heads: Tensor, samples: Tensor, lengths: Tensor) -> float:
    squared = lengths - 2 * heads @ samples.T
    nearest = squared.argmin(1)
    distances = (heads - samples[nearest]).unflatten(1, (-1, 3)).norm(dim=2)
    return float(distances.mean())


def model_curves(
    samples: Float[ndarray, "N V 3"],
    weights: Float[ndarray, " N"] | None = None,
    *,
    components: Int64[ndarray, " C"] | None = None,
    draws: int = 200,
    generator: torch.Generator | None = None,
) -> ModelCurves:
    """Compactness, generalisation and specificity of the model that some heads give.

    Args:
        samples: heads in one topology and one frame, mm.
        weights: how much each counts, in the model and where it is left out; all alike if None. Specificity
            takes the nearest of all that count.
        components: numbers of components to look at; about 25 up to all there are if None.
        draws: random heads for each point of specificity.
        generator: of the random heads; seeded with 0 if None.

    Raises:
        InputError: fewer than three heads count, or a weight is out of range.
    """
    counting = _shares(weights, len(samples)) > 0
    if weights is not None and not counting.all():
        samples, weights = samples[counting], weights[counting]
    if len(samples) < 3:
        raise InputError(f"curves need three heads at least, got {len(samples)}.")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    model = principal_components(samples, weights)
    most = min(len(model.basis), len(samples) - 2)
    left_out = torch.randperm(len(samples), generator=generator)[:LEFT_OUT].sort().values.numpy()
    if components is None:
        components = np.unique(np.round(np.linspace(0, most, min(STEPS, most + 1))).astype(np.int64))
    return ModelCurves(
        components=components,
        compactness=compactness(model.variance, components),
        generalisation=generalisation(samples, components, left_out, weights),
        specificity=specificity(model, samples, components, draws=draws, generator=generator),
    )
