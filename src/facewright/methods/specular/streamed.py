"""Examples without files: synthetic photos that are made and prepared when a batch asks for them."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.row_file import joined_digest
from facewright.data.protocols import PhotoProtocol
from facewright.data.synthesis import Studio, open_studio, sample
from facewright.methods.specular.examples import KEPT_OUT, TRUTH, HeadLayout, array_shapes, row_of
from facewright.methods.specular.prepare import Preparer, SourcePhoto, streamed_photo
from facewright.models.face_model import FaceModel

COUNT = 1_000_000  # photos of a stream, of which a training sees some
HELD = 256  # of them, the last, are kept out
TRIES = 50  # photos until a face is seen in one


@dataclass(frozen=True)
class StreamedRows:
    """One array of a stream; its rows are made where they are asked for.

    Attributes:
        stream: whose.
        name: of the array.
        shape: of it.
        dtype: of its numbers.
    """

    stream: "ExampleStream"
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: ndarray) -> ndarray:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, made in enumerate(self.stream.rows(rows)):
            out[place] = made[self.name]
        return out


class ExampleStream:
    """Examples of a set of ``facewright synthesize``, as ``Examples`` takes them beside folders.

    Each is the same for its number alone; of a batch that is asked for as a whole, to the bit.

    Args:
        protocol: of photos.
        seed: of the photos.
        model: the head.
        size: side of the crops, px.
    """

    def __init__(self, protocol: PhotoProtocol, seed: int, model: FaceModel, size: int) -> None:
        self.protocol, self.seed, self.model, self.size = protocol, seed, model, size
        self._last: dict[int, dict[str, ndarray]] = {}
        self._held: dict[int, dict[str, ndarray]] = {}

    def __getstate__(self) -> dict[str, object]:
        # A process opens its own studio, and makes what it is asked for.
        kept = ("protocol", "seed", "model", "size")
        return {**{name: self.__dict__[name] for name in kept}, "_last": {}, "_held": {}}

    @property
    def digest(self) -> str:
        """Of everything that the examples depend on but the code."""
        told = json.dumps(asdict(self.protocol), sort_keys=True)
        return joined_digest(
            {"protocol": told, "seed": str(self.seed), "model": f"{self.model.name} {self.model.version}"}
        )

    @property
    def flags(self) -> ndarray:
        """What is known of the photos before they are made: their truth, and which are kept out."""
        flags = np.full(COUNT, TRUTH, np.uint8)
        flags[-HELD:] |= KEPT_OUT
        return flags

    def arrays(self) -> dict[str, StreamedRows]:
        """The arrays of ``Examples``."""
        shapes = array_shapes(self.size, HeadLayout.of(self.model).width)
        return {
            name: StreamedRows(self, name, (COUNT, *shape), kind) for name, (shape, kind) in shapes.items()
        }

    def rows(self, numbers: ndarray) -> list[dict[str, ndarray]]:
        """One row of each array for each number.

        Raises:
            InputError: no face is seen in many photos.
        """
        wanted: list[int] = numbers.tolist()
        if any(number not in self._last and number not in self._held for number in wanted):
            # All of them, so that what is made together does not depend on what was made before.
            self._last = self._made(sorted(set(wanted)))
            self._held |= {number: row for number, row in self._last.items() if number >= COUNT - HELD}
        return [self._last.get(number) or self._held[number] for number in wanted]

    def _made(self, numbers: list[int]) -> dict[int, dict[str, ndarray]]:
        layout = HeadLayout.of(self.model)
        with torch.no_grad():
            seen = [self._seen(number) for number in numbers]
            examples = self._preparer.prepared(seen)
            return {
                number: row_of(example, layout) for number, example in zip(numbers, examples, strict=True)
            }

    def _seen(self, number: int) -> tuple[SourcePhoto, Tensor]:
        """The photo of a number in which the landmarker sees the face, and where."""
        for attempt in range(TRIES):
            photo = sample(self._studio, self.seed, number + attempt * COUNT)
            source = streamed_photo(photo, kept_out=number >= COUNT - HELD)
            points = self._preparer.located(source)
            if points is not None:
                return source, points
        raise InputError(f"in {TRIES} photos of {self.protocol.name} no face is seen: take another protocol.")

    @cached_property
    def _studio(self) -> Studio:
        return open_studio(self.model, self.protocol.settings)

    @cached_property
    def _preparer(self) -> Preparer:
        return Preparer.of(self.model, self.size)
