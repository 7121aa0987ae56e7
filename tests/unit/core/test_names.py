"""Names that never collide and that every file system accepts."""

from pathlib import Path

import pytest

from facewright.core.names import FolderNames, safe_name


def test_colliding_names() -> None:
    names = FolderNames(["report.json"])
    claimed = [names.claim(stem) for stem in ("a", "A", "a", "a_2", "report.json")]
    assert claimed == ["a", "A_2", "a_3", "a_2_2", "report.json_2"]
    assert len({name.casefold() for name in claimed}) == len(claimed)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("..", "photo"),
        (".", "photo"),
        ("", "photo"),
        ("a/b\\c:d", "a_b_c_d"),
        ("Zoë 1", "Zoë 1"),
        ("x. ", "x"),
        ("CON", "_CON"),
        ("nul.2024", "_nul.2024"),
        ("Lpt1", "_Lpt1"),
        ("console", "console"),
    ],
)
def test_safe_names(stem: str, expected: str) -> None:
    assert safe_name(stem) == expected


def test_long_and_undecodable_names(tmp_path: Path) -> None:
    assert len(safe_name("é" * 200).encode()) <= 120
    (tmp_path / safe_name("bad\udcff")).mkdir()
