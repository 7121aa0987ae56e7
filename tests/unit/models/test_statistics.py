"""Principal components and the curves against what is known, and against plain repetition."""

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.models.statistics import (
    compactness,
    generalisation,
    model_curves,
    principal_axes,
    principal_components,
    procrustes,
    reconstruction_error,
    specificity,
)


def drawn(count: int, vertices: int = 60, deviations=(9.0, 4.0, 1.0), seed: int = 0) -> tuple:
    """Heads of a known linear model: its unit directions are orthonormal."""
    generator = np.random.default_rng(seed)
    mean = generator.standard_normal((vertices, 3)) * 50
    basis = np.linalg.qr(generator.standard_normal((3 * vertices, len(deviations))))[0].T
    basis = basis * np.array(deviations)[:, None]
    coefficients = generator.standard_normal((count, len(deviations)))
    samples = mean + (coefficients @ basis).reshape(count, vertices, 3)
    return samples.astype(np.float32), mean, basis.reshape(len(basis), vertices, 3)


def test_a_known_model_is_found() -> None:
    samples, mean, basis = drawn(500)
    model = principal_components(samples)
    assert len(model.basis) == 3
    assert np.allclose(model.mean, mean, atol=1.5)
    assert np.allclose(np.sqrt(model.variance), (9, 4, 1), rtol=0.1)
    for found, true in zip(model.basis, basis, strict=True):
        cosine = abs((found * true).sum()) / np.linalg.norm(found) / np.linalg.norm(true)
        assert cosine > 0.99
        assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(true), rel=0.1)


def test_components_are_those_of_the_covariance() -> None:
    samples, *_ = drawn(12)
    model = principal_components(samples)
    covariance = np.cov(samples.reshape(12, -1).T.astype(np.float64))
    expected = np.linalg.eigvalsh(covariance)[::-1][:3]
    assert np.allclose(model.variance[:3], expected, rtol=1e-4)
    flat = model.basis.reshape(len(model.basis), -1)
    assert np.allclose(flat.T @ flat, covariance, atol=1e-3)
    assert not np.allclose(flat.T @ flat, covariance * 12 / 11, atol=1e-3)


def test_weights_count_as_repetition() -> None:
    samples, *_ = drawn(6)
    weights = np.array([1.0, 2, 1, 3, 1, 0])
    repeated = np.repeat(samples, weights.astype(int), axis=0)
    a, b = principal_components(samples, weights), principal_components(repeated)
    assert np.allclose(a.mean, b.mean, atol=1e-4)
    ratio = a.variance[:3] / b.variance[:3]
    assert np.allclose(ratio, ratio[0], rtol=1e-4)  # directions and proportions; the size by effective number
    effective = 8**2 / 16
    assert ratio[0] == pytest.approx((7 / 8) / (1 - 1 / effective), rel=1e-4)
    plain = principal_components(samples)
    assert not np.allclose(a.mean, plain.mean, atol=1e-2)


def test_how_many_components_are_kept() -> None:
    samples, *_ = drawn(200)
    assert len(principal_components(samples, count=2).basis) == 2
    assert len(principal_components(samples, count=50).basis) == 3
    assert len(principal_components(samples, share=0.7).basis) == 1
    assert len(principal_components(samples, share=0.9).basis) == 2
    assert len(principal_components(samples, share=1.0).basis) == 3
    for share in (0.0, 1.5):
        with pytest.raises(InputError):
            principal_components(samples, share=share)
    with pytest.raises(InputError):
        principal_components(samples, count=0)
    with pytest.raises(InputError):
        principal_components(samples, -np.ones(200))
    with pytest.raises(InputError, match="two heads"):
        principal_components(samples[:1])


@pytest.mark.parametrize("with_scale", [False, True])
def test_procrustes_takes_pose_away(with_scale: bool) -> None:
    samples, mean, _ = drawn(20, deviations=(2.0,))
    generator = np.random.default_rng(3)
    moved = np.empty_like(samples)
    for row, sample in enumerate(samples):
        axis = generator.standard_normal(3) * 0.2
        angle = np.linalg.norm(axis)
        x, y, z = axis / angle
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        size = generator.uniform(0.8, 1.2) if with_scale else 1.0
        moved[row] = size * sample @ rotation.T + generator.standard_normal(3) * 10
    aligned = procrustes(moved, np.arange(60), with_scale=with_scale)
    before, after = (principal_components(s).variance.sum() for s in (moved, aligned))
    assert after < 4.5  # the true variance is 4; pose adds hundreds
    assert before > 100
    if not with_scale:
        lengths = [np.linalg.norm(s[0] - s[1]) for s in (samples[4], aligned[4])]
        assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)
    assert np.linalg.norm(mean.mean(0) - aligned.mean((0, 1))) < 10


def test_procrustes_lies_on_the_weighted_mean() -> None:
    samples, *_ = drawn(6, deviations=(9.0, 4.0, 2.0))
    weights = np.array([1.0, 2, 1, 3, 1, 0])
    repeated = procrustes(np.repeat(samples, weights.astype(int), axis=0), np.arange(60))
    weighted = procrustes(samples, np.arange(60), weights)
    assert np.allclose(weighted[[0, 1, 3]], repeated[[0, 1, 4]], atol=1e-3)
    assert not np.allclose(procrustes(samples, np.arange(60))[0], repeated[0], atol=1e-2)


def error_of(head: np.ndarray, others: np.ndarray, components) -> list[float]:
    """Mean distance between a head and its reconstruction by a model of others."""
    flat = others.reshape(len(others), -1).astype(np.float64)
    _, _, vh = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    own = head.reshape(-1) - flat.mean(0)
    rests = [own - vh[:k].T @ (vh[:k] @ own) for k in components]
    return [np.linalg.norm(rest.reshape(-1, 3), axis=1).mean() for rest in rests]


def by_repetition(samples: np.ndarray, components, times=None) -> np.ndarray:
    """Each head left out with all its repetitions; it is told as often as it is there."""
    times = np.ones(len(samples), dtype=int) if times is None else times
    errors = []
    for left, head in enumerate(samples):
        others = np.repeat(np.delete(samples, left, axis=0), np.delete(times, left), axis=0)
        errors.append(error_of(head, others, components))
    return np.average(errors, axis=0, weights=times)


def test_leave_one_out_equals_plain_repetition() -> None:
    samples, *_ = drawn(9, deviations=(9.0, 4.0, 2.0, 1.0, 1.0, 0.5))
    components = np.array([0, 1, 2, 4, 6])
    found = generalisation(samples, components)
    assert np.allclose(found, by_repetition(samples, components), rtol=1e-3, atol=1e-4)
    assert (np.diff(found) < 0).all()
    included = principal_components(samples)
    assert not np.allclose(found, by_repetition(samples * 1.05, components), rtol=1e-3)
    assert len(included.basis) == 6


def test_weighted_leave_one_out_equals_repetition() -> None:
    samples, *_ = drawn(8, deviations=(9.0, 4.0, 2.0, 1.0, 1.0, 0.5))
    weights, components = np.array([1, 4, 1, 2, 1, 3, 1, 0]), np.array([0, 1, 3])
    found = generalisation(samples, components, weights=weights.astype(float))
    assert np.allclose(found, by_repetition(samples, components, weights), rtol=1e-3, atol=1e-4)
    assert not np.allclose(found, generalisation(samples, components), rtol=1e-2)
    with pytest.raises(InputError, match="three heads"):
        generalisation(samples, components, weights=np.array([1.0, 1, 0, 0, 0, 0, 0, 0]))


def test_compactness_and_specificity_of_known_models() -> None:
    samples, *_ = drawn(200)
    model = principal_components(samples)
    counts = np.array([0, 1, 2, 3])
    assert np.allclose(compactness(np.array([81.0, 16, 1]), counts), [0, 81 / 98, 97 / 98, 1])
    generator = torch.Generator().manual_seed(1)
    own = specificity(model, samples, counts, draws=100, generator=generator)
    stranger = specificity(model, samples + np.float32(5), counts, draws=100, generator=generator)
    assert own[0] < own[3] < 0.5
    assert (stranger > own + 5).all()


def test_principal_axes_keep_the_distribution() -> None:
    _, mean, basis = drawn(1)
    generator = np.random.default_rng(4)
    turn = np.linalg.qr(generator.standard_normal((3, 3)))[0]
    model = principal_axes(mean, np.einsum("jk,kvc->jvc", turn, basis))
    assert np.allclose(model.variance, (81, 16, 1), rtol=1e-4)
    assert np.allclose(np.abs(model.basis[0]), np.abs(basis[0]), atol=1e-3)


def test_error_of_a_given_model() -> None:
    samples, mean, basis = drawn(30)
    model = principal_axes(mean, basis)
    errors = reconstruction_error(model, samples, np.array([0, 2, 3]))
    away = np.linalg.norm(samples - mean, axis=2).mean()
    assert errors[0] == pytest.approx(away, rel=1e-4)
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4 * errors[0]


def test_curves() -> None:
    samples, *_ = drawn(20, deviations=(9.0, 4.0, 2.0, 1.0, 1.0, 0.5))
    curves = model_curves(samples, components=np.array([0, 1, 3, 6]), draws=20)
    assert curves.components[0] == 0
    assert (np.diff(curves.compactness) > 0).all()
    assert (np.diff(curves.generalisation) < 0).all()
    assert curves.compactness[-1] == pytest.approx(1)
    with pytest.raises(InputError, match="three heads"):
        model_curves(samples[:2])


def test_curves_are_those_of_the_weighted_model() -> None:
    samples, *_ = drawn(20, deviations=(9.0, 4.0, 2.0, 1.0, 1.0, 0.5))
    weights, components = np.where(np.arange(20) < 12, 1.0, 0.0), np.array([0, 1, 3])
    weighted, few, all_ = (
        model_curves(heads, own, components=components, draws=20)
        for heads, own in ((samples, weights), (samples[:12], None), (samples, None))
    )
    for name in ("compactness", "generalisation", "specificity"):
        assert np.allclose(getattr(weighted, name), getattr(few, name), rtol=1e-5), name
        assert not np.allclose(getattr(weighted, name), getattr(all_, name), rtol=1e-3), name
    heavy = model_curves(samples, np.where(np.arange(20) == 3, 9.0, 1.0), components=components, draws=20)
    assert abs(heavy.compactness[1] - all_.compactness[1]) > 1e-3
