"""Drawn heads as examples of the specular method: some with their truth, some without."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from facewright.fitting.face_probe import FaceProbe
from facewright.methods.specular.examples import FACE, Example, HeadLayout, write_examples
from facewright.methods.specular.model import mean_start
from facewright.methods.specular.rendering import render
from facewright.methods.specular.scales import SpecularTraining
from facewright.methods.specular.settings import (
    LossSettings,
    LossWeights,
    NetworkSettings,
    RenderSettings,
    SupervisionWeights,
)
from facewright.models.face_model import FaceModel
from facewright.scene.lighting import PointLight

SIZE, COUNT = 48, 14
NETWORK = NetworkSettings(input_size=SIZE, widths=(4, 8, 8, 8), hidden=16, geometry=8)
TRAINING = SpecularTraining(
    batch=6,
    photos=0.5,
    network=NETWORK,
    losses=LossSettings(weights=LossWeights(identity=0.0), mouth_start=0),
    render=RenderSettings(size=SIZE),
    supervision=SupervisionWeights(),
    render_from=1,
    render_every=2,
    render_rows=2,
    grey=0.5,
    noise=0.05,
    patch=0.5,
)
KEPT_OUT = 4  # the last ones


def drawn_examples(
    path: Path, model: FaceModel, *, size: int = SIZE, count: int = COUNT, seed: int = 0
) -> Path:
    """Write them; every third has no truth, the sixth no colour."""
    generator, probe = torch.Generator().manual_seed(seed), FaceProbe.of(model)
    start = mean_start(model, count, size)
    drawn = replace(
        start,
        identity=torch.randn(count, model.identity_count, generator=generator),
        diffuse=torch.randn(count, model.diffuse_count, generator=generator),
        point_light=PointLight(torch.zeros(count, 3), torch.full((count, 3), 0.3)),
    )
    pictures = render(model, drawn, RenderSettings(size=size))
    points = drawn.camera.project(probe.landmarks(drawn)[0])[..., :2]
    crops = (pictures.image.clamp(0, 1) * 255).to(torch.uint8).numpy()
    covered = pictures.fragments.covered.numpy()
    layout, rows = HeadLayout.of(model), []
    packed = layout.packed(start), layout.packed(drawn)
    for row in range(count):
        at = [layout.unpacked(each[row : row + 1], size) for each in packed]
        rows.append(
            Example(
                crop=crops[row],
                mask=(covered[row] * FACE).astype(np.uint8),
                skin=(covered[row] * 255).astype(np.uint8),
                landmarks=points[row],
                start=at[0],
                truth=None if row % 3 == 2 else at[1],
                true_landmarks=points[row],
                kept_out=row >= count - KEPT_OUT,
                grey=row == 5,
            )
        )
    assert write_examples(path, iter(rows), size, model) == count
    return path
