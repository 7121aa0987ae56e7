"""Photos made ready for training: crops, masks, landmarks, the fit to them, the truth if there is one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.files import atomic_folder, read_marker, write_json
from facewright.core.row_file import joined_digest, read_apart, row_file, rows_digest
from facewright.models.face_model import FaceModel
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

KIND = "facewright specular examples"
FORMAT = f"{KIND} 2"
INDEX = "examples.json"
MAX_INDEX = 1 << 16
MAX_SIDE = 512  # px of a crop
TRUTH, KEPT_OUT, GREY = 1, 2, 4  # bits of a photo's flags
FACE, MOUTH = 1, 2  # bits of a pixel's mask


@dataclass(frozen=True)
class Example:
    """One photo.

    Attributes:
        crop: sRGB, uint8.
        mask: bits ``FACE`` and ``MOUTH``.
        skin: probability of skin in 1/255.
        landmarks: as detected, pixels of the crop.
        start: the fit to them, seen by the crop's camera.
        truth: the head as it is, or None.
        true_landmarks: exact places, pixels of the crop; where there is no truth, as detected.
        kept_out: never to be trained on.
        grey: the photo has no colour.
    """

    crop: ndarray
    mask: ndarray
    skin: ndarray
    landmarks: Float[Tensor, "478 2"]
    start: HeadParameters
    truth: HeadParameters | None
    true_landmarks: Float[Tensor, "478 2"]
    kept_out: bool
    grey: bool


@dataclass(frozen=True)
class HeadLayout:
    """The numbers of one head in one row.

    Attributes:
        sizes: how many, by what they are, in their order.
    """

    sizes: Mapping[str, int]

    @classmethod
    def of(cls, model: FaceModel) -> "HeadLayout":
        """For heads of a model."""
        return cls(
            {
                "identity": model.identity_count,
                "expression": model.expression_count,
                "diffuse": model.diffuse_count,
                "specular": model.specular_count,
                "rotation": 9,
                "translation": 3,
                "focal": 1,
                "principal": 2,
                "light": 27,
                "lamp": 3,
                "intensity": 3,
                "shininess": 1,
            }
        )

    @property
    def width(self) -> int:
        """Numbers of a head."""
        return sum(self.sizes.values())

    def packed(self, head: HeadParameters) -> Float[Tensor, "B W"]:
        """Heads as rows.

        Raises:
            InputError: the camera is no perspective one.
        """
        camera, lamp = head.camera, head.point_light
        if not isinstance(camera, PerspectiveCamera):
            raise InputError("expected a head seen by a perspective camera.")
        place, strength = (None, None) if lamp is None else (lamp.position, lamp.intensity)
        nothing = torch.zeros_like(head.pose.translation)
        parts = [head.identity, head.expression, head.diffuse, head.specular]
        parts += [head.pose.rotation.flatten(1), head.pose.translation]
        parts += [camera.focal[:, None], camera.principal, head.light.coefficients.flatten(1)]
        parts += [nothing if value is None else value for value in (place, strength)]
        parts.append(head.exponent[:, None])
        return torch.cat(parts, dim=1)

    def unpacked(self, rows: Float[Tensor, "B W"], size: int) -> HeadParameters:
        """Heads of rows, seen by the camera of crops of ``size`` px."""
        names, counts = list(self.sizes), list(self.sizes.values())
        part = dict(zip(names, rows.split(counts, dim=1), strict=True))
        return HeadParameters(
            identity=part["identity"],
            expression=part["expression"],
            diffuse=part["diffuse"],
            specular=part["specular"],
            pose=Pose(part["rotation"].unflatten(1, (3, 3)), part["translation"]),
            camera=PerspectiveCamera(part["focal"][:, 0], part["principal"], (size, size)),
            light=SphericalHarmonicsLight(part["light"].unflatten(1, (9, 3))),
            point_light=PointLight(part["lamp"], part["intensity"]),
            shininess=part["shininess"][:, 0],
        )


@runtime_checkable
class RowArray(Protocol):
    """An array of which rows are asked for by their numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """As an array's."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: ndarray, /) -> ndarray: ...


@runtime_checkable
class ExampleSource(Protocol):
    """Examples that are in no folder."""

    @property
    def size(self) -> int:
        """Side of the crops, px."""
        ...

    @property
    def digest(self) -> str:
        """Tells them from others."""
        ...

    @property
    def flags(self) -> ndarray:
        """Bits ``TRUTH`` and ``KEPT_OUT`` of each."""
        ...

    def arrays(self) -> Mapping[str, RowArray]:
        """One of each of ``array_shapes``."""
        ...


@dataclass(frozen=True)
class Rows:
    """One array over several files, read where it is asked for.

    Attributes:
        parts: of the same kind and shape of a row.
    """

    parts: tuple[RowArray, ...]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, rows: ndarray) -> ndarray:
        """Some rows, in the order of their numbers in ``rows``."""
        out = np.empty((len(rows), *self.parts[0].shape[1:]), self.parts[0].dtype)
        first = 0
        for part in self.parts:
            own = (rows >= first) & (rows < first + len(part))
            if own.any():
                out[own] = part[rows[own] - first]
            first += len(part)
        return out


class Examples:
    """Examples of some folders, read from the disk as they are asked for, and of a stream.

    Args:
        folders: that ``write_examples`` wrote.
        model: whose heads they hold.
        stream: examples that are made as they are asked for, behind those of the folders.

    Raises:
        InputError: a folder holds no examples, or those of another model or size.
    """

    def __init__(
        self, folders: Sequence[Path], model: FaceModel, stream: ExampleSource | None = None
    ) -> None:
        if not folders and stream is None:
            raise InputError("expected at least one folder of scripts/prepare_specular.py.")
        self.layout = HeadLayout.of(model)
        self._source = tuple(folders), (model.name, model.version)
        self._stream = stream
        self._open()

    def _open(self) -> None:
        folders, model = self._source
        opened = [_opened(folder, model, self.layout.width) for folder in folders]
        sizes = {size for size, _ in opened}
        flags = [np.asarray(arrays["flags"]) for _, arrays in opened]
        parts: list[Mapping[str, RowArray]] = [arrays for _, arrays in opened]
        if self._stream is not None:
            sizes.add(self._stream.size)
            flags.append(self._stream.flags)
            parts.append(self._stream.arrays())
        if len(sizes) > 1:
            raise InputError(f"the folders hold crops of {sorted(sizes)} px: prepare them for one size.")
        self.size = sizes.pop()
        self.arrays = {
            name: Rows(tuple(arrays[name] for arrays in parts))
            for name in array_shapes(self.size, self.layout.width)
        }
        self.flags = np.concatenate(flags)

    @property
    def sources(self) -> list[object]:
        """What ``write_examples`` was told that each folder was prepared from, as far as it was told."""
        told = [(read_marker(folder / INDEX, MAX_INDEX) or {}).get("source") for folder in self._source[0]]
        return [each for each in told if each]

    @cached_property
    def digest(self) -> str:
        """Of everything that they hold, to tell them from others."""
        folders, _ = self._source
        found = {f"{number:06d}": digest_of(folder) for number, folder in enumerate(folders)}
        return joined_digest(found if self._stream is None else {**found, "stream": self._stream.digest})

    def __getstate__(self) -> dict[str, object]:
        # Arrays stay in their files: another process opens them again.
        return {"layout": self.layout, "_source": self._source, "_stream": self._stream}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self.flags)

    def rows(self, *, truth: bool, kept_out: bool) -> ndarray:
        """Numbers of the examples with or without truth, for training or kept out."""
        flags = self.flags
        return np.flatnonzero(((flags & TRUTH > 0) == truth) & ((flags & KEPT_OUT > 0) == kept_out))


def digest_of(folder: Path) -> str:
    """Of everything that a folder of examples holds, to tell it from others.

    Raises:
        InputError: it holds no whole examples.
    """
    digest = (read_marker(folder / INDEX, MAX_INDEX) or {}).get("digest")
    if isinstance(digest, str):
        return digest  # else it was written before folders told theirs
    names = array_shapes(1, 1)
    return joined_digest({name: rows_digest(_mapped(folder / f"{name}.npy")) for name in names})


def _mapped(path: Path) -> ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}): prepare it again.") from error


def _opened(folder: Path, model: tuple[str, str], width: int) -> tuple[int, dict[str, ndarray]]:
    """Side of the crops of a folder, and its arrays."""
    told = read_marker(folder / INDEX, MAX_INDEX) or {}
    if _ours(folder) and told["format"] != FORMAT:
        raise InputError(f"{folder} is of {told['format']!r}, expected {FORMAT!r}: prepare it again.")
    if told.get("format") != FORMAT:
        raise InputError(
            f"{folder} holds no whole examples of the specular method: expected a folder that "
            "scripts/prepare_specular.py wrote (docs/methods/specular.md); --examples names it."
        )
    if told.get("model") != list(model):
        raise InputError(
            f"{folder} was prepared for model {told.get('model')}, expected {list(model)}: prepare it again."
        )
    size, count = told.get("size"), told.get("count")
    if not isinstance(size, int) or not isinstance(count, int) or not 0 < size <= MAX_SIDE:
        raise InputError(f"{folder / INDEX} is damaged: prepare the folder again.")
    arrays = {}
    for name, (shape, kind) in array_shapes(size, width).items():
        path = folder / f"{name}.npy"
        arrays[name] = _mapped(path)
        if arrays[name].shape != (count, *shape) or arrays[name].dtype != kind:
            raise InputError(f"{path} is not whole: prepare it again.")
    return size, arrays


def array_shapes(size: int, width: int) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and kind of one row of each array."""
    byte, real = np.dtype(np.uint8), np.dtype(np.float32)
    return {
        "crops": ((size, size, 3), byte),
        "masks": ((size, size), byte),
        "skin": ((size, size), byte),
        "landmarks": ((478, 2), real),
        "start": ((width,), real),
        "truth": ((width,), real),
        "true_landmarks": ((478, 2), real),
        "flags": ((), byte),
    }


def write_examples(
    folder: Path,
    examples: Iterator[Example],
    size: int,
    model: FaceModel,
    source: Mapping[str, object] | None = None,
) -> int:
    """Write examples into a folder, whole or not at all; returns how many there were.

    Args:
        folder: what an earlier call wrote there is replaced.
        examples: in their order.
        size: side of the crops, px.
        model: whose heads they are.
        source: what they were prepared from, as JSON values.

    Raises:
        InputError: there are none.
        OutputError: the folder cannot be written.
    """
    layout = HeadLayout.of(model)
    with atomic_folder(folder, replaceable=_ours) as partial:
        with ExitStack() as files:
            arrays = {
                name: files.enter_context(row_file(partial / f"{name}.npy", shape, kind))
                for name, (shape, kind) in array_shapes(size, layout.width).items()
            }
            for example in read_apart(examples):
                for name, values in row_of(example, layout).items():
                    arrays[name].append(values[None])
        count = arrays["flags"].count
        if count == 0:
            raise InputError(
                "expected photos in which a face is seen, got none: there is nothing to train on."
            )
        told = {"format": FORMAT, "model": [model.name, model.version], "size": size, "count": count}
        digest = joined_digest({name: rows.digest for name, rows in arrays.items()})
        write_json(partial / INDEX, {**told, "digest": digest, "source": dict(source or {})})
    return count


def _ours(folder: Path) -> bool:
    """Whether a folder holds examples, of this format or another."""
    return str((read_marker(folder / INDEX, MAX_INDEX) or {}).get("format")).startswith(KIND)


def row_of(example: Example, layout: HeadLayout) -> dict[str, ndarray]:
    """One row of each of ``array_shapes``."""
    flags = TRUTH * (example.truth is not None) + KEPT_OUT * example.kept_out + GREY * example.grey
    start = layout.packed(example.start)[0].numpy()
    return {
        "crops": example.crop,
        "masks": example.mask,
        "skin": example.skin,
        "landmarks": example.landmarks.numpy(),
        "start": start,
        "truth": start if example.truth is None else layout.packed(example.truth)[0].numpy(),
        "true_landmarks": example.true_landmarks.numpy(),
        "flags": np.asarray(flags, np.uint8),
    }
