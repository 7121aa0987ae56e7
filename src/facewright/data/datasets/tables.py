"""Label files of CelebA and its relatives: one row a photo, which begins with the photo's name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from facewright.data.datasets.layout import SetPlace

MAX_ROWS = 5_000_000
MAX_COLUMNS = 1000


def read_table(
    place: SetPlace, path: Path, *, counted: bool = False, titled: bool = False
) -> tuple[tuple[str, ...], ndarray, tuple[str, ...]]:
    """Read a file of numbers.

    Args:
        place: of the set, for messages.
        path: the file.
        counted: whether the first line is the number of rows.
        titled: whether the next line names the columns; that of the photo's name may be missing.

    Returns:
        Names of the photos, numbers (rows, columns), names of the columns.

    Raises:
        DatasetError: the file is damaged or of another layout.
    """
    lines = place.lines(path)
    try:
        expected = int(next(lines)) if counted else None
        titles = tuple(next(lines).split()) if titled else ()
    except (StopIteration, ValueError) as error:
        raise place.damaged(path, f"it does not begin as it should ({error})") from error
    names: list[str] = []
    rows: list[list[float]] = []
    for line in lines:
        name, *numbers = line.split()
        try:
            rows.append([float(number) for number in numbers])
        except ValueError as error:
            raise place.damaged(path, f"row {len(rows) + 1}: {error}") from error
        if "/" in name or "\\" in name:
            raise place.damaged(path, f"row {len(rows)}: {name[:60]!r} is no photo's name")
        if len(rows[-1]) != len(rows[0]) or len(rows[0]) > MAX_COLUMNS or len(rows) > MAX_ROWS:
            raise place.damaged(path, f"row {len(rows)} has {len(rows[-1])} numbers, not {len(rows[0])}")
        names.append(name)
    width = len(rows[0]) if rows else 0
    if not rows or (expected is not None and expected != len(rows)):
        raise place.damaged(path, f"it has {len(rows)} rows, not {expected if rows else 'one or more'}")
    if titled and len(titles) - width not in (0, 1):
        raise place.damaged(path, f"it names {len(titles)} columns and has {width}")
    values = np.array(rows, dtype=np.float32)
    if not np.isfinite(values).all():
        raise place.damaged(path, "not all numbers are finite")
    return tuple(names), values, titles[len(titles) - width :] if titled else ()


def rows_of(place: SetPlace, path: Path, names: Sequence[str], wanted: Sequence[str]) -> ndarray:
    """Which row of a file belongs to each of the wanted photos.

    Raises:
        DatasetError: the file has no row for one of them.
    """
    place_of = {name: row for row, name in enumerate(names)}
    missing = [name for name in wanted if name not in place_of]
    if missing:
        raise place.damaged(path, f"it has no row for {missing[0]} and {len(missing) - 1} other photos")
    return np.array([place_of[name] for name in wanted], dtype=np.int64)
