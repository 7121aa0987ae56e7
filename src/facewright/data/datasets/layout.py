"""What the folder of a data set must hold, and one error that says what of it is missing."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facewright.core.errors import DatasetError

SHOWN = 10  # missing paths that an error names
MAX_TEXT = 256 << 20  # bytes of a label file; CelebA's largest has 26 MB


@dataclass(frozen=True)
class SetPlace:
    """Where a data set lies and how it is to be laid out.

    Attributes:
        name: of the data set.
        folder: that the user gave.
        licence_page: where it is described and its terms are.
        layout: the expected files in a line.
    """

    name: str
    folder: Path
    licence_page: str
    layout: str

    def require(self, paths: Iterable[str]) -> None:
        """Refuse a folder in which some of the paths (relative, with slashes) are missing.

        Raises:
            DatasetError: names the first ten of them and says how many they are.
        """
        if not self.folder.is_dir():
            raise DatasetError(f"there is no folder {self.folder}. {self._expectation()}")
        listed: dict[str, set[str]] = {}
        missing = [path for path in paths if not self._is_there(path, listed)]
        if missing:
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            raise DatasetError(
                f"{self.folder} is no whole {self.name}: missing {', '.join(missing[:SHOWN])}{more} "
                f"({len(missing)} in all). {self._expectation()}"
            )

    def first_of(self, *wanted: Sequence[str]) -> list[Path]:
        """Of each of some lists of paths the first that is there.

        Raises:
            DatasetError: of some lists none is; the first of each is named.
        """
        found = [[path for path in named if (self.folder / path).exists()] for named in wanted]
        missing = [named[0] for named, there in zip(wanted, found, strict=True) if not there]
        self.require(missing)
        if missing:
            raise self.damaged(missing[0], "it cannot be read")
        return [self.folder / there[0] for there in found]

    def damaged(self, path: Path | str, why: str) -> DatasetError:
        """The error to raise on a file whose content is not as it should be."""
        return DatasetError(f"{self.name}: {path} is damaged or of another layout: {why}.")

    def lines(self, path: Path) -> Iterator[str]:
        """Lines of a label file that are not empty, without white space around them.

        Raises:
            DatasetError: the file cannot be read, or is far too large.
        """
        try:
            if path.stat().st_size > MAX_TEXT:
                raise self.damaged(path, f"it has more than {MAX_TEXT >> 20} MB")
            with path.open(encoding="utf-8") as stream:
                for line in stream:
                    if line.strip():
                        yield line.strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self.damaged(path, str(error)) from error

    def _is_there(self, path: str, listed: dict[str, set[str]]) -> bool:
        """Whether a path is there, with one listing a folder instead of one question a file."""
        folder, _, name = path.rpartition("/")
        if folder not in listed:
            try:
                listed[folder] = set(os.listdir(self.folder / folder))  # noqa: PTH208 (names alone, quickly)
            except OSError:
                listed[folder] = set()
        return name in listed[folder]

    def _expectation(self) -> str:
        return f"Expected {self.layout}. {self.name} and its terms: {self.licence_page}"
