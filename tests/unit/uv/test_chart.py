"""The chart: each covered texel knows its point of the surface and its counterpart."""

from dataclasses import replace

import pytest
import torch
from tests.painted_head import SIZE

from facewright.core.errors import InputError
from facewright.uv import UvChart, bake, mirrored_texels
from facewright.uv.chart import filled_uv_fragments, uv_fragments


def texel_centres(texel):
    column, row = texel % SIZE, texel // SIZE
    return torch.stack([(column + 0.5) / SIZE, 1 - (row + 0.5) / SIZE], dim=1)


def test_weights_give_back_the_texel_s_own_place(miniature, chart):
    uv = miniature.topology.uv[miniature.topology.uv_faces[chart.triangle]]
    place = (uv * chart.weights[..., None]).sum(1)
    assert (place - texel_centres(chart.texel)).abs().max() < 1e-4
    upside_down = texel_centres(chart.texel) * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])
    assert (place - upside_down).abs().max() > 0.5


def test_coverage_is_the_charts_area(chart):
    # The skin takes 0.56 of the map's height; caps of the closed balls lose half of their first and last row.
    assert 0.75 < len(chart.texel) / SIZE**2 < 0.9
    assert bool((chart.texel.diff() > 0).all())


def test_bake_spreads_positions(miniature, chart):
    baked = bake(chart, miniature.mean)
    flat = baked.view(-1, 3)[chart.texel]
    corners = miniature.mean[chart.corners]
    assert bool((flat <= corners.amax(1) + 1e-3).all())
    assert bool((flat >= corners.amin(1) - 1e-3).all())
    assert baked[0, :, 1].min() > 100  # the top row is the crown


def test_gutter_continues_without_touching_what_is_covered(miniature, chart):
    ones = torch.ones(len(miniature.mean), 1)
    assert torch.allclose(bake(chart, ones), torch.ones(SIZE, SIZE, 1), atol=1e-5)
    holes = bake(chart, ones, gutter=False)
    assert int((holes == 0).sum()) == SIZE**2 - len(chart.texel)
    assert torch.equal(bake(chart, miniature.mean).view(-1, 3)[chart.texel], chart.gather(miniature.mean))


def test_counterpart_of_a_symmetric_chart_is_its_reflection(miniature, chart):
    partner = mirrored_texels(chart, miniature.topology, miniature.mirror)
    skin = miniature.parts["skin"][chart.corners[:, 0]]
    row, column = chart.texel[skin] // SIZE, chart.texel[skin] % SIZE
    found = partner[skin] >= 0
    assert found.float().mean() > 0.97
    off = (partner[skin] - (row * SIZE + SIZE - 1 - column))[found]
    assert (off == 0).float().mean() > 0.95  # the rest lies on a texel border


def test_counterpart_shows_the_mirrored_point(miniature, chart):
    partner = mirrored_texels(chart, miniature.topology, miniature.mirror)
    found = partner >= 0
    positions = bake(chart, miniature.mean).view(-1, 3)
    here, there = positions[chart.texel[found]], positions[partner[found]]
    gap = (here * torch.tensor([-1.0, 1.0, 1.0]) - there).norm(dim=1)
    assert gap.quantile(0.99) < 3.0  # mm; a texel spans up to 2 mm
    assert (here - there).norm(dim=1).median() > 20


def test_a_model_without_symmetry_has_no_counterparts(miniature, chart):
    shuffled = torch.randperm(len(miniature.mirror), generator=torch.Generator().manual_seed(0))
    assert (mirrored_texels(chart, miniature.topology, shuffled) >= 0).float().mean() < 0.01


@pytest.mark.parametrize("size", [0, 8, 10_000])
def test_sizes_are_bounded(miniature, size):
    with pytest.raises(InputError, match="texels a side"):
        UvChart.of(miniature.topology, size)


def test_filled_fragments_continue_over_the_gutter(miniature):
    plain, filled = uv_fragments(miniature.topology, SIZE), filled_uv_fragments(miniature.topology, SIZE)
    covered = plain.covered
    assert bool(filled.covered.all())
    assert not bool(covered.all())
    assert torch.equal(filled.triangle[covered], plain.triangle[covered])
    assert torch.allclose(filled.barycentric.sum(-1), torch.ones(()), atol=1e-5)
    off_map = replace(miniature.topology, uv=miniature.topology.uv + 5)
    with pytest.raises(InputError, match="lies on the map"):
        filled_uv_fragments(off_map, SIZE)
