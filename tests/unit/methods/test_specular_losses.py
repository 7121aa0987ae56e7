"""The six losses: what each sees, what switches each off, and what they do at their ends."""

from dataclasses import replace

import pytest
import torch

from facewright.core.errors import InputError
from facewright.methods.specular.losses import (
    LossTools,
    Targets,
    five_points,
    landmark_loss,
    landmark_weights,
    length,
    paper_losses,
    photo_loss,
    regularisation_loss,
    skin_weight,
    uniform_loss,
)
from facewright.methods.specular.rendering import render
from facewright.methods.specular.settings import LOSSES, LossSettings, LossWeights, RenderSettings

SMALL = RenderSettings(size=64)
SETTINGS = LossSettings(mouth_start=10)


def recognition(pictures, points):
    """Not a network, but unit features that depend on pictures and points."""
    coarse = torch.nn.functional.adaptive_avg_pool2d(pictures, 8).flatten(1)
    features = torch.cat([coarse - coarse.mean(1, keepdim=True), 0.01 * points.flatten(1)], dim=1)
    return torch.nn.functional.normalize(features, dim=1)


@pytest.fixture
def scene(model, probe, neutral):
    """A head, its picture, and the picture of another head as the photo."""
    head = neutral()
    other = replace(head, diffuse=head.diffuse + 1.0)
    photo = render(model, other, SMALL)
    points = head.camera.project(probe.landmarks(head)[0])[..., :2]
    covered = photo.fragments.covered.float()
    targets = Targets(photo.image, covered, covered, torch.zeros_like(covered), points + 3.0, torch.zeros(1))
    return head, render(model, head, SMALL), targets


def weighted(model, probe, patch, scene, settings=SETTINGS, step=10):
    tools = LossTools(probe, model.expression_prior, patch, recognition)
    return paper_losses(*scene, tools, settings, step)  # pyright: ignore[reportCallIssue]


def test_the_sum_holds_each_loss_times_its_weight_and_every_switch_takes_out_one(model, probe, patch, scene):
    head, drawn, targets = scene
    # The mouth is closed in the head and open in the photo, so that no loss is 0.
    scene = head, drawn, replace(targets, mouth=torch.ones_like(targets.mouth))
    whole = weighted(model, probe, patch, scene)
    assert sorted(whole) == sorted(LOSSES)
    assert all(float(value) > 0 for value in whole.values())
    for name in LOSSES:
        less = weighted(model, probe, patch, scene, replace(SETTINGS, weights=SETTINGS.weights.without(name)))
        assert sorted(less) == sorted(set(LOSSES) - {name})
        assert all(torch.equal(less[other], whole[other]) for other in less)
        double = replace(SETTINGS.weights, **{name: 2 * getattr(SETTINGS.weights, name)})
        more = weighted(model, probe, patch, scene, replace(SETTINGS, weights=double))
        assert torch.allclose(more[name], 2 * whole[name])
    with pytest.raises(InputError, match="smooth"):
        SETTINGS.weights.without("smooth")


def test_weights_are_those_of_the_paper():
    assert LossWeights() == LossWeights(0.2, 1.92, 1.8e-3, 1.3e-3, 5.0e-4, 5.0)


def test_the_mouth_counts_from_its_first_step_on(model, probe, patch, scene):
    assert "mouth" not in weighted(model, probe, patch, scene, step=9)
    assert "mouth" in weighted(model, probe, patch, scene, step=10)


def test_an_identity_loss_without_a_network_is_refused(model, probe, patch, scene):
    head, drawn, targets = scene
    with pytest.raises(InputError, match="recognition"):
        paper_losses(head, drawn, targets, LossTools(probe, model.expression_prior, patch), SETTINGS, 0)


def test_identical_pictures_are_of_one_person(model, probe, patch, scene):
    head, drawn, targets = scene
    points = head.camera.project(probe.landmarks(head)[0])[..., :2]
    same = replace(targets, photos=drawn.image, landmarks=points)
    assert float(weighted(model, probe, patch, (head, drawn, same))["identity"]) == pytest.approx(0, abs=1e-6)
    assert float(weighted(model, probe, patch, scene)["identity"]) > 1e-5


def test_brows_and_outer_lips_weigh_twenty():
    weights = landmark_weights(LossSettings())
    strong = {*range(17, 27), *range(48, 60)}
    assert [float(weight) for weight in weights] == [20.0 if i in strong else 1.0 for i in range(68)]


def test_landmarks_are_measured_in_pixels_of_the_papers_photos(scene):
    points = scene[2].landmarks
    mean = float(landmark_weights(LossSettings()).mean())
    moved = points + torch.tensor([3.0, 4.0])
    assert float(landmark_loss(moved, points, 224, LossSettings())) == pytest.approx(5 * mean, rel=1e-2)
    assert float(landmark_loss(moved, points, 112, LossSettings())) == pytest.approx(10 * mean, rel=1e-2)
    squared = LossSettings(landmark_power=2)
    assert float(landmark_loss(moved, points, 224, squared)) == pytest.approx(25 * mean, rel=1e-2)


def test_what_is_hardly_skin_hardly_changes_the_diffuse_picture(scene):
    _head, drawn, targets = scene
    spoiled = targets.photos.clone()
    spoiled[:, 28:36, 28:36] = 1.0
    masked = targets.skin.clone()
    masked[:, 28:36, 28:36] = 0.02
    alone = LossSettings(eta=0.0)
    clean = float(photo_loss(drawn, targets, alone))
    seen = float(photo_loss(drawn, replace(targets, photos=spoiled), alone))
    weighed = float(photo_loss(drawn, replace(targets, photos=spoiled, skin=masked), alone))
    assert seen > clean + 5 * abs(weighed - clean)
    assert skin_weight(torch.tensor([0.2, 0.5, 0.51])).tolist() == pytest.approx([0.2, 0.5, 1.0])


def test_of_a_grey_photo_only_light_and_dark_are_compared(scene):
    _head, drawn, targets = scene
    luma = (drawn.image @ torch.tensor([0.299, 0.587, 0.114]))[..., None].expand_as(drawn.image)
    grey = replace(targets, photos=luma)
    assert float(photo_loss(drawn, replace(grey, grey=torch.ones(1)), LossSettings())) < 0.02
    assert float(photo_loss(drawn, grey, LossSettings())) > 0.05


def test_no_face_and_no_difference_give_finite_gradients(model, neutral):
    head = neutral(intensity=0.0)
    diffuse = head.diffuse.clone().requires_grad_()
    drawn = render(model, replace(head, diffuse=diffuse), SMALL)
    nothing = torch.zeros(1, 64, 64)
    targets = Targets(drawn.image.detach(), nothing, nothing, nothing, torch.zeros(1, 478, 2), torch.zeros(1))
    for face in (nothing, nothing + 1):
        loss = photo_loss(drawn, replace(targets, face=face, skin=face), LossSettings())
        (gradient,) = torch.autograd.grad(loss, diffuse, retain_graph=True)
        assert gradient.isfinite().all()
        assert abs(float(loss.detach())) < 1e-6
    zero = torch.zeros(2, 3, requires_grad=True)
    length(zero).sum().backward()
    assert zero.grad is not None
    assert not zero.grad.any()


def test_uniform_loss_grows_with_lit_contrast_and_with_tinted_light(model, neutral):
    head = neutral(intensity=0.0)
    even = uniform_loss(render(model, head, SMALL), head.light.coefficients, LossSettings())
    side = head.light.coefficients.clone()
    side[:, 3] += 0.5
    lit = replace(head, light=type(head.light)(side))
    drawn = render(model, lit, SMALL)
    assert uniform_loss(drawn, side, LossSettings()) > even + 1e-4
    albedo = LossSettings(uniform_on="albedo")
    unlit = uniform_loss(render(model, head, SMALL), head.light.coefficients, albedo)
    assert torch.allclose(uniform_loss(drawn, side, albedo), unlit)
    tinted = head.light.coefficients * torch.tensor([1.2, 1.0, 0.8])
    plain = uniform_loss(render(model, head, SMALL), head.light.coefficients, albedo)
    assert uniform_loss(render(model, head, SMALL), tinted, albedo) > plain + 1e-3


def test_regularisation_is_zero_for_the_mean_face_and_grows_with_each_coefficient(model, neutral):
    head = neutral()
    at = replace(head, expression=model.expression_prior.mean[None])
    rest = float(regularisation_loss(at, model.expression_prior))
    assert rest == pytest.approx(0, abs=1e-6)
    for name in ("identity", "diffuse", "specular"):
        moved = replace(at, **{name: getattr(at, name) + 2.0})
        grown = float(regularisation_loss(moved, model.expression_prior))
        assert grown == pytest.approx(4.0 * getattr(at, name).shape[1], rel=1e-4)


def test_five_points_are_in_their_order(scene):
    right, left, nose, mouth_right, mouth_left = five_points(scene[2].landmarks)[0]
    assert right[0] < nose[0] < left[0]
    assert mouth_right[0] < mouth_left[0]
    assert right[1] < nose[1] < mouth_right[1]
