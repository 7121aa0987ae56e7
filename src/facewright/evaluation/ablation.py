"""Tables of ablations: what a paper reports, what we measure over several seeds, whether directions agree."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from scipy.special import stdtrit

from facewright.core.errors import InputError

Expectation = Literal["worse", "better", "diverges"]
Verdict = Literal["yes", "no", "undecided", "reference", "not run", ""]
CONFIDENCE = 0.95  # that a direction is no accident of the seeds


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
class Claim:
    """What a paper says of one row of a table by one figure.

    Attributes:
        paper: its number.
        expected: against the first row; None: nothing is claimed.
    """

    paper: PaperNumber = PaperNumber()
    expected: Expectation | None = None


@dataclass(frozen=True)
class Figure:
    """One figure of all runs behind a table.

    Attributes:
        metric: key of the figures of a run.
        title: what it is.
        unit: of it.
        smaller_is_better: whether it is an error.
        claims: the paper's, by the names of rows; with none at all the figure is told beside the others, and
            judged by nobody.
    """

    metric: str
    title: str
    unit: str = ""
    smaller_is_better: bool = True
    claims: Mapping[str, Claim] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Attributes:
        name: as in the paper.
        changes: settings that differ from the full method's, as the method's study understands them.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AblationTable:
    """A table of a paper that compares variants of a method.

    Attributes:
        name: as users write it, such as "1".
        title: what it shows.
        source: where it is from.
        variants: rows; the first is the full method.
        figures: what the rows are compared by, the most important first.
        differs: what is not as in the paper, one line each.
    """

    name: str
    title: str
    source: str
    variants: tuple[Variant, ...]
    figures: tuple[Figure, ...]
    differs: tuple[str, ...] = ()


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
    """What our runs say of one row by one figure.

    Attributes:
        figure: what is compared.
        variant: the row.
        values: of the metric, one a seed that ended well.
        diverged: how many seeds diverged.
        mean: of the values; None if there are none.
        spread: sample standard deviation of the values over seeds; None with fewer than two.
        difference: mean over seeds of the difference from the first row's run with the same seed, positive
            where it is worse; None if there is no such pair.
        difference_spread: sample standard deviation of these differences; None with fewer than two.
        agrees: whether the direction is the expected one, outside the spread of seeds.
        note: why there is no number.
    """

    figure: Figure
    variant: Variant
    values: tuple[float, ...]
    diverged: int
    mean: float | None
    spread: float | None
    difference: float | None
    difference_spread: float | None
    agrees: Verdict
    note: str = ""

    @property
    def claim(self) -> Claim:
        """What the paper says of it."""
        return self.figure.claims.get(self.variant.name, Claim())


def judge(table: AblationTable, runs: Mapping[str, Sequence[Run]]) -> tuple[Finding, ...]:
    """Compare each variant of a table with its first row, by one figure after the other.

    Runs of one seed share first weights and batches, so that a variant is compared with the first row seed by
    seed. A difference is outside the spread if Student's test on these differences says so (one-sided,
    ``CONFIDENCE``); with fewer than two seeds nothing is. A variant of which at least half of the seeds
    diverged is worse than any that did not.

    Args:
        table: what was to be run.
        runs: of each variant, by its name.

    Raises:
        InputError: a run that ended well has no such metric, though there are claims of it.
    """
    return tuple(finding for figure in table.figures for finding in _judged(table, figure, runs))


def _judged(table: AblationTable, figure: Figure, runs: Mapping[str, Sequence[Run]]) -> list[Finding]:
    first = _figures(table, figure, table.variants[0], runs)
    findings = []
    for variant in table.variants:
        own, diverged, note = _figures(table, figure, variant, runs)
        values, sign = tuple(own.values()), 1 if figure.smaller_is_better else -1
        pairs = [sign * (value - first[0][seed]) for seed, value in own.items() if seed in first[0]]
        spreads = _spread(values), _spread(pairs)
        found = Finding(
            figure, variant, values, diverged, _mean(values), spreads[0], _mean(pairs), spreads[1], "", note
        )
        if figure.claims:
            agrees: Verdict = "reference"
            if variant is not table.variants[0]:
                agrees = _verdict(found, len(pairs), (len(first[0]), first[1]))
            found = replace(found, agrees=agrees)
        findings.append(found)
    return findings


def _figures(
    table: AblationTable, figure: Figure, variant: Variant, runs: Mapping[str, Sequence[Run]]
) -> tuple[dict[int, float], int, str]:
    """Values of the metric by seed, how many seeds diverged, and why others have none."""
    values: dict[int, float] = {}
    diverged, notes = 0, []
    for run in runs.get(variant.name, ()):
        if run.diverged:
            diverged += 1
        elif run.problem:
            notes.append(run.problem)
        elif figure.metric not in run.metrics:
            if not figure.claims:
                continue
            raise InputError(
                f"table {table.name} needs the figure {figure.metric!r} of {variant.name!r}, whose runs have "
                f"{', '.join(sorted(run.metrics)) or 'none'}."
            )
        elif math.isfinite(run.metrics[figure.metric]):
            values[run.seed] = run.metrics[figure.metric]
        else:
            diverged += 1
    return values, diverged, notes[0] if notes else ""


def _verdict(found: Finding, pairs: int, full: tuple[int, int]) -> Verdict:
    """What a row says, of which so many runs have a partner; ``full``: how many of those ended, diverged."""
    ended, diverged, expected = len(found.values), found.diverged, found.claim.expected
    if not ended and not diverged:
        return "not run"
    if expected is None:
        return ""
    if 2 * diverged >= ended + diverged:
        known = full[0] > full[1] and diverged >= 2
        agreed: Verdict = "no" if expected == "better" else "yes"
        return agreed if known else "undecided"
    gap, spread = found.difference, found.difference_spread
    if gap is None or spread is None:
        return "undecided"
    if expected == "diverges":
        return "no"
    if abs(gap) <= float(stdtrit(pairs - 1, CONFIDENCE)) * spread / math.sqrt(pairs):
        return "undecided"
    return "yes" if (gap > 0) == (expected == "worse") else "no"


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _spread(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def table_markdown(table: AblationTable, findings: Sequence[Finding], told: Sequence[str] = ()) -> str:
    """The table for people; ``told`` are lines about the runs."""
    lines = [f"# Table {table.name}: {table.title}", "", f"Source: {table.source}", ""]
    lines += [
        "Ours: mean ± standard deviation over seeds. The paper's ± is over its test set. Agrees: whether",
        "the row differs from the first as the paper says, seed by seed (Student's test on the differences,",
        f"one-sided, {CONFIDENCE:.0%}).",
    ]
    for figure in table.figures:
        if figure.claims:
            lines += _figure_markdown(figure, _of(figure, findings))
    beside = [figure for figure in table.figures if not figure.claims]
    known = [figure for figure in beside if any(found.values for found in _of(figure, findings))]
    if known:
        lines += _beside_markdown(table, known, findings)
    if table.differs:
        lines += ["", "Not as in the paper:", ""] + [f"- {line}" for line in table.differs]
    return "\n".join([*lines, "", *told]) + "\n"


def _of(figure: Figure, findings: Sequence[Finding]) -> list[Finding]:
    return [found for found in findings if found.figure is figure]


def _figure_markdown(figure: Figure, findings: Sequence[Finding]) -> list[str]:
    """A figure beside the paper's, one line a row."""
    arrow = "smaller is better" if figure.smaller_is_better else "larger is better"
    lines = ["", f"## {figure.title}", "", f"`{figure.metric}` in {figure.unit}, {arrow}.", ""]
    lines += ["| variant | paper | ours | seeds | change, paper | change, ours | expected | agrees |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    base = findings[0]
    for found in findings:
        paper, reference = found.claim.paper.mean, base.claim.paper.mean
        seeds = f"{len(found.values)}" + (f", {found.diverged} diverged" if found.diverged else "")
        cells = [
            found.variant.name,
            _cell(paper, found.claim.paper.spread),
            _cell(found.mean, found.spread) if found.mean is not None else found.note or "-",
            seeds,
            _percent(paper, reference) if found is not base else "",
            _change(found, base) if found is not base else "",
            found.claim.expected or "",
            found.agrees,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _beside_markdown(
    table: AblationTable, figures: Sequence[Figure], findings: Sequence[Finding]
) -> list[str]:
    """Figures that nothing is claimed of, one column each."""
    names = [figure.metric for figure in figures]
    lines = ["", "## Other figures of the same runs", "", "| variant | " + " | ".join(names) + " |"]
    lines += ["|---" * (1 + len(names)) + "|"]
    for row, variant in enumerate(table.variants):
        found = [_of(figure, findings)[row] for figure in figures]
        cells = [_cell(each.mean, each.spread) for each in found]
        lines.append("| " + " | ".join([variant.name, *cells]) + " |")
    return [*lines, "", *(f"- `{figure.metric}`: {figure.title}" for figure in figures)]


def table_csv(findings: Sequence[Finding]) -> str:
    """The findings for programs: one line each."""
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
        numbers = (found.claim.paper.mean, found.claim.paper.spread, found.mean, found.spread)
        told = ["" if number is None else f"{number:.6g}" for number in numbers]
        tail = [len(found.values), found.diverged, found.claim.expected or "", found.agrees]
        writer.writerow([found.variant.name, found.figure.metric, *told, *tail])
    return stream.getvalue()


def table_document(table: AblationTable, findings: Sequence[Finding]) -> dict[str, Any]:
    """The table as JSON values; what is not a number is None."""
    figures = [
        {
            "metric": figure.metric,
            "title": figure.title,
            "unit": figure.unit,
            "rows": [_row_document(found) for found in _of(figure, findings)],
        }
        for figure in table.figures
    ]
    head = {"table": table.name, "title": table.title, "source": table.source}
    return {**head, "differs": list(table.differs), "figures": figures}


def _row_document(found: Finding) -> dict[str, Any]:
    return {
        "variant": found.variant.name,
        "changes": dict(found.variant.changes),
        "paper": [_finite(found.claim.paper.mean), _finite(found.claim.paper.spread)],
        "values": list(found.values),
        "diverged": found.diverged,
        "mean": found.mean,
        "std": found.spread,
        "difference": found.difference,
        "difference_std": found.difference_spread,
        "expected": found.claim.expected,
        "agrees": found.agrees,
        "note": found.note,
    }


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


def _change(found: Finding, base: Finding) -> str:
    """Of our means, with the spread of the seeds' differences."""
    change = _percent(found.mean, base.mean)
    if not change or found.difference_spread is None or base.mean is None:
        return change
    return change.replace(" %", f" ± {100 * found.difference_spread / abs(base.mean):.1f} %")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
