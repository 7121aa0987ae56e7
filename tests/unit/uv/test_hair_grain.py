"""Pieces of strands over a whole cap: along the way hair is combed, as strong as they were."""

import numpy as np
import pytest
import torch

from facewright.models.base import load_base_model
from facewright.models.hair_cap import HairCap
from facewright.uv.chart import UvChart
from facewright.uv.hair_grain import ACROSS, ALONG, PIECES, STEP, GrainLayout, GrainPieces, laid_out

SIZE = 256
HEIGHT, WIDTH = int(2 * ALONG / STEP) + 1, int(2 * ACROSS / STEP) + 1


@pytest.fixture(scope="module")
def laid():
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    chart = UvChart.of(cap.mesh.topology, SIZE)
    return chart, GrainLayout.of(cap, chart, model.mean), cap.mesh.base(model.mean)


def pieces(values):
    """Pieces of the photo from given rows of detail (E, A, B)."""
    rows = np.linspace(0, PIECES - 1, len(values)).astype(int)
    detail = values[:, None].expand(-1, 3, -1, -1)
    return GrainPieces(rows, torch.cat([detail, torch.ones_like(detail[:, :1])], 1))


def test_strands_run_down_the_head(laid):
    chart, layout, points = laid
    column = torch.arange(WIDTH).float()
    stripes = torch.sin(2 * torch.pi * column / 8).expand(6, HEIGHT, WIDTH)
    light = laid_out(layout, pieces(stripes))[:, 0]
    picture = chart.scatter(torch.cat([light[:, None], chart.gather(points)], 1))
    texel = chart.scatter(torch.ones(len(chart.texel), 1))[..., 0] > 0
    inside = texel[1:, 1:] & texel[:-1, 1:] & texel[1:, :-1]
    side = inside & (picture[1:, 1:, 1].abs() > 60)  # x: beside the head strands fall
    change = [picture[1:, 1:] - picture[:-1, 1:], picture[1:, 1:] - picture[1:, :-1]]
    slope = torch.stack([each[..., 0][side] for each in change], 1)  # of the light, by rows and columns
    fall = torch.stack([each[..., 2][side] for each in change], 1)  # of the height
    along = fall / fall.norm(dim=1, keepdim=True)
    across = torch.stack([-along[:, 1], along[:, 0]], 1)
    down, level = ((slope * way).sum(1).square().mean() for way in (along, across))
    assert float(down) < 0.35 * float(level)


def test_what_is_laid_out_varies_as_much_as_the_pieces(laid):
    noise = torch.randn(24, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    noise = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    grain = laid_out(laid[1], pieces(noise))
    assert float(grain[:, 0].std()) == pytest.approx(float(noise.std()), rel=0.15)
    # The control: a mean of so many pieces would be calmer.
    weights = laid[1].weight
    assert float((weights.sum(1).reciprocal()).mean()) < 0.95


def test_without_a_photo_strands_are_drawn(laid):
    drawn = laid_out(laid[1], None)
    assert 0.03 < float(drawn.std()) < 0.3
    torch.testing.assert_close(drawn, laid_out(laid[1], None))
