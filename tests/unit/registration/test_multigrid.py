"""Multigrid conjugate gradients against the direct solver."""

import numpy as np
import pytest
from tests.unit.registration.patches import grid

from facewright.registration.energy import edges_of
from facewright.registration.multigrid import Multigrid
from facewright.registration.solver import BlockPattern, SuperLu


def system(rows: int, columns: int, seed: int = 0):
    """A patch that is bound at half of its vertices, with stiffnesses that vary by a factor of a thousand."""
    generator = np.random.default_rng(seed)
    vertices, faces = grid(rows, columns)
    edges, _ = edges_of(faces)
    weights = 10 ** generator.uniform(-1, 2, len(edges))
    position = np.concatenate([vertices / 10, np.ones((len(vertices), 1))], axis=1)
    bound = (generator.random(len(vertices)) < 0.5) * generator.uniform(0.1, 1, len(vertices))
    degree = np.bincount(edges.ravel(), np.repeat(weights, 2), len(vertices))
    diagonal = degree[:, None, None] * np.eye(4)
    diagonal += bound[:, None, None] * position[:, :, None] * position[:, None, :]
    beside = -weights[:, None, None] * np.eye(4)
    pull = bound[:, None] * generator.normal(size=(len(vertices), 3))
    right = position[:, :, None] * pull[:, None, :]
    return edges, weights, (diagonal, beside), right


def direct(edges, blocks, right):
    solver = SuperLu(BlockPattern.of(edges, len(right)))
    solver.prepare(*blocks)
    return solver.solve(right, np.zeros_like(right))


def relative_error(blocks, edges, found, truth) -> float:
    """In the energy's norm."""
    diagonal, beside = blocks
    off = found - truth

    def energy(x) -> float:
        own = np.einsum("vac,vab,vbc->", x, diagonal, x)
        return float(own + 2 * np.einsum("eac,eab,ebc->", x[edges[:, 0]], beside, x[edges[:, 1]]))

    return (energy(off) / energy(truth)) ** 0.5


@pytest.mark.parametrize("size", [(5, 6), (30, 40), (47, 61)], ids=["one level", "two", "three"])
def test_it_finds_what_the_direct_solver_finds(size) -> None:
    edges, weights, blocks, right = system(*size)
    solver = Multigrid(edges, weights, len(right), most_steps=25)
    solver.prepare(*blocks)
    found = solver.solve(right, np.zeros_like(right))
    truth = direct(edges, blocks, right)
    assert relative_error(blocks, edges, found, truth) < 3e-6
    assert solver.name == "multigrid conjugate gradients"  # within 25 steps
    # The control: another matrix in the same places has another solution.
    solver.prepare(blocks[0] * 1.001, blocks[1])
    other = solver.solve(right, found)
    assert relative_error(blocks, edges, other, truth) > 1e-4
    np.testing.assert_array_equal(other, solver.solve(right, found))


def test_a_guess_that_is_right_is_kept() -> None:
    edges, weights, blocks, right = system(12, 20)
    truth = direct(edges, blocks, right)
    solver = Multigrid(edges, weights, len(right), most_steps=1)
    solver.prepare(*blocks)
    np.testing.assert_array_equal(solver.solve(right, truth), truth)


def test_where_the_gradients_fail_superlu_takes_over_and_it_is_said() -> None:
    edges, weights, blocks, right = system(30, 40)
    solver = Multigrid(edges, weights, len(right), most_steps=2)
    solver.prepare(*blocks)
    found = solver.solve(right, np.zeros_like(right))
    np.testing.assert_allclose(found, direct(edges, blocks, right), atol=1e-12)
    assert solver.name.endswith("superlu in 1 of its systems")


def test_a_piece_without_data_keeps_its_guess() -> None:
    """An island that no scan point binds leaves the matrix singular: the rest is solved all the same."""
    edges, weights, (diagonal, beside), right = system(20, 20)
    count = len(right)
    island = np.array([[0, 1], [0, 2], [1, 2]]) + count
    both = np.concatenate([edges, island])
    diagonal = np.concatenate([diagonal, np.tile(2 * np.eye(4), (3, 1, 1))])
    beside = np.concatenate([beside, np.tile(-np.eye(4), (3, 1, 1))])
    solver = Multigrid(both, np.concatenate([weights, np.ones(3)]), count + 3)
    solver.prepare(diagonal, beside)
    guess = np.zeros((count + 3, 4, 3))
    guess[count:] = 5.0
    found = solver.solve(np.concatenate([right, np.zeros((3, 4, 3))]), guess)
    np.testing.assert_allclose(found[count:], 5.0, atol=1e-6)
    truth = direct(edges, (diagonal[:count], beside[: len(edges)]), right)
    assert relative_error((diagonal[:count], beside[: len(edges)]), edges, found[:count], truth) < 1e-5
    assert "superlu" not in solver.name
