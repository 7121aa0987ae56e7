"""Compare a model built of ICT heads with the ICT basis itself: compactness, generalisation, specificity.

    python scripts/compare_built_model.py --out out/ict_models                    # ICT's own vertices
    python scripts/compare_built_model.py --out out/ict_models --write-scans DIR  # the same heads as scans
    facewright register DIR --out REGISTERED --unit mm
    python scripts/compare_built_model.py --out out/ict_models --heads REGISTERED # as registered

The heads are N random identities of the ICT model (independent standard normal coefficients, seeded).
Without ``--heads`` the built model has them with known correspondence, on the narrow face of ICT: what is
lost is what N heads do not show. With ``--heads`` it has also what registration made of them, in our
topology; all is then looked at in the same places: the vertices of our tight face, carried over to the
triangles of ICT on which they lie on the mean of the heads. Everything is after rigid alignment; the ICT
basis is asked for the same heads, of which it was not built.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from facewright.export.ply import write_ply
from facewright.geometry.alignment import align_points
from facewright.geometry.mesh import Mesh, Topology
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.base import load_base_model
from facewright.models.importers.ict import read_ict
from facewright.models.importers.raw import RawModel
from facewright.models.statistics import (
    ModelCurves,
    compactness,
    model_curves,
    principal_axes,
    procrustes,
    reconstruction_error,
    specificity,
)
from facewright.pipeline.model_curves_files import write_curves
from facewright.pipeline.model_sources import find_heads, read_heads

NARROW_FACE = 6_706  # vertices of the ICT model: the face without neck and ears
SKIN = 9_409  # the first part: face, without head and neck
NEAR = 3.0  # mm; a vertex of our face further from the ICT mean lies on no ICT triangle
STEPS = np.array([0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100])
TOLD = (0, 1, 5, 10, 20, 40, 60, 80, 100)


@dataclass(frozen=True)
class Options:
    """What to compare.

    Attributes:
        out: folder for curves.json, curves.csv and curves.png.
        ict: the ICT model.
        heads: registered heads in facewright's topology, named head000 ...; None: ICT's own vertices.
        count: heads.
        draws: random heads for each point of specificity.
        write_scans: write the heads as PLY into this folder and stop.
        seed: of everything random.
    """

    out: Path
    ict: Path = Path("../shared/data/ict_facekit.npz")
    heads: Path | None = None
    count: int = 300
    draws: int = 200
    write_scans: Path | None = None
    seed: int = 20261121


def main(options: Options) -> None:
    """Compare and write."""
    raw = read_ict(options.ict)
    generator = np.random.default_rng(options.seed)
    coefficients = generator.standard_normal((options.count, len(raw.identity))).astype(np.float32)
    if options.write_scans:
        write_scans(raw, coefficients, options.write_scans)
        return
    mean, basis, registered = raw.mean[:NARROW_FACE], raw.identity[:, :NARROW_FACE], None
    if options.heads:
        found = registered_faces(options.heads)
        coefficients = coefficients[found.numbers]
        own = np.tensordot(coefficients, raw.identity[:, :SKIN], 1) + raw.mean[:SKIN]
        places = places_on(raw, own, found)
        mean, basis = places(raw.mean[None, :SKIN])[0], places(raw.identity[:, :SKIN])
        registered = found.vertices[:, places.kept]
        tell_apart(places(own), registered)
    own = np.tensordot(coefficients, basis, 1) + mean.astype(np.float32)
    samples = aligned(own, mean)
    built = {"ICT heads": samples}
    if registered is not None:
        built["registered ICT heads"] = procrustes(registered, np.arange(len(mean)))
    steps = STEPS[len(samples) - 2 >= STEPS]
    curves = {
        f"built of {name}": model_curves(heads, components=steps, draws=options.draws)
        for name, heads in built.items()
    }
    curves["ICT basis"] = of_the_basis(mean, basis, samples, steps, options)
    write_curves(options.out / "curves", curves)
    told(curves)


@dataclass(frozen=True)
class RegisteredFaces:
    """What registration made of some of the heads.

    Attributes:
        numbers: of the heads.
        vertices: (N, T, 3) of our tight face, mm, in the frame of the scans.
    """

    numbers: np.ndarray
    vertices: np.ndarray


def write_scans(raw: RawModel, coefficients: np.ndarray, folder: Path) -> None:
    """Write heads as scans: face, head and neck without what is inside."""
    skin = raw.faces[(raw.faces < SKIN).all(1)]
    topology = Topology(torch.from_numpy(skin), torch.zeros(1, 2), torch.zeros(skin.shape).long())
    for number, own in enumerate(coefficients):
        vertices = raw.mean[:SKIN] + np.tensordot(own, raw.identity[:, :SKIN], 1)
        mesh = Mesh(torch.from_numpy(vertices).float(), topology)
        write_ply(folder / f"head{number:03d}.ply", mesh)


def registered_faces(folder: Path) -> RegisteredFaces:
    """Read registered heads and take them back to the frame of their scans."""
    found = find_heads([folder])
    heads = read_heads(found)
    face = np.flatnonzero(load_base_model().regions["face_tight"].numpy())
    vertices = np.empty((len(found), len(face), 3))
    for row, path in enumerate(found.values()):
        motion = json.loads((path.parent / "registration.json").read_text())["head_from_scan"]
        rotation, translation = np.array(motion["rotation"]), np.array(motion["translation"])
        vertices[row] = (heads.vertices[row][face] - translation) @ rotation / motion["mm_per_unit"]
    return RegisteredFaces(np.array([int(name.removeprefix("head")) for name in heads.names]), vertices)


@dataclass(frozen=True)
class Places:
    """Points on the triangles of ICT.

    Attributes:
        kept: which vertices of our tight face lie on ICT's face.
        corners: (T, 3) vertices of the triangle under each of them.
        weights: (T, 3) of the corners.
    """

    kept: np.ndarray
    corners: np.ndarray
    weights: np.ndarray

    def __call__(self, vertices: np.ndarray) -> np.ndarray:
        """The points (N, T, 3) of heads or displacements (N, V, 3)."""
        return np.einsum("tk,ntkc->ntc", self.weights, vertices[:, self.corners], optimize=True)


def places_on(raw: RawModel, own: np.ndarray, registered: RegisteredFaces) -> Places:
    """Where our tight face lies on ICT: on the mean of the very heads that were registered."""
    faces = raw.faces[(raw.faces < SKIN).all(1)]
    found = closest_points(index_surface(own.mean(0), faces), registered.vertices.mean(0))
    kept = found.distance < NEAR
    print(f"{kept.sum()} of {len(kept)} vertices of the tight face lie within {NEAR} mm of ICT's mean face")
    return Places(kept, faces[found.triangle[kept]], found.barycentric[kept])


def tell_apart(own: np.ndarray, registered: np.ndarray) -> None:
    """Print how far registration put the places from where ICT has them."""
    apart = np.linalg.norm(own - registered, axis=2).mean(1)
    print(f"registered and true places of {len(apart)} heads: {apart.mean():.3f} mm apart, at worst", end=" ")
    print(f"{apart.max():.3f} mm")


def aligned(heads: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Heads laid rigidly onto the ICT mean."""
    points = torch.from_numpy(heads.astype(np.float64))
    target = torch.from_numpy(mean)[None].expand_as(points)
    return align_points(points, target).apply(points).numpy().astype(np.float32)


def without_motion(mean: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Modes without what is a shift or a small turn of the mean: what alignment leaves of them."""
    centred = mean - mean.mean(0)
    motions = [np.broadcast_to(axis, mean.shape) for axis in np.eye(3)]
    motions += [np.cross(axis, centred) for axis in np.eye(3)]
    unit = np.linalg.qr(np.stack(motions).reshape(6, -1).T)[0]
    flat = basis.reshape(len(basis), -1)
    return (flat - (flat @ unit) @ unit.T).reshape(basis.shape)


def of_the_basis(
    mean: np.ndarray, basis: np.ndarray, samples: np.ndarray, steps: np.ndarray, options: Options
) -> ModelCurves:
    """The curves of the distribution that the heads were drawn from; it was not built of them."""
    model = principal_axes(mean, without_motion(mean, basis))
    random = torch.Generator().manual_seed(options.seed)
    return ModelCurves(
        components=steps,
        compactness=compactness(model.variance, steps),
        generalisation=reconstruction_error(model, samples, steps),
        specificity=specificity(model, samples, steps, draws=options.draws, generator=random),
    )


def told(curves: dict[str, ModelCurves]) -> None:
    """Print a table."""
    print(f"{'':32}{'components':>12}{'compactness':>13}{'generalisation':>16}{'specificity':>13}")
    for name, curve in curves.items():
        for place in np.flatnonzero(np.isin(curve.components, TOLD)):
            print(
                f"{name:32}{curve.components[place]:12d}{curve.compactness[place]:13.3f}"
                f"{curve.generalisation[place]:13.3f} mm{curve.specificity[place]:10.3f} mm"
            )


if __name__ == "__main__":
    main(tyro.cli(Options))
