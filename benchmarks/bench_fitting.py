"""Landmark fit, one face and a batch of 256, and photometric refinement of one portrait.

``python -m benchmarks.bench_fitting``

``dense step`` is one Gauss-Newton step the plain way (dense Jacobian, ``J^T J``, Cholesky), same batch:
the peer that the ratio is taken against, on whatever machine this runs.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.harness import Timing, interleave, run, show
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, basis_of_found
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.point_light import PointLightPrior
from facewright.fitting.settings import LandmarkFitSettings
from facewright.models.base import load_base_model
from facewright.pipeline.portraits import demo_portraits

TARGET_MS = 2.5  # design: ms a face, batch of 256 on the CPU
PHOTOMETRIC_MS = 3000.0
BATCH = 256
SIZE = (512, 512)


def drawn_landmarks(basis: LandmarkBasis, batch: int) -> Tensor:
    """Noisy landmarks of random frontal heads, pixels."""
    generator = torch.Generator().manual_seed(0)
    expressions = basis.basis.shape[0] - basis.identity_count
    identity = torch.randn(batch, basis.identity_count, generator=generator)
    expression = torch.rand(batch, expressions, generator=generator) * 0.3
    points = basis.points(torch.cat([identity, expression], 1))[..., : basis.count].mT
    pixels = torch.stack([points[..., 0], -points[..., 1]], -1) * 2 + 256
    return pixels + torch.randn(pixels.shape, generator=generator) * 0.5


def dense_step(basis: LandmarkBasis, batch: int) -> Tensor:
    """One Gauss-Newton step with a dense Jacobian under weak perspective."""
    shape = basis.basis.unflatten(1, (3, -1))[:, :2, : basis.count].flatten(1)  # (K, 2L)
    jacobian = shape.expand(batch, -1, -1) * torch.ones(batch, 1, shape.shape[1])
    matrix = jacobian @ jacobian.mT + torch.eye(len(shape))
    return torch.cholesky_solve(
        jacobian @ torch.ones(batch, shape.shape[1], 1), torch.linalg.cholesky(matrix)
    )


def benchmark(seconds: float) -> list[Timing]:
    """Time the fits."""
    model = load_base_model()
    basis = basis_of_found(model)
    timings: list[Timing] = []
    for batch in (BATCH, 1):
        points = drawn_landmarks(basis, batch)
        timings += interleave(
            f"{batch} faces, ms a face",
            {
                f"fit ({LandmarkFitSettings().iterations} steps)": lambda p=points: fit_landmarks(
                    model, p, SIZE, basis=basis
                ),
                "dense step": lambda b=batch: dense_step(basis, b),
            },
            seconds=seconds,
            items=batch,
            targets={f"fit ({LandmarkFitSettings().iterations} steps)": TARGET_MS} if batch > 1 else None,
        )
    timings += _photometric(seconds)
    show(timings)
    return timings


def _photometric(seconds: float) -> list[Timing]:
    from facewright.detection import detect

    model = load_base_model()
    pixels = np.array(Image.open(demo_portraits()["astronaut"]).convert("RGB"))
    photo = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    points = detect(photo)[0].points[None]
    basis = basis_of_found(model)
    fit = fit_landmarks(model, points, (photo.shape[1], photo.shape[2]), basis=basis)
    shipped = PhotometricFitSettings(point_light=PointLightPrior())  # as `facewright reconstruct`
    return interleave(
        "one photo",
        {"photometric": lambda: refine_photometric(model, [photo], fit, basis=basis, settings=shipped)},
        seconds=seconds,
        targets={"photometric": PHOTOMETRIC_MS},
    )


if __name__ == "__main__":
    run(benchmark, __doc__ or "")
