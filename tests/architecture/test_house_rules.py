"""The rules of the house that a program can check, each with a broken copy that it must catch."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MAX_LINES, MAX_TEST_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 500, 400, 60, 8
MAX_KERNEL_LINES = 80  # calls between numba kernels cost speed
VAGUE_NAMES = {"utils", "util", "misc", "common", "helpers", "helper"}
CODE_FOLDERS = ("src", "scripts", "benchmarks", "examples", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(repository: Path, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (repository / folder).rglob("*.py"))


def long_files(files: list[Path], limit: int) -> list[str]:
    return [f"{path}: {n} lines" for path in files if (n := len(path.read_text().splitlines())) > limit]


def vague_modules(files: list[Path]) -> list[str]:
    return [str(path) for path in files if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES]


def functions(tree: ast.Module) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def is_kernel(node: Function) -> bool:
    """A kernel of numba or Warp takes bare arrays and scalars: records and checks do not exist in there."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(text.startswith(("njit", "numba.njit", "kernel(", "wp.")) for text in decorators)


def oversized_functions(path: Path, parameters: int = MAX_PARAMETERS) -> Iterator[str]:
    for node in functions(ast.parse(path.read_text())):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        if lines > (MAX_KERNEL_LINES if is_kernel(node) else MAX_FUNCTION_LINES):
            yield f"{path}:{node.lineno} {node.name}: {lines} lines"
        # What torch hands to an autograd function is not ours to bundle.
        if count > parameters and "ctx" not in names and not is_kernel(node):
            yield f"{path}:{node.lineno} {node.name}: {count} parameters"


def public_definitions(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            # A protocol's members are documented as its attributes.
            if isinstance(node, ast.ClassDef) and "Protocol" not in [
                ast.unparse(base) for base in node.bases
            ]:
                members = (item for item in node.body if isinstance(item, Function))
                yield from (item for item in members if not item.name.startswith("_"))


def undocumented(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    if not ast.get_docstring(tree) and path.name != "__init__.py":
        yield f"{path}: the module has no docstring"
    for node in public_definitions(tree):
        if not ast.get_docstring(node):
            yield f"{path}:{node.lineno} {node.name} has no docstring"
        if isinstance(node, Function) and not is_kernel(node):
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            if bare or node.returns is None:
                missing = ", ".join(bare) or "return"
                yield f"{path}:{node.lineno} {node.name} is not fully annotated ({missing})"


def forbidden_statements(path: Path) -> Iterator[str]:
    """Asserts for what users give, pickles, and names imported by star."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assert):
            yield f"{path}:{node.lineno} assert"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", None) or ""}
            if names & {"pickle", "*", "joblib", "dill"}:
                yield f"{path}:{node.lineno} import of {', '.join(sorted(filter(None, names)))}"


def test_files_are_short(repository: Path) -> None:
    assert long_files(python_files(repository, "src", "scripts", "benchmarks", "examples"), MAX_LINES) == []
    assert long_files(python_files(repository, "tests"), MAX_TEST_LINES) == []


def test_no_module_has_a_vague_name(repository: Path) -> None:
    assert vague_modules(python_files(repository, *CODE_FOLDERS)) == []


def test_functions_are_short(repository: Path) -> None:
    files = python_files(repository, "src", "benchmarks", "examples")
    assert [line for path in files for line in oversized_functions(path)] == []
    scripts = python_files(repository, "scripts")  # what draws and plots takes a few more
    assert [line for path in scripts for line in oversized_functions(path, MAX_PARAMETERS + 2)] == []


def test_what_is_public_is_documented_and_annotated(repository: Path) -> None:
    files = python_files(repository, "src")
    assert [line for path in files for line in undocumented(path)] == []


def test_no_forbidden_statements(repository: Path) -> None:
    files = python_files(repository, "src")
    assert [line for path in files for line in forbidden_statements(path)] == []


BROKEN = '''
import pickle

def undressed(a, b):
    return a

def crowded(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int, i: int) -> int:
    """Too many."""
    assert a
    return a
'''


@pytest.mark.parametrize(
    ("check", "expected"), [(undocumented, 3), (forbidden_statements, 2), (oversized_functions, 1)]
)
def test_the_checks_catch_a_broken_module(tmp_path: Path, check, expected: int) -> None:
    path = tmp_path / "utils.py"
    path.write_text(BROKEN)
    assert len(list(check(path))) == expected
    assert vague_modules([path]) == [str(path)]
    path.write_text("def long():\n" + "    a = 1\n" * 61)
    assert len(list(oversized_functions(path))) == 1
    path.write_text("a = 1\n" * 501)
    assert len(long_files([path], MAX_LINES)) == 1
