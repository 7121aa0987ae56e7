"""Stage 1 of the Sphere Face Model on a small linear population whose directions are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.core.errors import AssetError, InputError
from facewright.evaluation.identity_metrics import calinski_harabasz, silhouette
from facewright.methods.sphere.codes import (
    CodeFit,
    centre_loss,
    closed_codes,
    orthonormality_loss,
    softmax_loss,
)
from facewright.methods.sphere.settings import MODELS, Stage1Settings, Stage1Weights
from facewright.methods.sphere.space import ScanSpace, in_space, scan_space
from facewright.methods.sphere.stack import open_stack, write_stack
from facewright.methods.sphere.stage1 import Stage1Task, decorrelated, learn_basis

PEOPLE, SCANS, VERTICES = 30, 6, 40
WEIGHTS = Stage1Weights(orthonormality=0.1)
SETTINGS = Stage1Settings(dimensions=12, rank=40, weights=WEIGHTS, batch=36, epochs=30)


def population(rng):
    """Scans (N,V,3): people vary most in some directions, and each person's scans in others."""
    directions = np.linalg.qr(rng.normal(size=(3 * VERTICES, 3 * VERTICES)))[0]
    between = np.exp(-np.arange(3 * VERTICES) / 6)
    within = np.where((np.arange(3 * VERTICES) >= 6) & (np.arange(3 * VERTICES) < 10), 1.0, 0.05)
    people = np.repeat(np.arange(PEOPLE), SCANS)
    own = rng.normal(size=(PEOPLE, 3 * VERTICES)) * between
    scans = own[people] + rng.normal(size=(len(people), 3 * VERTICES)) * within
    scans += 0.02 * rng.normal(size=scans.shape)
    return (20 * scans @ directions.T + 50).reshape(-1, VERTICES, 3).astype(np.float32), people


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    scans, people = population(np.random.default_rng(0))
    folder = tmp_path_factory.mktemp("stack")
    blocks = (scans[start : start + 50] for start in range(0, len(scans), 50))
    return write_stack(folder, blocks, 7 * people + 3, np.arange(VERTICES), {"seed": 0})


@pytest.fixture(scope="module")
def scans(stack):
    return in_space(scan_space(stack, SETTINGS.rank), stack)


@pytest.fixture(scope="module")
def learned(scans, stack, tmp_path_factory):
    """Each model of table 1, and the SFM with an orthonormal basis."""
    wanted = {name: SETTINGS.of_model(name) for name in MODELS}
    wanted["SFM, QR"] = replace(SETTINGS, retract=True)
    return {
        name: learn_basis(scans, stack.people, settings, tmp_path_factory.mktemp("run"), progress=False)
        for name, settings in wanted.items()
    }


def scored(result, scans, people):
    codes = closed_codes(result.basis, scans.coordinates).numpy()
    return silhouette(codes, people, "cosine"), silhouette(codes, people), calinski_harabasz(codes, people)


def test_a_stack_is_read_as_it_was_written(stack, tmp_path):
    expected, people = population(np.random.default_rng(0))
    np.testing.assert_array_equal(stack.scans.reshape(expected.shape), expected)
    np.testing.assert_array_equal(stack.people, people)  # counted anew from 0
    with pytest.raises(InputError, match="no whole stack"):
        open_stack(tmp_path)


def test_errors_in_the_space_are_those_of_the_meshes(stack):
    """With 20 of 120 directions most of the error lies outside, and still every error is exact."""
    space = scan_space(stack, 20)
    np.testing.assert_allclose(space.axes.T @ space.axes, np.eye(20), atol=1e-5)
    scans = in_space(space, stack)
    basis = torch.eye(20, 5)
    inside = closed_codes(basis, scans.coordinates) @ basis.T
    meshes = space.mean + inside.numpy() @ space.axes.T
    expected = np.sqrt(((meshes - stack.scans) ** 2).sum(1) / VERTICES)
    np.testing.assert_allclose(scans.errors(inside).numpy(), expected, rtol=1e-4)
    # The control: what lies outside counts.
    alone = replace(scans, rest=torch.zeros_like(scans.rest))
    assert float(alone.errors(inside).mean()) < 0.99 * expected.mean()
    assert scans.rmse(inside) == pytest.approx(float(np.sqrt((expected**2).mean())), rel=1e-4)


def test_the_space_has_the_principal_directions(stack):
    space = scan_space(stack, 20)
    centred = stack.scans - stack.scans.mean(0)
    exact = np.linalg.svd(centred, full_matrices=False)
    kept = np.linalg.norm(space.axes.T @ exact[2][:10].T, axis=0)
    np.testing.assert_allclose(kept, 1, atol=1e-3)
    whole = in_space(scan_space(stack, 1000), stack)
    assert float(whole.rest.max()) < 1e-3 * float(whole.coordinates.square().sum(1).min())


def test_linear_models_agree_and_the_sphere_tells_people_apart(learned, scans, stack):
    """The directions of table 1."""
    error = {name: result.figures["rmse"] for name, result in learned.items()}
    assert 0.9999 * error["PCA"] <= error["Sphere-Linear"] <= 1.01 * error["PCA"]
    assert error["SFM"] <= 1.05 * error["Sphere-Linear"]
    assert error["Linear"] > error["Sphere-Linear"]
    scores = {name: scored(result, scans, stack.people) for name, result in learned.items()}
    assert scores["SFM"][0] > scores["PCA"][0] + 0.1
    assert scores["SFM"][1] > scores["PCA"][1] + 0.05
    assert scores["SFM"][2] > 1.5 * scores["PCA"][2]
    # The control: without the losses on people nothing is gained.
    assert abs(scores["Sphere-Linear"][0] - scores["PCA"][0]) < 0.05


def test_an_orthonormal_basis_keeps_the_distances_of_meshes(learned, scans, stack):
    """Codes are then as far apart as meshes: nothing can separate people that does not cost error."""
    exact = learned["SFM, QR"]
    assert exact.figures["orthonormality"] < 1e-5
    codes = closed_codes(exact.basis, scans.coordinates)
    meshes = codes @ exact.basis.T
    torch.testing.assert_close(torch.pdist(codes), torch.pdist(meshes), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(codes.norm(dim=1), meshes.norm(dim=1), rtol=1e-5, atol=0)
    gained = scored(exact, scans, stack.people)[0] - scored(learned["PCA"], scans, stack.people)[0]
    assert gained < 0.1
    assert learned["SFM"].figures["orthonormality"] > 0.1  # the soft penalty gives way


def test_the_same_seed_gives_the_same_basis_and_a_stopped_run_goes_on(scans, stack, learned, tmp_path):
    again = learn_basis(scans, stack.people, SETTINGS, tmp_path, progress=False)
    assert torch.equal(again.basis, learned["SFM"].basis)
    kept = learn_basis(scans, stack.people, SETTINGS, tmp_path, progress=False)  # nothing is left to do
    assert torch.equal(kept.basis, again.basis)
    with pytest.raises(AssetError, match="seed 0, not 1"):  # the numbers depend on it
        learn_basis(scans, stack.people, SETTINGS, tmp_path, seed=1, progress=False)
    turned = replace(stack, scans=stack.scans[::-1])
    other = in_space(scan_space(turned, SETTINGS.rank), turned)
    with pytest.raises(AssetError, match="data"):
        learn_basis(other, stack.people, SETTINGS, tmp_path, progress=False)
    with pytest.raises(AssetError, match="data"):  # the same scans, of others
        learn_basis(scans, np.roll(stack.people, 1), SETTINGS, tmp_path, progress=False)


def test_every_scan_is_seen_once_an_epoch(scans, stack):
    task = Stage1Task(scans, stack.people, SETTINGS)
    rows = torch.cat([task.batch(5, step, 0, 1).row for step in range(len(stack.people) // SETTINGS.batch)])
    assert torch.equal(rows.sort().values, torch.arange(len(stack.people)))
    halves = [task.batch(5, 2, part, 2) for part in range(2)]
    assert torch.equal(torch.cat([half.row for half in halves]), task.batch(5, 2, 0, 1).row)


@pytest.mark.parametrize("sphere", [True, False])
def test_retraction_changes_no_mesh(scans, stack, sphere):
    network = Stage1Task(scans, stack.people, replace(SETTINGS, sphere=sphere)).build(0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.basis.add_(0.1 * torch.randn(network.basis.shape, generator=generator))
        every = torch.arange(len(stack.people))
        before = network.codes(every)[0] @ network.basis.T
        network.retract()
        after = network.codes(every)[0] @ network.basis.T
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    assert float(orthonormality_loss(network.basis.detach())) < 1e-8


def test_decorrelated_codes_keep_meshes_and_angles(learned, scans):
    basis = learned["SFM"].basis
    turned, deviations = decorrelated(basis, scans)
    codes = closed_codes(turned, scans.coordinates)
    torch.testing.assert_close(
        codes @ turned.T, closed_codes(basis, scans.coordinates) @ basis.T, atol=0.02, rtol=0
    )
    torch.testing.assert_close(codes.norm(dim=1), closed_codes(basis, scans.coordinates).norm(dim=1))
    covariance = codes.T @ codes / len(codes)
    torch.testing.assert_close(
        covariance, deviations.square().diag(), atol=1e-2 * float(covariance.max()), rtol=0
    )


def test_the_papers_optimiser_ends_at_least_squares(scans, learned):
    basis = learned["SFM"].basis
    generator = torch.Generator().manual_seed(0)
    exact = scans.errors(closed_codes(basis, scans.coordinates) @ basis.T).mean()
    for sphere in (True, False):
        found = CodeFit(sphere=sphere)(basis, scans.coordinates, generator)
        assert float(scans.errors(found @ basis.T).mean()) <= 1.001 * float(exact)
    # The control: a tenth of the iterations is not enough.
    early = CodeFit(iterations=20)(basis, scans.coordinates, generator)
    assert float(scans.errors(early @ basis.T).mean()) > 1.05 * float(exact)


def test_the_softmax_cannot_fall_below_its_floor():
    """Equation 6 as printed has a scale of 1, at which 466 people cannot be told apart.

    The floor: Wang et al. 2017, NormFace, proposition 2, for weights in the corners of a simplex.
    """

    def floor(people, scale):
        return math.log1p((people - 1) * math.exp(-scale * people / (people - 1)))

    assert floor(466, 1.0) == pytest.approx(5.146, abs=1e-3)
    assert math.log(466) == pytest.approx(6.144, abs=1e-3)
    people = torch.arange(8)
    corners = torch.eye(8) - 1 / 8  # of a simplex: as far apart as eight directions can be
    corners = corners / corners.norm(dim=1, keepdim=True)
    for scale in (1.0, 15.0):
        best = float(softmax_loss(corners, 3 * corners, people, scale))
        assert best == pytest.approx(floor(8, scale), rel=1e-4, abs=1e-6)
    assert floor(466, 15.0) < 1e-3


def test_the_centre_loss_is_the_ratio_of_its_sums():
    generator = torch.Generator().manual_seed(0)
    codes, centres = torch.randn(9, 4, generator=generator), torch.randn(5, 4, generator=generator)
    people = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3])
    within = torch.stack([(code - centres[p]).square().sum() for code, p in zip(codes, people, strict=True)])
    pairs = [(centres[i] - centres[j]).square().sum() for i in range(5) for j in range(5) if i != j]
    expected = within.mean() / torch.stack(pairs).mean()
    torch.testing.assert_close(centre_loss(codes, centres, people), expected)


def test_bad_input_is_told(stack, scans, tmp_path):
    shape = stack.scans.reshape(-1, VERTICES, 3)
    numbers = np.arange(VERTICES)
    uneven = iter([shape[:2], shape[:1, :-1]])
    with pytest.raises(InputError, match="one topology"):
        write_stack(tmp_path / "a", uneven, np.zeros(3, dtype=np.int64), numbers, {})
    with pytest.raises(InputError, match="a person for each scan"):
        write_stack(tmp_path / "b", [shape[:4]], np.zeros(5, dtype=np.int64), numbers, {})
    assert not (tmp_path / "b" / "scans.npy").exists()
    few = replace(scans, coordinates=scans.coordinates[:10], rest=scans.rest[:10])
    with pytest.raises(InputError, match="more scans than dimensions"):
        Stage1Task(few, stack.people[:10], SETTINGS)
    with pytest.raises(InputError, match="labels"):
        Stage1Task(scans, stack.people[:-1], SETTINGS)
    alone = np.arange(len(stack.people))
    with pytest.raises(InputError, match="two scans"):
        Stage1Task(scans, alone, SETTINGS)
    Stage1Task(scans, alone, SETTINGS.of_model("Sphere-Linear"))  # asks for nobody
    with pytest.raises(InputError, match="rank"):
        replace(SETTINGS, rank=5)
    other = ScanSpace(np.zeros(9, dtype=np.float32), np.eye(9, 5, dtype=np.float32))
    with pytest.raises(InputError, match="one topology"):
        in_space(other, stack)


def test_one_person_with_one_scan_is_learned_from(scans, stack, tmp_path):
    people = stack.people.copy()
    people[-1] = PEOPLE
    settings = replace(SETTINGS, epochs=1)
    assert math.isfinite(learn_basis(scans, people, settings, tmp_path, progress=False).figures["rmse"])
