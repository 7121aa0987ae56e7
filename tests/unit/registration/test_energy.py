"""The normal equations against a dense least-squares solution, and the solvers against each other."""

import numpy as np
import pytest
from tests.unit.registration.patches import grid

from facewright.registration.energy import AffineSystem, Rows, edges_of

STIFFNESS, GAMMA = 0.3, 0.7


def dense_solution(vertices, faces, rows, weights, gamma=GAMMA) -> np.ndarray:
    """Amberg's eq. 12 written out with dense matrices."""
    edges, _ = edges_of(faces)
    count = len(vertices)
    g = np.diag([1, 1, 1, gamma])
    position = np.concatenate([vertices, np.ones((count, 1))], axis=1)
    blocks, right = [], []
    for (i, j), weight in zip(edges, weights, strict=True):
        block = np.zeros((4, 4 * count))
        block[:, 4 * i : 4 * i + 4], block[:, 4 * j : 4 * j + 4] = g, -g
        blocks.append(np.sqrt(STIFFNESS * weight) * block)
        right.append(np.zeros((4, 3)))
    for term in rows:
        for n, (target, weight) in enumerate(zip(term.target, term.weight, strict=True)):
            block = np.zeros((1, 4 * count))
            if term.vertex is not None:
                corners, shares = [term.vertex[n]], [1.0]
            else:
                corners, shares = faces[term.triangle[n]], term.corner_weights[n]
            for corner, share in zip(corners, shares, strict=True):
                block[0, 4 * corner : 4 * corner + 4] += share * position[corner]
            blocks.append(np.sqrt(weight) * block)
            right.append(np.sqrt(weight) * target[None])
    maps = np.linalg.lstsq(np.concatenate(blocks), np.concatenate(right), rcond=None)[0]
    return np.einsum("va,vac->vc", position, maps.reshape(count, 4, 3))


def example(generator: np.random.Generator):
    vertices, faces = grid(4, 5)
    vertices = vertices + 0.1 * generator.normal(size=vertices.shape)
    at_vertices = Rows(
        generator.normal(size=(12, 3)),
        generator.uniform(0.5, 2, 12),
        vertex=generator.permutation(len(vertices))[:12].astype(np.int64),
    )
    shares = generator.dirichlet(np.ones(3), 5)
    on_faces = Rows(
        generator.normal(size=(5, 3)),
        generator.uniform(0.5, 2, 5),
        triangle=generator.integers(0, len(faces), 5),
        corner_weights=shares,
    )
    return vertices, faces, [at_vertices, on_faces]


@pytest.mark.parametrize(("solver", "off"), [("superlu", 1e-8), ("multigrid", 1e-5)])
def test_it_is_the_least_squares_solution(solver, off) -> None:
    generator = np.random.default_rng(1)
    vertices, faces, rows = example(generator)
    weights = generator.uniform(0.5, 2, len(edges_of(faces)[0]))
    system = AffineSystem(vertices, faces, edge_weights=weights, gamma=GAMMA, solver=solver)
    expected = dense_solution(vertices, faces, rows, weights)
    np.testing.assert_allclose(system.solve(STIFFNESS, rows), expected, atol=off)
    np.testing.assert_allclose(system.solve(STIFFNESS, rows[::-1]), expected, atol=off)
    # The controls: without the points on faces, or with another gamma, it is another solution.
    assert abs(system.solve(STIFFNESS, rows[:1]) - expected).max() > 1e-3
    assert abs(dense_solution(vertices, faces, rows, weights, gamma=1.0) - expected).max() > 1e-3


@pytest.mark.parametrize(("solver", "off"), [("superlu", 1e-8), ("multigrid", 1e-5)])
def test_a_term_may_bind_some_axes_only(solver, off) -> None:
    generator = np.random.default_rng(2)
    vertices, faces, (at_vertices, on_faces) = example(generator)
    flat = Rows(
        on_faces.target,
        on_faces.weight,
        triangle=on_faces.triangle,
        corner_weights=on_faces.corner_weights,
        axes=(True, True, False),
    )
    weights = np.ones(len(edges_of(faces)[0]))
    system = AffineSystem(vertices, faces, gamma=GAMMA, solver=solver)
    moved = system.solve(STIFFNESS, [at_vertices, flat])
    both = dense_solution(vertices, faces, [at_vertices, on_faces], weights)
    alone = dense_solution(vertices, faces, [at_vertices], weights)
    np.testing.assert_allclose(moved[:, :2], both[:, :2], atol=off)
    np.testing.assert_allclose(moved[:, 2], alone[:, 2], atol=off)
    assert abs(moved[:, 2] - both[:, 2]).max() > 1e-3
