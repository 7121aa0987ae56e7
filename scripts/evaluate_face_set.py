"""Measure a method on a public set of faces that you have: verification, or alignment of landmarks.

    python scripts/evaluate_face_set.py lfw|cfp-fp|cfp-ff|youtube-faces FOLDER [--method sphere]
    python scripts/evaluate_face_set.py aflw2000 FOLDER [--annotation reannotated] [--method ...] [--out DIR]

Verification is ten-fold, by cosine and Euclidean distance of identity codes; a pair with a side in which no
face is found counts as two people. Alignment: mean distance of 68 projected landmarks over the root of the
area of the true ones' box, and the area under its cumulative curve up to 0.1; a photo in which no face is
found counts as never met. DIR gets the curve as ced.csv, ced.json and ced.png. The layouts are told in
docs/data.md; no set is fetched.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facewright.core.errors import FacewrightError, HiddenFaceError, NoFaceError
from facewright.core.progress import ProgressBar
from facewright.data.datasets.cfp import read_cfp, read_cfp_pairs
from facewright.data.datasets.large_poses import read_aflw2000
from facewright.data.datasets.lfw import read_lfw, read_lfw_pairs
from facewright.data.datasets.record import FacePhoto, FaceSet, PhotoPair
from facewright.data.datasets.youtube_faces import ClipPair, read_youtube_faces, read_youtube_pairs
from facewright.evaluation.alignment_curve import alignment_curve, normalised_errors, write_alignment
from facewright.fitting.landmark import fit_landmarks
from facewright.image.io import Photograph
from facewright.pipeline.finder import find_faces
from facewright.pipeline.identity import IdentityReader, verify_set

SETS = ("lfw", "cfp-fp", "cfp-ff", "youtube-faces", "aflw2000")
AT = (0.03, 0.05, 0.1)  # thresholds whose shares are printed


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=SETS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", default="sphere", choices=("fit", "specular", "sphere"))
    parser.add_argument("--weights", type=Path, help="of the method")
    parser.add_argument(
        "--model", type=Path, help="a face model whose directions are asked, such as the sphere"
    )
    parser.add_argument("--annotation", default="original", choices=("original", "reannotated"))
    parser.add_argument("--out", type=Path, help="folder for the curve of aflw2000")
    options = parser.parse_args()
    if options.out and options.name != "aflw2000":
        parser.error("--out belongs to aflw2000: the others have no curve.")
    try:
        reader = IdentityReader.load(options.method, options.weights, model_file=options.model)
        if options.name == "aflw2000":
            photos = read_aflw2000(options.folder, options.annotation)
            title = f"AFLW2000-3D ({options.annotation}), {options.method}"
            told = aligned(reader, photos, title, options.out)
        else:
            told = verified(reader, *set_with_pairs(options.name, options.folder))
    except FacewrightError as error:
        raise SystemExit(f"{error}") from error
    print(json.dumps({"set": options.name, "method": options.method, **told}, indent=1))


def set_with_pairs(name: str, folder: Path) -> tuple[FaceSet, Sequence[PhotoPair] | Sequence[ClipPair]]:
    """A set and its verification pairs."""
    if name == "lfw":
        photos = read_lfw(folder)
        return photos, read_lfw_pairs(photos)
    if name == "youtube-faces":
        photos = read_youtube_faces(folder)
        return photos, read_youtube_pairs(photos)
    photos = read_cfp(folder)
    return photos, read_cfp_pairs(photos, "FP" if name == "cfp-fp" else "FF")


def verified(
    reader: IdentityReader, photos: FaceSet, pairs: Sequence[PhotoPair] | Sequence[ClipPair]
) -> dict[str, object]:
    """Accuracy by both metrics, per cent."""
    with ProgressBar(len(photos)) as bar:

        def encode(photo: Photograph) -> np.ndarray:
            bar.advance()
            return reader.code(photo)

        found = verify_set(photos, pairs, encode)
    told: dict[str, object] = {"pairs": found.pairs, "without_a_face": found.missed}
    for name, part in (("cosine", found.cosine), ("euclidean", found.euclidean)):
        told[name] = [round(100 * value, 2) for value in (part.accuracy, part.accuracy_std)]
    return told


def aligned(reader: IdentityReader, photos: FaceSet, title: str, out: Path | None) -> dict[str, object]:
    """Errors of landmarks, and the curve, which is written where a folder is given."""
    errors: list[float] = []
    with ProgressBar(len(photos)) as bar:
        for photo in photos:
            bar.advance()
            try:
                errors.append(alignment_error(reader, photo))
            except (NoFaceError, HiddenFaceError):
                errors.append(float("inf"))
    found = np.array(errors)
    curve = write_alignment(out, title, photos.names, found) if out else alignment_curve(found)
    shares = {f"{limit:g}": round(float(np.interp(limit, curve.thresholds, curve.shares)), 4) for limit in AT}
    told = {"photos": len(errors), "without_a_face": int(np.isinf(errors).sum())}
    return {**told, "mean": curve.mean, "area_to_0.1": curve.area, "share_within": shares}


def alignment_error(reader: IdentityReader, labelled: FacePhoto) -> float:
    """Of the head of a photo's main face.

    Raises:
        NoFaceError, HiddenFaceError: the photo shows no face.
        FacewrightError: it cannot be read.
    """
    photo = labelled.image.read()
    points = find_faces(reader.finder, photo)[0].points[None]
    if reader.method is None:
        size = (photo.pixels.shape[-2], photo.pixels.shape[-1])
        head = fit_landmarks(reader.model, points, [size], basis=reader.basis).parameters
    else:
        head = reader.method.reconstruct([photo.pixels], points).parameters
    vertices = reader.model.vertices(head.identity, head.expression)
    placed = head.pose.camera_from_head(reader.model.landmark_points(vertices, "ibug68"))
    found = head.camera.project(placed)[..., :2].numpy()
    if labelled.landmarks is None:
        raise SystemExit(f"{labelled.name} has no landmarks.")
    truth = labelled.landmarks.points.numpy()[None]
    return float(normalised_errors(found.astype(np.float64), truth.astype(np.float64))[0])


if __name__ == "__main__":
    main()
