"""Which kernels run: fixed by name and device, said in the log, never a silent replacement."""

import logging

import pytest
import torch

from facewright.core.errors import InputError, UnavailableError
from facewright.render import backends
from facewright.render.backends import cpu, portable, select_backend


@pytest.fixture(autouse=True)
def _forget():
    backends.automatic_backend.cache_clear()
    yield
    backends.automatic_backend.cache_clear()


@pytest.mark.parametrize(("there", "expected"), [(False, "portable"), (True, "warp")])
def test_cuda_takes_warp_where_it_is_installed_and_says_so_once(monkeypatch, caplog, there, expected):
    monkeypatch.setattr(backends, "_has_warp", lambda: there)
    with caplog.at_level(logging.DEBUG, logger="facewright.render"):
        assert backends.automatic_backend("cuda") == expected
        assert backends.automatic_backend("cuda") == expected
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told[-1] == ("DEBUG", f"tensors on cuda are rendered by the backend '{expected}'")
    # The slow one is said aloud; the quick one is the control.
    assert [level for level, _ in told[:-1]] == ([] if there else ["WARNING"])
    assert there or "facewright[gpu]" in told[0][1]


def test_other_devices_do_not_ask_for_warp(monkeypatch):
    monkeypatch.setattr(backends, "_has_warp", lambda: True)
    assert select_backend("auto", torch.device("cpu")) is cpu
    assert select_backend("auto", torch.device("meta")) is portable
    with pytest.raises(InputError, match="CPU and CUDA"):
        select_backend("warp", torch.device("meta"))


def test_warp_that_is_not_there_is_not_replaced(monkeypatch):
    monkeypatch.setattr(backends, "_has_warp", lambda: False)
    with pytest.raises(UnavailableError, match="facewright\\[gpu\\]"):
        select_backend("warp", torch.device("cpu"))


def test_cpu_kernels_refuse_other_devices():
    with pytest.raises(InputError, match="CPU tensors only"):
        select_backend("cpu", torch.device("meta"))
