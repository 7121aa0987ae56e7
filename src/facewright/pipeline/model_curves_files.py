"""The curves of a model as JSON, CSV and a picture."""

import csv
import io
from dataclasses import fields
from pathlib import Path

import numpy as np

from facewright.core.files import atomic_file, write_json
from facewright.models.statistics import ModelCurves

LABELS = {
    "compactness": "compactness: share of variance",
    "generalisation": "generalisation: error on unseen heads (mm)",
    "specificity": "specificity: random heads to nearest real (mm)",
}


def write_curves(stem: Path, curves: dict[str, ModelCurves]) -> tuple[Path, Path, Path]:
    """Write ``<stem>.json``, ``<stem>.csv`` and ``<stem>.png``, each whole or not at all.

    Args:
        stem: path without suffix.
        curves: by the name of the model.

    Returns:
        The three paths.

    Raises:
        OutputError: a file cannot be written.
    """
    paths = tuple(stem.with_name(f"{stem.name}.{kind}") for kind in ("json", "csv", "png"))
    names = [field.name for field in fields(ModelCurves)]
    write_json(
        paths[0],
        {model: {name: getattr(curve, name).tolist() for name in names} for model, curve in curves.items()},
    )
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["model", *names])
    for model, curve in curves.items():
        columns = [getattr(curve, name) for name in names]
        table.writerows(
            [model, int(row[0]), *(f"{value:.6g}" for value in row[1:])] for row in zip(*columns, strict=True)
        )
    with atomic_file(paths[1]) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
    _draw(paths[2], curves)
    return paths[0], paths[1], paths[2]


def _draw(path: Path, curves: dict[str, ModelCurves]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, label) in zip(np.ravel(figure.subplots(1, 3)), LABELS.items(), strict=True):
        for model, curve in curves.items():
            axes.plot(curve.components, getattr(curve, name), marker=".", label=model)
        axes.set_xlabel("components")
        axes.set_title(label, fontsize=10)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(loc="lower right")
    with atomic_file(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
