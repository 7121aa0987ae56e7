"""Which device a run computes on."""

from typing import TYPE_CHECKING, Literal

from facewright.core.errors import UnavailableError

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda"]


def resolve_device(name: DeviceName) -> "torch.device":
    """Return the device of a name; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        UnavailableError: CUDA was asked for and is not there.
    """
    import torch  # here: the command line reads the names above without it

    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if name == "cuda":
        raise UnavailableError(
            "expected a CUDA device for --device cuda, found none: "
            "install a driver and a CUDA build of torch, or use --device cpu."
        )
    return torch.device("cpu")
