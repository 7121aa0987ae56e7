"""All switches of stage 1: the basis that is learned from scans."""

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

from facewright.core.errors import InputError
from facewright.core.ranges import check_range

ModelName = Literal["PCA", "Linear", "Sphere-Linear", "SFM"]
StartName = Literal["pca", "random"]
MODELS: tuple[ModelName, ...] = ("SFM", "PCA", "Linear", "Sphere-Linear")


@dataclass(frozen=True)
class Stage1Weights:
    """Weight of each loss of eq. 9, of which the paper gives none; 0 leaves it out.

    Attributes:
        reconstruction: squared error (mm^2), mean over the coordinates of a scan, eq. 8.
        softmax: whose a direction is, eq. 6.
        centre: spread within people over that between them, eq. 7.
        orthonormality: squared Frobenius norm of A^T A - I over its number of entries, eq. 8.
    """

    reconstruction: float = 1.0
    softmax: float = 1.0
    centre: float = 3.0
    orthonormality: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, *(one.name for one in fields(self)))


@dataclass(frozen=True)
class Stage1Settings:
    """How a basis is learned from scans.

    Attributes:
        dimensions: of a code, d.
        rank: directions of the scans' largest variation in which A is searched; see ``space.py``.
        sphere: codes are a scale and a direction; False: free vectors.
        trained: False takes the principal components as they are.
        start: A before the first step.
        weights: of the losses.
        softmax_scale: k; 1 is eq. 6 as printed.
        retract: make A orthonormal before every step (QR), with codes that describe the same meshes.
        epochs: through all scans; the rate falls to a tenth after each third of them.
        batch: scans a step.
        rate: of Adam for scales and directions; the paper's, which names no unit (codes of scans have a mean
            square length of 1 here, and directions start with a length of the root of ``dimensions``).
        basis_rate: of Adam for A, centres and the softmax's weights.
    """

    dimensions: int = 199
    rank: int = 600
    sphere: bool = True
    trained: bool = True
    start: StartName = "pca"
    weights: Stage1Weights = Stage1Weights()
    softmax_scale: float = 15.0
    retract: bool = False
    epochs: int = 60
    batch: int = 512
    rate: float = 0.02
    basis_rate: float = 0.005

    def __post_init__(self) -> None:
        for name in ("dimensions", "rank", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"expected {name} of at least 1, got {getattr(self, name)}.")
        if self.rank < self.dimensions:
            raise InputError(
                f"expected a rank of at least the {self.dimensions} dimensions, got {self.rank}."
            )
        if not (self.rate > 0 and self.basis_rate > 0 and self.softmax_scale > 0):
            raise InputError("expected rates and a scale of the softmax above 0.")

    @property
    def supervised(self) -> bool:
        """Whether it matters who was scanned."""
        return self.trained and (self.weights.softmax > 0 or self.weights.centre > 0)

    def of_model(self, name: ModelName) -> "Stage1Settings":
        """The same settings with the switches of a model of table 1.

        **Source:** section 5.1. The linear model starts at random, as there.
        """
        unsupervised = replace(self.weights, softmax=0.0, centre=0.0)
        switched: dict[ModelName, Stage1Settings] = {
            "SFM": self,
            "PCA": replace(self, trained=False, sphere=False, weights=unsupervised),
            "Linear": replace(self, sphere=False, start="random", weights=unsupervised),
            "Sphere-Linear": replace(self, weights=unsupervised),
        }
        if name not in switched:
            raise InputError(f"expected a model of {', '.join(MODELS)}, got {name!r}.")
        return switched[name]
