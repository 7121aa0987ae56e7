"""The map of a shell: colours as seen where they are seen, hair of the same colour elsewhere."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import HairShell
from facewright.uv.hair_texture import HairChart, hair_map, wide_cover
from facewright.uv.unwrap import UvSamples

SIZE = 256
BROWN, BLUE = torch.tensor([0.2, 0.12, 0.06]), torch.tensor([0.1, 0.2, 0.6])


class Dressed(NamedTuple):
    model: FaceModel
    cap: HairCap
    shell: HairShell
    chart: HairChart

    @property
    def points(self):
        """Skin below the shell's vertices, mm."""
        return self.shell.mesh.base(self.model.mean)

    def map(self, samples, shell=None, pieces=None):
        """The map of a shell."""
        shell = shell or self.shell
        return hair_map(self.chart, shell, samples, wide_cover(self.cap, shell), pieces)

    def read(self, values, mask):
        """Texels where a mask of the chart's is true."""
        return values.reshape(SIZE * SIZE, -1)[self.chart.chart.texel][mask]

    def at(self, field):
        """A field of the shell's vertices at the chart's texels."""
        return self.chart.chart.gather(field[:, None])[:, 0]


@pytest.fixture(scope="module")
def dressed():
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    cover = torch.from_numpy(cap.mesh.spread((cap.over_short > 0).astype(np.float32)))
    shell = HairShell(cap.mesh, torch.zeros(cap.mesh.count, 3), cover)
    return Dressed(model, cap, shell, HairChart.of(cap, model.mean, SIZE))


def seen_from_the_front(dressed, *, outline=None, base=BROWN):
    """Samples of brown streaky hair in front; with ``outline``, of this colour at both sides."""
    chart, points = dressed.chart, dressed.points
    depth = chart.chart.scatter(chart.chart.gather(points[:, 2:]))
    aside = chart.chart.scatter(chart.chart.gather(points[:, :1].abs()))
    front = (depth > 0).float()
    generator = torch.Generator().manual_seed(0)
    streaks = 0.25 * torch.randn(SIZE, SIZE, 1, generator=generator)
    color = base * streaks.exp()
    inside = torch.full_like(front, 60.0)
    if outline is not None:
        rim = aside > 68
        color, inside = torch.where(rim, outline, color), torch.where(rim, 4.0, inside)
    return UvSamples(color * front, front, inside, 1.0, front)


def test_what_is_seen_stays_and_the_rest_has_its_colour(dressed):
    samples = seen_from_the_front(dressed)
    drawn = dressed.map(samples)
    depth = dressed.at(dressed.points[:, 2])
    torch.testing.assert_close(
        dressed.read(drawn[..., :3], depth > 5), dressed.read(samples.color, depth > 5), atol=1e-5, rtol=1e-4
    )
    behind = dressed.read(drawn[..., :3], depth < -60)
    assert torch.allclose(behind.median(0).values, BROWN, rtol=0.25)
    light = behind.mean(1).log()
    assert 0.02 < float(light.std()) < 0.4  # strands, and not too many


def test_background_beside_the_hair_does_not_colour_it(dressed):
    drawn = dressed.map(seen_from_the_front(dressed, outline=BLUE))
    behind = dressed.read(drawn[..., :3], dressed.at(dressed.points[:, 2]) < -60)
    assert float((behind[:, 2] / behind[:, 0]).max()) < 0.6  # blue over red; of the background 6


def test_cover_is_the_shells_where_the_photo_does_not_tell(dressed):
    samples = seen_from_the_front(dressed)
    bare = replace(samples, covered=torch.zeros_like(samples.confidence))
    drawn = dressed.map(bare)[..., 3:]
    depth, height = dressed.at(dressed.points[:, 2]), dressed.at(dressed.points[:, 1])
    assert float(dressed.read(drawn, (depth < -60) & (height > 60)).min()) > 0.95
    line = dressed.at(torch.from_numpy(dressed.cap.mesh.spread(dressed.cap.over_short)).float())
    forehead = (depth > 20) & (line > 0) & (line < 5)  # the shell says hair, the photo skin
    assert forehead.sum() > 20
    assert float(dressed.read(drawn, forehead).mean()) < 0.5
    assert float(dressed.read(dressed.map(samples)[..., 3:], forehead).mean()) > 0.9


def test_ends_that_no_photo_shows_are_ragged(dressed):
    half = replace(dressed.shell, cover=torch.full_like(dressed.shell.cover, 0.5))
    samples = seen_from_the_front(dressed)
    drawn = hair_map(dressed.chart, half, samples, torch.full_like(half.cover, 0.4))[..., 3:]
    depth, height = dressed.at(dressed.points[:, 2]), dressed.at(dressed.points[:, 1])
    brow = float(dressed.points[:, 1].mean())
    nape = dressed.read(drawn, (depth < -110) & (height < brow - 40))
    assert nape.numel() > 500
    assert 0.2 < float((nape > 0.9).float().mean()) < 0.8  # locks here, none there
    crown = dressed.read(drawn, (depth < -60) & (height > 60))
    assert float((crown - 0.5).abs().max()) < 0.05  # no end: as it was


def test_hats_are_smooth_and_end_above_the_nape(dressed):
    hat, hair = (dressed.map(seen_from_the_front(dressed, base=base)) for base in (BLUE, BROWN))
    depth, height = dressed.at(dressed.points[:, 2]), dressed.at(dressed.points[:, 1])
    behind = (depth < -100) & (height > 40)
    own, other = (dressed.read(each[..., :3], behind).mean(1).log() for each in (hat, hair))
    # Strands are finer than what goes on from the hat's front.
    assert float(own.diff().abs().mean()) < 0.3 * float(other.diff().abs().mean())
    low = dressed.at(torch.from_numpy(dressed.cap.mesh.spread(dressed.cap.height)).float())
    nape = (depth < -100) & (low > -80) & (low < -60)
    assert nape.sum() > 100
    assert float(dressed.read(hat[..., 3:], nape).max()) < 0.05
    assert float(dressed.read(hair[..., 3:], nape).mean()) > 0.5


def test_a_photo_that_does_not_tell_where_hair_is_is_refused(dressed):
    blind = replace(seen_from_the_front(dressed), covered=None)
    with pytest.raises(InputError, match="cover"):
        dressed.map(blind)
