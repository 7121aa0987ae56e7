"""Measure registration where the truth is known, and on scans; targets are printed beside the figures.

    python scripts/evaluate_registration.py known [--count 50] [--closed]
    python scripts/evaluate_registration.py ict [--count 200] [--ict ../shared/data/ict_facekit.npz]
    python scripts/evaluate_registration.py scans --out DIR [--scans ../shared/data/scans]
    python scripts/evaluate_registration.py memory [--vertices 1000000]

known: random heads of the model, without and with a smooth deformation of their own (--field 0 1), scanned
all around at 1.5 mm with 0.3 mm noise and 5 % holes; the scan comes without landmarks. Surface: distance of
the tight face's vertices to the true head; semantic: to the same vertex of the true head; hidden: how
far the deformation moves vertices along the surface, where only features of the shape show it; lips: how
far the gap between them is off, from corner to corner. --closed: heads whose mouth and jaw rest.
ict: random faces of another model in another topology; the raw surface without landmarks or unit.
scans: every scan below a folder, without a hand; the landmarks placed on them only judge the result.
memory: one registration to a dense scan; the peak of the process.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from facewright.core.errors import FacewrightError
from facewright.data.scanner import ScanSettings, known_scan, random_head
from facewright.detection import FaceDetector, FaceLandmarker
from facewright.evaluation.landmarks import IN_DENSE478, read_landmarks
from facewright.geometry.nearest import closest_points, index_surface
from facewright.geometry.scan import Scan
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.lip_seam import lip_seam
from facewright.pipeline.finder import ShippedFinder
from facewright.pipeline.register import ScanFile, ScanRegistrar, read_scan_file
from facewright.registration.correspondence import normals_of
from facewright.registration.head import RegistrationSettings, register_scan
from facewright.registration.records import Registration
from facewright.registration.scan_landmarks import plaster_bias
from facewright.registration.surface import surface_of_scan
from registration_evaluation.ict_faces import ict_face, read_ict


@dataclass(frozen=True)
class Tools:
    """What every part needs."""

    model: FaceModel
    finder: ShippedFinder
    bias: ndarray

    def register(self, name: str, vertices: ndarray, faces: ndarray) -> Registration:
        """Register a surface without landmarks or unit."""
        scan = Scan(name, vertices, faces, np.arange(len(vertices)))
        return register_scan(
            surface_of_scan(scan), self.model, self.finder, None, RegistrationSettings(), bias=self.bias
        )


def main() -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("known", "ict", "scans", "memory"))
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument(
        "--field", type=float, nargs="+", default=[0.0, 1.0], help="mm per axis of the heads' own deformation"
    )
    parser.add_argument("--closed", action="store_true", help="known heads with closed mouths")
    parser.add_argument("--first", type=int, default=0, help="seed of the first head")
    parser.add_argument("--ict", type=Path, default=Path("../shared/data/ict_facekit.npz"))
    parser.add_argument("--scans", type=Path, default=Path("../shared/data/scans"))
    parser.add_argument("--vertices", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    model, finder = load_base_model(), ShippedFinder(FaceDetector.load(), FaceLandmarker.load())
    tools = Tools(model, finder, plaster_bias(model, finder))
    parts: dict[str, Callable[[Tools, argparse.Namespace], int]] = {
        "known": known,
        "ict": ict,
        "scans": scans,
        "memory": memory,
    }
    return parts[options.part](tools, options)


def known(tools: Tools, options: argparse.Namespace) -> int:
    """Heads whose every vertex is known."""
    return max(_known(tools, options, field) for field in options.field)


def _known(tools: Tools, options: argparse.Namespace, field: float) -> int:
    tight = tools.model.regions["face_tight"].numpy()
    faces, seam = tools.model.topology.faces.numpy(), lip_seam(tools.model)
    rows = []
    for seed in range(options.first, options.first + (options.count or 50)):
        scan = known_scan(tools.model, ScanSettings(field=field, closed=options.closed), seed)
        start = time.process_time()
        try:
            result = tools.register(f"head {seed}", scan.vertices, scan.faces)
        except FacewrightError as error:
            print(f"head {seed}: failed: {error}", flush=True)
            rows.append((np.nan,) * 5)
            continue
        placed = result.transform.scan_from_head(result.vertices)
        fitted = result.transform.scan_from_head(result.fit.vertices)
        surface = closest_points(index_surface(scan.truth, faces), placed[tight]).distance.mean()
        semantic = np.linalg.norm(placed - scan.truth, axis=1)[tight].mean()
        before = np.linalg.norm(fitted - scan.truth, axis=1)[tight].mean()
        lips = abs(seam.gaps(placed, faces) - seam.gaps(scan.truth, faces)).mean()
        hidden = _hidden(tools.model, scan.truth, seed, closed=options.closed)[tight].mean()
        rows.append((surface, semantic, before, hidden, lips))
        print(
            f"head {seed}: surface {surface:.3f} mm, semantic {semantic:.3f} mm (after the model "
            f"fit {before:.3f}), lips {lips:.3f} mm, {time.process_time() - start:.1f} s processor, "
            f"{result.solver}",
            flush=True,
        )
    table = np.array(rows)
    failed = int(np.isnan(table[:, 0]).sum())
    if failed == len(table):
        print(f"{len(table)} heads, all failed")
        return 1
    surface, semantic, before, hidden, lips = np.nanmean(table, axis=0)
    print(f"{len(table)} heads, own deformation {field:g} mm per axis, {failed} failed:", end=" ")
    print(f"surface {surface:.3f} mm (target 0.25), semantic {semantic:.3f} mm (target 1.2;", end=" ")
    print(f"after the model fit {before:.3f}; worst {np.nanmax(table[:, 1]):.3f}; hidden", end=" ")
    print(f"{hidden:.3f}), lips {lips:.3f} mm")
    return int(failed or surface > 0.25 or semantic > 1.2)


def _hidden(model: FaceModel, truth: ndarray, seed: int, *, closed: bool) -> ndarray:
    """(V,) mm that a known head's own deformation moves each vertex along the surface."""
    plain = random_head(model, ScanSettings(field=0.0, closed=closed), np.random.default_rng(seed))
    normals, moved = normals_of(truth, model.topology.faces.numpy()), truth - plain
    return np.linalg.norm(moved - (moved * normals).sum(1, keepdims=True) * normals, axis=1)


def ict(tools: Tools, options: argparse.Namespace) -> int:
    """Faces in another topology."""
    source = read_ict(options.ict)
    tight = tools.model.regions["face_tight"].numpy()
    there, back, failed = [], [], 0
    count = options.count or 200
    for seed in range(options.first, options.first + count):
        vertices = ict_face(source, seed)
        start = time.process_time()
        try:
            result = tools.register(f"face {seed}", vertices, source.faces)  # centimetres, as in the file
        except FacewrightError as error:
            failed += 1
            print(f"face {seed}: failed: {error}", flush=True)
            continue
        off = result.distance[tight]
        # And from the scan's points near the face to the head: what no vertex went to counts here.
        head = result.vertices
        skin = tools.model.topology.faces.numpy()
        skin = skin[tools.model.parts["skin"].numpy()[skin].all(1)]
        from_scan = closest_points(index_surface(head, skin), result.target.vertices)
        near = tight[skin[from_scan.triangle]].all(1)
        there.append(off)
        back.append(from_scan.distance[near])
        print(
            f"face {seed}: median {np.median(off):.3f}, 95th {np.percentile(off, 95):.3f}; from the scan "
            f"{np.median(back[-1]):.3f}, {np.percentile(back[-1], 95):.3f} mm; "
            f"{time.process_time() - start:.1f} s processor; {result.start}",
            flush=True,
        )
    if not there:
        return 1
    off, from_scan = np.concatenate(there), np.concatenate(back)
    median, high = np.median(off), np.percentile(off, 95)
    print(
        f"{count} faces, {failed} failed (target 0); head to surface: median {median:.3f} mm (target 0.15),"
    )
    print(
        f"  95th percentile {high:.3f} mm (target 1); surface to head: {np.median(from_scan):.3f},", end=" "
    )
    print(f"{np.percentile(from_scan, 95):.3f} mm")
    return int(failed > 0 or median > 0.15 or high > 1.0)


def scans(tools: Tools, options: argparse.Namespace) -> int:
    """Every scan below a folder."""
    if options.out is None:
        print("scans: expected --out DIR for the results and their overviews")
        return 2
    registrar = ScanRegistrar(tools.model, tools.finder, RegistrationSettings(), texture_size=1024)
    failed = 0
    for folder in sorted(path for path in options.scans.iterdir() if path.is_dir()):
        path = next((folder / name for name in ("scan.obj", "scan.npz") if (folder / name).is_file()), None)
        if path is None:
            continue
        start = time.process_time()
        try:
            file: ScanFile = read_scan_file(path)
            result = registrar.reconstruct(file)[0]
        except FacewrightError as error:
            failed += 1
            print(f"{folder.name}: failed: {error}", flush=True)
            continue
        result.save(options.out / folder.name)
        print(f"{folder.name}: {json.dumps(result.summary()['face'])}", flush=True)
        spent = time.process_time() - start
        print(f"  {result.registration.start}; {'; '.join(result.warnings)}; {spent:.1f} s processor")
        _tell_landmarks(tools.model, result.registration, folder / "landmarks.json")
    return failed


def _tell_landmarks(model: FaceModel, result: Registration, path: Path) -> None:
    if not path.is_file():
        return
    placed, dense = read_landmarks(path).named, {str(name): row for name, row in IN_DENSE478.items()}
    own = model.landmark_points(torch.from_numpy(result.vertices).float(), "dense478").double().numpy()
    there = result.transform.head_from_scan(np.stack(list(placed.values())))
    off = np.linalg.norm(own[[dense[name] for name in placed]] - there, axis=1)
    told = ", ".join(f"{name} {value:.1f}" for name, value in zip(placed, off, strict=True))
    print(f"  from landmarks placed by hand (mm): {told}; mean {off.mean():.1f}", flush=True)


def memory(tools: Tools, options: argparse.Namespace) -> int:
    """One dense scan."""
    spacing = 1.5 * np.sqrt(36_000 / options.vertices)
    scan = known_scan(tools.model, ScanSettings(spacing=spacing, holes=0.0), 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result = tools.register("dense scan", scan.vertices, scan.faces)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(result.vertices)} to {len(scan.vertices)} vertices: peak {peak:.2f} GiB (target 4; before "
        f"{before:.2f}), {result.solver}, {sum(result.seconds.values()):.0f} s"
    )
    return int(peak > 4.0)


if __name__ == "__main__":
    sys.exit(main())
