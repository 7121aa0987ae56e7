"""Detail of seen skin on skin that no photo shows."""

import pytest
import torch

from facewright.image.pyramid import blur
from facewright.models.base import load_base_model
from facewright.uv.detail import DetailSettings, continue_detail
from facewright.uv.head_chart import HeadChart
from facewright.uv.unwrap import UvSamples

SIZE = 512
SKIN = torch.tensor([0.4, 0.25, 0.18])


@pytest.fixture(scope="module")
def chart() -> HeadChart:
    return HeadChart.of(load_base_model(), SIZE)


@pytest.fixture(scope="module")
def seen() -> torch.Tensor:
    """The middle of the face."""
    confidence = torch.zeros(SIZE, SIZE, 1)
    confidence[120:350, 150:362] = 1
    return confidence


@pytest.fixture(scope="module")
def grain(seen: torch.Tensor) -> torch.Tensor:
    """Skin as a photo shows it, with pores of two texels."""
    noise = torch.randn(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    noise = blur(noise, 1, torch.ones_like(noise))[0, 0, ..., None]
    return SKIN * (0.15 * noise / noise.std() * seen).exp()


def shown_by(confidence: torch.Tensor, texels_a_pixel: float = 1.0) -> UvSamples:
    """What photos of so coarse pixels say."""
    return UvSamples(torch.zeros(SIZE, SIZE, 3), confidence, texels_a_pixel=texels_a_pixel)


def unseen_cheek(chart: HeadChart) -> torch.Tensor:
    """Where all detail is wanted."""
    mask = (chart.grained > 0.99) & (chart.face > 0.99)
    mask[:, 110:402] = False
    return mask[..., 0]


def variation(chart: HeadChart, albedo: torch.Tensor, mask: torch.Tensor) -> tuple[float, float]:
    """Standard deviation of the logarithm, and of its change in a mm across."""
    logs = albedo.log().mean(-1)
    slope = (logs[:, 1:] - logs[:, :-1]) / chart.pitch[:, 1:, 0]
    return float(logs[mask].std()), float(slope[mask[:, 1:]].std())


def test_the_unseen_cheek_varies_as_the_seen_one_does(chart, grain, seen) -> None:
    cheek = unseen_cheek(chart)
    assert int(cheek.sum()) > 1000
    shown = (chart.plain > 0.99)[..., 0] & (seen > 0)[..., 0]
    wanted = variation(chart, grain, shown)
    found = variation(chart, continue_detail(chart, grain, shown_by(seen)), cheek)
    for ours, theirs in zip(found, wanted, strict=True):
        assert 0.65 < ours / theirs < 1.35
    assert max(variation(chart, grain, cheek)) < 1e-6  # the control: it was blank


def test_what_was_seen_and_what_is_no_skin_stays(chart, grain, seen) -> None:
    changed = (continue_detail(chart, grain, shown_by(seen)) - grain).abs().amax(-1, keepdim=True) > 1e-5
    assert not changed[seen > 0].any()
    assert not changed[chart.eyes > 0].any()
    assert not changed[chart.scalp == 1].any()
    assert changed[unseen_cheek(chart)].float().mean() > 0.9


def test_nothing_of_eyes_brows_and_glasses_is_copied(chart, grain, seen) -> None:
    """Green stripes on the features, and a frame across the cheek: no green is found on the cheeks."""
    stripes = (torch.arange(SIZE) % 4 < 2)[:, None, None] * (chart.face * (1 - chart.plain) > 0.5)
    frame = torch.zeros_like(stripes)
    frame[230:236] = True
    green = torch.where((stripes | frame) & (seen > 0), grain * torch.tensor([0.2, 3.0, 0.2]), grain)

    def greenness(albedo: torch.Tensor) -> float:
        logs = albedo[unseen_cheek(chart)].log()
        return float((logs[:, 1] - logs[:, 0]).std())

    assert greenness(continue_detail(chart, green, shown_by(seen))) < 0.02
    # The control: with features and frames for examples, the green spreads.
    everything = HeadChart(**{**vars(chart), "plain": chart.face})
    taken = continue_detail(
        everything, green, shown_by(seen), DetailSettings(odd=(50.0, 100.0), largest=20.0)
    )
    assert greenness(taken) > 0.1


def test_a_smooth_face_stays_smooth(chart, grain, seen) -> None:
    smooth = SKIN.expand(SIZE, SIZE, 3) * torch.linspace(0.8, 1.1, SIZE)[:, None, None]
    assert torch.allclose(continue_detail(chart, smooth, shown_by(seen)), smooth, rtol=0.006)
    assert not torch.allclose(continue_detail(chart, grain, shown_by(seen)), grain, rtol=0.1)


def test_the_same_map_again_and_none_of_an_unseen_face(chart, grain, seen) -> None:
    first, again = (continue_detail(chart, grain, shown_by(seen)) for _ in range(2))
    assert torch.equal(first, again)
    other = continue_detail(chart, grain, shown_by(seen), DetailSettings(seed=1))
    assert not torch.equal(first, other)
    assert continue_detail(chart, grain, shown_by(0 * seen)) is grain


def test_noise_of_small_photos_is_no_skin(chart, grain, seen) -> None:
    sharp, coarse = (continue_detail(chart, grain, shown_by(seen, side)) for side in (2.0, 6.0))
    cheek = unseen_cheek(chart)
    assert variation(chart, coarse, cheek)[0] < 1e-3 < 0.1 < variation(chart, sharp, cheek)[0]
