"""Weight files: safetensors with half-precision matrices and what one must know about them in the header."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError

FORMAT = "facewright-weights-1"
MAX_WIDTH = 4096  # of any layer named in a file's settings: a hostile header must not allocate the machine


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
    tensors, header = read_safetensors(path)
    if header.get("format") != FORMAT or header.get("network") != network_class.__name__:
        found = f"{header.get('network', 'nothing')} in format {header.get('format', 'unknown')}"
        raise AssetError(
            f"{path}: expected {network_class.__name__} in format {FORMAT}, found {found}: "
            "use the file that belongs to this version of facewright."
        )
    try:
        values = json.loads(header["settings"])
        sizes = [
            size for value in values.values() for size in (value if isinstance(value, list) else [value])
        ]
        if not all(isinstance(size, int) and 0 <= size <= MAX_WIDTH for size in sizes):
            raise ValueError(f"sizes {sizes} are not whole numbers up to {MAX_WIDTH}")
        settings = settings_class(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
        network = network_class(settings)
        state = network.state_dict()
        expected = {name for name, tensor in state.items() if tensor.dtype.is_floating_point}
        if expected != set(tensors):
            raise ValueError(f"tensors differ: {sorted(expected ^ set(tensors))[:3]}")
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(f"{path} does not hold a whole {network_class.__name__} ({first_line}).") from error
    return network.eval()
