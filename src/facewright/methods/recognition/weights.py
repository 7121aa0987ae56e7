"""The recognition network out of a file: weights as they ship, or the best of a training."""

from pathlib import Path

from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.training.checkpoint import trained_network


def recognition_network(path: Path) -> tuple[RecognitionNetwork, dict[str, str]]:
    """A network in evaluation mode, and the header of its file.

    Args:
        path: a weight file, or ``best.safetensors`` of a run.

    Raises:
        AssetError: the file is missing, damaged or of another network.
    """
    return trained_network(path, "recognition", RecognitionNetwork, RecognitionNetworkSettings, "network.")
