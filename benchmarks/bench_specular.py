"""The specular method on one portrait and on a batch of 32.

``python -m benchmarks.bench_specular``

``network`` is the network and the head of its outputs. ``regressor`` is all that the method adds to landmarks
that are there and fitted: the crop is cut out of the photo, landmarks and fit are put into the crop's camera.
``reconstruct`` also fits the landmarks and brings the head back into the photo's camera. Finding the face is
``bench_detection``.
"""

import numpy as np
import torch
from PIL import Image

from benchmarks.harness import Timing, interleave, run, show
from facewright.detection import detect
from facewright.fitting.landmark import fit_landmarks
from facewright.methods.specular.infer import SpecularMethod
from facewright.pipeline.portraits import demo_portraits

TARGET_MS = 30.0  # one photo, 2 threads
BATCH = 32


def benchmark(seconds: float) -> list[Timing]:
    """Time one photo and a batch."""
    method = SpecularMethod.load()
    pixels = np.array(Image.open(demo_portraits()["astronaut"]).convert("RGB"))
    photo = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    one = detect(photo)[0].points[None]
    timings: list[Timing] = []
    for batch in (1, BATCH):
        points, photos = one.expand(batch, -1, -1).contiguous(), [photo] * batch
        sizes = [(photo.shape[1], photo.shape[2])] * batch
        fit = fit_landmarks(method.model, points, sizes, basis=method.basis)
        crops, start, here, _ = method.seen(photos, points, fit)
        timings += interleave(
            f"{batch} x {sizes[0][1]} px, ms a photo",
            {
                "network": lambda a=(crops, start, here): method.regress(*a),
                "regressor": lambda a=(photos, points, fit): method.regress(*method.seen(*a)[:3]),
                "reconstruct": lambda a=(photos, points): method.reconstruct(*a),
            },
            seconds=seconds,
            items=batch,
            targets={"regressor": TARGET_MS},
        )
    show(timings)
    return timings


if __name__ == "__main__":
    run(benchmark, __doc__ or "")
