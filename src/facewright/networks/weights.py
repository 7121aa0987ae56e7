"""Weight files: safetensors with half-precision matrices and what one must know about them in the header."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError

FORMAT = "facewright-weights-1"
MAX_WIDTH = 4096  # of any layer named in a file's settings: a hostile header must not allocate the machine
MAX_SIZES = 64  # numbers in a file's settings


Network = TypeVar("Network", bound=nn.Module)


def write_weights(path: Path, network: nn.Module, notes: Mapping[str, str]) -> None:
    """Write a network's parameters and statistics.

    Args:
        path: the file; written under a temporary name, then renamed.
        network: has a ``settings`` dataclass; matrices are stored as float16, vectors as float32.
        notes: licence, data, training command, seed, metrics and so on, kept in the header.
    """
    settings = network.settings
    if not is_dataclass(settings) or isinstance(settings, type):
        raise AssetError(f"expected a network with a settings dataclass, got {type(network).__name__}.")
    tensors = {
        name: tensor.to(torch.float16 if tensor.ndim > 1 else torch.float32)
        for name, tensor in network.state_dict().items()
        if tensor.dtype.is_floating_point
    }
    header = {
        "format": FORMAT,
        "network": type(network).__name__,
        "settings": json.dumps(asdict(settings)),
    }
    write_safetensors(path, tensors, {**notes, **header})


def read_weights(path: Path, network_class: type[Network], settings_class: type) -> Network:
    """Build a network from a weight file, in float32 and in evaluation mode.

    Raises:
        AssetError: the file is missing, damaged, of another network or of another version.
    """
    return shipped_network(path, *read_safetensors(path), network_class, settings_class)


def shipped_network(
    path: Path,
    tensors: Mapping[str, Tensor],
    header: Mapping[str, str],
    network_class: type[Network],
    settings_class: type,
) -> Network:
    """``read_weights`` of a file that was read.

    Raises:
        AssetError: it is damaged, of another network or of another version.
    """
    if header.get("format") != FORMAT or header.get("network") != network_class.__name__:
        found = f"{header.get('network', 'nothing')} in format {header.get('format', 'unknown')}"
        raise AssetError(
            f"{path}: expected {network_class.__name__} in format {FORMAT}, found {found}: "
            "use the file that belongs to this version of facewright."
        )
    try:
        values = json.loads(header["settings"])
    except (LookupError, ValueError) as error:
        raise AssetError(f"{path} does not hold a whole {network_class.__name__} ({error}).") from error
    return network_of(path, tensors, values, network_class, settings_class)


def network_of(
    path: Path, tensors: Mapping[str, Tensor], values: Any, network_class: type[Network], settings_class: type
) -> Network:
    """A network of the tensors and settings that were found in a file, in float32 and in evaluation mode.

    Raises:
        AssetError: they are not those of such a network.
    """
    try:
        sizes = [
            size for value in values.values() for size in (value if isinstance(value, list) else [value])
        ]
        if len(sizes) > MAX_SIZES:
            raise ValueError(f"{len(sizes)} sizes, more than {MAX_SIZES}")
        if not all(isinstance(size, int) and 0 <= size <= MAX_WIDTH for size in sizes):
            raise ValueError(f"sizes {sizes} are not whole numbers up to {MAX_WIDTH}")
        settings = settings_class(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
        with torch.device("meta"):  # shapes without memory, until the file is known to hold what they ask for
            network = network_class(settings)
        _compare_shapes(network, tensors)
        _refuse_not_finite(tensors)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(f"{path} does not hold a whole {network_class.__name__} ({first_line}).") from error
    # What is not floating point (batch norm's counters of training steps) is not kept in files.
    state = {
        name: tensors[name].float() if name in tensors else torch.zeros(meta.shape, dtype=meta.dtype)
        for name, meta in network.state_dict().items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval()


def _refuse_not_finite(tensors: Mapping[str, Tensor]) -> None:
    spoilt = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if spoilt:
        raise ValueError(f"NaN or infinity in {spoilt[:3]}")


def _compare_shapes(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    state = network.state_dict()
    expected = {name: tuple(value.shape) for name, value in state.items() if value.dtype.is_floating_point}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if expected != found:
        different = sorted(name for name, _ in expected.items() ^ found.items())
        raise ValueError(f"tensors differ: {list(dict.fromkeys(different))[:3]}")
