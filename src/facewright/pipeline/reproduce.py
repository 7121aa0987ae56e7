"""``reproduce``: the runs behind a table of a paper, several seeds each, and what they say.

A run is one variant with one seed. It is kept as ``runs/<variant>/seed-<n>.json`` when it is done, so that
the same command goes on where it stopped, and another table of the same variants trains nothing again.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import facewright
from facewright.core.errors import InputError, NotFiniteError, UnavailableError
from facewright.core.files import atomic_file, make_writable_folder, only_writer, read_marker, write_json
from facewright.core.names import FolderNames
from facewright.core.progress import ProgressBar
from facewright.evaluation.ablation import (
    AblationTable,
    Finding,
    Run,
    Variant,
    judge,
    table_csv,
    table_document,
    table_markdown,
)

RUNS, FORMAT_VERSION = "runs", 1
MAX_RUN_BYTES = 1 << 20
MAX_SEEDS = 1000


@runtime_checkable
class Study(Protocol):
    """A method whose tables can be reproduced."""

    @property
    def name(self) -> str:
        """Of the method."""
        ...

    @property
    def tables(self) -> Mapping[str, AblationTable]:
        """By their names."""
        ...

    def settings(self) -> Mapping[str, object]:
        """What all runs have in common, as JSON values; runs with other settings are not mixed."""
        ...

    def prepare(self, folder: Path) -> None:
        """Make what all runs need, such as data, in the folder of the reproduction; nothing twice."""
        ...

    def run(self, variant: Variant, seed: int, folder: Path) -> Mapping[str, float]:
        """Train and measure one variant; ``folder`` is its own, to go on from after a stop.

        Raises:
            NotFiniteError: the training diverged.
            UnavailableError: something that this variant needs is not there; the others do without.
        """
        ...


@dataclass(frozen=True)
class Reproduction:
    """A table with our numbers.

    Attributes:
        table: of the paper.
        findings: one a row, by one figure after the other.
        made: runs of this call.
        kept: runs that were there.
        markdown: the file for people.
    """

    table: AblationTable
    findings: tuple[Finding, ...]
    made: int
    kept: int
    markdown: Path


def reproduce(study: Study, name: str, out: Path, seeds: int) -> Reproduction:
    """Run what is missing for a table and write ``table_<name>.md``, ``.json`` and ``.csv``.

    The tables are written after every run, so that they can be looked at before the end.

    Args:
        study: the method.
        name: of its table.
        out: folder of the reproduction; several tables of one study share it.
        seeds: 0, 1, ..., seeds - 1 of each variant.

    Raises:
        InputError: there is no such table, or the folder holds runs with other settings.
        OutputError: the folder cannot be written.
    """
    if name not in study.tables:
        raise InputError(f"{study.name} has the tables {', '.join(sorted(study.tables))}, got {name!r}.")
    if not 1 <= seeds <= MAX_SEEDS:
        raise InputError(f"expected 1 to {MAX_SEEDS} seeds, got {seeds}.")
    table = study.tables[name]
    make_writable_folder(out)
    with only_writer(out):
        names = FolderNames()
        places = {variant.name: out / RUNS / names.claim(variant.name) for variant in table.variants}
        identities = {variant.name: _identity(study, variant) for variant in table.variants}
        runs: dict[str, list[Run]] = {variant.name: [] for variant in table.variants}
        # Seed by seed: a run that is stopped has seen every variant about as often.
        wanted = [(variant, seed) for seed in range(seeds) for variant in table.variants]
        missing = []
        for variant, seed in wanted:
            run = _read_run(places[variant.name], seed, identities[variant.name])
            if run is None:
                missing.append((variant, seed))
            else:
                runs[variant.name].append(run)
        if missing:
            study.prepare(out)
        with ProgressBar(len(missing), unit="run") as bar:
            for variant, seed in missing:
                bar.name(f"{variant.name}, seed {seed}")
                run, seconds = _run(study, variant, seed, places[variant.name])
                _write_run(places[variant.name], run, identities[variant.name], seconds)
                runs[variant.name].append(run)
                bar.line(f"{variant.name}, seed {seed}: {_told(run, table)} ({seconds:.0f} s)")
                bar.advance()
                _write_tables(study, table, runs, out)
        markdown, findings = _write_tables(study, table, runs, out)
    return Reproduction(table, findings, len(missing), len(wanted) - len(missing), markdown)


def _run(study: Study, variant: Variant, seed: int, place: Path) -> tuple[Run, float]:
    start = time.perf_counter()
    try:
        metrics = dict(study.run(variant, seed, place / f"seed-{seed}"))
        wild = sorted(name for name, value in metrics.items() if not math.isfinite(value))
        run = Run(seed, metrics) if not wild else Run(seed, problem=f"{wild[0]} is not finite", diverged=True)
    except NotFiniteError as error:
        run = Run(seed, problem=str(error), diverged=True)
    except UnavailableError as error:
        run = Run(seed, problem=str(error))
    return run, time.perf_counter() - start


def _told(run: Run, table: AblationTable) -> str:
    if run.diverged:
        return "diverged"
    metric = table.figures[0].metric
    return run.problem or f"{metric} {run.metrics.get(metric, float('nan')):.4g}"


def _identity(study: Study, variant: Variant) -> dict[str, Any]:
    """What a run depends on besides its seed, as JSON gives it back."""
    told = {"method": study.name, "variant": variant.name, "changes": dict(variant.changes)}
    return json.loads(json.dumps({**told, "settings": dict(study.settings())}))


def _read_run(place: Path, seed: int, identity: Mapping[str, Any]) -> Run | None:
    """A run that is there; None if it is not, or could not be made then for want of something.

    Raises:
        InputError: it was made with other settings, or is damaged.
    """
    path = place / f"seed-{seed}.json"
    if not path.exists():
        return None
    content = read_marker(path, MAX_RUN_BYTES)
    try:
        if content is None or content["format_version"] != FORMAT_VERSION or content["seed"] != seed:
            raise KeyError("format_version")
        metrics = {str(key): float(value) for key, value in content["metrics"].items()}
        made_with, diverged, problem = content["identity"], bool(content["diverged"]), str(content["problem"])
    except (LookupError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{path} is no run of this version, or is damaged: delete it to run it again."
        ) from None
    if made_with != identity:
        other = first_difference(made_with, identity)
        raise InputError(f"{path} was made with other settings ({other}): choose another folder with --out.")
    return None if problem and not diverged else Run(seed, metrics, problem, diverged)


def first_difference(old: Any, new: Any, at: str = "") -> str:
    """The first place where two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                return first_difference(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    return f"{at}: {json.dumps(old)[:60]}, now {json.dumps(new)[:60]}"


def _write_run(place: Path, run: Run, identity: Mapping[str, Any], seconds: float) -> None:
    write_json(
        place / f"seed-{run.seed}.json",
        {
            "format_version": FORMAT_VERSION,
            "facewright_version": facewright.__version__,
            "identity": dict(identity),
            "seed": run.seed,
            "metrics": dict(run.metrics),
            "diverged": run.diverged,
            "problem": run.problem,
            "seconds": round(seconds, 2),
        },
    )


def _write_tables(
    study: Study, table: AblationTable, runs: Mapping[str, list[Run]], out: Path
) -> tuple[Path, tuple[Finding, ...]]:
    findings = judge(table, runs)
    settings = dict(study.settings())
    told = ["Settings of all runs:", "", "```json", json.dumps(settings, indent=1), "```"]
    stem = out / f"table_{table.name}"
    document = {**table_document(table, findings), "method": study.name, "settings": settings}
    write_json(stem.with_suffix(".json"), {"facewright_version": facewright.__version__, **document})
    markdown = stem.with_suffix(".md")
    for path, text in (
        (markdown, table_markdown(table, findings, told)),
        (stem.with_suffix(".csv"), table_csv(findings)),
    ):
        with atomic_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    return markdown, findings
