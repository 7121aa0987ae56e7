"""The map of a shell: colours as seen where they are seen, hair of the same colour elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.models.base import load_base_model
from facewright.models.hair_cap import HairCap, HairShell
from facewright.uv.hair_texture import HairChart, hair_map
from facewright.uv.unwrap import UvSamples

SIZE = 256
BROWN, BLUE = torch.tensor([0.2, 0.12, 0.06]), torch.tensor([0.1, 0.2, 0.6])


@pytest.fixture(scope="module")
def dressed():
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    cover = torch.from_numpy((cap.over_short > 0).astype(np.float32))
    shell = HairShell(cap, torch.zeros(len(cap.vertex), 3), cover)
    return model, shell, HairChart.of(cap, model.mean, model.topology, SIZE)


def seen_from_the_front(model, chart, *, outline=None):
    """Samples of brown streaky hair in front; with ``outline``, of this colour at both sides."""
    depth = chart.chart.scatter(chart.chart.gather(model.mean[:, 2:]))
    aside = chart.chart.scatter(chart.chart.gather(model.mean[:, :1].abs()))
    front = (depth > 0).float()
    generator = torch.Generator().manual_seed(0)
    streaks = 0.25 * torch.randn(SIZE, SIZE, 1, generator=generator)
    color = BROWN * streaks.exp()
    inside = torch.full_like(front, 60.0)
    if outline is not None:
        rim = aside > 68
        color, inside = torch.where(rim, outline, color), torch.where(rim, 4.0, inside)
    return UvSamples(color * front, front, inside, 1.0, front)


def at_hairline(model, shell):
    """Height over the hairline of each vertex, mm; far below off the cap."""
    above = torch.full((len(model.mean),), -100.0)
    above[torch.from_numpy(shell.cap.vertex)] = torch.from_numpy(shell.cap.over_short).float()
    return above


def read(chart, values, mask):
    return values.reshape(SIZE * SIZE, -1)[chart.chart.texel][mask]


def test_what_is_seen_stays_and_the_rest_has_its_colour(dressed):
    model, shell, chart = dressed
    samples = seen_from_the_front(model, chart)
    drawn = hair_map(chart, shell, samples, len(model.mean))
    depth = chart.chart.gather(model.mean[:, 2:])[:, 0]
    torch.testing.assert_close(
        read(chart, drawn[..., :3], depth > 5), read(chart, samples.color, depth > 5), atol=1e-5, rtol=1e-4
    )
    behind = read(chart, drawn[..., :3], depth < -60)
    typical = behind.median(0).values
    assert torch.allclose(typical, BROWN, rtol=0.25)
    light = behind.mean(1).log()
    assert 0.02 < float(light.std()) < 0.4  # strands, and not too many


def test_background_beside_the_hair_does_not_colour_it(dressed):
    model, shell, chart = dressed
    drawn = hair_map(chart, shell, seen_from_the_front(model, chart, outline=BLUE), len(model.mean))
    depth = chart.chart.gather(model.mean[:, 2:])[:, 0]
    behind = read(chart, drawn[..., :3], depth < -60)
    assert float((behind[:, 2] / behind[:, 0]).max()) < 0.6  # blue over red; of the background 6


def test_cover_is_the_shells_where_the_photo_does_not_tell(dressed):
    model, shell, chart = dressed
    samples = seen_from_the_front(model, chart)
    bare = replace(samples, covered=torch.zeros_like(samples.confidence))
    drawn = hair_map(chart, shell, bare, len(model.mean))[..., 3]
    depth = chart.chart.gather(model.mean[:, 2:])[:, 0]
    height = chart.chart.gather(model.mean[:, 1:2])[:, 0]
    assert float(read(chart, drawn[..., None], (depth < -60) & (height > 60)).min()) > 0.95
    hairline = chart.chart.gather(at_hairline(model, shell)[:, None])[:, 0]
    forehead = (depth > 20) & (hairline > 0) & (hairline < 5)  # the shell says hair, the photo skin
    assert forehead.sum() > 20
    assert float(read(chart, drawn[..., None], forehead).mean()) < 0.5
    told = hair_map(chart, shell, samples, len(model.mean))[..., 3]
    assert float(read(chart, told[..., None], forehead).mean()) > 0.9


def test_a_photo_that_does_not_tell_where_hair_is_is_refused(dressed):
    model, shell, chart = dressed
    blind = replace(seen_from_the_front(model, chart), covered=None)
    with pytest.raises(InputError, match="cover"):
        hair_map(chart, shell, blind, len(model.mean))
