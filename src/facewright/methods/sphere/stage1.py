"""Stage 1: basis, codes, centres and class weights learned together from scans of labelled people."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.core.row_file import joined_digest, rows_digest
from facewright.methods.sphere.codes import (
    centre_loss,
    closed_codes,
    orthonormality_loss,
    softmax_loss,
)
from facewright.methods.sphere.settings import Stage1Settings
from facewright.methods.sphere.space import SpaceScans
from facewright.training.checkpoint import read_best
from facewright.training.loop import train
from facewright.training.settings import TrainingSettings


@dataclass(frozen=True)
class Stage1Batch:
    """Some scans of a step.

    Attributes:
        row: of each scan in the set.
        people: number of each scan's person.
        scans: coordinates, of a mean square length of 1.
    """

    row: Int64[Tensor, " B"]
    people: Int64[Tensor, " B"]
    scans: Float[Tensor, "B R"]


class Stage1Network(nn.Module):
    """Everything that stage 1 learns; lengths are in the root mean square length of the scans.

    Args:
        basis: A, in the space of the scans.
        codes: a start for each scan.
        centres: a start for each person.
        sphere: codes are a scale and a direction.
        ratio: of the basis' rate to that of the codes.
    """

    def __init__(
        self,
        basis: Float[Tensor, "R D"],
        codes: Float[Tensor, "N D"],
        centres: Float[Tensor, "P D"],
        *,
        sphere: bool,
        ratio: float,
    ) -> None:
        super().__init__()
        self.sphere, self.ratio, self.length = sphere, ratio, math.sqrt(basis.shape[1])
        length = codes.norm(dim=1, keepdim=True).clamp(min=1e-6)
        self.basis = nn.Parameter(basis.clone())
        self.direction = nn.Parameter(self.length * (codes / length if sphere else codes))
        self.scale = nn.Parameter(length)
        self.centre = nn.Parameter(centres.clone())
        self.class_weight = nn.Parameter(functional.normalize(centres, dim=1))

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Codes at the full rate, all else at the basis'."""
        codes = [self.direction, self.scale] if self.sphere else [self.direction]
        others = [self.basis, self.centre, self.class_weight]
        return [
            {"params": codes, "lr": learning_rate},
            {"params": others, "lr": self.ratio * learning_rate},
        ]

    def codes(self, row: Int64[Tensor, " B"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """Codes and their directions."""
        direction = functional.normalize(self.direction[row], dim=1)
        if self.sphere:
            return self.scale[row].abs() * direction, direction
        return self.direction[row] / self.length, direction

    @torch.no_grad()
    def retract(self) -> None:
        """Make the basis orthonormal; every code goes on describing the same mesh."""
        orthonormal, triangle = torch.linalg.qr(self.basis)
        signs = triangle.diagonal().sign()
        codes, _ = self.codes(torch.arange(len(self.direction)))
        self.basis.copy_(orthonormal * signs)
        moved = codes @ (signs[:, None] * triangle).T
        if not self.sphere:
            self.direction.copy_(self.length * moved)
            return
        # The length of the free vector stays: it is how fast a direction turns.
        length = moved.norm(dim=1, keepdim=True).clamp(min=1e-6)
        self.direction.copy_(moved / length * self.direction.norm(dim=1, keepdim=True))
        self.scale.copy_(length)


class Stage1Task:
    """What the training loop asks for; see ``facewright.training.task``.

    Args:
        scans: in their space.
        people: number of each scan's person, from 0.
        settings: of the model.

    Raises:
        InputError: fewer scans than dimensions, or labels that do not fit the scans.
    """

    name, version, metric = "sphere-stage1", 1, "rmse"

    def __init__(self, scans: SpaceScans, people: Int64[np.ndarray, " N"], settings: Stage1Settings) -> None:
        _check(scans, people, settings)
        self.scans, self.stage = scans, settings
        self.people = torch.from_numpy(people)
        self.person_count = int(people.max()) + 1
        self.unit = float(scans.coordinates.double().square().sum(1).mean().sqrt())
        if not self.unit > 0:
            raise InputError("expected scans that differ: all are the same mesh.")
        self._shuffled: tuple[tuple[int, int], np.ndarray] | None = None

    def settings(self) -> Mapping[str, object]:
        """Everything that the numbers depend on."""
        data = joined_digest({"scans": self.scans.digest, "people": rows_digest(self.people.numpy())})
        told = {"scans": len(self.people), "people": self.person_count, "data": data}
        return {**asdict(self.stage), **told}

    def build(self, seed: int) -> Stage1Network:
        """Codes start as projections onto the basis."""
        dimensions, rank = self.stage.dimensions, self.scans.coordinates.shape[1]
        basis = torch.eye(rank, dimensions)
        if self.stage.start == "random":
            generator = torch.Generator().manual_seed(seed)
            basis = torch.linalg.qr(torch.randn(rank, dimensions, generator=generator))[0]
        codes = self.scans.coordinates @ basis / self.unit
        count = torch.bincount(self.people, minlength=self.person_count)
        centres = torch.zeros(self.person_count, dimensions).index_add_(0, self.people, codes)
        ratio = self.stage.basis_rate / self.stage.rate
        return Stage1Network(basis, codes, centres / count[:, None], sphere=self.stage.sphere, ratio=ratio)

    def batch(self, seed: int, step: int, part: int, parts: int) -> Stage1Batch:
        """Scans in an order that is drawn anew for each epoch; a step may take from two."""
        count, size = len(self.people), self.stage.batch // parts
        place = step * self.stage.batch + part * size + np.arange(size)
        row = torch.from_numpy(np.array([self._order(seed, int(p // count))[p % count] for p in place]))
        return Stage1Batch(row, self.people[row], self.scans.coordinates[row] / self.unit)

    def losses(self, network: Any, batch: Stage1Batch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Eq. 9."""
        weights = self.stage.weights
        if self.stage.retract:
            network.retract()
        codes, direction = network.codes(batch.row)
        error = (batch.scans - codes @ network.basis.T).square().sum(1).mean()
        in_mm = self.unit**2 / (3 * self.scans.vertex_count)
        found = {"reconstruction": weights.reconstruction * in_mm * error}
        if weights.orthonormality > 0 and not self.stage.retract:
            entries = self.stage.dimensions**2
            found["orthonormality"] = weights.orthonormality / entries * orthonormality_loss(network.basis)
        if weights.softmax > 0:
            told = softmax_loss(direction, network.class_weight, batch.people, self.stage.softmax_scale)
            found["softmax"] = weights.softmax * told
        if weights.centre > 0:
            found["centre"] = weights.centre * centre_loss(codes, network.centre, batch.people)
        return found

    def evaluate(self, network: Any) -> dict[str, float]:
        """Error (mm) of the best codes on all scans, and how far the basis is from orthonormal."""
        basis = learned_basis(network, self.stage)
        codes = closed_codes(basis, self.scans.coordinates)
        apart = basis.T @ basis - torch.eye(basis.shape[1])
        return {"rmse": self.scans.rmse(codes @ basis.T), "orthonormality": float(apart.abs().max())}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """None."""
        return {}

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        if self._shuffled is None or self._shuffled[0] != (seed, epoch):
            order = np.random.default_rng([seed, epoch]).permutation(len(self.people))
            self._shuffled = ((seed, epoch), order)
        return self._shuffled[1]


@dataclass(frozen=True)
class Stage1Result:
    """A learned basis.

    Attributes:
        basis: A, in the space of the scans.
        figures: of the training's evaluation.
    """

    basis: Float[Tensor, "R D"]
    figures: dict[str, float]


def learn_basis(
    scans: SpaceScans,
    people: Int64[np.ndarray, " N"],
    settings: Stage1Settings,
    folder: Path,
    *,
    seed: int = 0,
    progress: bool = True,
) -> Stage1Result:
    """Learn a basis, or go on where a training in ``folder`` stopped.

    Args:
        scans: in their space.
        people: number of each scan's person, from 0; one with a single scan is learned from, too.
        settings: of the model.
        folder: of the training; PCA leaves none.
        seed: of the training.
        progress: False prints nothing.

    Raises:
        InputError: fewer scans than dimensions, or labels that do not fit the scans.
        FacewrightError: as ``facewright.training.loop.train``.
    """
    task = Stage1Task(scans, people, settings)
    if settings.trained:
        result = train(task, schedule(settings, len(people), seed), folder, progress=progress)
        network = read_best(result.best, task)[0]
    else:
        network = task.build(seed)
    if not isinstance(network, Stage1Network):
        raise TypeError(f"expected a Stage1Network, got {type(network).__name__}")
    basis = learned_basis(network, settings)
    return Stage1Result(basis, task.evaluate(network))


def learned_basis(network: Stage1Network, settings: Stage1Settings) -> Float[Tensor, "R D"]:
    """The basis of a network, orthonormal if it is retracted."""
    basis = network.basis.detach()
    if settings.retract:
        basis = torch.linalg.qr(basis.double())[0].float()
    return basis


def schedule(settings: Stage1Settings, scans: int, seed: int) -> TrainingSettings:
    """The loop's settings: Adam, its rate a tenth after each third of the steps.

    **Source:** section 5.1: a tenth every 20 epochs; how many there are is not told.
    """
    steps = settings.epochs * math.ceil(scans / settings.batch)
    return TrainingSettings(
        steps=steps,
        batch=settings.batch,
        learning_rate=settings.rate,
        schedule="thirds",
        optimizer="adam",
        clip=0.0,
        ema=0.0,
        evaluate_every=0,
        checkpoint_every=max(steps // 3, 1),
        journal_every=max(steps // 20, 1),
        seed=seed,
        device="cpu",
    )


def decorrelated(basis: Float[Tensor, "R D"], scans: SpaceScans) -> tuple[Tensor, Tensor]:
    """The same model with codes turned so that they do not correlate over the scans.

    Signs of the axes stay as they are found, which another driver may change: a rule for them would turn axes
    of files that are in use (90 of the shipped file's 199). Files and runs keep theirs, and a digest of them.

    Returns:
        The turned basis (R, D), and the standard deviation (D) of each coordinate, greatest first.
    """
    codes = closed_codes(basis, scans.coordinates).double()
    variance, turn = torch.linalg.eigh(codes.T @ codes / len(codes))
    return (basis.double() @ turn.flip(1)).float(), variance.flip(0).clamp(min=0).sqrt().float()


def _check(scans: SpaceScans, people: np.ndarray, settings: Stage1Settings) -> None:
    count, rank = scans.coordinates.shape
    if len(people) != count:
        raise InputError(f"expected a person for each of {count} scans, got {len(people)} labels.")
    if count <= settings.dimensions or rank < settings.dimensions:
        raise InputError(
            f"{count} scans with {rank} directions cannot tell {settings.dimensions} dimensions: give more "
            "scans than dimensions, or choose fewer dimensions."
        )
    sizes = np.bincount(people)
    if (sizes == 0).any() or people.min() < 0:
        raise InputError("expected people counted from 0 without a gap.")
    if settings.supervised and (len(sizes) < 2 or sizes.max() < 2):
        raise InputError(
            "a Sphere Face Model needs two people at least, and one with two scans: without, it cannot tell "
            "what belongs to a person; take Sphere-Linear or PCA."
        )
