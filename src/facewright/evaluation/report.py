"""The table of a run, as CSV, JSON and Markdown."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

import facewright
from facewright.core.files import atomic_file, write_json
from facewright.evaluation.geometry_metrics import (
    ErrorSummary,
    area_under_ced,
    cumulative_errors,
    summarize,
)
from facewright.evaluation.records import Unit

FORMAT = "facewright-evaluation"
FORMAT_VERSION = 1
TABLES = TABLE_JSON, TABLE_CSV, TABLE_MARKDOWN = "table.json", "table.csv", "table.md"
CED_LIMIT: Mapping[str, float] = {"mm": 7.0, "%": 10.0}
CED_STEPS = 141
SUMMARY_COLUMNS = ("count", "mean", "median", "std", "rms", "p95")


@dataclass(frozen=True)
class PairResult:
    """What became of one pair.

    Attributes:
        name: of the pair.
        status: measured or failed.
        parts: summaries by part; none if it failed.
        values: further numbers by name.
        notes: where the data made the protocol deviate.
        reason: why it failed, or "".
    """

    name: str
    status: Literal["measured", "failed"]
    parts: Mapping[str, ErrorSummary] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class PooledPart:
    """One part over all pairs that have it.

    Attributes:
        summary: of the errors of all pairs together, as NoW has it.
        pair_mean: mean over the pairs' means, as most papers have it.
        pair_std: standard deviation over the pairs' means.
        pair_median: median over the pairs' medians.
        auc: area under the CED up to ``CED_LIMIT``, 1 is perfect.
        ced: fraction of errors at most each of ``ced_thresholds``.
    """

    summary: ErrorSummary
    pair_mean: float
    pair_std: float
    pair_median: float
    auc: float
    ced: Float[ndarray, " T"]


@dataclass(frozen=True)
class EvaluationTable:
    """All that a run found.

    Attributes:
        protocol: its name.
        settings: of the protocol and the run, JSON values.
        unit: of the errors.
        headline: what papers quote of the protocol.
        results: one a pair, in the order of the pairs.
        pooled: by part.
    """

    protocol: str
    settings: Mapping[str, Any]
    unit: Unit
    headline: str
    results: tuple[PairResult, ...]
    pooled: Mapping[str, PooledPart]

    @property
    def failed(self) -> int:
        """Number of pairs without a measurement."""
        return sum(result.status == "failed" for result in self.results)

    @property
    def measured(self) -> int:
        """Number of pairs with a measurement."""
        return len(self.results) - self.failed


def ced_thresholds(unit: Unit) -> Float[ndarray, " T"]:
    """Where the cumulative curve is sampled."""
    return np.linspace(0.0, CED_LIMIT[unit], CED_STEPS)


def pool(errors: list[Float[ndarray, " N"]], summaries: list[ErrorSummary], unit: Unit) -> PooledPart:
    """Join one part of all pairs.

    Args:
        errors: of each pair that has the part; not empty.
        summaries: of the same pairs.
        unit: of the errors.
    """
    together = np.concatenate(errors)
    means = np.array([summary.mean for summary in summaries])
    return PooledPart(
        summary=summarize(together),
        pair_mean=float(means.mean()),
        pair_std=float(means.std()),
        pair_median=float(np.median([summary.median for summary in summaries])),
        auc=area_under_ced(together, CED_LIMIT[unit]),
        ced=cumulative_errors(together, ced_thresholds(unit)),
    )


def write_tables(folder: Path, table: EvaluationTable) -> None:
    """Write ``table.csv``, ``table.md`` and, last, ``table.json``.

    Raises:
        OutputError: a file cannot be written.
    """
    for name, text in ((TABLE_CSV, csv_text(table)), (TABLE_MARKDOWN, markdown_text(table))):
        with atomic_file(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
    write_json(folder / TABLE_JSON, json_content(table))


def json_content(table: EvaluationTable) -> dict[str, Any]:
    """The table as JSON values."""
    thresholds = ced_thresholds(table.unit)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "facewright": facewright.__version__,
        "protocol": table.protocol,
        "settings": dict(table.settings),
        "unit": table.unit,
        "headline": table.headline,
        "measured": table.measured,
        "failed": table.failed,
        "pooled": {name: _pooled_content(part) for name, part in table.pooled.items()},
        "ced_thresholds": [round(float(value), 6) for value in thresholds],
        "pairs": [asdict(result) for result in table.results],
    }


def _pooled_content(part: PooledPart) -> dict[str, Any]:
    content = {name: value for name, value in vars(part).items() if name not in ("summary", "ced")}
    return {**asdict(part.summary), **content, "ced": [round(float(value), 6) for value in part.ced]}


def csv_text(table: EvaluationTable) -> str:
    """One row a pair and part; a failed pair has one row with its reason."""
    names = _value_names(table)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["name", "status", "part", "unit", *SUMMARY_COLUMNS, *names, "notes", "reason"])
    for result in table.results:
        notes = "; ".join(result.notes)
        if not result.parts:
            blanks = [""] * (2 + len(SUMMARY_COLUMNS) + len(names))
            writer.writerow([result.name, result.status, *blanks, notes, result.reason])
        for part, summary in result.parts.items():
            numbers = [_digits(getattr(summary, column)) for column in SUMMARY_COLUMNS]
            values = [_digits(result.values[name]) if name in result.values else "" for name in names]
            writer.writerow([result.name, result.status, part, table.unit, *numbers, *values, notes, ""])
    return stream.getvalue()


def markdown_text(table: EvaluationTable) -> str:
    """The table for people: what was pooled, then each pair, then what failed."""
    lines = [
        f"# {table.protocol}",
        "",
        f"{table.measured} pairs measured, {table.failed} failed. Errors in {table.unit}; papers quote the "
        f"{table.headline}.",
        "",
        "| part | pairs | points | mean | median | std | rms | p95 | mean of pairs | AUC |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, part in table.pooled.items():
        pairs = sum(name in result.parts for result in table.results)
        whole = part.summary
        numbers = [whole.mean, whole.median, whole.std, whole.rms, whole.p95]
        shown = " | ".join(f"{value:.3f}" for value in numbers)
        spread = f"{part.pair_mean:.3f} ± {part.pair_std:.3f}"
        lines.append(f"| {name} | {pairs} | {whole.count} | {shown} | {spread} | {part.auc:.3f} |")
    names = _value_names(table)
    lines += ["", "| pair | part | " + " | ".join([*SUMMARY_COLUMNS[1:], *names]) + " |"]
    lines.append("|" + "---|" * (2 + len(SUMMARY_COLUMNS) - 1 + len(names)))
    for result in table.results:
        for part, summary in result.parts.items():
            numbers = [f"{getattr(summary, column):.3f}" for column in SUMMARY_COLUMNS[1:]]
            numbers += [f"{result.values[name]:.3f}" if name in result.values else "" for name in names]
            lines.append(f"| {_escaped(result.name)} | {part} | " + " | ".join(numbers) + " |")
    told = [
        (result.name, note) for result in table.results for note in (*result.notes, result.reason) if note
    ]
    if told:
        lines += ["", "## Notes", ""]
        lines += [f"- {_escaped(name)}: {_escaped(note)}" for name, note in told]
    return "\n".join(lines) + "\n"


def _value_names(table: EvaluationTable) -> list[str]:
    return list(dict.fromkeys(name for result in table.results for name in result.values))


def _digits(value: float | int) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
