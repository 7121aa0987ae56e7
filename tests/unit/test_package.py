"""The top package is light and offers what it says."""

import subprocess
import sys

import pytest

import facewright

HEAVY = ("torch", "numpy", "numba", "scipy", "PIL", "matplotlib", "skimage")


def loaded_by(code: str) -> list[str]:
    check = f"import sys\n{code}\nprint(*[m for m in {HEAVY} if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    ).stdout.split()


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import facewright; facewright.__version__; dir(facewright)") == []
    assert "torch" in loaded_by("import facewright; facewright.FaceModel")  # the control


def test_command_line_starts_without_torch() -> None:
    assert "torch" not in loaded_by("import facewright.cli.main")


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="it offers"):
        facewright.recontruct  # noqa: B018
