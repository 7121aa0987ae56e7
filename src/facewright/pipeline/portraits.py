"""The two public-domain portraits of ``facewright demo``, which travel inside packages that we depend on."""

from importlib.util import find_spec
from pathlib import Path

from facewright.core.errors import UnavailableError

# Works of NASA and of the US Navy: public domain.
_PLACES = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}


def demo_portraits() -> dict[str, Path]:
    """Return the portraits' files by name, without importing the packages that carry them.

    Raises:
        UnavailableError: a package is not installed, or came without its sample pictures.
    """
    return {name: _sample(package, relative) for name, (package, relative) in _PLACES.items()}


def _sample(package: str, relative: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise UnavailableError(f"the demo's portrait is in the package {package}: pip install {package}.")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise UnavailableError(f"the demo's portrait is missing at {path}: reinstall {package}.")
    return path
