"""Detector and landmarker learn by the common loop, and what it leaves can be shipped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facewright.models.base import load_base_model
from facewright.training.batches import flattened
from facewright.training.loop import train
from facewright.training.settings import TrainingSettings
from ship_network import detection  # pyright: ignore[reportMissingImports]
from training_data import detector_task, landmarker_task  # pyright: ignore[reportMissingImports]
from training_data.canvases import Backdrops  # pyright: ignore[reportMissingImports]
from training_data.photos import PhotoSet  # pyright: ignore[reportMissingImports]

SIDE, COUNT = 96, 24


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    """Noise with the points of the mean head on it; every third is kept out."""
    rng, model = np.random.default_rng(0), load_base_model()
    points = model.landmark_points(model.mean, "dense478").numpy() * [1.0, -1.0, -1.0]
    shape = (points - points.mean(0)) * 0.35
    places = SIDE / 2 + rng.normal(0, 2, (COUNT, 1, 3)) * [1, 1, 0] + rng.normal(0, 0.1, (COUNT, 478, 3))
    landmarks = (shape + places * [1, 1, 0]).astype(np.float32)
    return PhotoSet(
        rng.integers(0, 256, COUNT * SIDE * SIDE, dtype=np.uint8),
        np.arange(COUNT) * SIDE * SIDE,
        np.full((COUNT, 2), SIDE),
        landmarks,
        rng.random((COUNT, 52)).astype(np.float32),
        np.arange(COUNT) % 3 == 0,
        np.arange(COUNT) % 2,
    )


@pytest.fixture
def detector(photos, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector_task, "HELD_BATCHES", 1)
    monkeypatch.setattr(detector_task, "HELD_SCENES", 2)
    bank = np.random.default_rng(1).integers(0, 256, (2, 384, 384), dtype=np.uint8)
    held = photos.select(photos.kept_out)
    return detector_task.DetectorTask(photos.select(~photos.kept_out), held, bank, 2)


@pytest.fixture
def landmarker(photos, monkeypatch: pytest.MonkeyPatch):
    def modes(landmarks, mirror, look, count, seed):  # those of thousands of shapes take long
        drawn = np.random.default_rng(seed).normal(0, 0.01, (count, 478, 3))
        return np.full((478, 3), 0.5, np.float32), drawn.astype(np.float32)

    monkeypatch.setattr(landmarker_task, "shape_modes", modes)
    monkeypatch.setattr(landmarker_task, "HELD", 8)
    bank = np.random.default_rng(1).integers(0, 256, (2, 96, 96), dtype=np.uint8)
    empty = Backdrops(bank, np.zeros((0, 5)), np.zeros((0, 5)))
    return landmarker_task.LandmarkerTask("first", landmarker_task.LandmarkSources(photos, (), empty), 2)


@pytest.mark.parametrize("name", ["detector", "landmarker"])
def test_a_run_can_be_shipped(name, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    task = request.getfixturevalue(name)
    result = train(task, TrainingSettings(steps=2, batch=2, device="cpu"), tmp_path / "run", progress=False)
    assert result.steps == 2
    assert np.isfinite(result.best_value)
    network, header = detection(task.name, result.best)
    assert header["steps"] == "2"
    fresh = task.build(0).state_dict()
    learned = network.state_dict()
    assert learned.keys() == fresh.keys()
    assert any(not torch.equal(learned[key], fresh[key]) for key in learned)
    with pytest.raises(SystemExit, match="of the training of landmarker_second"):
        detection("landmarker_second", result.best)


@pytest.mark.parametrize("name", ["detector", "landmarker"])
def test_a_batch_depends_on_seed_step_and_part_alone(name, request: pytest.FixtureRequest) -> None:
    task = request.getfixturevalue(name)

    def drawn(*key: int) -> dict[str, torch.Tensor]:
        return flattened(task.batch(*key, 2))[0]

    first, others = drawn(0, 3, 1), [drawn(1, 3, 1), drawn(0, 4, 1), drawn(0, 3, 0)]
    again = drawn(0, 3, 1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert all(len(value) == 1 for value in first.values())
    crops = next(iter(first))
    assert all(not torch.equal(first[crops], other[crops]) for other in others)
