"""Code on documentation pages runs, and every example is listed and runs."""

import re
import runpy
import sys
from pathlib import Path

import pytest

DOCUMENTS = ["docs/conventions.md"]
# Explicit, so that none can be left out in silence: name and arguments after the output folder.
EXAMPLES = ["01_reconstruct_photo.py", "02_edit_expression.py", "03_render_head.py"]


def code_of(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def run(blocks: list[str], name: str) -> None:
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), scope)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_run(repository: Path, name: str) -> None:
    blocks = code_of((repository / name).read_text())
    assert len(blocks) >= 5
    run(blocks, name)


def test_a_wrong_document_is_caught() -> None:
    blocks = code_of("text\n```python\nhalf = 1 / 2\n```\nmore\n```python\nassert half == 1\n```\n")
    assert len(blocks) == 2
    with pytest.raises(AssertionError):
        run(blocks, "wrong.md")


def test_every_example_is_listed_and_short(repository: Path) -> None:
    paths = sorted((repository / "examples").glob("*.py"))
    assert [path.name for path in paths] == EXAMPLES
    assert all(len(path.read_text().splitlines()) < 80 for path in paths)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(repository: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, str(tmp_path)])
    runpy.run_path(str(repository / "examples" / name), run_name="__main__")
    assert any(tmp_path.rglob("*.png"))
