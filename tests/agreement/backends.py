"""The backends that must agree with the reference; Warp's run on its CPU device, where it is installed."""

from importlib.metadata import PackageNotFoundError, distribution

import pytest


def installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


without_warp = pytest.mark.skipif(
    not installed("warp-lang"), reason="warp-lang (the extra gpu) is not installed"
)
BACKENDS = ["cpu", "portable", pytest.param("warp", marks=without_warp)]
