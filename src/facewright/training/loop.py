"""One loop for all trainings: any task, one device or many, stopped and resumed with the same numbers."""

import copy
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from facewright.core.assets import write_safetensors
from facewright.core.errors import InputError, NotFiniteError
from facewright.core.files import make_writable_folder, only_writer, write_json
from facewright.core.progress import ProgressBar, StageClock
from facewright.core.tensor_records import on_device
from facewright.training.batches import Share, batches, flattened, lost_workers_told
from facewright.training.checkpoint import (
    BEST,
    LAST,
    best_header,
    identity_of,
    read_last,
    write_best,
    write_last,
)
from facewright.training.journal import Journal
from facewright.training.machine import open_machine
from facewright.training.optimization import make_optimizer, rate_factor, set_rate, update_average
from facewright.training.settings import TrainingSettings
from facewright.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SETTINGS, FAILED = "settings.json", "failed"
MAX_WORKERS = 256
MAX_CURVE = 200  # evaluations told with the weights
EVALUATION = 1 << 32  # a part that no batch has: evaluation draws numbers of its own


@dataclass(frozen=True)
class TrainingResult:
    """What a training left.

    Attributes:
        steps: done.
        metrics: of the last evaluation.
        best_step: after which the best weights were found.
        best_value: their metric.
        best: file of the best weights (``read_best``).
        last: checkpoint to go on from.
        samples_per_second: of this run alone, without evaluation and writing; 0 if nothing was left to do.
    """

    steps: int
    metrics: dict[str, float]
    best_step: int
    best_value: float
    best: Path
    last: Path
    samples_per_second: float


def train(
    task: Task,
    settings: TrainingSettings,
    folder: Path,
    *,
    workers: int = 0,
    notes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train a task's network, or go on from the checkpoint in ``folder``.

    On a CPU a run that was stopped and one that was not leave the same bits, for any number of workers.
    Started by ``torchrun``, the processes share each step's batch; they differ from one process by rounding.

    Args:
        task: what is learned.
        settings: how long, how fast and on what.
        folder: gets last.pt, best.safetensors, journal.jsonl, settings.json, pictures/ and tensorboard/.
        workers: processes that make batches ahead; the task must then be picklable.
        notes: kept with the best weights (command, data, licence).
        progress: False prints nothing.

    Raises:
        InputError: settings or what the task gives make no sense.
        NotFiniteError: a loss, a gradient or the metric is NaN or infinite; the batch is kept.
        AssetError: the checkpoint is damaged or of another run.
        OutputError: the folder cannot be written; the last checkpoint is whole.
        UnavailableError: the extra ``train`` or the device is not there, or a worker process was ended.
    """
    if not 0 <= workers <= MAX_WORKERS:
        raise InputError(f"expected 0 to {MAX_WORKERS} workers, got {workers}.")
    fabric = open_machine(settings)
    parts = fabric.world_size * settings.accumulate
    if settings.batch % parts:
        raise InputError(
            f"expected a batch that {fabric.world_size} processes with {settings.accumulate} parts each "
            f"share equally, got {settings.batch}."
        )
    with lost_workers_told(), ExitStack() as stack:
        if fabric.is_global_zero:
            make_writable_folder(folder)
            stack.enter_context(only_writer(folder))
        index = fabric.device.index
        devices = [] if fabric.device.type == "cpu" else [index if index is not None else 0]
        stack.enter_context(torch.random.fork_rng(devices))
        run = _Run(fabric, task, settings, folder, dict(notes or {}))
        stack.callback(run.close)
        return run.to_the_end(workers, progress=progress)


class _Guarded(nn.Module):
    """A task's losses as a module's forward pass: what Fabric wraps for processes and precision."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network = network
        self._task = task

    def forward(self, parcel: "_Parcel") -> dict[str, Tensor]:
        return self._task.losses(self.network, parcel.batch, parcel.step)


class _Parcel:
    """Hides a batch, which may be frozen, from whoever wants to look through a module's arguments."""

    def __init__(self, batch: Any, step: int) -> None:
        self.batch, self.step = batch, step


class _Run:
    """Everything that one call of ``train`` holds."""

    def __init__(
        self, fabric: "Fabric", task: Task, settings: TrainingSettings, folder: Path, notes: dict[str, str]
    ) -> None:
        self.fabric, self.task, self.settings, self.folder, self.notes = fabric, task, settings, folder, notes
        parts = fabric.world_size * settings.accumulate
        self.share = Share(fabric.global_rank * settings.accumulate, settings.accumulate, parts)
        self.identity = identity_of(task, settings, parts)
        _seed(settings.seed, 0, EVALUATION)
        self.network = task.build(settings.seed).to(fabric.device)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = make_optimizer(self.network, settings)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        modules = {"network": self.network, "average": self.average, "optimizer": self.optimizer}
        self.modules: dict[str, Any] = modules
        self.state = read_last(folder / LAST, self.identity, modules)
        self.done_before, self.seconds_before = self.state.step, self.state.seconds
        self.clock = StageClock()
        self.losses, self.step_with = fabric.setup(
            _Guarded(self.network, task), self.optimizer, move_to_device=False
        )
        fabric.barrier()  # all have read the checkpoint before one writes the next
        self.journal: Journal | None = None
        if fabric.is_global_zero:
            told = {"notes": notes, "identity": self.identity, "settings": asdict(settings)}
            write_json(folder / SETTINGS, told)
            self.journal = Journal(folder, self.state.step)

    def close(self) -> None:
        """Finish the journal."""
        if self.journal is not None:
            self.journal.close()

    def to_the_end(self, workers: int, *, progress: bool) -> TrainingResult:
        """All steps that are left."""
        settings, state = self.settings, self.state
        left = range(state.step, settings.steps)
        feed = batches(self.task, settings.seed, self.share, left, workers) if left else iter(())
        shown = progress and self.fabric.is_global_zero
        with ProgressBar(settings.steps, shown=shown, unit="step", start=state.step) as bar:
            for step in left:
                with self.clock.stage("batch"):
                    parts = next(feed)
                with self.clock.stage("step"):
                    norm = self._take_step(step, parts)
                bar.advance()
                if self._due(settings.journal_every):
                    line = self._tell_losses(norm)
                    bar.note(line)
                    if shown:
                        bar.line(f"step {state.step} of {settings.steps}: {line}")
                if self._due(settings.evaluate_every):
                    line = self._evaluate()
                    if shown:
                        bar.line(f"step {state.step} of {settings.steps}: {line}")
                if self._due(settings.checkpoint_every):
                    self._write_checkpoint()
        return TrainingResult(
            steps=state.step,
            metrics=dict(state.metrics),
            best_step=state.best_step,
            best_value=state.best_value,
            best=self.folder / BEST,
            last=self.folder / LAST,
            samples_per_second=self._throughput(),
        )

    def _due(self, every: int) -> bool:
        return self.state.step == self.settings.steps or (every > 0 and self.state.step % every == 0)

    def _take_step(self, step: int, parts: list[Any]) -> float:
        """One step of the optimiser; returns the norm of the gradients before they were clipped."""
        fabric, settings = self.fabric, self.settings
        set_rate(self.optimizer, rate_factor(step, settings))
        self.network.train()
        names: list[list[str]] = []
        values: list[Tensor] = []
        for number, batch in enumerate(parts):
            # So that what the losses draw depends on nothing but seed, step and part.
            _seed(settings.seed, step, self.share.first + number)
            last = number + 1 == len(parts)
            with fabric.no_backward_sync(self.losses, enabled=not last):  # pyright: ignore[reportArgumentType]
                losses = self.losses(_Parcel(on_device(batch, fabric.device), step))
                total = _total(losses, self.task)
                fabric.backward(total / len(parts))
            names.append(list(losses))
            values += [loss.detach().float() for loss in losses.values()]
        norm = nn.utils.clip_grad_norm_(self.parameters, settings.clip or float("inf"))
        *told, length = torch.stack([*values, norm.detach().float()]).tolist()  # waits for the device once
        self._count(step, names, told, length, parts)
        self.step_with.step()
        self.optimizer.zero_grad(set_to_none=True)
        update_average(self.average, self.network, settings.ema, step)
        self.state.step = step + 1
        return length

    def _count(
        self, step: int, names: list[list[str]], values: list[float], norm: float, parts: list[Any]
    ) -> None:
        """Add losses up for the journal; stop if they or the gradients are not finite."""
        told = iter(values)
        sums, counts = self.state.sums, self.state.counts
        for part, named in zip(parts, names, strict=True):
            losses = {name: next(told) for name in named}
            wrong = [name for name, value in losses.items() if not math.isfinite(value)]
            if wrong:
                self._give_up(step, f"the loss {wrong[0]!r} is {losses[wrong[0]]}", [part])
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
                counts[name] = counts.get(name, 0) + 1
        if not math.isfinite(norm):
            self._give_up(step, f"the norm of the gradients is {norm}, though the losses are finite", parts)

    def _give_up(self, step: int, what: str, parts: list[Any]) -> None:
        """Keep the batch and the weights that it came to, then raise."""
        folder = self.folder / FAILED
        stem = f"step_{step:08d}_process_{self.fabric.global_rank}"
        for number, part in enumerate(parts):
            tensors, texts = flattened(part)
            tensors = {name: tensor.clone() for name, tensor in tensors.items()}
            write_safetensors(folder / f"{stem}_batch_{number}.safetensors", tensors, texts)
        write_best(folder / f"{stem}_network.safetensors", self.network, {"step": str(step)})
        last = self.folder / LAST
        raise NotFiniteError(
            f"step {step} of {self.task.name} (seed {self.settings.seed}, counted from 0): {what}. Its batch "
            f"and weights are in {folder}{f'; the checkpoint {last} is whole' if last.exists() else ''}. "
            "Look at that batch, or lower the learning rate."
        )

    def _tell_losses(self, norm: float) -> str:
        """A line of the journal and for people: mean losses of all processes since the last one."""
        self._gather()
        state, seconds = self.state, self.clock.seconds
        means = {name: total / state.counts[name] for name, total in state.sums.items()}
        state.sums, state.counts = {}, {}
        waited = seconds["batch"] / (seconds["batch"] + seconds["step"])
        figures = {
            "learning_rate": self.settings.learning_rate * rate_factor(state.step - 1, self.settings),
            "gradient_norm": norm,
            "samples_per_second": round(self._throughput(), 2),
            "waited_for_batches": round(waited, 3),
        }
        if self.journal is not None:
            self.journal.losses(state.step, means, figures)
        told = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        return f"{told}; {self._throughput():.3g} samples/s, {waited:.0%} of it waiting for batches"

    def _gather(self) -> None:
        """Bring the sums of all processes into the first."""
        if self.fabric.world_size == 1:
            return
        mine, found = (self.state.sums, self.state.counts), [None] * self.fabric.world_size
        torch.distributed.all_gather_object(found, mine)
        self.state.sums, self.state.counts = {}, {}
        if self.fabric.is_global_zero:
            others: list[Any] = found
            for sums, counts in others:
                for name, value in sums.items():
                    self.state.sums[name] = self.state.sums.get(name, 0.0) + value
                    self.state.counts[name] = self.state.counts.get(name, 0) + counts[name]

    def _evaluate(self) -> str:
        """Judge the averaged weights; keep them if they are the best."""
        line = ""
        if self.journal is not None:
            with self.clock.stage("evaluation"):
                line = self._judge(self.journal)
        self.fabric.barrier()
        return line

    def _judge(self, journal: Journal) -> str:
        state, task = self.state, self.task
        _seed(self.settings.seed, state.step, EVALUATION)
        self.average.eval()
        with torch.no_grad():
            metrics = {name: float(value) for name, value in task.evaluate(self.average).items()}
            pictures = task.pictures(self.average)
        if task.metric not in metrics:
            raise InputError(
                f"expected {task.metric!r} among the figures of {task.name}, got {list(metrics)}."
            )
        value = metrics[task.metric]
        if not math.isfinite(value):
            raise NotFiniteError(
                f"after step {state.step} of {task.name} (seed {self.settings.seed}): the figure "
                f"{task.metric!r} on kept-out data is {value}."
            )
        state.metrics = metrics
        state.curve = [*state.curve[:: 2 if len(state.curve) >= MAX_CURVE else 1], (state.step, value)]
        best = not state.best_step or value < state.best_value
        if best:
            state.best_step, state.best_value = state.step, value
            state.seconds = self._seconds()
            write_best(self.folder / BEST, self.average, best_header(task, self.identity, state, self.notes))
        journal.evaluation(state.step, metrics, best=best)
        journal.pictures(state.step, pictures)
        told = ", ".join(f"{name} {figure:.4g}" for name, figure in metrics.items())
        return f"{told}{' (best)' if best else ''}"

    def _write_checkpoint(self) -> None:
        self._gather()
        self.state.seconds = self._seconds()
        if self.fabric.is_global_zero:
            with self.clock.stage("checkpoint"):
                write_last(self.folder / LAST, self.identity, self.state, self.modules)
        self.fabric.barrier()

    def _seconds(self) -> float:
        """Spent on all steps so far, also by earlier runs."""
        return self.seconds_before + sum(self.clock.seconds.values())

    def _throughput(self) -> float:
        """Samples a second of this run."""
        seconds = self.clock.seconds.get("batch", 0.0) + self.clock.seconds.get("step", 0.0)
        done = (self.state.step - self.done_before) * self.settings.batch
        return done / seconds if seconds else 0.0


def _total(losses: Mapping[str, Tensor], task: Task) -> Tensor:
    shapes = {name: tuple(loss.shape) for name, loss in losses.items()}
    if not losses or any(shapes.values()):
        raise InputError(f"expected at least one loss of {task.name}, each a single number, got {shapes}.")
    return torch.stack([loss.float() for loss in losses.values()]).sum()


def _seed(seed: int, step: int, part: int) -> None:
    """Seed torch's global generators, which the caller of ``train`` gets back as they were."""
    state = np.random.SeedSequence((seed, step, part)).generate_state(2, np.uint32)
    torch.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
