"""A miniature of the labelled photo folders, in their layout and formats."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def face_points(size: int = 40) -> np.ndarray:
    """478 points in px of which those that a crop is aligned by make an upright face."""
    rng = np.random.default_rng(1)
    points = rng.uniform(0.3 * size, 0.7 * size, (478, 3))
    places = {
        33: (12, 14),
        133: (16, 14),
        362: (24, 14),
        263: (28, 14),
        1: (20, 21),
        61: (15, 28),
        291: (25, 28),
    }
    for index, place in places.items():
        points[index, :2] = np.array(place) * (size / 40)
    return points


def person_picture(person: str, photo: int, size: int = 40) -> np.ndarray:
    """A pattern that belongs to a person, with noise that belongs to the photo."""
    own = np.random.default_rng([ord(letter) for letter in person]).integers(40, 200, (5, 5, 3))
    noise = np.random.default_rng(photo).integers(-8, 8, (size, size, 3))
    return np.clip(np.kron(own, np.ones((size // 5, size // 5, 1))) + noise, 0, 255).astype(np.uint8)


def write_folder(folder: Path, people: Sequence[tuple[str, int]], *, size: int = 40) -> list[str]:
    """Write photos of people (name, how many) and return their names."""
    folder.mkdir(parents=True)
    names, identity = [], []
    with tarfile.open(folder / "images.tar", "w") as archive:
        for person, count in people:
            for number in range(1, count + 1):
                names.append(f"{person}_{number:04d}.png")
                identity.append(person)
                stream = io.BytesIO()
                Image.fromarray(person_picture(person, number, size)).save(stream, "png")
                header = tarfile.TarInfo(f"images/{names[-1]}")
                header.size = stream.tell()
                stream.seek(0)
                archive.addfile(header, stream)
    count = len(names)
    np.savez(
        folder / "labels.npz",
        names=np.array(names),
        identity=np.array(identity),
        landmarks=np.tile(np.round(face_points(size) * 64).astype(np.int16), (count, 1, 1)),
        blendshapes=np.full((count, 52), 51, np.uint8),
        transform=np.tile(np.eye(4, dtype=np.float32), (count, 1, 1)),
    )
    return names


def write_pairs(folder: Path, rows: Sequence[tuple[int, str, str, int]]) -> None:
    lines = ["fold,first,second,same", *(",".join(map(str, row)) for row in rows)]
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")


def write_people(
    folder: Path,
    others: Sequence[str],
    coloured: Sequence[str],
    tested: Sequence[str],
    folds: tuple[int, int] = (0, 1),
) -> Path:
    """Write both sets: three photos of each person in one, two of some in the other, pairs of those tested.

    Args:
        folder: of the sets.
        others: who is in no pair.
        coloured: who is in the other set.
        tested: who are in pairs of their own photos and of the next but one's.
        folds: of the pairs, in turn.
    """
    wild = folder / "faces_in_the_wild"
    names = write_folder(wild, [(who, 3) for who in (*others, *tested)])
    write_folder(folder / "faces_in_colour", [(who, 2) for who in coloured])
    of = [[name for name in names if name.startswith(who + "_")] for who in tested]
    count = len(tested)
    rows = [(folds[k % 2], of[k][0], of[k][1], 1) for k in range(count)]
    rows += [(folds[k % 2], of[k][0], of[(k + 2) % count][1], 0) for k in range(count)]
    write_pairs(wild, rows)
    return folder
