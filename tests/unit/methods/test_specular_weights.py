"""Weights of the specular method: where training starts from, and where they go."""

import json
import sys
from dataclasses import replace

import pytest
import torch
import tyro
from tests.unit.methods.drawn_examples import NETWORK, SIZE, TRAINING, drawn_examples

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.methods.specular.examples import INDEX, Examples
from facewright.methods.specular.infer import SpecularMethod
from facewright.methods.specular.model import SpecularNetwork
from facewright.methods.specular.recipe import RECIPE
from facewright.methods.specular.settings import NetworkSettings
from facewright.methods.specular.train import SpecularTask
from facewright.models.told_head import told_head
from facewright.networks import resnet
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import write_weights
from facewright.training.checkpoint import (
    RunState,
    best_header,
    identity_of,
    trained_network,
    write_best,
)
from facewright.training.settings import TrainingSettings
from ship_network import main as ship  # pyright: ignore[reportMissingImports]


def test_the_weights_of_a_training_are_taken_as_they_are(task, tmp_path):
    network, path = task.build(0), tmp_path / "best.safetensors"
    header = best_header(task, identity_of(task, TrainingSettings(steps=1, batch=6), 1), RunState(), {})
    write_best(path, network, header)
    read, _ = trained_network(path, "specular", SpecularNetwork, NetworkSettings)
    assert read.settings == NETWORK
    assert torch.equal(
        read.state_dict()["backbone.stem.0.weight"], network.state_dict()["backbone.stem.0.weight"]
    )
    for change in ({"task": "segmentation"}, {"settings": "7"}, {"settings": "{}"}):
        write_best(path, network, header | change)
        with pytest.raises(AssetError, match=r"expected weights of|what network"):
            trained_network(path, "specular", SpecularNetwork, NetworkSettings)


def test_what_a_run_tells_goes_along_when_its_weights_are_shipped(task, model, tmp_path, monkeypatch, capsys):
    best, shipped = tmp_path / "best.safetensors", tmp_path / "shipped.safetensors"
    weak = SpecularTask(
        model, task.examples, replace(TRAINING, render=replace(TRAINING.render, camera="weak"))
    )
    identity = identity_of(weak, TrainingSettings(steps=1, batch=6), 1)
    state = RunState(step=3, seconds=7200.0, metrics={"score": 0.5}, curve=[(1, 0.9), (3, 0.5)])
    write_best(best, weak.build(0), best_header(weak, identity, state, {"command": "facewright train"}))
    line = ["ship_network", "specular", "--checkpoint", str(best), "--to", str(shipped)]
    monkeypatch.setattr(sys, "argv", [*line, "--licence", "ours", "--metrics", '{"photos": 2}'])
    with pytest.raises(SystemExit, match="--data"):
        ship()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--data", "drawn heads"])
    ship()
    assert "step 3" in capsys.readouterr().out
    header = read_safetensors(shipped)[1]
    told = {name: header[name] for name in ("command", "data", "hours", "licence", "steps")}
    assert list(told.values()) == ["facewright train", "drawn heads", "2.000", "ours", "3"]
    assert json.loads(header["curve"]) == [[1, 0.9], [3, 0.5]]
    assert json.loads(header["metrics"]) == {"score": 0.5, "photos": 2}
    assert json.loads(header["training"])["specular.examples"] == task.examples.digest
    for path in (best, shipped):
        method = SpecularMethod.load(model, weights=path)
        assert (method.camera, method.sizes) == ("weak", NETWORK)
        for other in (replace(model, name="other"), replace(model, version="99")):
            with pytest.raises(InputError, match="trained for the head 'base'"):
                SpecularMethod.load(other, weights=path)
    # What the file itself tells goes before the settings of its run.
    write_weights(shipped, weak.build(0), header | told_head(replace(model, version="99")))
    SpecularMethod.load(replace(model, version="99"), weights=shipped)
    write_weights(shipped, weak.build(0), {})
    with pytest.raises(AssetError, match="which head"):
        SpecularMethod.load(model, weights=shipped)
    wrong = {"training": json.dumps({"specular.render.camera": "fisheye"})}
    write_weights(shipped, weak.build(0), wrong)
    with pytest.raises(AssetError, match="fisheye"):
        SpecularMethod.load(model, weights=shipped)


def test_a_run_tells_its_data_where_the_examples_do(model, task, tmp_path, monkeypatch):
    assert "data" not in task.settings()  # examples that say nothing change no run's identity
    folder = drawn_examples(tmp_path / "examples", model)
    told = json.loads((folder / INDEX).read_text())
    sets = [
        {"name": "synthetic-celeba", "seed": 1, "photos": 14, "kept_out": 4},
        {"name": "faces_in_colour", "photos": 7},
    ]
    (folder / INDEX).write_text(json.dumps({**told, "source": {"sets": sets, "segmentation": "outline"}}))
    own = SpecularTask(model, Examples([folder], model), TRAINING)
    best, shipped = tmp_path / "best.safetensors", tmp_path / "shipped.safetensors"
    identity = identity_of(own, TrainingSettings(steps=1, batch=6), 1)
    write_best(best, own.build(0), best_header(own, identity, RunState(), {"command": "facewright train"}))
    line = ["ship_network", "specular", "--checkpoint", str(best), "--to", str(shipped), "--licence", "ours"]
    monkeypatch.setattr(sys, "argv", line)
    ship()
    assert read_safetensors(shipped)[1]["data"] == (
        "examples of scripts/prepare_specular.py: 14 photos of synthetic-celeba (seed 1), 7 photos of "
        "faces_in_colour; kept out: 4 synthetic photos, a tenth of the people of the others"
    )


def test_the_command_takes_a_recognition_network_of_one_s_own(folder, tmp_path):
    own = tmp_path / "own.safetensors"
    write_weights(own, RecognitionNetwork(RecognitionNetworkSettings((8, 16), (0,), 4, 12)), {})
    line = ["--examples", str(folder), "--network-input-size", str(SIZE), "--identity"]
    settings = RECIPE.scales["mini"]
    shipped, other = (
        RECIPE.make(tyro.cli(RECIPE.options, args=[*line, *more]), "mini", settings)
        for more in ([], ["--recognition", str(own)])
    )
    assert shipped.settings()["recognition"] != other.settings()["recognition"]
    assert shipped.batch(0, 0, 0, 1).crops.shape == (8, 3, SIZE, SIZE)
    with pytest.raises(AssetError, match="examples"):
        RECIPE.make(
            tyro.cli(RECIPE.options, args=[*line, "--recognition", str(folder / INDEX)]), "mini", settings
        )


def test_a_resnet_starts_from_imagenet_s_weights(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(resnet, "STAGES", ((4, 1, 1),))
    known, path = resnet.ResNet50().state_dict(), tmp_path / "imagenet.safetensors"
    held = {name: value for name, value in known.items() if value.is_floating_point()}
    write_safetensors(path, {**held, "fc.weight": torch.zeros(10, 16)}, {})
    training = replace(TRAINING, network=replace(NETWORK, widths=(), hidden=0, geometry=0))
    examples = Examples([folder], model)
    task, other = (
        SpecularTask(model, examples, training, files=files) for files in ({"imagenet": path}, None)
    )
    kernel = "backbone.layer1.0.conv2.weight"
    assert torch.equal(task.build(0).state_dict()[kernel], known[kernel.removeprefix("backbone.")])
    assert not torch.equal(other.build(0).state_dict()[kernel], known[kernel.removeprefix("backbone.")])
    assert task.settings() != other.settings()
    with pytest.raises(InputError, match="ResNet-50"):
        SpecularTask(model, examples, TRAINING, files={"imagenet": path}).build(0)
