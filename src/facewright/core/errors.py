"""Every error that facewright raises on purpose.

A message says what was expected, what came, and what to do next. ``assert`` is never used for input.
"""

from collections.abc import Sequence


class FacewrightError(Exception):
    """Base of all errors raised on purpose; its text is one clear line for a user."""


class InputError(FacewrightError, ValueError):
    """An argument has the wrong shape, range, unit or type."""


class HiddenFaceError(InputError):
    """Too little of faces lies in their photos; ``faces`` are their numbers among those that were given."""

    def __init__(self, message: str, faces: Sequence[int]) -> None:
        super().__init__(message)
        self.faces = tuple(faces)


class ImageError(InputError):
    """A file is not a photo that can be read, or is too small or too large."""


class ScanError(InputError):
    """A file is not a scan that can be read, or is damaged, empty or too large."""


class NoFaceError(FacewrightError):
    """No face, or no face that is good enough, was found in a photo or on a scan."""


class SeveralFacesError(NoFaceError):
    """More than one face was found where one was expected, so that none of them can be meant."""


class AssetError(FacewrightError):
    """A model or weight file is missing, damaged, or of another version."""


class OutputError(FacewrightError, OSError):
    """A result could not be written: the folder is not writable, or the disk is full."""


class UnavailableError(FacewrightError, RuntimeError):
    """A device, backend or optional package that was asked for is not there."""


class NotFiniteError(FacewrightError, ArithmeticError):
    """A loss, a gradient or a measure of a training is NaN or infinite."""


class DatasetError(InputError):
    """A folder is not the data set that it was given for, or something of it is missing or damaged."""
