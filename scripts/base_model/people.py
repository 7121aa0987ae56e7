"""Labels of real photographs: which may be used, and how their people use the expressions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training_data.split import is_kept_out

UNSEEN_STD = 0.05  # of an expression the labels do not have


def label_files(data: Path) -> list[Path]:
    """The label files of the photograph sets under a data folder."""
    return [data / name / "labels.npz" for name in ("faces_in_the_wild", "faces_in_colour")]


def expression_prior(labels: list[Path], names: tuple[str, ...]) -> np.ndarray:
    """(2,E): mean and standard deviation of each activation, every person counting once."""
    means, squares = [], []
    for path in labels:
        with np.load(path, allow_pickle=False) as stored:
            people, columns = stored["identity"], [str(n) for n in stored["blendshape_names"]]
            values = stored["blendshapes"].astype(np.float64) / 255.0
        for person in np.unique(people):
            if is_kept_out(str(person)):
                continue
            mine = values[people == person]
            means.append(mine.mean(0))
            squares.append((mine**2).mean(0))
    mean = np.mean(means, axis=0)
    std = np.sqrt(np.maximum(np.mean(squares, axis=0) - mean**2, 1e-6))
    prior = np.stack([np.zeros(len(names)), np.full(len(names), UNSEEN_STD)])
    for number, name in enumerate(names):
        if name in columns:
            prior[:, number] = mean[columns.index(name)], std[columns.index(name)]
    return prior
