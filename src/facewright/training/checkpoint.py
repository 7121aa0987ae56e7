"""Checkpoints: the whole state of a run to go on from, and the best weights so far."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError
from facewright.core.files import atomic_file
from facewright.networks.weights import Network, network_of, shipped_network
from facewright.training.settings import TrainingSettings
from facewright.training.task import Task

FORMAT = "facewright-training-1"
LAST, BEST = "last.pt", "best.safetensors"
MAX_CHECKPOINT_BYTES = 16 << 30
# What the numbers of a run do not depend on; parts stand for processes and accumulation.
# Evaluations are told: the best weights are those of one.
FREE = ("accumulate", "device", "checkpoint_every", "journal_every")
Identity = dict[str, Any]


@dataclass
class RunState:
    """What changes while a network is trained, beside network and optimiser.

    Attributes:
        step: steps done.
        seconds: spent on them, over all runs.
        best_step: after which the best weights were found; 0 if none were judged.
        best_value: their metric.
        metrics: of the newest evaluation.
        curve: step and metric of each evaluation; thinned out when it is long.
        sums: of the losses since the last line of the journal, by name.
        counts: how many each sum holds.
    """

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_value: float = float("inf")
    metrics: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def identity_of(task: Task, settings: TrainingSettings, parts: int) -> Identity:
    """What a checkpoint belongs to, as JSON values: all that its numbers depend on."""
    told = {name: value for name, value in asdict(settings).items() if name not in FREE}
    if settings.schedule == "constant":
        del told["steps"]  # such a run may be made longer
    values = {
        "task": task.name,
        "version": task.version,
        **told,
        "parts": parts,
        **_flat(task.name, task.settings()),
    }
    return json.loads(json.dumps(values))


def _flat(name: str, value: object) -> dict[str, object]:
    """Nested values by dotted names, so that a message can name the one that differs."""
    if not isinstance(value, Mapping) or not value:
        return {name: value}
    found: dict[str, object] = {}
    for key, part in value.items():
        found |= _flat(f"{name}.{key}", part)
    return found


def write_last(path: Path, identity: Identity, state: RunState, modules: Mapping[str, Any]) -> None:
    """Write everything that a run needs to go on, whole or not at all.

    Args:
        path: the file.
        identity: of the run.
        state: of the run.
        modules: what has a ``state_dict``, by name.

    Raises:
        OutputError: the file cannot be written; the one before is still there.
    """
    held = {name: module.state_dict() for name, module in modules.items()}
    told = {"format": FORMAT, "identity": json.dumps(identity), **asdict(state)}
    # Through memory: where the disk is full, torch's own writer does not say so.
    buffer = io.BytesIO()
    torch.save({**held, **told}, buffer)
    with atomic_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def read_last(path: Path, identity: Identity, modules: Mapping[str, Any]) -> RunState:
    """Bring modules and state to where a run stopped; a fresh state if there is no file.

    Raises:
        AssetError: the file is damaged, or belongs to another task, version or settings.
    """
    if not path.exists():
        return RunState()
    try:
        if path.stat().st_size > MAX_CHECKPOINT_BYTES:
            raise ValueError(f"it is larger than {MAX_CHECKPOINT_BYTES >> 30} GiB")
        held = torch.load(path, weights_only=True, map_location="cpu")
        if held["format"] != FORMAT:
            raise ValueError(f"its format is {held['format']!r}, not {FORMAT!r}")
        earlier: Identity = json.loads(held["identity"])
        state = RunState(**{name: held[name] for name in RunState.__dataclass_fields__})
        parts = {name: held[name] for name in modules}
    except Exception as error:  # of any kind: the bytes may be anything
        raise AssetError(
            f"the checkpoint {path} is damaged ({_first_line(error)}): remove it to start again, or choose "
            "another folder with --out."
        ) from error
    check_identity(path, earlier, identity)
    try:
        for name, module in modules.items():
            module.load_state_dict(parts[name])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise AssetError(
            f"the checkpoint {path} does not fit the network of {identity['task']} version "
            f"{identity['version']} ({_first_line(error)}): remove it to start again."
        ) from error
    return state


def check_identity(path: Path, earlier: Identity, wanted: Identity) -> None:
    """Refuse a checkpoint of another run.

    Raises:
        AssetError: it belongs to another task, version or settings; the message says what differs.
    """
    names = list(dict.fromkeys([*wanted, *earlier]))
    if earlier.get("task") != wanted["task"]:
        names = ["task"]  # nothing else can be compared
    nothing = object()
    changed = [name for name in names if earlier.get(name, nothing) != wanted.get(name, nothing)]
    if changed:
        what = ", ".join(
            f"{name} {earlier.get(name, 'nothing')!r:.40}, not {wanted.get(name, 'nothing')!r:.40}"
            for name in changed
        )
        raise AssetError(
            f"the checkpoint {path} is of another training ({what}): run with its settings or choose another "
            "folder with --out."
        )


def write_best(path: Path, average: nn.Module, header: Mapping[str, str]) -> None:
    """Write averaged weights with what one must know about them.

    Raises:
        OutputError: the file cannot be written; the one before is still there.
    """
    # Clones: tensors that share memory cannot be written.
    tensors = {name: tensor.detach().clone() for name, tensor in average.state_dict().items()}
    write_safetensors(path, tensors, header)


def best_header(task: Task, identity: Identity, state: RunState, notes: Mapping[str, str]) -> dict[str, str]:
    """What the file of the best weights tells of their origin."""
    return {
        **notes,
        "format": FORMAT,
        "task": task.name,
        "version": str(task.version),
        "settings": json.dumps(identity),
        "seed": str(identity["seed"]),
        "steps": str(state.step),
        "hours": f"{state.seconds / 3600:.3f}",
        "metrics": json.dumps(finite(state.metrics)),
        "curve": json.dumps(state.curve),
    }


def read_best(path: Path, task: Task) -> tuple[nn.Module, dict[str, str]]:
    """The best network of a run, in evaluation mode, and the file's header.

    Raises:
        AssetError: the file is missing, damaged, or of another task or version.
    """
    tensors, header = read_safetensors(path)
    found = tuple(header.get(name) for name in ("format", "task", "version"))
    if found != (FORMAT, task.name, str(task.version)):
        raise AssetError(
            f"{path}: expected weights of {task.name} version {task.version} in format {FORMAT}, found "
            f"{found[1]} version {found[2]} in format {found[0]}."
        )
    network = task.build(0)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(f"{path} does not fit the network of {task.name} ({_first_line(error)}).") from error
    return network.eval(), header


def trained_network(
    path: Path, task: str, network_class: type[Network], settings_class: type, prefix: str = ""
) -> tuple[Network, dict[str, str]]:
    """A network in evaluation mode and the header of its file: weights as they ship, or the best of a run.

    Args:
        path: a weight file, or ``best.safetensors`` of a run.
        task: that was trained; its settings have the network's as ``<task>.network.<name>``.
        network_class: of the network.
        settings_class: of its settings.
        prefix: of the network's tensors among those that were trained.

    Raises:
        AssetError: the file is missing, damaged or of another network.
    """
    tensors, header = read_safetensors(path)
    if header.get("format") != FORMAT:
        return shipped_network(path, tensors, header, network_class, settings_class), header
    if header.get("task") != task:
        raise AssetError(f"{path}: expected weights of {task}, found those of {header.get('task')}.")
    sizes = f"{task}.network."
    try:
        told = json.loads(header["settings"]).items()
        values = {name.removeprefix(sizes): value for name, value in told if name.startswith(sizes)}
    except (LookupError, ValueError, AttributeError):
        values = {}
    if not values:
        raise AssetError(f"{path} is damaged: it does not say what network was trained.")
    state = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and tensor.dtype.is_floating_point
    }
    return network_of(path, state, values, network_class, settings_class), header


def origin_notes(header: Mapping[str, str]) -> dict[str, str]:
    """All that a run's header tells of its origin, for the header of a weight file that is made of it.

    The run's settings are called ``training`` there: ``settings`` are the network's own.
    """
    told = {name: value for name, value in header.items() if name not in ("format", "settings")}
    return {**told, "training": header["settings"]} if "settings" in header else told


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Values for JSON, which has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
