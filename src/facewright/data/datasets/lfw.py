"""Labeled Faces in the Wild: 13,233 photos of 5,749 people, and its verification protocol."""

from pathlib import Path

from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, PhotoPair, StoredImage

LICENCE_PAGE = "http://vis-www.cs.umass.edu/lfw/"
LAYOUT = "NAME/NAME_0001.jpg ... (lfw, lfw_funneled or lfw-deepfunneled) and, for verification, pairs.txt"
PAIRS = "pairs.txt"
MAX_FOLDS, MAX_PAIRS = 100, 100_000


def read_lfw(folder: Path) -> FaceSet:
    """Open LFW; it has people and nothing else.

    Args:
        folder: with one folder for each person.

    Raises:
        DatasetError: it has no such folders.
    """
    place = SetPlace("LFW", folder, LICENCE_PAGE, LAYOUT)
    if not folder.is_dir():
        place.require([PAIRS])
    people = sorted(path.name for path in folder.iterdir() if path.is_dir())
    names = [
        f"{person}/{path.name}"
        for person in people
        for path in sorted((folder / person).glob("*.jpg"))
        if path.name.startswith(f"{person}_")
    ]
    if not names:
        place.require(["NAME/NAME_0001.jpg"])

    def load(index: int) -> FacePhoto:
        name = names[index]
        person, _, file = name.partition("/")
        return FacePhoto("LFW", file, StoredImage(folder / name, file), identity=person)

    return FaceSet("LFW", LICENCE_PAGE, folder, names, load)


def read_lfw_pairs(photos: FaceSet, path: Path | None = None) -> tuple[PhotoPair, ...]:
    """The pairs of view 2: ten folds of 300 pairs of one person and 300 of two.

    Args:
        photos: of ``read_lfw``.
        path: the list; ``pairs.txt`` in the folder of the photos, or beside it, if None.

    Raises:
        DatasetError: the list is missing or damaged, or photos that it names are.

    **Source:** the set's README: a line "folds, pairs of each kind", then of each fold lines "NAME n m" (two
    photos of one person) and as many "NAME n OTHER m".
    """
    place = SetPlace("LFW", photos.folder, LICENCE_PAGE, LAYOUT)
    if path is None:
        beside = photos.folder.parent / PAIRS
        path = photos.folder / PAIRS
        if not path.is_file() and beside.is_file():
            path = beside
        if not path.is_file():
            place.require([PAIRS])
    lines = [line.split() for line in place.lines(path)]
    try:
        folds, each = (int(word) for word in lines[0])
    except (IndexError, ValueError) as error:
        raise place.damaged(path, "its first line is no number of folds and of pairs") from error
    if not 1 <= folds <= MAX_FOLDS or not 1 <= each <= MAX_PAIRS or len(lines) - 1 != 2 * folds * each:
        raise place.damaged(
            path, f"it announces {folds} folds of twice {each} pairs and has {len(lines) - 1}"
        )
    named = [_named(place, path, words) for words in lines[1:]]
    number = {name: index for index, name in enumerate(photos.names)}
    missing = sorted({name for pair in named for name in pair if name not in number})
    place.require(missing)  # raises on the first of them, since they are not there
    if missing:
        raise place.damaged(path, f"it names {missing[0]}, which is no photo of the set")
    pairs = []
    for row, (first, second) in enumerate(named):
        fold, place_in_fold = divmod(row, 2 * each)
        same = first.partition("/")[0] == second.partition("/")[0]
        if same != (place_in_fold < each):
            raise place.damaged(path, f"pair {row + 1} is not of the kind that it should be")
        pairs.append(PhotoPair(fold, number[first], number[second], same))
    return tuple(pairs)


def _named(place: SetPlace, path: Path, words: list[str]) -> tuple[str, str]:
    if len(words) == 3:
        words = [words[0], words[1], words[0], words[2]]
    if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
        raise place.damaged(path, f"{' '.join(words)[:60]!r} is no pair")
    first, second = (f"{who}/{who}_{int(which):04d}.jpg" for who, which in (words[:2], words[2:]))
    return first, second
