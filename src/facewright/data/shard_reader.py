"""Shards read back: any sample of a set by its number, and what its files hold.

Shards come from elsewhere as easily as from here: sizes are bounded before anything is read, no path of an
archive is ever written or opened, and nothing is unpickled.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from PIL import Image
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.files import read_marker
from facewright.data.records import SampleMasks
from facewright.image.color import linear_from_srgb
from facewright.models.face_model import FaceModel
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

SHARDS = "shards"
MASK_BITS = {"head": 1, "skin": 2, "face": 4, "inner_mouth": 8, "occluder": 16}
DEPTH_STEP = 0.1  # mm
END = bytes(2 * tarfile.BLOCKSIZE)  # of a tar file
MAX_MEMBER = 256 << 20  # bytes of a file of a sample
MAX_SIDECAR = 64 << 20
MAX_MEMBERS = 4_000_000  # files in a shard
MAX_SIDE = 4096  # px of a picture
MAX_VALUES = 1 << 26  # of an array

Place = tuple[int, int]  # of a file in its shard: first byte, bytes


def shard_index(path: Path) -> list[tuple[str, dict[str, Place]]]:
    """The samples of a shard, key and place of each file by suffix, without reading the files.

    Raises:
        InputError: it is no whole tar file of samples, or not the one that its sidecar tells of.
    """
    found: list[tuple[str, dict[str, Place]]] = []
    last = 0
    try:
        end = path.stat().st_size
        with tarfile.open(path, "r:") as archive:
            for number, entry in enumerate(archive):
                if (
                    not entry.isfile()
                    or entry.size > MAX_MEMBER
                    or "/" in entry.name
                    or number >= MAX_MEMBERS
                ):
                    raise InputError(f"{path} holds {entry.name!r}: expected files of samples.")
                if entry.offset_data + entry.size > end:
                    raise InputError(f"{path} ends in the middle of {entry.name}: make it again.")
                key, _, suffix = entry.name.partition(".")
                if not found or found[-1][0] != key:
                    found.append((key, {}))
                found[-1][1][suffix] = (entry.offset_data, entry.size)
                last = entry.offset_data + -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        # Reading ends without a word where a header is cut; a whole archive ends in two blocks of zeros.
        with path.open("rb") as stream:
            if os.pread(stream.fileno(), len(END), last) != END:
                raise InputError(f"{path} is no whole shard (it has no end): make it again.")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path} is no whole shard ({error}): make it again.") from error
    told = read_marker(sidecar_of(path), MAX_SIDECAR) or {}
    if told.get("count", len(found)) != len(found) or told.get("bytes", end) != end:
        raise InputError(
            f"{path} has {len(found)} samples in {end} bytes, but {sidecar_of(path).name} tells of "
            f"{told.get('count')} in {told.get('bytes')}: make it again."
        )
    return found


def shard_paths(folder: Path) -> list[Path]:
    """The tar files of a set, in their order.

    Args:
        folder: as given to ``--out`` of ``facewright synthesize``, or one that holds tar files itself.

    Raises:
        InputError: there are none.
    """
    within = folder / SHARDS if (folder / SHARDS).is_dir() else folder
    paths = sorted(path for path in within.glob("*.tar") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"expected shards (*.tar) of facewright synthesize in {folder}, found none.")
    return paths


def sidecar_of(path: Path) -> Path:
    """Where a shard's sidecar lies."""
    return path.with_suffix(".json")


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a shard, key and files by suffix, as they were written.

    Raises:
        InputError: it is no whole tar file of samples.
    """
    for key, places in shard_index(path):
        yield key, _read(path, places, tuple(places))


def _read(path: Path, places: Mapping[str, Place], suffixes: Sequence[str]) -> dict[str, bytes]:
    missing = [suffix for suffix in suffixes if suffix not in places]
    if missing:
        raise InputError(f"{path}: a sample has no {missing[0]!r}, only {sorted(places)}.")
    try:
        with path.open("rb") as stream:
            read = {name: os.pread(stream.fileno(), places[name][1], places[name][0]) for name in suffixes}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    for name, content in read.items():
        if len(content) != places[name][1]:
            raise InputError(f"{path} ends in the middle of a {name}: make it again.")
    return read


@dataclass(frozen=True)
class ShardSet:
    """Samples of one or several sets by number; files stay on the disk until they are asked for.

    Attributes:
        samples: shard, key and places of the files of each sample, in the order of shards and keys.
    """

    samples: tuple[tuple[Path, str, Mapping[str, Place]], ...]

    @classmethod
    def open(cls, *folders: Path, limit: int | None = None) -> "ShardSet":
        """The sets that ``facewright synthesize`` wrote into some folders, one after the other.

        Args:
            folders: as given to ``--out``, or folders that hold tar files themselves.
            limit: samples of each folder at most; its first ones.

        Raises:
            InputError: a folder has no shards, or a shard is not whole.
        """
        found: list[tuple[Path, str, Mapping[str, Place]]] = []
        for folder in folders:
            start = len(found)
            for path in shard_paths(folder):
                found += [(path, key, places) for key, places in shard_index(path)]
                if limit is not None and len(found) - start >= limit:
                    del found[start + limit :]
                    break
        return cls(tuple(found))

    def __len__(self) -> int:
        return len(self.samples)

    def files(self, number: int, suffixes: Sequence[str]) -> dict[str, bytes]:
        """Some files of a sample, by suffix.

        Raises:
            InputError: it has no such file, or the shard is damaged.
        """
        path, _, places = self.samples[number]
        return _read(path, places, suffixes)

    def photo(self, number: int) -> "StoredPhoto":
        """A sample of a set of photos."""
        return StoredPhoto(*self.samples[number])


@dataclass(frozen=True)
class StoredPhoto:
    """A synthetic photo in a shard; each part is read when it is first asked for.

    All parts raise ``InputError`` where the file is missing, damaged or too large. What they hold is written
    in docs/data.md.
    """

    path: Path
    key: str
    places: Mapping[str, Place]

    @cached_property
    def image(self) -> Float[Tensor, "3 H W"]:
        """What the camera wrote, sRGB in [0, 1]."""
        return _unit(self._picture("jpg", "JPEG", "RGB")).permute(2, 0, 1).contiguous()

    @cached_property
    def masks(self) -> SampleMasks:
        """Which pixels show what."""
        bits = torch.from_numpy(self._picture("masks.png", "PNG", "L"))
        return SampleMasks(**{name: bits & bit > 0 for name, bit in MASK_BITS.items()})

    @cached_property
    def diffuse(self) -> Float[Tensor, "H W 3"]:
        """Diffuse light from the head, linear, as if nothing hid it."""
        return linear_from_srgb(_unit(self._picture("diffuse.png", "PNG", "RGB")))

    @cached_property
    def specular(self) -> Float[Tensor, "H W 3"]:
        """Highlights, likewise."""
        return linear_from_srgb(_unit(self._picture("specular.png", "PNG", "RGB")))

    @cached_property
    def depth(self) -> Float[Tensor, "H W"]:
        """Mm along the camera's +Z of the head; 0 beside it."""
        return torch.from_numpy(self._picture("depth.png", "PNG", "I;16").astype(np.float32)) * DEPTH_STEP

    @cached_property
    def normals(self) -> Float[Tensor, "H W 3"]:
        """Unit, camera frame, of the head; 0 beside it."""
        pixels = torch.from_numpy(self._picture("normals.png", "PNG", "RGB").astype(np.float32))
        return (pixels - 128) / 127 * (pixels > 0).any(-1, keepdim=True)

    @cached_property
    def albedo_map(self) -> Float[Tensor, "S S 3"]:
        """Diffuse albedo, linear, row 0 is v = 1."""
        return linear_from_srgb(_unit(self._picture("albedo.png", "PNG", "RGB")))

    @cached_property
    def specular_map(self) -> Float[Tensor, "S S 1"]:
        """Specular intensity, linear."""
        return _unit(self._picture("specular_albedo.png", "PNG", "L"))[..., None]

    @cached_property
    def vertices(self) -> Float[Tensor, "V 3"]:
        """Mesh in mm, head frame, with expression."""
        return torch.from_numpy(_array(self, "vertices.npy", np.float32, 2))

    @cached_property
    def visible(self) -> Bool[Tensor, " V"]:
        """Vertices that the camera sees."""
        return torch.from_numpy(_array(self, "visible.npy", np.bool_, 1))

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """All of ``json``: coefficients, camera, light, landmarks, statistics."""
        try:
            told = json.loads(self._file("json"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self._name('json')} is damaged: make the shard again.") from error
        if not isinstance(told, dict):
            raise InputError(f"{self._name('json')} is damaged: make the shard again.")
        return told

    @property
    def model(self) -> tuple[str, str]:
        """Name and version of the head that it shows."""
        told = self.numbers.get("model")
        if not isinstance(told, dict) or not {"name", "version"} <= told.keys():
            raise InputError(f"{self._name('json')} does not say whose head it is: make the shard again.")
        return str(told["name"]), str(told["version"])

    @property
    def grey(self) -> bool:
        """Whether the camera wrote no colours."""
        sensor = self.numbers.get("sensor", {})
        if not isinstance(sensor, dict):
            raise InputError(f"{self._name('json')} is damaged (sensor): make the shard again.")
        return bool(sensor.get("grey", False))

    def check_head(self, model: FaceModel) -> None:
        """Refuse a photo whose coefficients mean something else.

        Raises:
            InputError: it shows another head than the model, or another version of it.
        """
        own = (model.name, model.version)
        if self.model != own:
            raise InputError(
                f"{self.path} shows the head {' version '.join(self.model)}, expected "
                f"{' version '.join(own)}: synthesise the photos again with that head."
            )

    def points(self, name: str) -> tuple[Float[Tensor, "L 2"], Bool[Tensor, " L"]]:
        """Landmarks ``landmarks68`` or ``landmarks478`` in pixels, and which the camera sees."""
        if self.numbers.get(name) == []:
            raise InputError(
                f"{self.path} has no {name}, since its head has none ({' version '.join(self.model)}): "
                "synthesise photos of a head that has them, such as the shipped one."
            )
        values = self._tensor(self.numbers.get(name), (-1, 2))
        return values, self._tensor(self.numbers.get(f"{name}_seen"), (len(values),)) > 0

    @cached_property
    def parameters(self) -> HeadParameters:
        """Coefficients, pose, camera and light, each with one row."""
        told = self.numbers
        try:
            view, lens, lamp = told["camera_from_head"], told["camera"], told["point_light"]
            expression = list(told["expression"].values())
            size = self._size(lens["size"])
            return HeadParameters(
                identity=self._tensor([told["identity"]], (1, -1)),
                expression=self._tensor([expression], (1, -1)),
                diffuse=self._tensor([told["diffuse"]], (1, -1)),
                specular=self._tensor([told["specular"]], (1, -1)),
                pose=Pose(
                    self._tensor([view["rotation"]], (1, 3, 3)), self._tensor([view["translation"]], (1, 3))
                ),
                camera=PerspectiveCamera(
                    self._tensor([lens["focal"]], (1,)), self._tensor([lens["principal"]], (1, 2)), size
                ),
                light=SphericalHarmonicsLight(self._tensor([told["light"]], (1, 9, 3))),
                point_light=None
                if lamp is None
                else PointLight(
                    self._tensor([lamp["position"]], (1, 3)), self._tensor([lamp["intensity"]], (1, 3))
                ),
                shininess=self._shininess(told.get("shininess")),
            )
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise InputError(f"{self._name('json')} is not whole ({error}): make the shard again.") from error

    def _size(self, told: Any) -> tuple[int, int]:
        height, width = self._tensor(told, (2,)).tolist()
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            raise InputError(
                f"{self._name('json')} is damaged ({height} x {width} px): make the shard again."
            )
        return int(height), int(width)

    def _shininess(self, told: Any) -> Float[Tensor, " 1"] | None:
        if told is None:
            return None  # earlier shards, all of one exponent, do not tell it
        value = self._tensor([told], (1,))
        if not bool(value > 0):
            raise InputError(f"{self._name('json')} is damaged (shininess {told}): make the shard again.")
        return value

    def _name(self, suffix: str) -> str:
        return f"{self.path}: {self.key}.{suffix}"

    def _file(self, suffix: str) -> bytes:
        return _read(self.path, self.places, [suffix])[suffix]

    def _picture(self, suffix: str, kind: str, mode: str) -> ndarray:
        try:
            with Image.open(io.BytesIO(self._file(suffix)), formats=(kind,)) as picture:
                if max(picture.size) > MAX_SIDE or (mode == "I;16" and picture.mode != mode):
                    raise ValueError(f"it has {picture.size} px of {picture.mode}")
                return np.array(picture if picture.mode == mode else picture.convert(mode))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self._name(suffix)} is damaged ({error}): make the shard again.") from error

    def _tensor(self, values: Any, shape: tuple[int, ...]) -> Tensor:
        try:
            tensor = torch.tensor(values, dtype=torch.float32)
            fits = tensor.ndim == len(shape) and all(
                a in (-1, b) for a, b in zip(shape, tensor.shape, strict=True)
            )
            if not fits or not tensor.isfinite().all():
                raise ValueError(f"expected numbers of shape {shape}, got {tuple(tensor.shape)}")
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{self._name('json')} is damaged ({error}): make the shard again.") from error
        return tensor


def _unit(pixels: ndarray) -> Tensor:
    return torch.from_numpy(pixels).float() / 255


def _array(photo: StoredPhoto, suffix: str, kind: type, axes: int) -> ndarray:
    content = photo._file(suffix)
    try:
        stream = io.BytesIO(content)
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype != np.dtype(kind) or len(shape) != axes or not 0 < np.prod(shape, dtype=float) <= MAX_VALUES:
            raise ValueError(f"{dtype} of shape {shape}")
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{photo._name(suffix)} is damaged ({error}): make the shard again.") from error
