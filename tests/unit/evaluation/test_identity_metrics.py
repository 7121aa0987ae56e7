"""Clustering scores against scikit-learn, verification against closed forms."""

import numpy as np
import pytest

from facewright.core.errors import InputError
from facewright.evaluation import identity_metrics
from facewright.evaluation.identity_metrics import (
    calinski_harabasz,
    pair_similarity,
    roc_curve,
    silhouette,
    spread,
    verify,
)


def codes_of(persons=7, each=9, spread=0.8, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(persons), each)
    labels = np.append(labels, persons)  # one person with a single code
    centres = rng.normal(0, 1, (persons + 1, 12))
    return centres[labels] + rng.normal(0, spread, (len(labels), 12)), labels * 10 - 3


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("rows", [1024, 10])
def test_silhouette_is_that_of_scikit_learn(metric, rows, monkeypatch):
    peer = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a development dependency")
    monkeypatch.setattr(identity_metrics, "ROWS", rows)
    codes, labels = codes_of()
    assert silhouette(codes, labels, metric) == pytest.approx(
        peer.silhouette_score(codes, labels, metric=metric), abs=1e-6
    )


def test_calinski_harabasz_is_that_of_scikit_learn():
    peer = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a development dependency")
    codes, labels = codes_of(spread=1.5, seed=3)
    assert calinski_harabasz(codes, labels) == pytest.approx(
        peer.calinski_harabasz_score(codes, labels), rel=1e-6
    )


def test_scores_by_hand():
    codes, labels = np.array([[0.0, 0], [0, 2], [10, 0], [10, 2]]), np.array([0, 0, 1, 1])
    outer = (10 + np.sqrt(104)) / 2
    assert silhouette(codes, labels) == pytest.approx((outer - 2) / outer)
    assert calinski_harabasz(codes, labels) == pytest.approx(100 / 4 * 2)
    assert silhouette(codes, np.array([0, 1, 0, 1])) < 0  # control: exchanged persons


def test_scores_need_persons():
    codes = np.zeros((4, 2)) + np.arange(4)[:, None]
    for labels in (np.zeros(4, int), np.arange(4)):
        with pytest.raises(InputError, match="persons"):
            silhouette(codes, labels)
        with pytest.raises(InputError, match="persons"):
            calinski_harabasz(codes, labels)
    with pytest.raises(InputError, match="length 0"):
        silhouette(codes, np.array([0, 0, 1, 1]), "cosine")


def test_verification_of_separable_pairs_is_perfect():
    same = np.tile([True, False], 50)
    found = verify(np.where(same, 0.8, 0.1) + np.linspace(0, 0.05, 100), same)
    assert (found.accuracy, found.accuracy_std, found.equal_error_rate, found.area_under_roc) == (1, 0, 0, 1)
    turned = verify(np.where(same, 0.1, 0.8), same)  # control: minus the similarity
    assert turned.area_under_roc == 0
    assert turned.equal_error_rate == 1


def test_verification_of_two_gaussians_has_its_closed_form():
    rng = np.random.default_rng(0)
    same = np.arange(60_000) % 2 == 0
    found = verify(rng.normal(np.where(same, 2.0, 0.0), 1.0), same)
    assert found.equal_error_rate == pytest.approx(0.158655, abs=0.004)  # Phi(-1)
    assert found.accuracy == pytest.approx(0.841345, abs=0.004)
    assert found.area_under_roc == pytest.approx(0.921350, abs=0.003)  # Phi(sqrt 2)


def test_area_is_that_of_scikit_learn_with_ties():
    peer = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a development dependency")
    rng = np.random.default_rng(4)
    same = rng.random(300) < 0.4
    similarity = np.round(rng.normal(same, 1.0), 1)
    assert verify(similarity, same).area_under_roc == pytest.approx(peer.roc_auc_score(same, similarity))
    false_accept, true_accept = roc_curve(similarity, same)
    assert (np.diff(false_accept) >= 0).all()
    assert (true_accept[-1], false_accept[-1]) == (1, 1)


def test_a_threshold_is_never_chosen_on_its_own_fold():
    """Each fold's similarities are shifted: thresholds of the others are wrong, one's own would be right."""
    same = np.tile([True, False], 10)
    shift = np.repeat([0.0, 100.0], 10)
    assert verify(np.where(same, 1.0, 0.0) + shift, same, folds=2).accuracy == 0.5


def test_pair_similarity_and_bad_input():
    a, b = np.array([[3.0, 4.0]]), np.array([[6.0, 8.0]])
    assert pair_similarity(a, b)[0] == pytest.approx(1)
    assert pair_similarity(a, b, "euclidean")[0] == pytest.approx(-5)
    with pytest.raises(InputError, match="one kind"):
        verify(np.zeros(20), np.ones(20, dtype=bool))
    with pytest.raises(InputError, match="folds"):
        verify(np.zeros(3), np.array([True, False, True]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(wrong: float) -> None:
    codes = np.random.default_rng(0).normal(size=(20, 3))
    damaged = codes.copy()
    damaged[7, 1] = wrong
    for metric in ("cosine", "euclidean"):
        for pair in ((codes, damaged), (damaged, codes)):
            with pytest.raises(InputError, match="finite"):
                pair_similarity(*pair, metric)
    with pytest.raises(InputError, match="finite"):
        verify(damaged[:, 1], np.tile([True, False], 10))
    with pytest.raises(InputError, match="finite"):
        spread(damaged, np.arange(20) // 4)


def test_the_spread_of_a_person_is_measured_from_their_mean() -> None:
    codes = np.array([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [10.0, 2.0], [99.0, 99.0]])
    found = spread(codes, np.array([0, 0, 1, 1, 2]))  # the third has one code only
    assert found.within == pytest.approx(2**0.5)
    assert found.between == pytest.approx((np.square([1 - 10, 0 - 1]).sum() / 2) ** 0.5)
    assert found.ratio == found.within / found.between
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(50), 4)
    wide = rng.normal(size=(50, 8))[people] * 3
    assert spread(wide + rng.normal(size=(200, 8)), people).ratio == pytest.approx(1 / 3, rel=0.1)
    with pytest.raises(InputError, match="2 people"):
        spread(codes, np.arange(5))
