"""A part of a head moves like the whole."""

import pytest
import torch

from facewright.core.errors import InputError
from facewright.models.base import load_base_model
from facewright.models.checks import check_whole
from facewright.models.cropping import cropped_model


@pytest.fixture(scope="module")
def base():
    return load_base_model()


def test_the_same_coefficients_give_the_same_landmarks_and_colours(base):
    kept = base.regions["face"] & (base.mean[:, 0] > -20)  # crooked: its mirror image is kept as well
    part = cropped_model(base, kept)
    check_whole(part)
    assert len(part.mean) < 0.8 * len(base.mean)
    assert (part.name, part.version) == (base.name, base.version)
    generator = torch.Generator().manual_seed(0)
    identity = torch.randn(2, base.identity_count, generator=generator)
    expression = torch.rand(2, base.expression_count, generator=generator)
    diffuse = torch.randn(2, base.diffuse_count, generator=generator)
    whole, small = (model.vertices(identity, expression) for model in (base, part))
    for name in base.landmarks:
        assert torch.allclose(part.landmark_points(small, name), base.landmark_points(whole, name), atol=1e-4)
    assert torch.equal(part.mean[part.regions["nose"]], base.mean[base.regions["nose"]])
    chosen = base.regions["lips"]
    colors = part.diffuse_albedo(diffuse)[:, part.regions["lips"]]
    assert torch.allclose(colors, base.diffuse_albedo(diffuse)[:, chosen], atol=1e-5)
    # The control: another part has other triangles, so landmarks that keep the whole's would be elsewhere.
    stale = base.landmarks["ibug68"].triangle.clamp_max(len(part.topology.faces) - 1)
    assert not torch.equal(part.landmarks["ibug68"].triangle, stale)
    area = lambda model, at: torch.linalg.cross(  # noqa: E731
        *(at[model.topology.faces[:, i]] - at[model.topology.faces[:, 0]] for i in (1, 2))
    ).norm(dim=1)
    assert float(area(part, part.mean).max()) <= float(area(base, base.mean).max()) * 1.001


def test_nothing_is_no_head(base):
    with pytest.raises(InputError, match="got none"):
        cropped_model(base, torch.zeros(len(base.mean), dtype=torch.bool))
