"""That kernels are compiled is said once, and nowhere where they were kept."""

from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from numba import config

from facewright.core import kernels
from facewright.core.log import log_to_terminal, logger

SOURCE = """
from facewright.core.kernels import kernel

@kernel()
def one_more(value):
    return value + 1

@kernel()
def two_more(value):
    return value + 2
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was said since it was last asked for."""
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(logger("kernels"), "disabled", False)
    package = logger()
    before = package.handlers[:], package.level, package.propagate
    log_to_terminal(verbose=False)
    yield lambda: capsys.readouterr().err
    package.handlers[:], package.propagate = before[0], before[2]
    package.setLevel(before[1])


def started(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module as a new process has it."""
    monkeypatch.setattr(kernels._word, "said", False)
    monkeypatch.setattr(kernels._word, "kept", True)
    spec = spec_from_file_location("some_kernels", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_process_says_so_once_and_the_second_nothing(
    told: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some_kernels.py"
    path.write_text(SOURCE)
    first = started(path, monkeypatch)
    assert kernels.word_is_due()
    assert (first.one_more(1), first.two_more(1)) == (2, 3)
    assert not kernels.word_is_due()
    assert told().count("compiling numerical kernels, once") == 1
    second = started(path, monkeypatch)
    assert (second.one_more(1), second.two_more(1)) == (2, 3)
    assert told() == ""
    assert second.one_more(1.5) == 2.5  # the control: what no process kept
    assert told().count("compiling") == 1


def test_kernels_run_where_nothing_can_be_kept(
    told: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some_kernels.py"
    path.write_text(SOURCE)
    (tmp_path / "__pycache__").write_text("a file, so no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    for _ in range(2):
        assert started(path, monkeypatch).one_more(1) == 2
    assert told().count("in each run") == 2
