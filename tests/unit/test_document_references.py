"""What documents refer to is there: links, their headings, paths, scripts, commands and their options."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from facewright.cli import model
from facewright.cli.main import COMMANDS
from facewright.cli.train import Train

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"^```[a-z]*\n(.*?)^```|`([^`]+)`", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# In their own repository or on the user's disk; what is downloaded or made has no path in ours.
FOLDERS = ("docs/", "src/", "scripts/", "benchmarks/", "examples/", "tests/")
SUBCOMMANDS = {
    "model": ("info", "import", "build", "sphere"),
    "train": ("specular", "sphere", "recognition", "segmentation"),
}


def documents(repository: Path) -> list[Path]:
    found = [*repository.glob("*.md"), *repository.glob("docs/**/*.md")]
    return sorted([*found, *repository.glob("src/facewright/assets/*.md")])


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> Iterator[str]:
    for target in LINK.findall(text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            yield f"{path.name}: {target} is not there"
        elif anchor and anchor not in anchors(file.read_text()):
            yield f"{path.name}: {target} has no such heading"


def spans(text: str) -> Iterator[str]:
    for block, inline in SPAN.findall(text):
        joined = (block or inline).replace("\\\n", " ")
        yield from joined.splitlines() if block else [" ".join(joined.split())]


def lost_paths(repository: Path, name: str, text: str) -> Iterator[str]:
    for span in spans(text):
        for word in span.split():
            word = word.strip(",:()'\"")
            ours = word.startswith(FOLDERS) and not re.search(r"[*<>{}$]|\.\.\.", word)
            if ours and not (repository / word.split("::")[0].split("#")[0]).exists():
                yield f"{name}: {word} is not there"


def options_of(repository: Path, command: tuple[str, ...]) -> set[str]:
    """As tyro names them after the fields, either way of a switch."""
    name, *below = command
    kind = getattr(model, f"Model{below[0].title()}") if name == "model" and below else COMMANDS[name]
    names = {field.name for field in fields(Train if name == "train" else kind)}
    if name == "train" and below:  # read, not imported: that takes seconds
        sources = (repository / "src/facewright/methods" / below[0]).glob("*.py")
        own = {n for path in sources for n in re.findall(r"^    (\w+): ", path.read_text(), re.MULTILINE)}
        names |= own | {f"{outer}_{inner}" for outer in own for inner in own}
    flags = {name.replace("_", "-") for name in names}
    return {f"--{no}{flag}" for flag in flags for no in ("", "no-")} | {"--help"}


def commands_of(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """(command, subcommand), options of each call of facewright in a text."""
    for span in spans(text):
        for call in re.split(r"[|;&]|\s#", span):
            words = call.split()
            place = next((i for i, word in enumerate(words) if word.rsplit("/", 1)[-1] == "facewright"), None)
            if place is None or len(words) < place + 2 or words[place + 1] not in COMMANDS:
                continue
            name, rest = words[place + 1], words[place + 2 :]
            below = next((word for word in rest if word in SUBCOMMANDS.get(name, ())), None)
            yield ((name, below) if below else (name,)), OPTION.findall(" ".join(rest))


def strange_options(repository: Path, text: str) -> Iterator[str]:
    for command, options in commands_of(text):
        known = options_of(repository, command)
        yield from (f"{' '.join(command)} has no {option}" for option in options if option not in known)


def strange_script_options(repository: Path, text: str) -> Iterator[str]:
    shared = (repository / "scripts/training_data/commands.py").read_text()
    for span in spans(text):
        for name, rest in re.findall(r"python (scripts/\w+\.py)([^|;&]*)", span):
            if (repository / name).is_file():
                source = (repository / name).read_text() + shared
                yield from (f"{name} has no {o}" for o in OPTION.findall(rest) if f'"{o}"' not in source)


def test_links_and_paths_are_there(repository: Path) -> None:
    texts = {path: path.read_text() for path in documents(repository)}
    assert len(texts) > 20
    assert [found for path, text in texts.items() for found in broken_links(path, text)] == []
    assert [found for path, text in texts.items() for found in lost_paths(repository, path.name, text)] == []


def test_commands_know_their_options(repository: Path) -> None:
    texts = [path.read_text() for path in documents(repository)]
    assert len({command for text in texts for command, _ in commands_of(text)}) > 12
    assert [found for text in texts for found in strange_options(repository, text)] == []
    assert [found for text in texts for found in strange_script_options(repository, text)] == []
    # The control.
    wrong = "`facewright demo --together` and `python scripts/turn_faces.py --angle 3`"
    assert list(strange_options(repository, wrong)) == ["demo has no --together"]
    assert list(strange_script_options(repository, wrong)) == ["scripts/turn_faces.py has no --angle"]


def test_what_is_not_there_is_caught(repository: Path) -> None:
    text = "[a](nowhere.md) [b](README.md#no-such-heading) [c](README.md#in-python) `scripts/none.py`"
    assert len(list(broken_links(repository / "x.md", text))) == 2
    assert list(lost_paths(repository, "x.md", text)) == ["x.md: scripts/none.py is not there"]
