"""The cumulative error curve as a picture."""

from pathlib import Path

from facewright.core.files import atomic_file
from facewright.evaluation.report import CED_LIMIT, EvaluationTable, ced_thresholds

# Okabe & Ito's colours, which colour-blind readers tell apart, darkest contrast first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
INK, GRID = "#26272b", "#dcdad5"


def write_curve(path: Path, table: EvaluationTable) -> None:
    """Draw the fraction of errors below each threshold, one line a part; deterministic bytes.

    Args:
        path: the PNG.
        table: with at least one measured pair.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.6), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    thresholds = ced_thresholds(table.unit)
    for number, (name, part) in enumerate(table.pooled.items()):
        label = f"{name}: median {part.summary.median:.2f}, AUC {part.auc:.3f}"
        axes.plot(thresholds, 100 * part.ced, color=COLOURS[number % len(COLOURS)], linewidth=2, label=label)
    unit = "mm" if table.unit == "mm" else "% of the outer interocular distance"
    axes.set(xlim=(0, CED_LIMIT[table.unit]), ylim=(0, 100))
    axes.set_xlabel(f"error ({unit})", color=INK)
    axes.set_ylabel("points with at most this error (%)", color=INK)
    axes.set_title(f"{table.protocol}: {table.measured} pairs", color=INK, loc="left")
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    with atomic_file(path) as partial:
        canvas.print_png(str(partial), metadata={"Software": "facewright"})
