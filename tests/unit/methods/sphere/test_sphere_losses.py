"""Each loss of stage 2 against what the paper says of it."""

import math

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.methods.sphere.codes import centre_loss
from facewright.methods.sphere.confidence import SIDE, ConfidenceNetwork, laplace_loss
from facewright.methods.sphere.losses import (
    MeshTerms,
    mean_of,
    mirrored,
    orthonormality,
    point_loss,
    reliability,
    scale_kl,
)
from facewright.methods.sphere.start import discriminants
from facewright.networks.recognition import MarginSoftmax

FRONTAL = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


def turned(*axis_angle: float) -> torch.Tensor:
    return rotation_from_axis_angle(torch.tensor([axis_angle])) @ FRONTAL


def test_points_are_measured_by_their_distance() -> None:
    points, targets = torch.zeros(2, 3, 2), torch.zeros(2, 3, 2)
    targets[0, 0] = torch.tensor([3.0, 4.0])
    assert point_loss(points, targets).tolist() == pytest.approx([5 / 3, 0], abs=1e-3)
    points.requires_grad_()
    point_loss(points, targets).sum().backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()  # also where the distance is 0


def test_a_frontal_face_at_rest_is_the_most_reliable() -> None:
    rest = torch.zeros(1, 4)
    assert reliability(FRONTAL[None], rest).item() == pytest.approx(1.0)
    aside = [turned(0, 0.6, 0), turned(0.5, 0, 0), turned(0, 0, 0.4)]
    assert all(reliability(rotation, rest).item() < 0.99 for rotation in aside)
    assert reliability(FRONTAL[None], rest + 0.5).item() < 0.9
    assert reliability(turned(0, 0.6, 0), rest).item() == pytest.approx(math.cos(0.6), abs=1e-5)
    assert reliability(turned(0, 1.7, 0), rest).item() == 0


def test_the_ratio_of_centres_is_that_of_all_ordered_pairs() -> None:
    rng = np.random.default_rng(0)
    codes, centres = (torch.from_numpy(rng.normal(size=(n, 5))) for n in (8, 4))
    people = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    pairs = [(centres[i] - centres[j]).square().sum() for i in range(4) for j in range(4) if i != j]
    wanted = (codes - centres[people]).square().sum(1).mean() / torch.stack(pairs).mean()
    assert centre_loss(codes, centres, people).item() == pytest.approx(wanted.item())
    assert centre_loss(centres[people], centres, people).item() == 0
    assert torch.isfinite(centre_loss(codes, torch.zeros_like(centres), people))
    with pytest.raises(InputError, match="2 people"):
        centre_loss(codes, centres[:1], people * 0)


def test_unreliable_photos_leave_their_centre_alone_but_are_pulled() -> None:
    codes = torch.randn(2, 3, requires_grad=True)
    centres = torch.randn(3, 3, requires_grad=True)
    loss = centre_loss(codes, centres, torch.tensor([0, 1]), torch.tensor([0.0, 1.0]))
    loss.backward()
    alone = centres.detach().clone().requires_grad_()
    within = loss.detach() * (2 * 3 * alone.square().sum() - 2 * alone.sum(0).square().sum()) / 6
    (within.detach() / ((2 * 3 * alone.square().sum() - 2 * alone.sum(0).square().sum()) / 6)).backward()
    assert centres.grad is not None
    assert alone.grad is not None
    pull = centres.grad - alone.grad  # what is left when the spread between centres is taken out
    assert pull[0].abs().max() < 1e-6
    assert pull[1].abs().max() > 1e-3
    assert codes.grad is not None
    assert codes.grad[0].abs().max() > 1e-3


def test_the_scale_costs_nothing_only_at_its_mean_and_spread() -> None:
    z = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert scale_kl(300 + 80 * z, 300.0, 80.0).item() == pytest.approx(0, abs=1e-6)
    assert scale_kl(320 + 80 * z, 300.0, 80.0).item() > 0.01
    assert scale_kl(300 + 60 * z, 300.0, 80.0).item() > 0.01
    assert torch.isfinite(scale_kl(torch.full((4,), 300.0), 300.0, 80.0))


def test_a_spread_of_root_two_times_the_error_is_best() -> None:
    error, mask = torch.full((1, 4, 4), 0.1), torch.ones(1, 4, 4)
    at = [laplace_loss(error, torch.full_like(error, s * 2**0.5 * 0.1), mask).item() for s in (0.9, 1, 1.1)]
    assert at[1] < min(at[0], at[2])
    assert laplace_loss(error, error, mask * 0).item() == 0
    network = ConfidenceNetwork()
    spread = network(torch.rand(2, 1, SIDE, SIDE))
    assert spread.shape == (2, SIDE, SIDE)
    assert (spread > 0).all()


def test_an_offset_of_all_cosines_changes_nothing() -> None:
    """Why the authors' learnt offset is left out: a softmax cannot see it."""
    logits = torch.randn(5, 7)
    people = torch.arange(5)
    cost = torch.nn.functional.cross_entropy
    assert cost(logits + 0.3, people).item() == pytest.approx(cost(logits, people).item(), abs=1e-6)


def test_the_margin_makes_the_own_person_cost_more() -> None:
    head = MarginSoftmax(4, 3, scale=15.0, angle=0.0, cosine=0.2)
    directions = torch.nn.functional.normalize(torch.randn(6, 3), dim=1)
    people = torch.tensor([0, 1, 2, 3, 0, 1])
    assert head(directions, people, 1.0)[0] > head(directions, people, 0.0)[0]


def test_losses_are_switched_by_label() -> None:
    values = torch.tensor([1.0, 5.0, 9.0])
    assert mean_of(values, torch.tensor([True, False, True])).item() == 5
    assert mean_of(values, torch.tensor([False, False, False])).item() == 0


def test_a_changed_basis_is_held_orthonormal() -> None:
    assert orthonormality(torch.zeros(4, 4)).item() == 0
    turn = rotation_from_axis_angle(torch.tensor([0.3, 0.1, -0.2]))
    assert orthonormality(turn - torch.eye(3)).item() < 1e-10
    assert orthonormality(0.1 * torch.ones(3, 3)).item() > 0.1


def test_meshes_are_smooth_symmetric_and_near_the_mean(sphere) -> None:
    terms, model = MeshTerms.of(sphere), sphere.face_model
    codes = torch.zeros(2, sphere.dimensions)
    rest = terms.costs(codes)
    assert rest["residual"].item() == 0
    codes[:, -1] = 400.0  # along the least likely axis
    rough = terms.costs(codes)
    assert all(rough[name] > 1.2 * rest[name] for name in ("smooth", "residual"))
    meshes = model.vertices(torch.randn(1, model.identity_count))
    assert torch.equal(mirrored(mirrored(meshes, model.mirror), model.mirror), meshes)
    # The linear form is that of the mesh itself.
    code = torch.randn(1, sphere.dimensions) * 20
    mesh = model.mean + torch.einsum("bd,dvc->bvc", code, sphere.basis)
    rows = torch.nonzero(sphere.region)[:, 0][::4]
    direct = (mesh - mirrored(mesh, model.mirror))[:, rows].abs().mean()
    assert terms.costs(code)["symmetry"].item() == pytest.approx(direct.item(), rel=1e-3)


def test_discriminants_find_where_people_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    people = torch.arange(20).repeat_interleave(5)
    features = torch.randn(100, 6, generator=generator)
    features[:, 2] += 3 * torch.randn(20, generator=generator)[people]
    features[:, 4] *= 10  # varies much, but within people
    axis = discriminants(features, people, 1)[0]
    assert axis.abs().argmax() == 2
    assert axis[4].abs() < 0.1 * axis[2].abs()
