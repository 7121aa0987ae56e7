"""Detection + 478 landmarks on a decoded 1280x720 photo with 2 threads, and the networks in both runtimes.

``python -m benchmarks.bench_detection``
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.harness import Timing, interleave, run, show
from facewright.detection import FaceDetector, FaceLandmarker, detect
from facewright.networks.heads import FaceNetwork, LandmarkNetwork
from facewright.networks.runtime import onnxruntime_runner, torch_runner
from facewright.networks.segmentation import SegmentationNetwork
from facewright.pipeline.portraits import demo_portraits

TARGET_MS = 20.0  # design: detection + landmarks, 1280x720, 2 CPU threads, image already decoded
SIZE = (720, 1280)


def scene(path: Path) -> Tensor:
    """A portrait placed on a grey 1280x720 photo."""
    portrait = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255
    photo = torch.full((3, *SIZE), 0.4)
    height, width = min(portrait.shape[1], SIZE[0]), min(portrait.shape[2], SIZE[1])
    photo[:, :height, 300 : 300 + width] = portrait[:, :height, :width]
    return photo


def benchmark(seconds: float) -> list[Timing]:
    """Time the whole search and its two networks on a photo with one face."""
    torch.set_num_threads(2)
    detector, landmarker = FaceDetector.load(), FaceLandmarker.load()
    photo = scene(demo_portraits()["astronaut"])
    faces = detector(photo)
    timings = interleave(
        "1280x720, one face",
        {
            "detect": lambda: detect(photo, detector=detector, landmarker=landmarker),
            "detector": lambda: detector(photo),
            "landmarker": lambda: landmarker(photo, faces[:1]),
        },
        seconds=seconds,
        targets={"detect": TARGET_MS},
    )
    timings += runtimes("detector's network, 384x640", FaceNetwork(), (1, 1, 384, 640), seconds)
    landmarks = LandmarkNetwork()
    side = landmarks.settings.input_size
    timings += runtimes(f"landmark network, {side} px", landmarks, (1, 1, side, side), seconds)
    parts = SegmentationNetwork()
    side = parts.settings.input_size
    timings += runtimes(f"segmentation network, {side} px", parts, (1, 3, side, side), seconds)
    show(timings)
    return timings


def runtimes(setting: str, network: nn.Module, shape: tuple[int, ...], seconds: float) -> list[Timing]:
    """Time one network as it runs on a CPU and as it would run in torch; fresh weights do as well."""
    images, cpu = torch.rand(shape), torch.device("cpu")
    by = {"onnxruntime": onnxruntime_runner(network), "torch": torch_runner(network, cpu)}
    return interleave(
        setting, {name: partial(run_network, images) for name, run_network in by.items()}, seconds=seconds
    )


if __name__ == "__main__":
    run(benchmark, __doc__ or "")
