"""Relief of skin from how dark it is."""

import math

import pytest
import torch

from facewright.models.base import load_base_model
from facewright.uv.head_chart import HeadChart
from facewright.uv.relief import ReliefSettings, skin_relief

SIZE = 512
SKIN = torch.tensor([0.4, 0.25, 0.18])
ROW, COLUMN = 240, 190  # of a texel on the cheek


@pytest.fixture(scope="module")
def chart() -> HeadChart:
    return HeadChart.of(load_base_model(), SIZE)


@pytest.fixture(scope="module")
def even() -> torch.Tensor:
    return SKIN.expand(SIZE, SIZE, 3).contiguous()


def with_groove(even: torch.Tensor, dark: float, width: float = 2.0) -> torch.Tensor:
    """Skin with a dark line down the cheek, of so many texels (standard deviation)."""
    across = torch.arange(SIZE) + 0.5 - COLUMN
    depth = dark * torch.exp(-0.5 * (across / width).square())
    return even * torch.exp(-depth)[None, :, None]


def test_even_skin_is_smooth(chart, even) -> None:
    relief = skin_relief(chart, even)
    assert relief.slopes.shape == (SIZE // 2, SIZE // 2, 2)
    assert not relief.slopes.any()
    assert not relief.hair.any()


def test_a_dark_line_is_a_groove(chart, even) -> None:
    slopes = skin_relief(chart, with_groove(even, 0.3)).slopes[ROW // 2]
    before, behind = slopes[COLUMN // 2 - 2 : COLUMN // 2, 0], slopes[COLUMN // 2 : COLUMN // 2 + 2, 0]
    assert float(before.max()) < -0.05  # down towards the line
    assert float(behind.min()) > 0.05  # and up behind it
    far = slopes[COLUMN // 2 + 30]
    assert float(far.abs().max()) < 0.02


def test_depth_follows_darkness_and_the_setting(chart, even) -> None:
    steep = [
        float(
            skin_relief(chart, with_groove(even, dark), ReliefSettings(noise=0.0, depth=depth))
            .slopes.abs()
            .max()
        )
        for dark, depth in ((0.02, 1.5), (0.04, 1.5), (0.04, 3.0))
    ]
    assert steep[1] == pytest.approx(2 * steep[0], rel=0.1)
    assert steep[2] == pytest.approx(2 * steep[1], rel=0.1)


def test_noise_is_no_relief_and_slopes_have_a_limit(chart, even) -> None:
    faint = skin_relief(chart, with_groove(even, 0.02), ReliefSettings(noise=0.02))
    assert not faint.slopes.any()
    settings = ReliefSettings()
    deep = skin_relief(chart, with_groove(even, 4.0)).slopes.norm(dim=-1)
    assert 0.5 * settings.steepest < float(deep.max()) <= settings.steepest


def test_lips_and_hair_beside_skin_are_no_folds(chart, even) -> None:
    for other in (chart.lips, chart.scalp):
        albedo = torch.where(other > 0.5, 0.3 * even, even)
        inside = torch.nn.functional.max_pool2d((other > 0.5).float()[None, ..., 0], 2, ceil_mode=True)[0]
        slopes = skin_relief(chart, albedo).slopes.norm(dim=-1)
        assert float((slopes[inside == 0] > 0.1).float().mean()) < 0.002
        assert float((slopes > 0.3).float().mean()) < 0.002


def test_dark_brows_and_beards_are_hair(chart, even) -> None:
    albedo = torch.where(chart.hairy > 0.5, 0.3 * even, even)
    hair = skin_relief(chart, albedo).hair[..., 0]
    wanted = torch.nn.functional.avg_pool2d((chart.hairy > 0.99).float()[None, ..., 0], 2)[0] == 1
    assert int(wanted.sum()) > 100
    assert float(hair[wanted].min()) > 0.95
    assert not hair[torch.nn.functional.max_pool2d(chart.hairy[None, ..., 0], 2)[0] == 0].any()


def test_stubble_is_hardly_deep(chart, even) -> None:
    noise = torch.randn(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(0))
    inside = torch.nn.functional.avg_pool2d((chart.hairy > 0.99).float()[None, ..., 0], 2)[0] == 1
    steep = [
        float(skin_relief(chart, level * even * (0.2 * noise).exp()).slopes.norm(dim=-1)[inside].mean())
        for level in (torch.ones(SIZE, SIZE, 1), torch.where(chart.hairy > 0.5, 0.3, 1.0))
    ]
    assert steep[1] < 0.5 * steep[0]


def test_slopes_are_those_of_the_skin_where_the_map_is_sheared(chart, even) -> None:
    """The same groove, drawn in any direction over the skin, falls that way and is about as steep."""
    there = ((chart.plain > 0.99) & (chart.shear > 0.25))[None, ..., 0].float()
    there = -torch.nn.functional.max_pool2d(-there, 9, 1, 4)[0] > 0
    row, column = there.nonzero()[int(there.sum()) // 2].tolist()
    (u, v), cosine = chart.pitch[row, column].tolist(), float(chart.shear[row, column])
    rows, columns = torch.meshgrid(*(torch.arange(SIZE) + 0.5,) * 2, indexing="ij")
    right, up = (columns - column) * u, (row - rows) * v
    skin = torch.stack([right + cosine * up, math.sqrt(1 - cosine**2) * up], -1)  # mm
    found = []
    for x, y in ((1.0, 0.0), (0.0, 1.0), (0.8, 0.6), (0.8, -0.6)):
        dark = 0.05 * torch.exp(-0.5 * ((skin @ torch.tensor([x, y])) / 2.5).square())
        slopes = skin_relief(chart, even * torch.exp(-dark)[..., None], ReliefSettings(noise=0.0)).slopes
        near = slopes[row // 2 - 5 : row // 2 + 5, column // 2 - 5 : column // 2 + 5].flatten(0, 1)
        along, beside = near @ torch.tensor([x, y]), near @ torch.tensor([-y, x])
        assert abs(float((along * beside).sum() / along.square().sum())) < 0.1  # the map itself: 0.25
        found.append(float(along.abs().max()))
    assert max(found) < 1.6 * min(found)
