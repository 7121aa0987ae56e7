"""Where closed lips meet."""

from dataclasses import replace

import numpy as np
import torch

from facewright.models.base import load_base_model
from facewright.models.lip_seam import lip_seam

MODEL = load_base_model()
FACES = MODEL.topology.faces.numpy()


def opened(jaw: float) -> np.ndarray:
    basis = MODEL.expression_basis[MODEL.expression_names.index("jawOpen")]
    return (MODEL.mean + jaw * basis).double().numpy()


def test_the_seam_runs_from_corner_to_corner_between_the_lips() -> None:
    seam = lip_seam(MODEL)
    upper, lower, way = seam.places(opened(0.0), FACES)
    corners = MODEL.landmark_points(MODEL.mean, "dense478")[[61, 291], 0].numpy()
    along = np.sort(upper[:, 0])
    assert along[0] - corners[0] < 4
    assert corners[1] - along[-1] < 4
    assert np.diff(along).max() < 2.5  # mm: no part of the mouth is without a pair
    assert (way[:, 1] > 0.3).all()
    assert np.linalg.norm(upper - lower, axis=1).max() < 1.5
    # The two lips, not one of them twice: the jaw takes the lower one away.
    gaps = seam.gaps(opened(0.2), FACES)
    middle = abs(upper[:, 0]) < 10
    assert gaps[middle].min() > 5
    np.testing.assert_allclose(seam.gaps(opened(0.0), FACES), seam.rest, atol=0.15)


def test_a_model_without_facing_lips_has_no_pairs() -> None:
    none = torch.zeros_like(MODEL.regions["lips"])
    seam = lip_seam(replace(MODEL, regions={**MODEL.regions, "lips": none}))
    assert len(seam.upper) == 0
    assert seam.gaps(opened(0.0), FACES).shape == (0,)
