"""``facewright train``: a method's flags, the scale's settings, what is changed of them."""

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from facewright.cli.main import main
from facewright.core.assets import read_safetensors
from facewright.pipeline.training import RECIPES


@pytest.fixture(autouse=True)
def wave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "wave", "toy_recipe:RECIPE")


def test_train_and_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "wave", "--out", str(tmp_path), "--scale", "mini", "--noise", "0.3", "--batch", "4"]
    command += ["--no-statistics", "--learning-rate", "0.01"]
    monkeypatch.setattr(sys, "argv", ["facewright", *command])
    assert main(command) == 0
    told = capsys.readouterr()
    assert told.out.startswith("10 steps: error ")
    assert "samples/s" in told.err
    held = torch.load(tmp_path / "last.pt", weights_only=True)
    identity = json.loads(held["identity"])
    assert (identity["wave.noise"], identity["batch"], identity["learning_rate"]) == (0.3, 4, 0.01)
    assert not any("running" in name for name in held["network"])
    notes = read_safetensors(tmp_path / "best.safetensors")[1]
    assert notes["command"] == f"facewright {' '.join(command)}"
    assert (notes["method"], notes["scale"]) == ("wave", "mini")
    command[command.index("0.3")] = "0.4"
    assert main(command) == 2
    assert "wave.noise 0.3, not 0.4" in capsys.readouterr().err


def test_help_lists_the_methods_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "wave", "--help"]) == 0
    told = capsys.readouterr().out
    for words in ("--noise", "a flag that must be given", "--learning-rate", "Steps until the highest rate"):
        assert words in told
    assert main(["train", "--help"]) == 0
    assert "--noise" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus", "--out", "x"], "one of"),
        (["wave", "--out", "x"], "noise"),
        (["wave", "--out", "x", "--noise", "0", "--scale", "full"], "wave has the scales mini, small"),
        (["wave", "--out", "x", "--noise", "0", "--steps", "0"], "expected steps of at least 1"),
        (["wave", "--out", "x", "--noise", "0", "--schedule", "linear"], "schedule"),
    ],
)
def test_usage_errors(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_every_recipe_is_whole() -> None:
    from facewright.cli.train import OWN, Train, train_command
    from facewright.pipeline.training import training_recipe

    for method in RECIPES:
        recipe = training_recipe(method)
        assert recipe.scales
        own = {field.name for field in fields(Train)}
        assert own.isdisjoint(field.name for field in fields(recipe.options))  # flags of one command
        assert train_command(["train", method]).__dataclass_fields__.keys() >= set(OWN)
