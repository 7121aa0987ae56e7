"""Tables of ablations: what a paper reports, what we measure over several seeds, whether directions agree."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from facewright.core.errors import InputError

Expectation = Literal["worse", "better", "diverges"]
Verdict = Literal["yes", "no", "undecided", "reference", "not run", ""]


@dataclass(frozen=True)
class PaperNumber:
    """A cell of a paper's table.

    Attributes:
        mean: None where the paper has no number; NaN where it says that training diverged.
        spread: standard deviation over its test set, which is not the spread over seeds.
    """

    mean: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Attributes:
        name: as in the paper.
        changes: settings that differ from the full method's, as the method's study understands them.
        paper: its number there.
        expected: against the first row; None: nothing is claimed.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    paper: PaperNumber = PaperNumber()
    expected: Expectation | None = None


@dataclass(frozen=True)
class AblationTable:
    """A table of a paper that compares variants of a method by one figure.

    Attributes:
        name: as users write it, such as "1".
        title: what it shows.
        source: where it is from.
        metric: key of the figures of a run.
        unit: of the metric.
        smaller_is_better: whether it is an error.
        variants: rows; the first is the full method.
        differs: what is not as in the paper, one line each.
        also: other figures of the runs, by name and what they are: told beside the table, judged by nobody.
        more: tables of the same name and variants by other figures of the same runs.
    """

    name: str
    title: str
    source: str
    metric: str
    unit: str
    variants: tuple[Variant, ...]
    smaller_is_better: bool = True
    differs: tuple[str, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)
    more: tuple["AblationTable", ...] = ()


@dataclass(frozen=True)
class Run:
    """One variant trained with one seed.

    Attributes:
        seed: of the run.
        metrics: figures by name; empty where there are none.
        problem: why there are none, or "".
        diverged: whether that was because the training diverged.
    """

    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    diverged: bool = False


@dataclass(frozen=True)
class Finding:
    """What our runs say of one row.

    Attributes:
        variant: the row.
        values: of the metric, one a seed that ended well.
        diverged: how many seeds diverged.
        mean: of the values; None if there are none.
        spread: sample standard deviation of the values over seeds; None with fewer than two.
        difference: of the means from the first row's, positive where it is worse; None if one is missing.
        agrees: whether the direction is the expected one, outside the spread of seeds.
        note: why there is no number.
        also: mean and spread of the table's other figures, as far as the runs have them.
    """

    variant: Variant
    values: tuple[float, ...]
    diverged: int
    mean: float | None
    spread: float | None
    difference: float | None
    agrees: Verdict
    note: str = ""
    also: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)


def judge(table: AblationTable, runs: Mapping[str, Sequence[Run]]) -> tuple[Finding, ...]:
    """Compare each variant of a table with its first row.

    A difference of means is outside the spread if it is larger than the standard deviation of the difference
    of two single runs, ``sqrt(s_variant^2 + s_full^2)``; with fewer than two seeds nothing is. A variant of
    which at least half of the seeds diverged is worse than any that did not.

    Args:
        table: what was to be run.
        runs: of each variant, by its name.

    Raises:
        InputError: a run that ended well has no such metric.
    """
    first = _figures(table, table.variants[0], runs)
    findings = []
    for variant in table.variants:
        values, diverged, note = _figures(table, variant, runs)
        mean, spread = _mean(values), _spread(values)
        gap = None
        if mean is not None and (reference := _mean(first[0])) is not None:
            gap = (mean - reference) * (1 if table.smaller_is_better else -1)
        agrees = _verdict(table, variant, (values, diverged), (first[0], first[1]), gap)
        also = _also(table, runs.get(variant.name, ()))
        findings.append(Finding(variant, tuple(values), diverged, mean, spread, gap, agrees, note, also))
    return tuple(findings)


def _also(table: AblationTable, runs: Sequence[Run]) -> dict[str, tuple[float, float | None]]:
    """Mean and spread of the other figures over the runs that have them."""
    found = {name: [run.metrics[name] for run in runs if name in run.metrics] for name in table.also}
    return {
        name: (math.fsum(values) / len(values), _spread(values)) for name, values in found.items() if values
    }


def _figures(
    table: AblationTable, variant: Variant, runs: Mapping[str, Sequence[Run]]
) -> tuple[list[float], int, str]:
    """Values of the metric, how many seeds diverged, and why others have none."""
    values, diverged, notes = [], 0, []
    for run in runs.get(variant.name, ()):
        if run.diverged:
            diverged += 1
        elif run.problem:
            notes.append(run.problem)
        elif table.metric not in run.metrics:
            raise InputError(
                f"table {table.name} needs the figure {table.metric!r} of {variant.name!r}, whose runs have "
                f"{', '.join(sorted(run.metrics)) or 'none'}."
            )
        elif math.isfinite(run.metrics[table.metric]):
            values.append(run.metrics[table.metric])
        else:
            diverged += 1
    return values, diverged, notes[0] if notes else ""


def _verdict(
    table: AblationTable,
    variant: Variant,
    own: tuple[list[float], int],
    full: tuple[list[float], int],
    gap: float | None,
) -> Verdict:
    if variant is table.variants[0]:
        return "reference"
    if not own[0] and not own[1]:
        return "not run"
    if variant.expected is None:
        return ""
    mostly = 2 * own[1] >= len(own[0]) + own[1]  # diverged
    if mostly:
        known = len(full[0]) > full[1] and own[1] >= 2
        agreed: Verdict = "no" if variant.expected == "better" else "yes"
        return agreed if known else "undecided"
    spreads = _spread(own[0]), _spread(full[0])
    if gap is None or spreads[0] is None or spreads[1] is None:
        return "undecided"
    if variant.expected == "diverges":
        return "no"
    if abs(gap) <= math.hypot(spreads[0], spreads[1]):
        return "undecided"
    return "yes" if (gap > 0) == (variant.expected == "worse") else "no"


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _spread(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def table_markdown(table: AblationTable, findings: Sequence[Finding], told: Sequence[str] = ()) -> str:
    """The table for people; ``told`` are lines about the runs."""
    arrow = "smaller is better" if table.smaller_is_better else "larger is better"
    lines = [f"# Table {table.name}: {table.title}", "", f"Source: {table.source}", ""]
    lines += [
        f"`{table.metric}` in {table.unit}, {arrow}. Ours: mean ± standard deviation over seeds. The paper's"
    ]
    lines += [
        "± is over its test set. Agrees: whether the row differs from the first as the paper says, by more"
    ]
    lines += ["than two single runs differ from each other (the standard deviation of their difference).", ""]
    lines += ["| variant | paper | ours | seeds | change, paper | change, ours | expected | agrees |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    base = findings[0]
    for found in findings:
        paper, reference = found.variant.paper.mean, base.variant.paper.mean
        seeds = f"{len(found.values)}" + (f", {found.diverged} diverged" if found.diverged else "")
        cells = [
            found.variant.name,
            _cell(paper, found.variant.paper.spread),
            _cell(found.mean, found.spread) if found.mean is not None else found.note or "-",
            seeds,
            _percent(paper, reference) if found is not base else "",
            _percent(found.mean, base.mean) if found is not base else "",
            found.variant.expected or "",
            found.agrees,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if any(found.also for found in findings):
        lines += _also_markdown(table, findings)
    if table.differs:
        lines += ["", "Not as in the paper:", ""] + [f"- {line}" for line in table.differs]
    return "\n".join([*lines, "", *told]) + "\n"


def _also_markdown(table: AblationTable, findings: Sequence[Finding]) -> list[str]:
    """The other figures, one column each."""
    known = [name for name in table.also if any(name in found.also for found in findings)]
    lines = ["", "Other figures of the same runs:", "", "| variant | " + " | ".join(known) + " |"]
    lines += ["|---" * (1 + len(known)) + "|"]
    for found in findings:
        cells = [_cell(*found.also.get(name, (None, None))) for name in known]
        lines.append("| " + " | ".join([found.variant.name, *cells]) + " |")
    return [*lines, "", *(f"- `{name}`: {table.also[name]}" for name in known)]


def table_csv(table: AblationTable, findings: Sequence[Finding]) -> str:
    """The table for programs: one row a variant."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "variant",
            "metric",
            "paper_mean",
            "paper_std",
            "mean",
            "std",
            "seeds",
            "diverged",
            "expected",
            "agrees",
        ]
    )
    for found in findings:
        numbers = (found.variant.paper.mean, found.variant.paper.spread, found.mean, found.spread)
        told = ["" if number is None else f"{number:.6g}" for number in numbers]
        tail = [len(found.values), found.diverged, found.variant.expected or "", found.agrees]
        writer.writerow([found.variant.name, table.metric, *told, *tail])
    return stream.getvalue()


def table_document(table: AblationTable, findings: Sequence[Finding]) -> dict[str, Any]:
    """The table as JSON values; what is not a number is None."""
    rows = [
        {
            "variant": found.variant.name,
            "changes": dict(found.variant.changes),
            "paper": [_finite(found.variant.paper.mean), _finite(found.variant.paper.spread)],
            "values": list(found.values),
            "diverged": found.diverged,
            "mean": found.mean,
            "std": found.spread,
            "difference": found.difference,
            "expected": found.variant.expected,
            "agrees": found.agrees,
            "note": found.note,
            "also": {name: list(numbers) for name, numbers in found.also.items()},
        }
        for found in findings
    ]
    head = {"table": table.name, "title": table.title, "source": table.source, "metric": table.metric}
    return {**head, "unit": table.unit, "differs": list(table.differs), "rows": rows}


def _cell(mean: float | None, spread: float | None) -> str:
    if mean is None:
        return "-"
    if not math.isfinite(mean):
        return "diverges"
    return f"{mean:.4g}" + (f" ± {spread:.2g}" if spread is not None else "")


def _percent(value: float | None, reference: float | None) -> str:
    if value is None or not reference or not (math.isfinite(value) and math.isfinite(reference)):
        return ""
    return f"{100 * (value / reference - 1):+.1f} %"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
