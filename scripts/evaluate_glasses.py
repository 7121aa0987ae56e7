"""How surely spectacles are found: on photos that someone has looked at.

Example: ``python scripts/evaluate_glasses.py --photos build/photos.txt --frames build/frames.txt``. Each line
of the lists is ``worn`` or ``bare``, a blank, and the path of a photo (its main face counts) or the name of
one of ``faces_in_colour``. Printed are, for bounds on the overlap of the fitted pair with what the network
saw, the share of worn pairs that are found and of bare faces that are given one.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from facewright.data.datasets.labelled_folders import read_labelled_folder
from facewright.detection.glasses_look import GlassesLooker, glasses_frame
from facewright.detection.points import OUTER_EYES
from facewright.fitting.glasses import GlassesFit, fit_glasses
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.image.io import read_photo
from facewright.models.base import load_base_model
from facewright.models.glasses import GlassesPlaces
from facewright.pipeline.finder import ShippedFinder, find_faces

BOUNDS = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
LARGE = 70.0  # px between the outer eye corners
Told = tuple[str, bool, GlassesFit | None, float]  # name, whether worn, what was found, px between the eyes
Face = tuple[str, bool, torch.Tensor, torch.Tensor]  # name, whether worn, photo, landmarks


def listed(path: Path) -> list[tuple[bool, str]]:
    """The lines of a list."""
    rows = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    wrong = [row for row in rows if len(row) != 2 or row[0] not in ("worn", "bare")]
    if wrong:
        raise SystemExit(f"{path}: expected lines of 'worn' or 'bare' and a name, got {wrong[0]}.")
    return [(kind == "worn", name) for kind, name in rows]


def photos(path: Path) -> Iterator[Face]:
    """Main faces of listed photos."""
    finder = ShippedFinder.load(torch.device("cpu"))
    for worn, name in listed(path):
        photo = read_photo(Path(name))
        yield name, worn, photo.pixels, find_faces(finder, photo)[0].points


def frames(path: Path, root: Path) -> Iterator[Face]:
    """Listed photos of a set, with its landmarks."""
    stored = read_labelled_folder(root, "faces_in_colour")
    rows = {name: number for number, name in enumerate(stored.names)}
    for worn, name in listed(path):
        photo = stored[rows[name]]
        if photo.landmarks is not None:
            yield name, worn, photo.image.read().pixels, photo.landmarks.points


def scores(faces: Iterator[Face], looker: GlassesLooker) -> list[Told]:
    """The fitted pair of each face."""
    model = load_base_model()
    basis, places = landmark_basis(model), GlassesPlaces.of(model)
    if places is None:
        raise SystemExit("the base model does not tell where spectacles sit.")
    told = []
    for name, worn, photo, points in faces:
        size = photo.shape[-2], photo.shape[-1]
        own = fit_landmarks(model, points[None], size, basis=basis).parameters
        seat = places.on(model.vertices(own.identity, own.expression)[0].double().numpy())
        look = looker(photo, glasses_frame(seat, own.pose, own.camera))
        apart = float((points[OUTER_EYES[0]] - points[OUTER_EYES[1]]).norm())
        told.append((name, worn, fit_glasses(look, seat, own.pose, own.camera), apart))
    return told


def report(title: str, told: list[Told], show: bool) -> None:
    """Print what was found."""
    counts = [sum(worn == kind for _, worn, *_ in told) for kind in (True, False)]
    print(f"{title}: {counts[0]} with spectacles, {counts[1]} without")
    for bound in BOUNDS:
        found = [worn for _, worn, fit, _ in told if _passes(fit, bound)]
        hit, false = sum(found), len(found) - sum(found)
        print(
            f"  overlap >= {bound:.2f}: found {hit} ({100 * hit / max(counts[0], 1):.0f} %), "
            f"false {false} ({100 * false / max(counts[1], 1):.1f} %)"
        )
    large = [fit for _, worn, fit, apart in told if worn and apart >= LARGE]
    believed = sum(fit is not None and fit.sure for fit in large)
    print(f"  believed of those with eyes {LARGE:.0f} px apart or more: {believed} of {len(large)}")
    ordered = sorted(told, key=lambda row: (row[1], row[2].overlap if row[2] else 0)) if show else []
    for name, worn, fit, _ in ordered:
        sides = "" if fit is None else f"{fit.overlap:.2f} {fit.sides[0]:.2f} {fit.sides[1]:.2f}"
        print(f"    {'worn' if worn else 'bare'} {name}: {sides or 'none'}")


def _passes(fit: GlassesFit | None, bound: float) -> bool:
    return fit is not None and fit.overlap >= bound and fit.seen


def main() -> None:
    """Read the options and look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="list of photos")
    parser.add_argument("--frames", type=Path, help="list of photos of faces_in_colour")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, help="in place of the shipped ones")
    parser.add_argument("--show", action="store_true", help="print each face's scores")
    options = parser.parse_args()
    torch.set_num_threads(1)
    looker = GlassesLooker.load(weights=options.weights)
    if options.photos:
        report("photos", scores(photos(options.photos), looker), options.show)
    if options.frames:
        faces = frames(options.frames, options.data / "faces_in_colour")
        report("frames", scores(faces, looker), options.show)


if __name__ == "__main__":
    main()
