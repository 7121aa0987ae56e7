"""The recognition network out of a file: weights as they ship, or the best of a training."""

import json
from pathlib import Path
from typing import Any

import torch

from facewright.core.assets import read_safetensors
from facewright.core.errors import AssetError
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import FORMAT, read_weights
from facewright.training.checkpoint import FORMAT as RUN_FORMAT

PREFIX = "network."  # of the network in what is trained
SIZES = "recognition.network."  # of its sizes in the settings of a run


def recognition_network(path: Path) -> tuple[RecognitionNetwork, dict[str, str]]:
    """A network in evaluation mode, and the header of its file.

    Args:
        path: a weight file, or ``best.safetensors`` of a run.

    Raises:
        AssetError: the file is missing, damaged or of another network.
    """
    tensors, header = read_safetensors(path)
    if header.get("format") == FORMAT:
        return read_weights(path, RecognitionNetwork, RecognitionNetworkSettings), header
    if (header.get("format"), header.get("task")) != (RUN_FORMAT, "recognition"):
        raise AssetError(f"{path}: expected weights of a recognition network, found another file.")
    state = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}
    try:
        told = json.loads(header["settings"])
        sizes = {name.removeprefix(SIZES): value for name, value in told.items() if name.startswith(SIZES)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
        with torch.device("meta"):  # shapes without memory, until the file is known to hold what they ask for
            network = RecognitionNetwork(RecognitionNetworkSettings(**values))
        network.load_state_dict(state, assign=True)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise AssetError(f"{path} does not hold a whole recognition network ({line}).") from error
    return network.eval(), header
