"""Named landmarks of a face, and the files in which they come."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from facewright.core.errors import InputError

# The NoW benchmark's seven, in its order, and where each is among iBUG's 68 and our dense 478.
NOW_SEVEN = (
    "right_eye_outer",
    "right_eye_inner",
    "left_eye_inner",
    "left_eye_outer",
    "nose_base",
    "right_mouth_corner",
    "left_mouth_corner",
)
NAMES = (*NOW_SEVEN, "nose_tip", "chin")
IN_IBUG68 = dict(zip(NAMES, (36, 39, 42, 45, 33, 48, 54, 30, 8), strict=True))
IN_DENSE478 = dict(zip(NAMES, (33, 133, 362, 263, 2, 61, 291, 1, 152), strict=True))
NUMBERED = {7: dict(zip(NOW_SEVEN, range(7), strict=True)), 68: IN_IBUG68, 478: IN_DENSE478}
# iBUG's points 17 to 67 (brows, nose, eyes, lips) are no contour: they mean the same point on every face.
INNER_IN_IBUG68 = tuple(range(17, 68))
INNER_IN_DENSE478 = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
INNER = {68: INNER_IN_IBUG68, 478: INNER_IN_DENSE478}

SUFFIXES = (".json", ".txt", ".pp", ".npy")
MAX_BYTES = 16 << 20
LARGEST = 1e7  # any coordinate


@dataclass(frozen=True)
class FaceLandmarks:
    """Landmarks in the frame and unit of the mesh that they lie on.

    Attributes:
        named: by name (``NAMES``); left and right are the subject's.
        inner51: iBUG's points 17 to 67, if the file had 68 or 478 points.
        dense478: all points of a file that had 478.
    """

    named: Mapping[str, Float[ndarray, "3"]]
    inner51: Float[ndarray, "51 3"] | None = None
    dense478: Float[ndarray, "478 3"] | None = None

    def scaled(self, factor: float) -> "FaceLandmarks":
        """The same points in another unit."""
        inner = None if self.inner51 is None else self.inner51 * factor
        dense = None if self.dense478 is None else self.dense478 * factor
        return FaceLandmarks({name: point * factor for name, point in self.named.items()}, inner, dense)

    def point(self, name: str) -> Float[ndarray, "3"]:
        """One point.

        Raises:
            InputError: it is not there.
        """
        if name not in self.named:
            raise InputError(f"the landmark {name!r} is needed, got {', '.join(self.named)}.")
        return self.named[name]

    def rows(self, names: Sequence[str]) -> Float[ndarray, "L 3"]:
        """Several points, in the order of the names.

        Raises:
            InputError: one is not there.
        """
        return np.stack([self.point(name) for name in names])

    @property
    def outer_interocular(self) -> float:
        """Distance of the outer eye corners."""
        return float(np.linalg.norm(self.point("right_eye_outer") - self.point("left_eye_outer")))


def shared_points(
    first: FaceLandmarks, second: FaceLandmarks
) -> tuple[Float[ndarray, "L 3"], Float[ndarray, "L 3"]]:
    """All points that mean the same on both faces: 51 of iBUG if both have them, else the shared names."""
    if first.inner51 is not None and second.inner51 is not None:
        return first.inner51, second.inner51
    names = [name for name in NAMES if name in first.named and name in second.named]
    return first.rows(names), second.rows(names)


def landmarks_from_rows(points: Float[ndarray, "L 3"], where: str) -> FaceLandmarks:
    """Name the points of a list of 7 (NoW order), 68 (iBUG) or 478 (dense).

    Raises:
        InputError: the list has another length, or a number is not finite.
    """
    numbered = NUMBERED.get(len(points))
    if numbered is None:
        raise InputError(f"{where}: expected 7, 68 or 478 landmarks, got {len(points)}.")
    if not (np.abs(points) < LARGEST).all():
        raise InputError(f"{where}: a landmark is NaN, infinite or larger than any head.")
    named = {name: points[row] for name, row in numbered.items()}
    inner = INNER.get(len(points))
    dense = points if len(points) == 478 else None
    return FaceLandmarks(named, None if inner is None else points[list(inner)], dense)


def read_landmarks(path: Path) -> FaceLandmarks:
    """Read a landmark file; the formats are in docs/evaluation.md.

    Args:
        path: ``.json``, ``.txt``, ``.pp`` (MeshLab) or ``.npy``.

    Raises:
        InputError: it cannot be read, or does not hold 7, 68, 478 or named points.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES >> 20} MiB: no landmark file is.")
        kind = path.suffix.lower()
        if kind == ".npy":
            with path.open("rb") as stream:
                return landmarks_from_rows(_matrix(np.load(stream, allow_pickle=False)), str(path))
        text = path.read_text(encoding="utf-8")
        if kind == ".json":
            return _from_json(json.loads(text), str(path))
        if kind == ".pp":
            return landmarks_from_rows(_matrix(_picked_points(text)), str(path))
        return landmarks_from_rows(_matrix(_text_rows(text)), str(path))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"could not read {path} ({error.strerror or error}).") from error
    except (ValueError, RecursionError, EOFError) as error:
        told = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"{path} is no landmark file that can be read ({told}).") from error


def _from_json(content: Any, where: str) -> FaceLandmarks:
    points = content
    if isinstance(content, dict):
        points = content.get("landmarks_mm", content.get("landmarks", content))
    if isinstance(points, list):
        return landmarks_from_rows(_matrix(points), where)
    if not isinstance(points, dict):
        raise InputError(f"{where}: expected landmarks by name or as a list, got {type(points).__name__}.")
    named = {}
    for name in NAMES:
        if name in points:
            value = points[name]
            row = value.get("xyz") if isinstance(value, dict) else value
            named[name] = _matrix([row])[0]
    if len(named) < 3:
        raise InputError(f"{where}: expected landmarks named {', '.join(NAMES)}, got {list(points)[:9]}.")
    if not (np.abs(np.stack(list(named.values()))) < LARGEST).all():
        raise InputError(f"{where}: a landmark is NaN, infinite or larger than any head.")
    return FaceLandmarks(named)


def _text_rows(text: str) -> list[list[float]]:
    lines = [line.split("#")[0].replace(",", " ").split() for line in text.splitlines()]
    return [[float(word) for word in line] for line in lines if line]


def _picked_points(text: str) -> list[list[float]]:
    """x, y, z of each ``<point .../>`` of MeshLab; no XML is parsed, so no entity can be expanded."""
    tags = re.findall(r"<point\b([^>]*)>", text)
    return [[float(_attribute(tag, axis)) for axis in "xyz"] for tag in tags]


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    if not found:
        raise ValueError(f"a point without {name}")
    return found.group(1)


def _matrix(rows: Any) -> Float[ndarray, "L 3"]:
    """(L,3) float64 of anything that came out of a file."""
    if isinstance(rows, list) and not all(
        isinstance(row, list) and len(row) == 3 and all(_is_number(value) for value in row) for row in rows
    ):
        raise ValueError("expected rows of three numbers")
    array = np.asarray(rows)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "fiu":
        raise ValueError(f"expected rows of three numbers, got an array of shape {array.shape}")
    return array.astype(np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
