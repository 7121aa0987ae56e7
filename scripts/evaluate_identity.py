"""How well the shapes that methods find in photos tell people apart, and how much one person's shape varies.

Pairs are those of ``faces_in_the_wild/pairs.csv``, landmarks the labels of MediaPipe that come with the
photos, so that methods differ and detection does not. A network is asked only pairs of folds that it kept out
of its training.

Example: ``python scripts/evaluate_identity.py fit specular sphere --folds 8 9``.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from facewright.core.assets import asset_path
from facewright.core.progress import ProgressBar
from facewright.data.aligned_faces import FOLDERS, folds_kept_out
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import read_labelled_folder, read_pairs
from facewright.data.datasets.record import FacePhoto, PhotoPair
from facewright.detection import Landmarks
from facewright.evaluation.identity_metrics import (
    Metric,
    best_threshold,
    pair_similarity,
    spread,
    true_accepts,
    verify,
)
from facewright.pipeline.identity import IdentityReader
from facewright.pipeline.methods import METHODS

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
MOST = 40  # photos of one person
LEAST = 6  # of a person who is kept out
PEOPLE = 20  # with most photos
CHUNK = 64
MIXED = 5  # fewer folds than these choose a threshold on little: then ten groups in the order of the list


def main() -> None:
    """Print figures of each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="+", choices=("fit", "specular", "sphere"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--weights", type=Path, help="of the one method that is asked")
    parser.add_argument(
        "--model", type=Path, help="a face model whose directions are asked, such as the sphere"
    )
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    options = parser.parse_args()
    if "sphere" in options.methods:
        refuse_known_people(options.weights or asset_path(METHODS["sphere"].asset), options.folds)
    torch.set_num_threads(1)
    sets = [read_labelled_folder(options.data / name, name) for name in FOLDERS]
    pairs = [pair for pair in read_pairs(sets[0]) if pair.fold in options.folds]
    photos = [photo for photos in sets for photo in photos]
    tested = {photos[row].identity for pair in pairs for row in (pair.first, pair.second)}
    groups = people_with_most(photos, tested)
    rows = sorted(
        {row for pair in pairs for row in (pair.first, pair.second)}
        | {row for group in groups.values() for person in group for row in person}
    )
    print(f"{len(pairs)} pairs of folds {options.folds}, {len(rows)} photos, landmarks: labels of MediaPipe")
    told = {}
    for method in options.methods:
        reader = IdentityReader.load(method, options.weights, finder=no_faces, model_file=options.model)
        codes = codes_of(method, reader, photos, rows)
        told[method] = figures(codes, pairs, groups, reader)
        print(method, json.dumps(told[method], indent=1), flush=True)
    if options.out:
        options.out.write_text(json.dumps(told, indent=1) + "\n")


def refuse_known_people(weights: Path, folds: Sequence[int]) -> None:
    """Stop where an encoder has seen people of the pairs."""
    known = folds_kept_out(weights)
    if known is None:
        raise SystemExit(f"{weights} does not say which folds its training kept out: ship it again.")
    if not known.issuperset(folds):
        own = " ".join(map(str, sorted(known)))
        raise SystemExit(f"{weights} was trained on people of other folds than {own}: add --folds {own}.")


def no_faces(photo: torch.Tensor) -> list[Landmarks]:
    """Landmarks are labelled: nothing is searched for."""
    del photo
    return []


def people_with_most(photos: Sequence[FacePhoto], tested: set[str | None]) -> dict[str, list[list[int]]]:
    """Photos of the 20 people with most of them, and of those whom no training saw, in pairs or in none."""
    of: dict[str, list[int]] = {}
    for row, photo in enumerate(photos):
        if photo.identity:
            of.setdefault(photo.identity, []).append(row)
    most = sorted(of.items(), key=lambda item: (-len(item[1]), item[0]))[:PEOPLE]
    several = {who: rows for who, rows in of.items() if len(rows) >= LEAST}
    unseen = [rows for who, rows in several.items() if who in tested or is_kept_out(who)]
    apart = [rows for who, rows in several.items() if who not in tested and is_kept_out(who)]
    cut = {f"{PEOPLE}_people_with_most_photos": [rows for _, rows in most], "people_kept_out": unseen}
    cut["people_kept_out_of_all"] = apart  # what is set by these is asked of others
    return {name: [rows[:MOST] for rows in groups] for name, groups in cut.items()}


def codes_of(
    method: str, reader: IdentityReader, photos: Sequence[FacePhoto], rows: Sequence[int]
) -> dict[int, ndarray]:
    """Codes of some photos."""
    codes: dict[int, ndarray] = {}
    with ProgressBar(len(rows)) as bar:
        bar.name(method)
        for first in range(0, len(rows), CHUNK):
            chosen = rows[first : first + CHUNK]
            points = torch.stack([labelled(photos[row]) for row in chosen])
            pixels = [photos[row].image.read().pixels for row in chosen]
            codes |= dict(zip(chosen, reader.codes(pixels, points), strict=True))
            for _ in chosen:
                bar.advance()
    return codes


def labelled(photo: FacePhoto) -> torch.Tensor:
    """The 478 labelled points of a photo."""
    if photo.landmarks is None:
        raise SystemExit(f"{photo.name} has no landmarks.")
    return photo.landmarks.points


def figures(
    codes: dict[int, ndarray],
    pairs: Sequence[PhotoPair],
    groups: dict[str, list[list[int]]],
    reader: IdentityReader,
) -> dict[str, object]:
    """Verification by both metrics in per cent, and spreads in mm of the neutral face."""
    first, second = (np.stack([codes[getattr(pair, side)] for pair in pairs]) for side in ("first", "second"))
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs], dtype=np.int64)
    if len(np.unique(folds)) < MIXED:
        folds = np.arange(len(pairs), dtype=np.int64) % 10
    told: dict[str, object] = {}
    for metric in METRICS:
        similarity = pair_similarity(first, second, metric)
        found = verify(similarity, same, folds)
        told[metric] = {
            "accuracy": round(100 * found.accuracy, 2),
            "accuracy_std": round(100 * found.accuracy_std, 2),
            "equal_error_rate": round(100 * found.equal_error_rate, 2),
            "area_under_roc": round(100 * found.area_under_roc, 2),
            "true_accepts_at_1_percent": round(100 * true_accepts(similarity, same, 0.01), 1),
            "threshold": round(best_threshold(similarity, same), 4),
        }
    for name, people in groups.items():
        rows = [row for person in people for row in person]
        whose = np.repeat(np.arange(len(people)), [len(person) for person in people])
        shown = np.stack([codes[row] for row in rows])
        found_spread = spread(reader.faces(shown), whose)
        length = np.linalg.norm(shown, axis=1)
        told[name] = {
            "people": len(people),
            "photos": len(rows),
            "within_mm": round(found_spread.within, 3),
            "between_mm": round(found_spread.between, 3),
            "ratio": round(found_spread.ratio, 3),
            "scale_mean": round(float(length.mean()), 1),
            "scale_std": round(float(length.std()), 1),
            "scale_share_of_people": round(share_between(length, whose), 3),
        }
    return told


def share_between(values: ndarray, whose: ndarray) -> float:
    """Of the variance of a number that photos tell, what people differ by (intraclass correlation)."""
    counts = np.bincount(whose)
    means = np.bincount(whose, values) / counts
    within = np.square(values - means[whose]).sum() / (len(values) - len(counts))
    between = (counts * np.square(means - values.mean())).sum() / (len(counts) - 1)
    size = (counts.sum() - np.square(counts).sum() / counts.sum()) / (len(counts) - 1)
    own = (between - within) / size
    return float(own / (own + within))


if __name__ == "__main__":
    main()
