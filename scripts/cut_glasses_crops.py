"""Cut the crops on which the glasses network is trained: bare faces of photos, most with drawn spectacles.

Example: ``python scripts/cut_glasses_crops.py --bare build/bare.txt --out build/glasses_crops``. Identities
that are kept out stay out. ``--bare`` lists the people (one a line) of ``faces_in_colour`` who wear no
spectacles; the others of that set are left out. ``faces_in_the_wild`` is used unsorted: a few of its faces
wear some.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from facewright.core.files import atomic_folder, write_json
from facewright.core.progress import ProgressBar
from facewright.core.row_file import joined_digest, row_file
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import FolderName, read_labelled_folder
from facewright.data.datasets.record import FacePhoto
from facewright.detection.glasses_look import CLASSES, RATIO, glasses_frame
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.models.base import load_base_model
from facewright.models.glasses import GlassesPlaces
from training_data.worn_glasses import LABEL, STORED, draw_look, draw_shape, plain, wear

BLOCK = 32  # faces that are fitted together
WORN = 0.7  # share of the faces that get spectacles
FORMAT_FILE, IMAGES, LABELS = "glasses-crops-1", "images.npy", "labels.npy"


def chosen(
    root: Path, name: FolderName, bare: set[str] | None, count: int, *, kept_out: bool
) -> list[FacePhoto]:
    """Photos of a set, spread over it."""
    photos = read_labelled_folder(root / name, name)
    usable = [
        number
        for number, photo in enumerate(photos)
        if is_kept_out(photo.identity or "") == kept_out and (bare is None or photo.identity in bare)
    ]
    rows = np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int)
    return [photos[usable[row]] for row in sorted(set(rows.tolist()))]


def crops(photos: list[FacePhoto], seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Bands and labels, one a photo."""
    model = load_base_model()
    basis, places = landmark_basis(model), GlassesPlaces.of(model)
    if places is None:
        raise SystemExit("the base model does not tell where spectacles sit.")
    for start in range(0, len(photos), BLOCK):
        block = photos[start : start + BLOCK]
        images = [photo.image.read().pixels for photo in block]
        points = torch.stack([photo.landmarks.points for photo in block if photo.landmarks is not None])
        fit = fit_landmarks(
            model, points, [(image.shape[-2], image.shape[-1]) for image in images], basis=basis
        )
        for row, image in enumerate(images):
            rng = np.random.default_rng([seed, start + row])
            own = fit.select(row).parameters
            vertices = model.vertices(own.identity, own.expression)[0]
            seat = places.on(vertices.double().numpy())
            frame = glasses_frame(seat, own.pose, own.camera)
            if rng.random() < WORN:
                shape = draw_shape(rng)
                drawn = shape, draw_look(rng)
                head = vertices, model.topology.faces, seat
                yield wear(image, frame, head, (own.pose, own.camera), drawn, rng)
            else:
                yield plain(image, frame)


def main() -> None:
    """Read the options and cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bare", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("build/glasses_crops"))
    parser.add_argument("--most", type=int, default=3500, help="photos of each set for training")
    parser.add_argument("--kept-out", type=int, default=150, help="photos of each set for the evaluation")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    people = set(options.bare.read_text(encoding="utf-8").split("\n"))
    for part, count in (("kept_out", options.kept_out), ("seen", options.most)):
        if (options.out / part).exists():
            continue
        photos: list[FacePhoto] = []
        sets: tuple[tuple[FolderName, set[str] | None], ...]
        sets = (("faces_in_colour", people), ("faces_in_the_wild", None))
        for name, bare in sets:
            photos += chosen(options.photos, name, bare, count, kept_out=part == "kept_out")
        height, width = STORED // RATIO, STORED
        with atomic_folder(options.out / part) as partial, ProgressBar(len(photos), unit="crop") as bar:
            with (
                row_file(partial / IMAGES, (height, width, 3), np.uint8) as images,
                row_file(
                    partial / LABELS, (height // LABEL, width // LABEL, len(CLASSES) - 1), np.uint8
                ) as labels,
            ):
                for image, label in crops(photos, options.seed):
                    images.append(image[None])
                    labels.append(label[None])
                    bar.advance()
            digest = joined_digest({IMAGES: images.digest, LABELS: labels.digest})
            write_json(partial / FORMAT_FILE, {"digest": digest})
        print(f"{part}: {len(photos)}", flush=True)


if __name__ == "__main__":
    main()
