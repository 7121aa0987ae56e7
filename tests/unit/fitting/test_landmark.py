"""The landmark fit recovers what made the landmarks."""

from dataclasses import replace

import jaxtyping
import pytest
import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.core.errors import InputError
from facewright.detection.points import LIDS, LIPS
from facewright.fitting import blocks
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.settings import LandmarkFitSettings
from facewright.scene.camera import PerspectiveCamera

SIZE = (600, 800)
# Trusts exact landmarks; the defaults are for detected ones.
EXACT = LandmarkFitSettings(landmark_std=0.2, iterations=30)


def fit(model, basis, pixels, truth, settings=EXACT, **options):
    focal = truth.camera.focal
    return fit_landmarks(model, pixels, SIZE, focal=focal, basis=basis, settings=settings, **options)


def shape_error(model, fit, truth):
    """Mean distance (mm) of the fitted neutral heads from the true ones, in the head frame."""
    found = model.vertices(fit.parameters.identity)
    return (found - model.vertices(truth.identity)).norm(dim=-1).mean(1)


def test_exact_landmarks_give_the_head_back(model, basis, pixels, truth):
    # A prior pulls the shape to the mean, and the pose makes up for it: hardly any here. Turning and bending
    # the head look much alike in one photo, so the last degree takes many steps of the grouped metric.
    weak = replace(EXACT, landmark_std=0.02, identity_strength=0.01, expression_strength=0.01, iterations=100)
    found = fit(model, basis, pixels, truth, weak)
    mean_error = (model.mean - model.vertices(truth.identity)).norm(dim=-1).mean()
    assert found.residual.max() < 4e-4
    assert shape_error(model, found, truth).max() < 0.1 * mean_error

    def angle(fit):
        return torch.linalg.matrix_norm(fit.parameters.pose.rotation - truth.pose.rotation).max()

    assert angle(found) < 0.01
    assert (found.parameters.expression - truth.expression).abs().mean() < 0.03
    # Control: ten steps are not enough.
    assert angle(fit(model, basis, pixels, truth, replace(weak, iterations=10))) > 0.01


def test_fitted_landmarks_are_on_the_fitted_head(model, basis, pixels, truth):
    found = fit(model, basis, pixels, truth)
    vertices = model.vertices(found.parameters.identity, found.parameters.expression)
    points = model.landmark_points(vertices, "dense478")
    torch.testing.assert_close(found.landmarks_head, points, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.landmarks_px, landmarks_of(model, found.parameters), atol=1e-2, rtol=0)


def test_the_curvature_is_close_to_the_dense_one(model, basis, pixels, truth):
    """Steps with the grouped metric converge as fast as Gauss-Newton: hardly anything is left after six."""
    few = fit(model, basis, pixels, truth, replace(EXACT, iterations=6))
    many = fit(model, basis, pixels, truth, replace(EXACT, iterations=40))
    one = fit(model, basis, pixels, truth, replace(EXACT, iterations=1))
    assert few.residual.mean() < many.residual.mean() + 2e-3
    assert one.residual.mean() > 3 * few.residual.mean()


def test_expressions_stay_between_rest_and_full(model, basis, pixels, truth):
    found = fit(model, basis, pixels, truth)
    assert found.parameters.expression.min() >= 0
    assert found.parameters.expression.max() <= 1
    assert (found.parameters.expression == 0).any()


def test_wrong_points_count_little(model, basis, pixels, truth):
    clean = fit(model, basis, pixels, truth)
    broken = pixels.clone()
    broken[:, ::12] += 25
    robust = fit(model, basis, broken, truth)
    trusting = fit(model, basis, broken, truth, replace(EXACT, robust_freedom=1e9))
    truth_error = shape_error(model, clean, truth).mean()
    assert shape_error(model, robust, truth).mean() < truth_error + 0.5
    assert shape_error(model, trusting, truth).mean() > shape_error(model, robust, truth).mean() + 0.5


def test_points_of_weight_zero_do_not_count(model, basis, pixels, truth):
    broken = pixels.clone()
    broken[:, 200:240] += 300
    weights = torch.ones(pixels.shape[:2])
    weights[:, 200:240] = 0
    found = fit(model, basis, broken, truth, weights=weights)
    assert (
        shape_error(model, found, truth).mean()
        < shape_error(model, fit(model, basis, pixels, truth), truth).mean() + 0.3
    )


def test_each_face_is_fitted_as_if_it_were_alone(model, basis, pixels, truth):
    together = fit(model, basis, pixels, truth)
    one = fit_landmarks(model, pixels[3:4], SIZE, focal=truth.camera.focal[3:4], basis=basis, settings=EXACT)
    torch.testing.assert_close(together.parameters.identity[3:4], one.parameters.identity, atol=5e-3, rtol=0)


def test_persons_in_blocks_are_fitted_as_all_at_once(model, basis, monkeypatch):
    """Persons whose photos are not beside one another, one with more photos than a block."""
    count = 11
    groups = torch.tensor([4, 0, 1, 0, 2, 2, 1, 2, 2, 3, 0])
    truth = draw_parameters(model, count, seed=3)
    truth = replace(truth, identity=truth.identity[groups])
    pixels, settings = landmarks_of(model, truth), replace(EXACT, iterations=4)
    found = fit_landmarks(model, pixels, SIZE, groups=groups, basis=basis, settings=settings)
    monkeypatch.setattr(blocks, "PHOTOS", 3)
    threads, fits = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            fits.append(fit_landmarks(model, pixels, SIZE, groups=groups, basis=basis, settings=settings))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    for name in ("identity", "expression"):
        whole, one, two = (getattr(each.parameters, name) for each in (found, *fits))
        torch.testing.assert_close(one, whole, atol=2e-3, rtol=0)
        assert torch.equal(one, two)
        assert (whole[1] - whole[2]).abs().max() > 0.02  # the persons do differ


def test_photos_of_different_sizes_keep_their_own(model, basis, pixels):
    sizes = [(600, 800)] * 7 + [(700, 640)]
    found = fit_landmarks(model, pixels, sizes, basis=basis)
    assert found.parameters.camera.size == (700, 800)
    assert found.select(7).parameters.camera.size == (700, 640)
    camera = found.select(7).parameters.camera
    assert isinstance(camera, PerspectiveCamera)
    torch.testing.assert_close(camera.principal, torch.tensor([[320.0, 350.0]]))
    assert found.residual.max() < 0.015
    with pytest.raises(InputError, match="faces 0 to 7"):
        found.select(8)


def test_an_unknown_focal_length_gets_the_default_distance(model, basis, pixels, truth):
    settings = LandmarkFitSettings(default_distance=1500.0, least_focal=0.1)
    focal = truth.camera.focal.clone()
    focal[::2] = torch.nan
    found = fit_landmarks(model, pixels, SIZE, focal=focal, basis=basis, settings=settings)
    distance = found.parameters.pose.translation[:, 2]
    assert ((distance[::2] - 1500).abs() < 250).all()
    assert isinstance(found.parameters.camera, PerspectiveCamera)
    torch.testing.assert_close(found.parameters.camera.focal[1::2], focal[1::2])


def test_points_of_weight_zero_do_not_set_the_focal_length(model, basis, pixels):
    broken, weights = pixels.clone(), torch.ones(pixels.shape[:2])
    broken[:, 200:240] += 300
    weights[:, 200:240] = 0
    settings = LandmarkFitSettings(least_focal=0.1)

    def focal(points, weights):
        fit = fit_landmarks(model, points, SIZE, weights=weights, basis=basis, settings=settings)
        camera = fit.parameters.camera
        assert isinstance(camera, PerspectiveCamera)
        return camera.focal

    clean = focal(pixels, weights)
    torch.testing.assert_close(focal(broken, weights), clean)
    assert ((focal(broken, torch.ones_like(weights)) / clean - 1).abs() > 0.005).all()


def test_photos_of_one_person_share_one_identity(model, basis):
    generator = torch.Generator().manual_seed(5)
    truth = draw_parameters(model, 12, seed=9)
    truth = replace(truth, identity=truth.identity[:3].repeat_interleave(4, 0))
    pixels = landmarks_of(model, truth) + torch.randn(12, 478, 2, generator=generator) * 3
    groups = torch.tensor([7, 7, 7, 7, 1, 1, 1, 1, 9, 9, 9, 9])
    options = {"settings": LandmarkFitSettings(landmark_std=1.0)}
    alone = fit(model, basis, pixels, truth, **options)
    together = fit(model, basis, pixels, truth, groups=groups, **options)
    assert (together.parameters.identity.view(3, 4, -1).std(1) == 0).all()
    assert (alone.parameters.identity.view(3, 4, -1).std(1) > 0.01).any()
    assert shape_error(model, together, truth).mean() < shape_error(model, alone, truth).mean()
    assert together.parameters.expression.view(3, 4, -1).std(1).mean() > 0.05


def test_bad_input_is_refused(model, basis, pixels):
    cases = {
        "expected 478": pixels[:, :68],
        "must be finite": pixels.where(torch.rand(pixels.shape) > 0.5, torch.nan),
        "coincide": torch.full_like(pixels, 3.0),
        "at least one face": pixels[:0],
    }
    for message, landmarks in cases.items():
        with pytest.raises(InputError, match=message):
            fit_landmarks(model, landmarks, SIZE, basis=basis)
    with pytest.raises(InputError, match="at least 6"):
        fit_landmarks(model, pixels, SIZE, basis=basis, weights=torch.zeros(8, 478))
    contour_only = basis.contour.float().expand(8, -1).contiguous()
    with pytest.raises(InputError, match="at least 6"):
        fit_landmarks(model, pixels, SIZE, basis=basis, weights=contour_only)
    # Control: five of the others are too few, six do.
    others = (~basis.contour).nonzero()[:, 0]
    few = torch.zeros(8, 478).index_fill(1, others[::80][:6], 1.0)
    assert torch.isfinite(fit_landmarks(model, pixels, SIZE, basis=basis, weights=few).residual).all()
    few[:, others[0]] = 0
    with pytest.raises(InputError, match="at least 6"):
        fit_landmarks(model, pixels, SIZE, basis=basis, weights=few)
    with pytest.raises(InputError, match="photo sizes"):
        fit_landmarks(model, pixels, (0, 800), basis=basis)


def test_groups_of_another_number_than_photos_are_refused(model, basis, pixels):
    # A caller has no shape checks of the annotations; this is what remains then.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        for wrong in (torch.zeros(3, dtype=torch.int64), torch.zeros(8, 1, dtype=torch.int64)):
            with pytest.raises(InputError, match="groups must"):
                fit_landmarks(model, pixels, SIZE, basis=basis, groups=wrong)
        fit_landmarks(model, pixels, SIZE, basis=basis, groups=torch.arange(8))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_lips_and_lids_tell_most_of_expressions(basis):
    assert float(basis.telling[list(LIDS)].min()) > float(basis.telling[list(LIPS)].max()) > 1.0
    assert float(basis.telling.min()) < 0.5
