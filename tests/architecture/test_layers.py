"""Who may import whom, what travels in the package, and which examples there are."""

import ast
import tomllib
from pathlib import Path

import pytest

FLOORS = ["cli", "pipeline", "methods", "data | evaluation | export | training", "fitting | registration"]
FLOORS += ["detection | uv", "models | render | networks", "scene", "image | geometry", "core"]


def contract(pyproject: str, kind: str = "layers") -> dict:
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    (found,) = [each for each in contracts if each["type"] == kind]
    return found


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Line and name of every absolute import of a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append((node.lineno, node.module or ""))
    return found


def foreign_methods(methods: Path) -> list[str]:
    """Imports of one method by another."""
    names = {path.parent.name for path in methods.glob("*/__init__.py")}
    found = []
    for path in sorted(methods.rglob("*.py")):
        own = path.relative_to(methods).parts[0]
        for line, name in imports_of(path):
            parts = name.split(".")
            if own in names and parts[:2] == ["facewright", "methods"] and set(parts[2:3]) & (names - {own}):
                found.append(f"{path.relative_to(methods)}:{line} imports {name}")
    return found


def upward_imports(package: Path) -> list[str]:
    """Imports of a neighbour or of a higher floor, found without import-linter, as its control."""
    height = {name: i for i, floor in enumerate(reversed(FLOORS)) for name in floor.split(" | ")}
    found = []
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0]
        if own not in height:
            continue
        for line, name in imports_of(path):
            parts = name.split(".")
            other = parts[1] if parts[0] == "facewright" and len(parts) > 1 else own
            if other != own and height.get(other, -1) >= height[own]:
                found.append(f"{path.relative_to(package)}:{line} imports {other}")
    return found


def test_the_contract_names_every_floor(repository: Path) -> None:
    layers = contract((repository / "pyproject.toml").read_text())
    assert layers["layers"] == FLOORS
    assert layers["exhaustive"] is True
    packages = {
        path.name for path in (repository / "src/facewright").iterdir() if (path / "__init__.py").is_file()
    }
    assert packages - {"assets"} == {name for floor in FLOORS for name in floor.split(" | ")}


def test_floors_import_lower_floors_only(repository: Path) -> None:
    assert upward_imports(repository / "src/facewright") == []


@pytest.mark.parametrize("wrong", ["import facewright.cli.main", "from facewright.models import base"])
def test_an_upward_import_is_caught(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "render").mkdir()
    (tmp_path / "render" / "draw.py").write_text("from facewright.core import errors\n")
    assert upward_imports(tmp_path) == []
    (tmp_path / "render" / "draw.py").write_text(wrong + "\n")
    assert len(upward_imports(tmp_path)) == 1


def test_methods_do_not_know_one_another(repository: Path, tmp_path: Path) -> None:
    methods = repository / "src/facewright/methods"
    names = sorted(f"facewright.methods.{path.parent.name}" for path in methods.glob("*/__init__.py"))
    assert contract((repository / "pyproject.toml").read_text(), "independence")["modules"] == names
    assert foreign_methods(methods) == []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("from facewright.methods.base import Method\n")
    assert foreign_methods(tmp_path) == []
    (tmp_path / "one" / "train.py").write_text("from facewright.methods.other.train import Task\n")
    assert len(foreign_methods(tmp_path)) == 1


def test_assets_are_listed_with_licence_and_stay_small(repository: Path) -> None:
    import json

    folder = repository / "src/facewright/assets"
    manifest = json.loads((folder / "manifest.json").read_text())
    shipped = {path.name for path in folder.iterdir() if path.suffix == ".safetensors"}
    assert shipped == set(manifest)
    assert all(entry["licence"] and entry["built_by"] for entry in manifest.values())
    size = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sum(n for name, n in size.items() if name.startswith("base_head")) <= 10 << 20
    finders = [name for name in shipped if name.startswith(("detector", "landmarker"))]
    assert sorted(finders) == [
        "detector.safetensors",
        "landmarker_eyes.safetensors",
        "landmarker_first.safetensors",
        "landmarker_second.safetensors",
    ]
    assert sum(size[name] for name in finders) <= 15 << 20
    assert sum(size[name] for name in shipped) <= 120 << 20
