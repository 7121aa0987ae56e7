"""Numbers in text files, to the last digit and without an object for each word."""

import re
import warnings

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from facewright.core.errors import ScanError

MAX_SHOWN = 40  # characters of a word that is no number


def read_floats(text: bytes) -> Float64[ndarray, " N"]:
    """All words of a text as numbers, each rounded once, however many digits it has.

    Raises:
        ScanError: a word is no number.
    """
    return _parsed(text, np.dtype(np.float64))


def read_integers(text: bytes) -> Int64[ndarray, " N"]:
    """All words of a text as whole numbers; those beyond 64 bits become the largest there is.

    Raises:
        ScanError: a word is no whole number.
    """
    return _parsed(text, np.dtype(np.int64))


def word_places(text: bytes) -> tuple[Int64[ndarray, " N"], Int64[ndarray, " L"]]:
    """Where each word begins, and the number of words in each line that has any."""
    raw = np.frombuffer(text, dtype=np.uint8)
    begins = raw > ord(" ")
    begins[1:] &= raw[:-1] <= ord(" ")
    at = np.flatnonzero(begins)
    ends = np.flatnonzero((raw == ord("\n")) | (raw == ord("\r")))
    widths = np.diff(np.searchsorted(at, np.append(ends, len(raw))), prepend=0)
    return at, widths[widths > 0]


def _parsed(text: bytes, dtype: np.dtype) -> ndarray:
    with warnings.catch_warnings():
        # NumPy before 2.4 warns of a word that is no number, and returns what came before it.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=dtype, sep=" ")
        except (ValueError, DeprecationWarning) as error:
            raise ScanError(f"{_wrong_word(text, dtype)} is no number: it is damaged.") from error


def _wrong_word(text: bytes, dtype: np.dtype) -> str:
    for match in re.finditer(rb"\S+", text):
        word = match[0][:MAX_SHOWN]
        try:
            dtype.type(word.decode("ascii"))
        except (ValueError, OverflowError):
            return repr(word.decode("ascii", errors="replace"))
    return "a word"
