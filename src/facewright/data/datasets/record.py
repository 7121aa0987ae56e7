"""One photo of a data set under one record, whatever its set calls its labels; read when asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from jaxtyping import Bool, Float
from torch import Tensor

from facewright.core.errors import DatasetError, InputError
from facewright.image.io import Photograph, PhotoLimits, read_photo, read_photo_bytes

# mediapipe478: as ``detection`` finds them; ibug68: iBUG's; celeba5: eyes, nose tip, mouth corners, first the
# one on the left of the picture; aflw21: of AFLW.
Scheme = Literal["mediapipe478", "ibug68", "celeba5", "aflw21"]


@dataclass(frozen=True)
class StoredImage:
    """A picture where it lies: a file of its own, or a piece of an archive.

    Attributes:
        path: the file or the archive.
        name: for messages, and as the set calls it.
        offset: of the first byte in the archive.
        length: in bytes in the archive, None for a file of its own.
    """

    path: Path
    name: str
    offset: int = 0
    length: int | None = None

    def read(self, limits: PhotoLimits | None = None) -> Photograph:
        """Decode the picture.

        Raises:
            ImageError: it is not there, or no whole picture of an acceptable size.
            DatasetError: the archive has changed or cannot be read.
        """
        if self.length is None:
            return read_photo(self.path, limits)
        try:
            with self.path.open("rb") as archive:
                archive.seek(self.offset)
                data = archive.read(self.length)
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read ({error.strerror or error}).") from error
        if len(data) < self.length:
            raise DatasetError(f"{self.path} ends in the middle of {self.name}: copy it again.")
        return read_photo_bytes(data, self.name, limits)


@dataclass(frozen=True)
class LabelledPoints:
    """Landmarks as a set labels them, brought into our pixels.

    Attributes:
        scheme: what the points are.
        points: (x, y) in px of the stored picture, origin at the corner of its first pixel, centres at +0.5;
            may leave the picture.
        depth: in px, larger is farther from the camera, from the set's own origin; None if it has none.
        labelled: points that have a label; None if all have. Those without are 0.
        source: who placed them, as the set's documents say.
    """

    scheme: Scheme
    points: Float[Tensor, "L 2"]
    depth: Float[Tensor, " L"] | None = None
    labelled: Bool[Tensor, " L"] | None = None
    source: str = ""


@dataclass(frozen=True)
class FacePhoto:
    """A photo of a face and what its set knows of it; None is what it does not know.

    Attributes:
        set_name: of the data set.
        name: of the photo in it.
        image: the picture, not yet read.
        identity: whose face, as the set names people.
        landmarks: points of the face.
        box: (x0, y0, x1, y1) in px around the face.
        attributes: yes or no, by the set's names.
        masks: pictures of what shows where (white), by the set's names; a class that the picture does not
            show has none. They may have another size than the picture and then cover all of it.
        pose: pitch, yaw, roll in radians with the set's own signs and order of axes.
        coefficients: numbers of the set's own face model, by the set's names.
        split: "train", "valid" or "test" where the set says.
    """

    set_name: str
    name: str
    image: StoredImage
    identity: str | None = None
    landmarks: LabelledPoints | None = None
    box: Float[Tensor, "4"] | None = None
    attributes: Mapping[str, bool] | None = None
    masks: Mapping[str, StoredImage] | None = None
    pose: Float[Tensor, "3"] | None = None
    coefficients: Mapping[str, Tensor] | None = None
    split: Literal["train", "valid", "test"] | None = None


class FaceSet:
    """The photos of a data set by number; what belongs to a photo is read when it is asked for.

    Attributes:
        name: of the data set.
        licence_page: where it is described and its terms are.
        folder: where it lies.
        names: of its photos, in the order of their numbers.
        notes: what the loader noticed and the user should know.
    """

    def __init__(
        self,
        name: str,
        licence_page: str,
        folder: Path,
        names: Sequence[str],
        load: Callable[[int], FacePhoto],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name, self.licence_page, self.folder, self.notes = name, licence_page, folder, notes
        self.names = tuple(names)
        self._load = load

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> FacePhoto: ...
    @overload
    def __getitem__(self, index: slice) -> "FaceSet": ...
    def __getitem__(self, index: int | slice) -> "FacePhoto | FaceSet":
        chosen = range(len(self.names))[index]
        return self._load(chosen) if isinstance(chosen, int) else self.select(chosen)

    def __iter__(self) -> Iterator[FacePhoto]:
        return map(self._load, range(len(self.names)))

    def select(self, indices: Sequence[int]) -> "FaceSet":
        """Some of the photos, in the order of ``indices``.

        Raises:
            InputError: the set has no such photo.
        """
        wrong = [index for index in indices if not 0 <= index < len(self.names)]
        if wrong:
            raise InputError(f"{self.name} has photos 0 to {len(self.names) - 1}, not {wrong[0]}.")
        names = [self.names[index] for index in indices]
        load = self._load
        return FaceSet(
            self.name, self.licence_page, self.folder, names, lambda i: load(indices[i]), self.notes
        )


@dataclass(frozen=True)
class PhotoPair:
    """Two photos of a verification protocol.

    Attributes:
        fold: of the protocol, from 0.
        first: number of a photo in its set.
        second: likewise.
        same: whether they show one person.
    """

    fold: int
    first: int
    second: int
    same: bool
