"""Stopped and resumed is the same, bit for bit, as not stopped; what is wrong is said early and clearly."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_task import SETTINGS, WaveTask

from facewright.core.assets import read_safetensors
from facewright.core.errors import AssetError, InputError, NotFiniteError, OutputError, UnavailableError
from facewright.training.batches import lost_workers_told
from facewright.training.checkpoint import read_best
from facewright.training.journal import read_journal
from facewright.training.loop import train
from facewright.training.settings import TrainingSettings

CHECKED = ("network", "average", "optimizer", "sums", "counts", "metrics", "curve", "best_step", "best_value")


def state(folder: Path) -> dict:
    return torch.load(folder / "last.pt", weights_only=True)


def same(a: object, b: object) -> bool:
    """Equal to the bit, through nested dicts and lists."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))  # pyright: ignore[reportArgumentType]
    return a == b


def told(folder: Path) -> list[dict]:
    """Journal lines without what a clock measured."""
    lines = read_journal(folder / "journal.jsonl")
    return [
        {k: v for k, v in line.items() if k not in ("samples_per_second", "waited_for_batches")}
        for line in lines
    ]


def assert_same_runs(one: Path, other: Path) -> None:
    first, second = state(one), state(other)
    for name in CHECKED:
        assert same(first[name], second[name]), name
    assert told(one) == told(other)
    assert same(*(read_safetensors(folder / "best.safetensors")[0] for folder in (one, other)))


def run(task: WaveTask, settings: TrainingSettings, folder: Path, **options) -> None:
    train(task, settings, folder, progress=False, **options)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run(WaveTask(), SETTINGS, folder)
    return folder


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("stop", [6, 8])
def test_stopped_and_resumed_is_unbroken(tmp_path: Path, stop: int, optimizer: str) -> None:
    settings = replace(SETTINGS, accumulate=2, optimizer=optimizer)
    run(WaveTask(), settings, tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        run(WaveTask(stop_at=stop), settings, tmp_path / "stopped")
    assert state(tmp_path / "stopped")["step"] == 4 * (stop // 4)
    run(WaveTask(), settings, tmp_path / "stopped")
    assert_same_runs(tmp_path / "unbroken", tmp_path / "stopped")


def test_the_comparison_sees_a_difference(unbroken: Path, tmp_path: Path) -> None:
    run(WaveTask(noise=0.200001), SETTINGS, tmp_path)
    with pytest.raises(AssertionError, match="network"):
        assert_same_runs(unbroken, tmp_path)


def test_workers_change_nothing(unbroken: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(WaveTask(stop_at=7), SETTINGS, tmp_path)
    run(WaveTask(), SETTINGS, tmp_path, workers=1)
    assert_same_runs(unbroken, tmp_path)


def test_a_finished_run_is_left_alone(unbroken: Path) -> None:
    before = state(unbroken)
    result = train(WaveTask(), SETTINGS, unbroken, progress=False)
    assert result.samples_per_second == 0.0
    assert (result.steps, result.best_step, result.metrics) == (10, before["best_step"], before["metrics"])
    assert same(before, state(unbroken))


def test_a_constant_run_may_be_made_longer(tmp_path: Path) -> None:
    settings = replace(SETTINGS, schedule="constant", evaluate_every=3)
    run(WaveTask(), settings, tmp_path / "long")
    run(WaveTask(), replace(settings, steps=6), tmp_path / "longer")
    run(WaveTask(), settings, tmp_path / "longer")
    first, second = state(tmp_path / "long"), state(tmp_path / "longer")
    assert same(first["network"], second["network"])
    assert same(first["average"], second["average"])


def test_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run(WaveTask(), replace(SETTINGS, steps=2), tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_learning_and_best_weights(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=150, batch=32, evaluate_every=50, checkpoint_every=0, ema=0.9)
    task = WaveTask(batch_size=32, noise=0.0, statistics=False)
    result = train(task, settings, tmp_path, progress=False, notes={"command": "toy"})
    errors = {
        line["step"]: line["evaluation"]["error"]
        for line in read_journal(tmp_path / "journal.jsonl")
        if "evaluation" in line
    }
    assert errors[150] < 0.6 * errors[50]
    assert result.best_value == min(errors.values())
    network, header = read_best(result.best, task)
    assert task.evaluate(network)["error"] == pytest.approx(result.best_value)
    assert header["command"] == "toy"
    assert json.loads(header["metrics"])["error"] == result.best_value
    assert len(list((tmp_path / "pictures").iterdir())) == 3


def test_worse_weights_do_not_replace_the_best(tmp_path: Path) -> None:
    class Worsening(WaveTask):
        def evaluate(self, network: torch.nn.Module) -> dict[str, float]:
            return super().evaluate(network) | {"error": next(scores)}

    scores = iter([3.0, 2.0, 5.0, 2.5])
    run(Worsening(), replace(SETTINGS, evaluate_every=3), tmp_path)
    assert state(tmp_path)["best_step"] == 6
    assert read_safetensors(tmp_path / "best.safetensors")[1]["steps"] == "6"


def test_a_resumed_journal_has_each_line_once(unbroken: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(WaveTask(stop_at=7), SETTINGS, tmp_path)
    before = told(tmp_path)
    assert [line["step"] for line in before] == [3, 5, 6]  # the checkpoint is of step 4
    with (tmp_path / "journal.jsonl").open("a") as stream:
        stream.write('{"step": 7, "los')
    run(WaveTask(), SETTINGS, tmp_path)
    assert [line["step"] for line in told(tmp_path)] == [3, 5, 6, 9, 10, 10]
    assert told(tmp_path) == told(unbroken)


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        (WaveTask(name="ripple"), {}, "task 'wave', not 'ripple'"),
        (WaveTask(version=2), {}, "version 1, not 2"),
        (WaveTask(noise=0.3), {}, "wave.noise 0.2, not 0.3"),
        (WaveTask(), {"learning_rate": 0.5}, "learning_rate 0.02, not 0.5"),
        (WaveTask(), {"steps": 20}, "steps 10, not 20"),
        (WaveTask(), {"accumulate": 2}, "parts 1, not 2"),
        (WaveTask(), {"evaluate_every": 1}, "evaluate_every 5, not 1"),  # other best weights
    ],
)
def test_another_runs_checkpoint_is_refused(
    unbroken: Path, task: WaveTask, changes: dict, words: str
) -> None:
    before = (unbroken / "last.pt").read_bytes()
    with pytest.raises(AssetError, match=words) as caught:
        run(task, replace(SETTINGS, **changes), unbroken)
    assert "\n" not in str(caught.value)
    assert (unbroken / "last.pt").read_bytes() == before


def test_what_numbers_do_not_depend_on_may_change(unbroken: Path) -> None:
    run(WaveTask(), replace(SETTINGS, journal_every=1, checkpoint_every=1), unbroken)


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint(tmp_path: Path, unbroken: Path, damage: bytes | None) -> None:
    whole = (unbroken / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(AssetError, match="is damaged"):
        run(WaveTask(), SETTINGS, tmp_path)


def test_best_weights_of_another_version(unbroken: Path) -> None:
    with pytest.raises(AssetError, match="expected weights of wave version 2"):
        read_best(unbroken / "best.safetensors", WaveTask(version=2))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_nan_stops_early_and_keeps_the_batch(tmp_path: Path, accumulate: int) -> None:
    settings = replace(SETTINGS, accumulate=accumulate)
    with pytest.raises(NotFiniteError, match=r"step 6 of wave \(seed 0.*the loss 'squared' is nan") as caught:
        run(WaveTask(poison=6), settings, tmp_path)
    assert "\n" not in str(caught.value)
    tensors, texts = read_safetensors(tmp_path / "failed" / "step_00000006_process_0_batch_0.safetensors")
    expected = WaveTask(poison=6).batch(0, 6, 0, accumulate)
    assert torch.equal(tensors["x"], expected.x)
    assert tensors["y"].isnan().all()
    assert texts["kind"] == "wave"
    weights, _ = read_safetensors(tmp_path / "failed" / "step_00000006_process_0_network.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert state(tmp_path)["step"] == 4


def test_a_gradient_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match="the norm of the gradients is nan"):
        run(WaveTask(poison_gradient=5), SETTINGS, tmp_path)


def test_a_figure_that_is_not_finite(tmp_path: Path) -> None:
    class Blind(WaveTask):
        def evaluate(self, network: torch.nn.Module) -> dict[str, float]:
            return super().evaluate(network) | {"error": float("nan")}

    with pytest.raises(NotFiniteError, match=r"after step 5 of wave.*'error'"):
        run(Blind(), SETTINGS, tmp_path)


def test_errors_of_workers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^no more waves\.$"):
        run(WaveTask(refuse_at=2), SETTINGS, tmp_path / "refused", workers=1)
    with pytest.raises(UnavailableError, match="worker process was ended"):
        run(WaveTask(kill_at=2), SETTINGS, tmp_path / "killed", workers=1)


def test_a_worker_that_ends_during_a_step(tmp_path: Path) -> None:
    # Torch tells it from a signal's handler, which breaks into the sleep of step 0.
    with pytest.raises(UnavailableError, match="worker process was ended"):
        run(WaveTask(kill_at=1, sleep_at=0), SETTINGS, tmp_path, workers=1)


def test_other_errors_keep_their_names() -> None:
    with pytest.raises(RuntimeError, match="a shape is wrong"), lost_workers_told():
        raise RuntimeError("a shape is wrong")


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"ema": 1.0}, {"clip": -1.0}, {"learning_rate": 0.0}, {"accumulate": 0}]
)
def test_settings_that_make_no_sense(changes: dict) -> None:
    with pytest.raises(InputError):
        replace(SETTINGS, **changes)


def test_calls_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="share equally"):
        run(WaveTask(), replace(SETTINGS, accumulate=3), tmp_path)
    with pytest.raises(InputError, match="workers"):
        run(WaveTask(), SETTINGS, tmp_path, workers=-1)
    with pytest.raises(InputError, match="expected 'missing' among the figures"):
        run(WaveTask(metric="missing"), SETTINGS, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="it is a file"):
        run(WaveTask(), SETTINGS, tmp_path / "file")


def test_cuda_without_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UnavailableError, match="CUDA"):
        run(WaveTask(), replace(SETTINGS, device="cuda"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["lightning_fabric", "torch.utils.tensorboard.writer"])
def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UnavailableError, match=r"pip install 'facewright\[train\]'"):
        run(WaveTask(), SETTINGS, tmp_path)


def test_bfloat16(tmp_path: Path) -> None:
    seen = []

    class Watched(WaveTask):
        def losses(self, network, batch, step):
            seen.append(network(batch.x).dtype)
            return super().losses(network, batch, step)

    run(Watched(), replace(SETTINGS, steps=2, precision="bfloat16"), tmp_path)
    assert seen == [torch.bfloat16] * 2
    assert state(tmp_path)["network"]["layers.0.weight"].dtype == torch.float32
