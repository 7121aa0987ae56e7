"""Labels of real photographs: which may be used, and how their people use the expressions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facewright.data.datasets.kept_out import is_kept_out
from facewright.models.face_model import ExpressionPrior

UNSEEN_STD = 0.05  # of an expression the labels do not have


def label_files(data: Path) -> list[Path]:
    """The label files of the photograph sets under a data folder."""
    return [data / name / "labels.npz" for name in ("faces_in_the_wild", "faces_in_colour")]


def expression_prior(labels: list[Path], names: tuple[str, ...]) -> ExpressionPrior:
    """How people use the expressions, every person counting once; those without labels stand alone."""
    means, products = [], []
    for path in labels:
        with np.load(path, allow_pickle=False) as stored:
            people, columns = stored["identity"], [str(n) for n in stored["blendshape_names"]]
            values = stored["blendshapes"].astype(np.float64) / 255.0
        shown = dict(zip(columns, values.T, strict=True))
        values = np.stack([shown.get(name, np.zeros(len(values))) for name in names], 1)
        for person in np.unique(people):
            if is_kept_out(str(person)):
                continue
            mine = values[people == person]
            means.append(mine.mean(0))
            products.append(mine.T @ mine / len(mine))
    mean = np.mean(means, axis=0)
    covariance = np.mean(products, axis=0) - np.outer(mean, mean)
    std = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
    correlation = covariance / np.outer(std, std)
    np.fill_diagonal(correlation, 1.0)
    std[~np.isin(names, columns)] = UNSEEN_STD
    parts = (torch.from_numpy(part).float() for part in (mean, std, correlation))
    return ExpressionPrior(*parts)
