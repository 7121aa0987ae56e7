"""What a training tells: lines of JSON, TensorBoard, pictures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from facewright.core.errors import InputError, UnavailableError
from facewright.core.files import atomic_file, output_errors
from facewright.core.names import safe_name
from facewright.training.checkpoint import finite
from facewright.training.machine import MISSING

JOURNAL, BOARD, PICTURES = "journal.jsonl", "tensorboard", "pictures"


class Journal:
    """Of one run; what an earlier run told of later steps than it kept is forgotten.

    Args:
        folder: of the run: gets journal.jsonl, tensorboard/ and pictures/.
        start: steps that are done.

    Raises:
        UnavailableError: TensorBoard is not installed.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.folder = folder
        self._path = folder / JOURNAL
        _forget(self._path, start)
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise UnavailableError(MISSING) from error
        with output_errors(folder / BOARD):
            self._board: SummaryWriter = SummaryWriter(str(folder / BOARD), purge_step=start + 1)

    def losses(self, step: int, losses: Mapping[str, float], figures: Mapping[str, float]) -> None:
        """Tell mean losses since the last line and figures of the loop.

        Raises:
            OutputError: it cannot be written.
        """
        self._tell({"step": step, "losses": dict(losses), **figures})
        self._scalars(step, {f"loss/{name}": value for name, value in losses.items()})
        self._scalars(step, {f"loop/{name}": value for name, value in figures.items()})

    def evaluation(self, step: int, metrics: Mapping[str, float], *, best: bool) -> None:
        """Tell figures of kept-out data, and whether these weights are the best so far.

        Raises:
            OutputError: it cannot be written.
        """
        self._tell({"step": step, "evaluation": finite(metrics), "best": best})
        self._scalars(step, {f"evaluation/{name}": value for name, value in metrics.items()})

    def pictures(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Keep pictures, each (3, H, W) sRGB in [0, 1].

        Raises:
            InputError: one has another shape.
            OutputError: one cannot be written.
        """
        from PIL import Image

        for name, picture in pictures.items():
            if picture.ndim != 3 or len(picture) != 3:
                raise InputError(f"expected the picture {name!r} as (3, H, W), got {tuple(picture.shape)}.")
            pixels = (picture.detach().float().cpu().nan_to_num().clamp(0, 1) * 255).round().byte().numpy()
            path = self.folder / PICTURES / f"{step:08d}_{safe_name(name)}.png"
            with atomic_file(path) as partial:
                Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(partial, "PNG")
            with output_errors(self.folder / BOARD):
                self._board.add_image(name, pixels, step)

    def close(self) -> None:
        """Finish the files.

        Raises:
            OutputError: they cannot be written.
        """
        with output_errors(self.folder / BOARD):
            self._board.close()

    def _tell(self, line: Mapping[str, Any]) -> None:
        with output_errors(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, allow_nan=False) + "\n")

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        with output_errors(self.folder / BOARD):
            for name, value in values.items():
                self._board.add_scalar(name, value, step)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal, as far as they can be read."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break  # a run was killed, or the disk was full, in the middle of it
        if not isinstance(line, dict) or not isinstance(line.get("step"), int):
            break
        lines.append(line)
    return lines


def _forget(path: Path, start: int) -> None:
    """Take the lines of later steps than ``start`` out of a journal."""
    if not path.exists():
        return
    with output_errors(path):
        kept = [json.dumps(line) + "\n" for line in read_journal(path) if line["step"] <= start]
        with atomic_file(path) as partial:
            partial.write_text("".join(kept), encoding="utf-8")
