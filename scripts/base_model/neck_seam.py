"""The throat's island of the source's texture atlas, sewn to the head's chart, which ends under the chin."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from base_model.source import RawHead

# Where the throat's lower end runs, as steps down and across from the chart's corner (0, 0) at the side of
# the neck to the middle of the throat (1, 1), in the source's atlas; and how far below that corner it ends.
HEM = np.array([[0.0, 0.0], [0.40, 0.06], [0.72, 0.22], [0.92, 0.50], [1.0, 1.0]])
THROAT_DROP = 0.085
RELAXED_RINGS = 4  # of the head's chart around the seam


def stitch_neck(raw: RawHead) -> RawHead:
    """Give the throat the head chart's coordinates along their common edge and lay out the rest below."""
    island = islands(raw)
    of_quad = island[raw.uv_quads[:, 0]]
    head = int(np.bincount(of_quad).argmax())
    throat = (raw.part[raw.quads] == 0).all(1) & (of_quad != head) & ~raw.cavity
    if len(np.unique(of_quad[throat])) != 1:
        raise ValueError("the source's throat should be one island of its texture atlas")
    uv_quads, shared = _welded(raw, of_quad == head, throat)
    skin = (of_quad == head) | throat
    hem = _hem(border_edges(uv_quads[throat]), shared)
    uv = raw.uv.copy()
    uv[hem] = _hem_places(raw, uv, uv_quads, hem)
    loose = np.zeros(len(uv), dtype=bool)
    loose[uv_quads[throat]] = True
    links = _links(uv_quads[skin], len(uv))
    for _ in range(RELAXED_RINGS):
        loose |= links @ loose > 0
    loose[border_edges(uv_quads[skin])] = False
    uv[loose] = _harmonic(links, uv, loose)
    used, place = np.unique(uv_quads, return_inverse=True)
    return dataclasses.replace(raw, uv=uv[used], uv_quads=place.reshape(uv_quads.shape))


def islands(raw: RawHead) -> np.ndarray:
    """(T,) number of the connected piece of the atlas that each texture coordinate belongs to."""
    links = _links(raw.uv_quads, len(raw.uv))
    return connected_components(links, directed=False)[1]


def border_edges(quads: np.ndarray) -> np.ndarray:
    """(E,2) edges that only one quad has, in its direction."""
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    _, number, count = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    return edges[count[number.ravel()] == 1]


def _welded(raw: RawHead, head: np.ndarray, throat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quads that use the head's coordinates on the common edge, and those coordinates."""
    mine, theirs = border_edges(raw.uv_quads[throat]), border_edges(raw.uv_quads[head])
    vertex = np.zeros(len(raw.uv), dtype=np.int64)
    vertex[raw.uv_quads] = raw.quads
    at = {int(vertex[t]): int(t) for t in np.unique(theirs)}
    replaced = np.arange(len(raw.uv))
    for coordinate in np.unique(mine):
        replaced[coordinate] = at.get(int(vertex[coordinate]), coordinate)  # pyright: ignore[reportArgumentType, reportCallIssue]
    shared = replaced[np.unique(mine)]
    return replaced[raw.uv_quads], shared[np.isin(shared, theirs)]


def _hem(edges: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """(H,) the throat's free border, in order, from one side of the neck to the other, ends included."""
    following = dict(edges.tolist())
    fixed = set(shared.tolist())
    start = next(a for a, b in following.items() if a in fixed and b not in fixed)
    line = [start]
    while len(line) == 1 or line[-1] not in fixed:
        line.append(following[line[-1]])
    return np.array(line)


def _hem_places(raw: RawHead, uv: np.ndarray, uv_quads: np.ndarray, hem: np.ndarray) -> np.ndarray:
    """(H,2) the hem by arc length along its curve; the atlas' u runs down the face, its v across."""
    vertex = np.zeros(len(uv), dtype=np.int64)
    vertex[uv_quads] = raw.quads
    step = np.linalg.norm(np.diff(raw.template[vertex[hem]], axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(step)]) / step.sum()
    low, high = uv[hem[0]], uv[hem[-1]]
    middle = np.array([0.5 * (low[0] + high[0]) + THROAT_DROP, 0.5 * (low[1] + high[1])])
    half = low + HEM * (middle - low)
    curve = np.concatenate([half, high + HEM[-2::-1] * (middle - high)])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    return np.stack([np.interp(along * length[-1], length, curve[:, k]) for k in range(2)], axis=1)


def _harmonic(links: sparse.csr_matrix, uv: np.ndarray, loose: np.ndarray) -> np.ndarray:
    """Coordinates of the loose points as the mean of their neighbours."""
    rows = links[loose]
    degree = np.asarray(rows.sum(axis=1)).ravel()
    system = sparse.diags(degree) - rows[:, loose]
    return spsolve(system.tocsc(), rows[:, ~loose] @ uv[~loose])  # pyright: ignore[reportReturnType]


def _links(quads: np.ndarray, count: int) -> sparse.csr_matrix:
    """(T,T) 1 where two points share a quad's edge."""
    ends = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    links = sparse.coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count)).tocsr()
    links = links + links.T
    links.data[:] = 1.0
    return links
