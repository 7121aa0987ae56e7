"""Examples that are made while a training asks for them are those that shards would have given."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.methods.drawn_examples import drawn_examples

from facewright.core.errors import InputError
from facewright.data.protocols import photo_protocol
from facewright.data.shard_reader import ShardSet
from facewright.data.synthesis import open_studio, sample
from facewright.methods.specular import streamed
from facewright.methods.specular.examples import Examples, HeadLayout, row_of
from facewright.methods.specular.prepare import Preparer, synthetic_photos
from facewright.methods.specular.scales import SpecularTraining, without
from facewright.methods.specular.settings import NetworkSettings, RenderSettings
from facewright.methods.specular.streamed import ExampleStream
from facewright.methods.specular.train import SpecularTask
from facewright.models.base import load_base_model
from facewright.pipeline.sample_files import photo_files
from facewright.pipeline.shards import write_shard

SIZE, SEED = 48, 3
PROTOCOL = photo_protocol("synthetic-celeba")


@pytest.fixture(scope="module")
def model():
    return load_base_model()


@pytest.fixture(scope="module")
def stream(model):
    return ExampleStream(PROTOCOL, SEED, model, SIZE)


def test_a_streamed_example_is_that_of_a_shard(model, stream, tmp_path) -> None:
    rows = np.array([0, 1])
    made = {name: array[rows] for name, array in stream.arrays().items()}
    studio = open_studio(model, PROTOCOL.settings)
    photos = [(f"{k:09d}", photo_files(sample(studio, SEED, k), studio.model)) for k in rows.tolist()]
    write_shard(tmp_path / "000000.tar", photos)
    with torch.no_grad():
        photos = synthetic_photos(ShardSet.open(tmp_path), 0, model)
        examples = list(Preparer.of(model, SIZE).examples(photos))
    stored = [row_of(example, HeadLayout.of(model)) for example in examples]
    for name in ("crops", "masks", "skin", "landmarks", "start", "flags"):
        assert np.array_equal(made[name], np.stack([row[name] for row in stored])), name
    told = np.stack([row["truth"] for row in stored])
    assert np.allclose(made["truth"], told, rtol=0.02, atol=2e-3)  # stored light has 8 bits
    assert not np.allclose(made["truth"][::-1], told, rtol=0.02, atol=2e-3)
    with pytest.raises(InputError, match=r"shows the head base version \S+, expected base version other: "):
        next(synthetic_photos(ShardSet.open(tmp_path), 0, replace(model, version="other")))


def test_it_is_the_same_in_another_process(stream) -> None:
    rows, crops = np.array([1, 0, 1]), stream.arrays()["crops"]
    first = crops[rows]
    again = pickle.loads(pickle.dumps(crops))
    assert not again.stream._last
    assert np.array_equal(again[rows], first)
    assert stream.digest == again.stream.digest
    assert stream.digest != ExampleStream(PROTOCOL, SEED + 1, stream.model, SIZE).digest


def test_a_task_trains_on_a_stream_beside_folders(model, stream, tmp_path) -> None:
    folder = drawn_examples(tmp_path / "examples", model)
    both = Examples([folder], model, stream)
    assert len(both) == streamed.COUNT + len(Examples([folder], model))
    assert both.digest != Examples([folder], model).digest
    size = both.size
    network = NetworkSettings(input_size=size, widths=(4, 8, 8, 8), hidden=16, geometry=8)
    how = SpecularTraining(batch=2, photos=0.0, network=network, render=RenderSettings(size=size))
    task = SpecularTask(model, both, without(how, "identity"))
    losses = task.losses(task.build(0), task.batch(0, 0, 0, 1), 0)
    assert all(value.isfinite() for value in losses.values())


def test_faces_that_are_not_seen_are_replaced_and_at_last_told(stream, monkeypatch) -> None:
    seen = []

    def blind(_, photo) -> None:
        seen.append(photo)

    monkeypatch.setattr(Preparer, "located", blind)
    monkeypatch.setattr(streamed, "TRIES", 2)
    with pytest.raises(InputError, match="in 2 photos of synthetic-celeba no face is seen"):
        stream.rows(np.array([7]))
    assert len(seen) == 2
    assert not torch.equal(seen[0].image, seen[1].image)


def test_only_photos_can_be_streamed() -> None:
    with pytest.raises(InputError, match="expected a protocol of photos"):
        photo_protocol("synthetic-frgc")
