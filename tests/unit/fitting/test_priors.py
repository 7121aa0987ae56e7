"""What is known of expressions."""

from dataclasses import replace

import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.priors import (
    expression_belief,
    expression_energy,
    expression_prior_along,
    expression_prior_terms,
    weaker_of_pairs,
)
from facewright.fitting.settings import LandmarkFitSettings
from facewright.models.face_model import ExpressionPrior

PRIOR = ExpressionPrior.independent(torch.tensor([0.1, 0.2]), torch.tensor([0.05, 0.3]))
TOGETHER = ExpressionPrior(
    torch.tensor([0.1, 0.2]), torch.tensor([0.2, 0.3]), torch.tensor([[1.0, 0.8], [0.8, 1.0]])
)


def test_the_curvature_is_that_of_the_energy():
    for prior in (PRIOR, TOGETHER):
        belief = expression_belief(prior)
        expression = torch.tensor([[0.1, 0.2], [0.5, 0.9]], requires_grad=True)
        energy = expression_energy(belief, 2.0, expression)
        (slope,) = torch.autograd.grad(energy.sum(), expression)
        curvature, descent = expression_prior_terms(belief, 2.0, expression)
        torch.testing.assert_close(slope, -2 * descent)
        off = expression.detach() - prior.mean
        torch.testing.assert_close(slope, 2 * (curvature @ off[..., None])[..., 0])
        torch.testing.assert_close(curvature, curvature.mT)
        ways = torch.tensor([[[1.0, 0.0], [0.3, -2.0], [0.0, 0.0]]]).expand(2, -1, -1)
        along, right = expression_prior_along(belief, 2.0, expression, ways)
        torch.testing.assert_close(along, ways @ curvature @ ways.mT)
        torch.testing.assert_close(right, (ways @ descent[..., None])[..., 0])


def test_a_shout_costs_less_than_under_a_gaussian():
    shout = torch.tensor([[0.9, 0.2]])
    gaussian = ((shout - PRIOR.mean) ** 2 / PRIOR.std**2).sum(1)
    belief = expression_belief(PRIOR)
    assert expression_energy(belief, 1.0, shout) < 0.2 * gaussian
    near = PRIOR.mean[None] + 0.3 * PRIOR.std
    torch.testing.assert_close(
        expression_energy(belief, 1.0, near), torch.tensor([2 * 0.3**2]), rtol=0.05, atol=0
    )


def test_near_its_centre_the_prior_is_the_gaussian_with_its_covariance():
    spread = torch.diag(TOGETHER.std) @ TOGETHER.correlation @ torch.diag(TOGETHER.std)
    belief = expression_belief(TOGETHER)
    curvature, _ = expression_prior_terms(belief, 1.0, TOGETHER.mean[None])
    torch.testing.assert_close(curvature[0], torch.linalg.inv(spread), rtol=1e-4, atol=1e-4)
    together, apart = (TOGETHER.mean + 0.3 * TOGETHER.std * torch.tensor([[1.0, sign]]) for sign in (1, -1))
    # Two that go together are moved together for less than one against the other.
    assert expression_energy(belief, 1.0, together) < 0.3 * expression_energy(belief, 1.0, apart)


def test_expressions_that_always_go_together_do_not_break_the_prior():
    same = ExpressionPrior(torch.zeros(2), torch.ones(2), torch.ones(2, 2))
    belief = expression_belief(same)
    assert torch.isfinite(belief.root).all()
    assert expression_energy(belief, 1.0, torch.tensor([[0.2, 0.0]])) < 1.0


def test_the_weaker_of_a_pair_is_told_by_activation_then_by_want():
    pairs = torch.tensor([[0, 1]])
    expression = torch.tensor([[0.3, 0.1, 0.0], [0.0, 0.2, 0.5], [0.0, 0.0, 0.5]])
    descent = torch.tensor([[0.0, 9.0, 0.0], [9.0, 0.0, 0.0], [-1.0, 2.0, 0.0]])
    weaker = weaker_of_pairs(pairs, expression, descent)
    assert weaker.tolist() == [[False, True, False], [True, False, False], [True, False, False]]


def test_of_opposed_expressions_one_stays_at_rest(model):
    """Two nearly opposed shapes can both be on to fit a little better; no face does both."""
    basis = model.expression_basis.clone()
    basis[1] = -basis[0] + 0.3 * basis[1]
    names = ("jawLeft", "jawRight", *model.expression_names[2:])
    plain = replace(model, expression_basis=basis)
    paired = replace(plain, expression_names=names)
    truth = draw_parameters(plain, 16, seed=3)
    pixels = landmarks_of(plain, truth)
    settings = LandmarkFitSettings(landmark_std=0.1, iterations=8)
    found = [
        fit_landmarks(m, pixels, (600, 800), basis=landmark_basis(m), settings=settings).parameters.expression
        for m in (paired, plain)
    ]
    both = [((expression[:, :2] > 0.02).all(1)).sum() for expression in found]
    assert both[0] == 0
    assert both[1] > 0
    assert (found[0][:, :2] > 0.02).any()
