"""Records of tensors become rows of a batch and come back."""

import pickle
from dataclasses import dataclass

import torch
from tests.pretend_device import DEVICE, PretendDevice
from torch import Tensor, nn

from facewright.core.tensor_records import Movable, device_of, joined_rows, map_tensors, on_device


@dataclass(frozen=True)
class Inner:
    values: Tensor
    name: str


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[Tensor, int]
    table: dict[str, Tensor]
    nothing: None = None


def record(start: float) -> Outer:
    rows = torch.arange(3.0)[None] + start
    return Outer(Inner(rows, "a"), (rows * 2, 7), {"b": rows * 3})


def test_rows_are_joined_and_taken_apart() -> None:
    records = [record(k) for k in range(4)]
    batch = joined_rows(records)
    assert batch.inner.values.shape == batch.pair[0].shape == batch.table["b"].shape == (4, 3)
    assert (batch.inner.name, batch.pair[1], batch.nothing) == ("a", 7, None)
    for number, expected in enumerate(records):
        one = map_tensors(lambda tensor, row=number: tensor[row : row + 1], batch)
        assert torch.equal(one.inner.values, expected.inner.values)
        assert torch.equal(one.table["b"], expected.table["b"])
    assert torch.equal(records[0].pair[0], record(0).pair[0])


def test_every_tensor_is_moved() -> None:
    moved = on_device(record(0), "meta")
    assert {moved.inner.values.device.type, moved.pair[0].device.type, moved.table["b"].device.type} == {
        "meta"
    }


def test_what_can_move_is_copied_once_and_pickled_without_its_copies() -> None:
    here = torch.device("cpu")
    with PretendDevice():
        known, network = Movable(record(1.0)), Movable(nn.Linear(3, 2))
        there = known.on(DEVICE)
        assert there.inner.values.device.type == DEVICE.type
        assert known.on(DEVICE) is there
        assert known.on(here).inner.values.device == here
        assert device_of(network.on(DEVICE)).type == DEVICE.type
        assert device_of(network.on(here)) == here  # not the copy that moved
        again = pickle.loads(pickle.dumps(known))
        assert torch.equal(again.on(here).inner.values, record(1.0).inner.values)
