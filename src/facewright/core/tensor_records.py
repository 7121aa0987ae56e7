"""Functions over every tensor of a record of records: rows of a batch, batches of rows, another device."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

Record = TypeVar("Record")


def map_tensors(function: Callable[..., Tensor], *records: Record) -> Record:
    """The first record with ``function(*tensors)`` in place of each tensor; what is no tensor stays.

    Args:
        function: of as many tensors as there are records.
        records: of one type; dataclasses, tuples, lists and mappings in them are gone through.
    """
    first = records[0]
    if isinstance(first, Tensor):
        return cast(Record, function(*records))
    if is_dataclass(first) and not isinstance(first, type):
        parts = {f.name: [getattr(r, f.name) for r in records] for f in fields(first) if f.init}
        changed = {name: map_tensors(function, *values) for name, values in parts.items()}
        return cast(Record, replace(first, **changed))
    if isinstance(first, tuple | list):
        changed = (map_tensors(function, *parts) for parts in zip(*cast(Any, records), strict=True))
        named = hasattr(first, "_fields")  # a named tuple takes its values one by one
        return cast(Record, type(first)(*changed) if named else type(first)(changed))
    if isinstance(first, Mapping):
        tables = cast("Sequence[Mapping[str, object]]", records)
        return cast(Record, {key: map_tensors(function, *(t[key] for t in tables)) for key in tables[0]})
    return first


def joined_rows(records: Sequence[Record]) -> Record:
    """One record with the rows of all, in their order: tensors joined along their first axis."""
    return records[0] if len(records) == 1 else map_tensors(lambda *rows: torch.cat(rows), *records)


def on_device(record: Record, device: torch.device | str) -> Record:
    """A record whose tensors are on a device; pinned ones are copied while other work goes on."""
    # Never in the other direction: nothing would wait for what is read on the CPU.
    return map_tensors(lambda one: one.to(device, non_blocking=one.device.type == "cpu"), record)


def device_of(network: nn.Module) -> torch.device:
    """Where a network computes: what it is given must be there."""
    return next(network.parameters()).device


class Movable(Generic[Record]):
    """A record or a network that is used wherever its user's tensors are; copied to a device once.

    The copies are not pickled: a process that only makes batches gets nothing of a GPU.

    Args:
        own: on the CPU; it is not changed.
    """

    def __init__(self, own: Record) -> None:
        self._own, self._copies = own, dict[torch.device, Any]()

    def on(self, device: torch.device) -> Record:
        """The record there; the same one each time."""
        if device not in self._copies:
            own = self._own
            moved = copy.deepcopy(own).to(device) if isinstance(own, nn.Module) else on_device(own, device)
            self._copies[device] = moved
        return self._copies[device]

    def __getstate__(self) -> dict[str, Any]:
        return {"_own": self._own, "_copies": {}}
