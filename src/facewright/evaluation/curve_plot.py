"""The cumulative error curve as a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from numpy import ndarray

from facewright.core.files import atomic_file
from facewright.evaluation.report import EvaluationTable, ced_thresholds

# Okabe & Ito's colours, which colour-blind readers tell apart, darkest contrast first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
INK, GRID = "#26272b", "#dcdad5"


@dataclass(frozen=True)
class CurveTexts:
    """What is written around curves.

    Attributes:
        title: above them.
        errors: below, with the unit.
        shares: beside, per cent of what.
    """

    title: str
    errors: str
    shares: str


def write_curve(path: Path, table: EvaluationTable) -> None:
    """Draw the fraction of errors below each threshold, one line a part; deterministic bytes.

    Args:
        path: the PNG.
        table: with at least one measured pair.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = {
        f"{name}: median {part.summary.median:.2f}, AUC {part.auc:.3f}": part.ced
        for name, part in table.pooled.items()
    }
    unit = "mm" if table.unit == "mm" else "% of the outer interocular distance"
    title = f"{table.protocol}: {table.measured} pairs"
    texts = CurveTexts(title, f"error ({unit})", "points with at most this error (%)")
    draw_curves(path, ced_thresholds(table.unit), lines, texts)


def draw_curves(
    path: Path,
    thresholds: Float[ndarray, " T"],
    lines: Mapping[str, Float[ndarray, " T"]],
    texts: CurveTexts,
) -> None:
    """Draw cumulative curves; deterministic bytes.

    Args:
        path: the PNG.
        thresholds: from 0.
        lines: share of the errors up to each, 0 to 1, by what the legend says.
        texts: around them.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.6), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (label, shares) in enumerate(lines.items()):
        axes.plot(thresholds, 100 * shares, color=COLOURS[number % len(COLOURS)], linewidth=2, label=label)
    axes.set(xlim=(0, thresholds[-1]), ylim=(0, 100))
    axes.set_xlabel(texts.errors, color=INK)
    axes.set_ylabel(texts.shares, color=INK)
    axes.set_title(texts.title, color=INK, loc="left")
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    with atomic_file(path) as partial:
        canvas.print_png(str(partial), metadata={"Software": "facewright"})
