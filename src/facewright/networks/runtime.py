"""Run a trained network: on a CPU by onnxruntime, elsewhere by torch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from facewright.core.threads import thread_count

from .blocks import channels_last, fold_batch_norm
from .onnx_networks import onnx_model
from .onnx_session import onnx_session

# Takes images (B, C, H, W) on the device and returns the network's outputs there.
Runner = Callable[[Tensor], list[Tensor]]
MOST_THREADS = 4  # the networks are small: more threads wait for each other


def runner_of(network: nn.Module, device: torch.device) -> Runner:
    """What computes ``network.eval()`` on ``device``, without gradients.

    On a CPU the number of threads is torch's at this moment. The graph exists in memory only.

    Raises:
        InputError: no ONNX graph is known for this class of network (CPU).
    """
    return onnxruntime_runner(network) if device.type == "cpu" else torch_runner(network, device)


def torch_runner(network: nn.Module, device: torch.device) -> Runner:
    """``runner_of`` by torch: on devices other than a CPU, and the reference for the other."""
    moved = channels_last(fold_batch_norm(network).to(device))

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return list(moved(images.contiguous(memory_format=torch.channels_last)))

    return run


def onnxruntime_runner(network: nn.Module) -> Runner:
    """``runner_of`` on the CPU, by onnxruntime."""
    session = onnx_session(onnx_model(fold_batch_norm(network)), min(thread_count(), MOST_THREADS))

    def run(images: Tensor) -> list[Tensor]:
        outputs = session.run(None, {"image": images.contiguous().numpy()})
        return [torch.from_numpy(output) for output in outputs]

    return run
