"""Charts that lie on one another get places of their own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facewright.geometry.mesh import Topology
from facewright.models.importers.atlas import Cell, mirrored, packed
from facewright.models.importers.ict import CLEAR, read_ict
from facewright.uv.chart import uv_fragments

ICT = Path("../shared/data/ict_facekit.npz")
UV = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [3.1, 0.1], [3.9, 0.1], [3.1, 0.9]])
FACES = np.array([[0, 1, 2], [0, 2, 1], [3, 4, 5]])


def texels(uv, faces, size: int = 64) -> list[int]:
    """How many texels each triangle covers when it is drawn alone."""
    return [int(uv_fragments(_topology(uv, face[None]), size).covered.sum()) for face in faces]


def _topology(uv, faces) -> Topology:
    triangles = torch.from_numpy(np.ascontiguousarray(faces))
    return Topology(triangles, torch.from_numpy(uv).float(), triangles)


def covered(uv, faces, size: int) -> int:
    """Texels of all triangles drawn together: fewer, if some lie on others."""
    return int(uv_fragments(_topology(uv, faces), size).covered.sum())


def test_charts_are_laid_side_by_side() -> None:
    squares = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))
    cells = [Cell(np.arange(3) == k, corner, 0.5) for k, corner in enumerate(squares)]
    uv, faces = packed(UV, FACES, cells)
    assert covered(uv, faces, 64) == sum(texels(uv, faces))
    assert covered(UV, FACES[:2], 64) < sum(texels(UV, FACES[:2]))
    for triangle, (u, v) in zip(faces, squares, strict=True):
        inside = uv[triangle] - [u, v]
        assert (inside > 0).all()
        assert (inside < 0.5).all()
    assert np.allclose(np.ptp(uv[faces[0]], axis=0), 0.8 * 0.5 * 0.96)
    assert mirrored(uv, faces).tolist() == [False, True, False]


def test_what_is_in_no_cell_has_no_place() -> None:
    uv, faces = packed(UV, FACES, [Cell(np.array([True, False, False]), (0.0, 0.0), 1.0)])
    assert texels(uv, faces)[0] > 0
    assert texels(uv, faces)[1:] == [0, 0]


@pytest.mark.skipif(not ICT.exists(), reason="no ../shared/data/ict_facekit.npz")
def test_no_part_of_ict_facekit_hides_another_on_the_map() -> None:
    raw, size = read_ict(ICT), 512
    assert raw.uv is not None
    assert raw.uv_faces is not None
    assert raw.uv.min() >= 0
    assert raw.uv.max() <= 1
    solid = ~raw.parts[CLEAR][raw.faces].all(1)
    drawn = uv_fragments(_topology(raw.uv, raw.uv_faces[solid]), size)
    seen = torch.bincount(drawn.triangle[drawn.covered].long(), minlength=int(solid.sum()))
    corners = raw.uv[raw.uv_faces[solid]] * size
    sides = corners[:, 1:] - corners[:, :1]
    area = np.abs(np.linalg.det(sides)) / 2
    # Each triangle has as many texels as its area, in sum over the triangles of a part.
    for name, mask in raw.parts.items():
        own = mask[raw.faces[solid]].all(1)
        if own.any():
            assert abs(float(seen[torch.from_numpy(own)].sum()) / area[own].sum() - 1) < 0.02, name
