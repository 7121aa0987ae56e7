"""Which kernels run: fixed by name and device, said in the log, never a silent replacement."""

import logging

import pytest
import torch

from facewright.core.errors import InputError, UnavailableError
from facewright.render import backends
from facewright.render.backends import cpu, portable, select_backend


@pytest.fixture(autouse=True)
def _forget():
    backends._automatic.cache_clear()
    yield
    backends._automatic.cache_clear()


@pytest.mark.parametrize(("there", "expected"), [(False, "portable"), (True, "warp")])
def test_cuda_takes_warp_where_it_is_installed_and_says_so_once(monkeypatch, caplog, there, expected):
    monkeypatch.setattr(backends, "_has_warp", lambda: there)
    with caplog.at_level(logging.DEBUG, logger="facewright.render"):
        assert backends._automatic("cuda") == expected
        assert backends._automatic("cuda") == expected
    assert [record.getMessage() for record in caplog.records] == [
        f"tensors on cuda are rendered by the backend '{expected}'"
    ]


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
