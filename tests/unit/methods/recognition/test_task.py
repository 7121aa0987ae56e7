import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.data.datasets.miniature_folder import write_people

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError, DatasetError, InputError
from facewright.data.aligned_faces import (
    CropSet,
    crops_of_people,
    load_crops,
    people_of_folds,
    trained_people,
)
from facewright.data.crop_augmentation import AugmentationSettings, augmented
from facewright.data.datasets.kept_out import is_kept_out
from facewright.methods.recognition.settings import MarginSettings, RecognitionSettings
from facewright.methods.recognition.task import RecognitionTask
from facewright.methods.recognition.verification import baselines, pixel_features, verify_pairs
from facewright.methods.recognition.weights import recognition_network
from facewright.networks.recognition import RecognitionNetworkSettings

WIDE = {"recognition.network.widths": [4096, 9999], "recognition.network.blocks": [1]}
KEPT = [name for name in (f"Kept_{k}" for k in range(200)) if is_kept_out(name)][:5]
SEEN = [name for name in (f"Seen_{k}" for k in range(40)) if not is_kept_out(name)][:8]
TESTED = [name for name in (f"Test_{k}" for k in range(40)) if not is_kept_out(name)][:4]
SETTINGS = RecognitionSettings(
    (0, 1),
    batch=6,
    network=RecognitionNetworkSettings((8, 16), (0,), 4, 12),
    margin=MarginSettings(ramp=10),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both folders; people of the pairs are in folds 0 and 1."""
    coloured = (SEEN[0], TESTED[0], *SEEN[6:])
    return write_people(tmp_path_factory.mktemp("data"), (*KEPT, *SEEN[:6]), coloured, TESTED)


@pytest.fixture(scope="module")
def crops(data: Path) -> CropSet:
    return load_crops(data, data / "crops.npy")


def test_crops_are_cut_once(data: Path, crops: CropSet) -> None:
    assert crops.pixels.shape == (len(crops.identity), 128, 128)
    turned = replace(crops, pixels=np.flip(crops.pixels, 2))
    renamed = replace(crops, identity=("Another", *crops.identity[1:]))
    assert len({one.digest for one in (crops, replace(crops), turned, renamed)}) == 3
    changed = (data / "crops.npy").stat().st_mtime_ns
    again = pickle.loads(pickle.dumps(load_crops(data, data / "crops.npy")))
    assert (data / "crops.npy").stat().st_mtime_ns == changed
    assert isinstance(again.pixels, np.memmap)
    np.testing.assert_array_equal(again.pixels, crops.pixels)
    (data / "other.npy").write_bytes((data / "crops.npy").read_bytes()[:5000])
    (data / "other.json").write_bytes((data / "crops.json").read_bytes())
    with pytest.raises(DatasetError, match="remove it and run again"):
        load_crops(data, data / "other.npy")


def test_nobody_who_is_tested_or_kept_out_is_trained_on(crops: CropSet) -> None:
    people = trained_people(crops, (0, 1))
    assert sorted(people) == sorted(SEEN)
    assert len(people[SEEN[0]]) == 5  # of both folders
    assert sorted(trained_people(crops, ())) == sorted(SEEN + TESTED)  # control
    assert people_of_folds(crops, (0, 1)) == set(TESTED)
    task = RecognitionTask(crops, SETTINGS)
    allowed = {row for rows in people.values() for row in rows}
    assert set(task.rows) == allowed
    judged = {crops.identity[row] for side in task.pairs[:2] for row in side}
    assert judged <= set(KEPT)
    first, second, same = task.pairs
    assert [
        crops.identity[a] == crops.identity[b] for a, b in zip(first, second, strict=True)
    ] == same.tolist()


def test_a_batch_depends_on_its_arguments_alone(crops: CropSet) -> None:
    task = RecognitionTask(crops, SETTINGS)
    batch = task.batch(3, 7, 1, 2)
    again = RecognitionTask(crops, SETTINGS).batch(3, 7, 1, 2)
    assert batch.crops.shape == (3, 1, 112, 112)
    assert torch.equal(batch.crops, again.crops)
    assert torch.equal(batch.people, again.people)
    for other in (task.batch(3, 7, 0, 2), task.batch(3, 8, 1, 2), task.batch(4, 7, 1, 2)):
        assert not torch.equal(batch.crops, other.crops)
    whose = [sorted(trained_people(crops, (0, 1)))[number] for number in batch.people]
    assert set(whose) <= set(crops_of_people(crops))


def test_a_tiny_network_learns_the_people(crops: CropSet) -> None:
    task = RecognitionTask(crops, SETTINGS)
    network = task.build(0)
    assert torch.equal(task.build(0).head.directions, network.head.directions)
    optimizer = torch.optim.AdamW(network.parameter_groups(5e-3))
    values = []
    for step in range(25):
        loss = torch.stack(list(task.losses(network, task.batch(0, step, 0, 1), 0).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert np.mean(values[-5:]) < 0.7 * np.mean(values[:5])
    figures = task.evaluate(network)
    assert 0 <= figures[task.metric] <= 100
    assert network.training
    assert task.pictures(network)["crops"].shape[0] == 3


def test_verification_ranks_an_oracle_above_chance(crops: CropSet) -> None:
    # The people are patterns here, which plain pixels tell apart.
    found = verify_pairs(pixel_features, crops)
    assert found["area_under_roc"] == 100.0
    assert found["pairs"] == 8.0
    assert found["true_accepts_at_0.1"] == 100.0

    def blind(images: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.nn.functional.normalize(torch.randn(len(images), 8, generator=generator), dim=1)

    assert verify_pairs(blind, crops)["area_under_roc"] < 100.0
    assert set(baselines()) == {"untrained network", "pixels"}
    with pytest.raises(InputError, match="no pairs"):
        verify_pairs(pixel_features, crops, (7,))


def test_augmentation_keeps_range_and_shape_and_without_it_the_crop_stays() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 128, 128), dtype=np.uint8)
    strong = augmented(pixels, np.random.default_rng(1), AugmentationSettings())
    assert strong.shape == (4, 1, 112, 112)
    assert 0 <= strong.min() <= strong.max() <= 1
    none = AugmentationSettings(0.0, 0.0, 0.0, 0.0, 0.0, 28.0, 0.0, 0.0, 0.0)
    plain = augmented(pixels, np.random.default_rng(1), none)
    inner = torch.from_numpy(pixels[:, 8:-8, 8:-8]).float()[:, None] / 255
    same = torch.minimum((plain - inner).abs().amax((1, 2, 3)), (plain - inner.flip(3)).abs().amax((1, 2, 3)))
    assert same.max() < 0.02
    assert (strong - inner).abs().amax((1, 2, 3)).min() > 0.1


def test_the_command_trains_it(data: Path, tmp_path: Path) -> None:
    from facewright.methods.recognition.recipe import RecognitionOptions
    from facewright.pipeline.training import train_method

    options = RecognitionOptions(data, data / "crops.npy", (0, 1))
    changes = {"steps": 2, "batch": 4, "device": "cpu"}
    result = train_method("recognition", options, "mini", changes, tmp_path / "run")
    assert result.steps == 2
    assert "kept_out_error" in result.metrics
    network, header = recognition_network(result.best)
    assert json.loads(header["settings"])["recognition.people"] == len(SEEN)
    assert network(torch.rand(2, 3, 112, 112)).shape == (2, 128)
    tensors, header = read_safetensors(result.best)
    for change in ({"task": "other"}, {"settings": "[]"}, {"settings": json.dumps(WIDE)}):
        write_safetensors(tmp_path / "wrong.safetensors", tensors, header | change)
        with pytest.raises(AssetError, match=r"weights of recognition|what network|whole RecognitionNetwork"):
            recognition_network(tmp_path / "wrong.safetensors")
    with pytest.raises(InputError, match="folds 0 to 9, not 12"):
        train_method(
            "recognition", replace(options, kept_out_folds=(12,)), "mini", changes, tmp_path / "other"
        )
