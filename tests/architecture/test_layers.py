"""Who may import whom, what travels in the package, and which examples there are."""

import ast
import tomllib
from pathlib import Path

import pytest

FLOORS = ["cli", "pipeline", "methods", "data | evaluation | export | training", "fitting | registration"]
FLOORS += ["detection | uv", "models | render | networks", "scene", "image | geometry", "core"]


def contract(pyproject: str) -> dict:
    (layers,) = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    return layers


def upward_imports(package: Path) -> list[str]:
    """Imports of a neighbour or of a higher floor, found without import-linter, as its control."""
    height = {name: i for i, floor in enumerate(reversed(FLOORS)) for name in floor.split(" | ")}
    found = []
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0]
        if own not in height:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in named:
                parts = name.split(".")
                other = parts[1] if parts[0] == "facewright" and len(parts) > 1 else own
                if other != own and height.get(other, -1) >= height[own]:
                    found.append(f"{path.relative_to(package)}:{node.lineno} imports {other}")
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


def test_assets_are_listed_with_licence_and_stay_small(repository: Path) -> None:
    import json

    folder = repository / "src/facewright/assets"
    manifest = json.loads((folder / "manifest.json").read_text())
    shipped = {path.name for path in folder.iterdir() if path.suffix == ".safetensors"}
    assert shipped == set(manifest)
    assert all(entry["licence"] and entry["built_by"] for entry in manifest.values())
    size = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sum(n for name, n in size.items() if name.startswith("base_head")) <= 10 << 20
    networks = sum(n for name, n in size.items() if name.endswith("er.safetensors"))
    assert networks <= 15 << 20
