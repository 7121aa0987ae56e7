"""Celebrities in Frontal-Profile: 7,000 photos of 500 people, ten frontal ones and four profiles of each."""

from pathlib import Path, PurePosixPath
from typing import Literal

from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, PhotoPair, StoredImage

LICENCE_PAGE = "http://www.cfpw.io/"
LAYOUT = (
    "Data/Images/001/frontal/01.jpg ..., Data/Images/001/profile/01.jpg ... and Protocol/ with "
    "Pair_list_F.txt, Pair_list_P.txt, Split/FP/01/same.txt, diff.txt ..."
)
LISTS = {"F": "Protocol/Pair_list_F.txt", "P": "Protocol/Pair_list_P.txt"}
FOLDS = 10
MAX_PHOTOS, MAX_PAIRS = 100_000, 100_000
Protocol = Literal["FP", "FF"]


def read_cfp(folder: Path) -> FaceSet:
    """Open CFP; it has people and nothing else.

    Args:
        folder: with Data and Protocol.

    Raises:
        DatasetError: a list or a photo that it names is missing, or a list is damaged.
    """
    place = SetPlace("CFP", folder, LICENCE_PAGE, LAYOUT)
    place.require(LISTS.values())
    names = [*_listed(place, "F").values(), *_listed(place, "P").values()]
    place.require(names)

    def load(index: int) -> FacePhoto:
        name = names[index]
        return FacePhoto("CFP", name, StoredImage(folder / name, name), identity=PurePosixPath(name).parts[2])

    return FaceSet("CFP", LICENCE_PAGE, folder, names, load)


def read_cfp_pairs(photos: FaceSet, protocol: Protocol = "FP") -> tuple[PhotoPair, ...]:
    """Ten folds of 350 pairs of one person and 350 of two: frontal with profile, or frontal with frontal.

    Args:
        photos: of ``read_cfp``.
        protocol: FP or FF.

    Raises:
        DatasetError: a list is missing or damaged.

    **Source:** the set's Readme: each line of the splits has two numbers, of photos in Pair_list_F.txt and
    (for FP) Pair_list_P.txt. **Differs:** not seen on the real files; read as others' loaders read them.
    """
    place = SetPlace("CFP", photos.folder, LICENCE_PAGE, LAYOUT)
    number = {name: index for index, name in enumerate(photos.names)}
    lists = [{key: number[name] for key, name in _listed(place, kind).items()} for kind in protocol]
    paths = [
        (fold, kind, f"Protocol/Split/{protocol}/{fold + 1:02d}/{kind}.txt")
        for fold in range(FOLDS)
        for kind in ("same", "diff")
    ]
    place.require(path for _, _, path in paths)
    pairs = []
    for fold, kind, path in paths:
        for line in place.lines(photos.folder / path):
            words = line.split(",")
            try:
                first, second = (rows[int(word)] for rows, word in zip(lists, words, strict=True))
            except (ValueError, KeyError) as error:
                raise place.damaged(path, f"{line[:60]!r} is no pair of photos") from error
            same = _who(photos, first) == _who(photos, second)
            if same != (kind == "same"):
                raise place.damaged(path, f"{line[:60]!r} is not of the kind that it should be")
            pairs.append(PhotoPair(fold, first, second, same))
            if len(pairs) > MAX_PAIRS:
                raise place.damaged(path, f"there are more than {MAX_PAIRS} pairs")
    return tuple(pairs)


def _listed(place: SetPlace, kind: str) -> dict[int, str]:
    """Number and path (from the set's folder) of the photos of a list."""
    path = place.folder / LISTS[kind]
    found: dict[int, str] = {}
    for line in place.lines(path):
        number, _, name = line.partition(" ")
        parts = PurePosixPath(name.strip().replace("\\", "/")).parts
        inner = parts[1:] if parts[:1] == ("..",) else parts
        if not number.isdecimal() or len(inner) != 5 or inner[:2] != ("Data", "Images") or ".." in inner:
            raise place.damaged(path, f"{line[:60]!r} is no number and path of a photo")
        found[int(number)] = "/".join(inner)
        if len(found) > MAX_PHOTOS:
            raise place.damaged(path, f"it names more than {MAX_PHOTOS} photos")
    return found


def _who(photos: FaceSet, index: int) -> str:
    return PurePosixPath(photos.names[index]).parts[2]
