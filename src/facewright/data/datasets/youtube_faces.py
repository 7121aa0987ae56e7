"""YouTube Faces: 3,425 clips of 1,595 people, and its verification protocol of pairs of clips."""

import re
from dataclasses import dataclass
from pathlib import Path

from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, StoredImage

LICENCE_PAGE = "https://www.cs.tau.ac.il/~wolf/ytfaces/"
ROOTS = ("aligned_images_DB", "frame_images_DB")
SPLITS = ("splits.txt", "meta_data/splits.txt", "meta_and_splits/splits.txt")
LAYOUT = (
    "aligned_images_DB/NAME/0/aligned_detect_0.123.jpg ... (or frame_images_DB/NAME/0/0.123.jpg ...) and, "
    "for verification, splits.txt"
)
FRAME = re.compile(r"(?:aligned_detect_)?(\d+)\.(\d+)\.jpg")
FOLDS, MAX_PAIRS = 100, 100_000


@dataclass(frozen=True)
class ClipPair:
    """Two clips of a verification protocol.

    Attributes:
        fold: of the protocol, from 0.
        first: numbers of the frames of one clip in its set.
        second: likewise.
        same: whether they show one person.
    """

    fold: int
    first: tuple[int, ...]
    second: tuple[int, ...]
    same: bool


def read_youtube_faces(folder: Path, step: int = 5) -> FaceSet:
    """Open YouTube Faces: some frames of each clip, in their order.

    Args:
        folder: with the folder of the frames.
        step: every so many frames of a clip are taken, from the first.

    Raises:
        DatasetError: there are no such frames.

    **Source:** every fifth frame: the released code of the Sphere Face Model.
    """
    place = SetPlace("YouTube Faces", folder, LICENCE_PAGE, LAYOUT)
    root = next((folder / name for name in ROOTS if (folder / name).is_dir()), None)
    if root is None:
        place.require(ROOTS[:1])
        raise place.damaged(ROOTS[0], "it is no folder")
    names = []
    for person in sorted(path for path in root.iterdir() if path.is_dir()):
        for clip in sorted(path for path in person.iterdir() if path.is_dir()):
            found = [
                (int(match[2]), path.name) for path in clip.iterdir() if (match := FRAME.fullmatch(path.name))
            ]
            names += [f"{person.name}/{clip.name}/{name}" for _, name in sorted(found)[::step]]
    if not names:
        place.require([f"{root.name}/NAME/0/0.1.jpg"])

    def load(index: int) -> FacePhoto:
        name = names[index]
        return FacePhoto(
            "YouTube Faces", name, StoredImage(root / name, name), identity=name.partition("/")[0]
        )

    return FaceSet("YouTube Faces", LICENCE_PAGE, folder, names, load)


def read_youtube_pairs(photos: FaceSet) -> tuple[ClipPair, ...]:
    """The 5,000 pairs of clips in ten splits.

    Args:
        photos: of ``read_youtube_faces``.

    Raises:
        DatasetError: the list is missing or damaged, or names a clip without frames.

    **Source:** the set's README: a title line, then "split number, first clip, second clip, is same".
    **Differs:** not seen on the real file; columns after these four are passed over.
    """
    place = SetPlace("YouTube Faces", photos.folder, LICENCE_PAGE, LAYOUT)
    (path,) = place.first_of(SPLITS)
    clips: dict[str, list[int]] = {}
    for index, name in enumerate(photos.names):
        clips.setdefault(name.rpartition("/")[0], []).append(index)
    pairs = []
    for line in [*place.lines(path)][1:]:
        words = [word.strip() for word in line.split(",")]
        try:
            fold, same = int(words[0]) - 1, {"0": False, "1": True}[words[3]]
            first, second = tuple(clips[words[1]]), tuple(clips[words[2]])
        except (LookupError, ValueError) as error:
            raise place.damaged(path, f"{line[:80]!r} is no pair of clips with frames") from error
        if not 0 <= fold < FOLDS or len(pairs) >= MAX_PAIRS:
            raise place.damaged(path, f"{line[:80]!r} is beyond {FOLDS} splits or {MAX_PAIRS} pairs")
        if same != (words[1].partition("/")[0] == words[2].partition("/")[0]):
            raise place.damaged(path, f"{line[:80]!r} is not of the kind that it should be")
        pairs.append(ClipPair(fold, first, second, same))
    return tuple(pairs)
