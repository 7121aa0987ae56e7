"""What belongs to a head, on a painted picture whose head is known."""

import pytest
import torch

from facewright.image.matte import guided_filter, head_matte

SIDE = 160
SKIN, HAIR, WALL = (0.8, 0.6, 0.5), (0.25, 0.15, 0.1), (0.45, 0.55, 0.7)


def scene(wall=WALL):
    """A face whose hair stands 12 px off the mesh, its mesh, its scalp and the truth."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    radius = ((x - 80).square() + (y - 85).square()).sqrt()
    mesh, upper = radius < 30, y < 75
    hair = (radius < 42) & upper
    picture = torch.tensor(wall)[:, None, None].expand(3, SIDE, SIDE).clone()
    picture[:, mesh] = torch.tensor(SKIN)[:, None]
    picture[:, hair] = torch.tensor(HAIR)[:, None]
    generator = torch.Generator().manual_seed(0)
    picture = (picture + 0.02 * torch.randn(3, SIDE, SIDE, generator=generator)).clamp(0, 1)
    return picture, mesh.float(), (mesh & upper).float(), mesh | hair


def test_hair_that_stands_off_the_mesh_belongs_to_the_head():
    picture, mesh, scalp, head = scene()
    matte = head_matte(picture, mesh, scalp)
    outside_mesh = head & (mesh == 0)
    assert matte[outside_mesh].mean() > 0.75
    assert matte[mesh > 0].mean() > 0.97
    assert matte[~head].mean() < 0.03
    assert matte.min() >= 0
    assert matte.max() <= 1
    # The control: no scalp, no hair.
    assert head_matte(picture, mesh, torch.zeros_like(scalp))[outside_mesh].mean() < 0.15


def test_a_wall_in_the_colour_of_the_hair_counts_near_the_head_at_most():
    picture, mesh, scalp, _ = scene(wall=HAIR)
    matte = head_matte(picture, mesh, scalp)
    assert matte[:8].max() == 0
    assert matte[-40:].max() < 0.02


def test_the_filter_follows_the_guide_and_nothing_else():
    step = torch.zeros(3, 40, 40)
    step[:, :, 20:] = 1.0
    values = torch.zeros(40, 40)
    values[:, 17:] = 1.0  # an outline that is three pixels off
    followed = guided_filter(step, values, 8, 1e-4)
    assert followed[20, 21] - followed[20, 19] > 0.5
    blind = guided_filter(torch.zeros(3, 40, 40), values, 8, 1e-4)
    assert blind[20, 21] - blind[20, 19] < 0.2
    assert guided_filter(step, torch.full((40, 40), 0.3), 8, 1e-4) == pytest.approx(0.3, abs=1e-4)
