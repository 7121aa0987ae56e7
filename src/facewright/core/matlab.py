"""Numbers out of MATLAB files (versions 5 to 7), with what a file announces checked before it is unpacked."""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

Shapes = Mapping[str, tuple[int, ...]]
NUMBERS = {"double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}

# What scipy raises on damaged files beside its own errors and ValueError.
DAMAGE = (LookupError, TypeError, ArithmeticError, OSError, EOFError, NotImplementedError)
BROKEN_PACKING = (zlib.error, struct.error)


def read_matlab_numbers(
    path: Path, names: Sequence[str], check: Callable[[Shapes], None]
) -> dict[str, ndarray]:
    """Read some variables of a file; nothing else of it is unpacked.

    Args:
        path: the file.
        names: the variables.
        check: raises on shapes that are not to be unpacked; asked for the announced and for the read ones.

    Raises:
        ValueError: the file is no such file or is damaged, or a variable is missing or holds no numbers. What
            ``check`` raises goes through.
    """
    from scipy.io import loadmat, matlab, whosmat

    try:
        listed = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        missing = [name for name in names if name not in listed]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}")
        for name in names:
            if listed[name][1] not in NUMBERS:
                raise ValueError(f"{name} holds {listed[name][1]}, expected numbers")
        check({name: tuple(listed[name][0]) for name in names})
        file: dict[str, Any] = loadmat(path, variable_names=list(names))
        loaded = {name: np.asarray(file[name]) for name in names}
    except (matlab.MatReadError, *DAMAGE, *BROKEN_PACKING) as error:
        raise ValueError(str(error)) from error
    check({name: array.shape for name, array in loaded.items()})
    wrong = [name for name, array in loaded.items() if array.dtype.kind not in "fiu"]
    if wrong:
        raise ValueError(f"{wrong[0]} holds {loaded[wrong[0]].dtype}, expected numbers")
    return loaded
