"""Pictures of a synthetic set: a sheet of samples, and how its statistics are distributed."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facewright.core.files import atomic_file
from facewright.data.shard_reader import read_shard
from facewright.evaluation.curve_plot import COLOURS, GRID, INK

COLUMNS, ROWS, THUMBNAIL, GAP = 10, 6, 160, 2
PICTURES = ("jpg", "preview.jpg")  # of a photo, of a scan
LABELS = {
    "yaw_deg": "yaw (degrees)",
    "pitch_deg": "pitch (degrees)",
    "distance_mm": "distance (mm)",
    "expression": "sum of the activations",
    "skin_lightness": "lightness of the skin (CIE L*)",
    "light_level": "soft light, mean",
    "light_contrast": "soft light, first band / mean",
    "lamp": "point light",
    "hidden": "head without seen face (share)",
    "points": "points of the scan",
    "detail_mm": "detail outside of the model (mm)",
}


def draw_contact_sheet(path: Path, shards: Sequence[Path]) -> None:
    """Draw the first samples of a set side by side.

    Raises:
        InputError: a shard is not whole.
        OutputError: the picture cannot be written.
    """
    pictures: list[bytes] = []
    for shard in shards:
        for _, files in read_shard(shard):
            pictures += [files[name] for name in PICTURES if name in files][:1]
            if len(pictures) == COLUMNS * ROWS:
                break
        if len(pictures) == COLUMNS * ROWS:
            break
    columns = min(COLUMNS, max(1, len(pictures)))
    rows = max(1, -(-len(pictures) // columns))
    step = THUMBNAIL + GAP
    sheet = Image.new("RGB", (columns * step - GAP, rows * step - GAP), "white")
    for number, file in enumerate(pictures):
        with Image.open(io.BytesIO(file), formats=("JPEG",)) as picture:
            small = picture.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        sheet.paste(small, (number % columns * step, number // columns * step))
    with atomic_file(path) as partial:
        sheet.save(partial, "PNG")


def draw_statistics(path: Path, rows: Sequence[Mapping[str, float]], title: str) -> None:
    """Draw a histogram of each statistic; deterministic bytes.

    Raises:
        OutputError: the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(rows[0])
    columns = 3
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.4 * lines + 0.4), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(title, color=INK, x=0.01, ha="left")
    for number, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, number + 1)
        values = np.array([row[name] for row in rows])
        axes.hist(values, bins=min(40, max(5, len(values) // 8)), color=COLOURS[0])
        axes.set_xlabel(LABELS.get(name, name), color=INK)
        axes.set_ylabel("samples", color=INK)
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    with atomic_file(path) as partial:
        canvas.print_png(str(partial), metadata={"Software": "facewright"})
