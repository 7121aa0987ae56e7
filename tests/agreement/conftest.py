"""The devices on which the same steps must give the same numbers."""

from collections.abc import Iterator

import pytest
import torch
from tests.pretend_device import DEVICE, PretendDevice

GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    ],
)


@pytest.fixture(params=["pretended", GPU])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    if request.param == "cuda":
        yield torch.device("cuda")
        return
    with PretendDevice():
        yield DEVICE
