"""Strict access to the fields of a JSON file that may have been damaged or written by someone else."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facewright.core.errors import InputError

MAX_TEXT = 4096
SMALLEST = 1e-30  # what float32 keeps away from 0


@dataclass(frozen=True)
class Fields:
    """One JSON object and where it stands.

    Attributes:
        raw: the object.
        where: file and path inside it, for messages.
    """

    raw: Mapping[str, Any]
    where: str

    @classmethod
    def read(cls, path: Path, max_bytes: int) -> "Fields":
        """Read the object of a JSON file.

        Raises:
            InputError: no such file, too large, or not one JSON object.
        """
        try:
            if path.stat().st_size > max_bytes:
                raise InputError(f"{path} is larger than {max_bytes >> 20} MiB: not a facewright file.")
            with path.open("rb") as stream:
                content = json.loads(stream.read(max_bytes + 1), parse_constant=_refuse)
        except OSError as error:
            raise InputError(f"could not read {path} ({error.strerror or error}).") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not a whole JSON file ({error}).") from error
        if not isinstance(content, dict):
            raise InputError(f"{path}: expected a JSON object, got {type(content).__name__}.")
        return cls(content, str(path))

    def group(self, name: str) -> "Fields":
        """An object inside this one."""
        return Fields(self._typed(name, dict, "an object"), f"{self.where}: {name}")

    def text(self, name: str) -> str:
        """A short text."""
        value = self._typed(name, str, "a text")
        if len(value) > MAX_TEXT:
            raise InputError(f"{self.where}: {name} is longer than {MAX_TEXT} characters.")
        return value

    def texts(self, name: str, limit: int) -> list[str]:
        """A list of texts."""
        values = self._list(name, limit)
        if not all(isinstance(value, str) for value in values):
            raise InputError(f"{self.where}: {name} must hold texts only.")
        return values

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self._typed(name, int, "a whole number")
        if isinstance(value, bool):
            raise InputError(f"{self.where}: {name}: expected a whole number, got {value}.")
        return value

    def positive_integer(self, name: str, limit: int) -> int:
        """A whole number from 1 to ``limit``."""
        value = self.integer(name)
        if not 1 <= value <= limit:
            raise InputError(f"{self.where}: {name}: expected a number from 1 to {limit}, got {value}.")
        return value

    def positive(self, name: str) -> float:
        """A finite number above 0, also in float32."""
        value = self.number(name)
        if not value >= SMALLEST:
            raise InputError(f"{self.where}: {name}: expected a number above 0, got {value:g}.")
        return value

    def constant(self, name: str, expected: str) -> None:
        """A text that can only be this one, such as the name of a convention."""
        value = self.text(name)
        if value != expected:
            raise InputError(f"{self.where}: {name}: expected {expected!r}, got {value[:60]!r}.")

    def number(self, name: str) -> float:
        """A finite number."""
        return self._finite(name, self._required(name))

    def numbers(self) -> dict[str, float]:
        """All members, each a finite number."""
        return {name: self._finite(name, value) for name, value in self.raw.items()}

    def vector(self, name: str, limit: int, *, exactly: bool = False) -> Tensor:
        """A list of at most (or exactly) ``limit`` finite numbers, as float32."""
        values = self._list(name, limit)
        if exactly and len(values) != limit:
            raise InputError(f"{self.where}: {name}: expected {limit} numbers, got {len(values)}.")
        return torch.tensor([self._finite(name, value) for value in values], dtype=torch.float32)

    def rows(self, name: str, width: int, limit: int, *, exactly: bool = False) -> Tensor:
        """A list of at most (or exactly) ``limit`` rows of ``width`` finite numbers, as float32."""
        values = self._list(name, limit)
        if exactly and len(values) != limit:
            raise InputError(f"{self.where}: {name}: expected {limit} rows, got {len(values)}.")
        for row in values:
            if not isinstance(row, list) or len(row) != width:
                raise InputError(
                    f"{self.where}: {name}: expected rows of {width} numbers, got {str(row)[:60]}."
                )
        flat = [self._finite(name, value) for row in values for value in row]
        return torch.tensor(flat, dtype=torch.float32).reshape(-1, width)

    def _required(self, name: str) -> Any:
        if name not in self.raw:
            raise InputError(f"{self.where}: the field {name!r} is missing.")
        return self.raw[name]

    def _typed(self, name: str, kind: type, label: str) -> Any:
        value = self._required(name)
        if not isinstance(value, kind):
            raise InputError(f"{self.where}: {name}: expected {label}, got {type(value).__name__}.")
        return value

    def _list(self, name: str, limit: int) -> list[Any]:
        values = self._typed(name, list, "a list")
        if len(values) > limit:
            raise InputError(f"{self.where}: {name}: expected at most {limit} entries, got {len(values)}.")
        return values

    def _finite(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise InputError(f"{self.where}: {name}: expected a finite number, got {str(value)[:60]}.")
        return float(value)


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value) and abs(float(value)) < 3e38  # float32 holds it
    except OverflowError:
        return False


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number that JSON has")
