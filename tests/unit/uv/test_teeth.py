"""Teeth drawn on the map."""

from dataclasses import replace

import numpy as np
import torch

from facewright.image.color import luminance
from facewright.models.base import load_base_model
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart
from facewright.uv.teeth import OVER_SKIN, draw_teeth, drawn_teeth, likely_brightness, shown_brightness
from facewright.uv.unwrap import UvSamples

MODEL = load_base_model()
CHART = UvChart.of(MODEL.topology, 1024)
PLAIN = bake(CHART, MODEL.diffuse_mean)
TEETH = drawn_teeth(CHART, MODEL)
DRAWN = draw_teeth(TEETH, PLAIN)


def on(part: str) -> torch.Tensor:
    """Covered texels of a part."""
    return MODEL.parts[part][CHART.corners].all(1)


def incisors(part: str, down: float) -> torch.Tensor:
    """Covered texels of the front of the teeth in the middle of the arch."""
    place = CHART.gather(MODEL.mean)
    middle = on(part) & (place[:, 0].abs() < 7)
    tip = place[middle][(down * place[middle, 1]).argmin(), 2]
    # Behind their edges, teeth go back faster than their fronts do.
    return middle & (place[:, 2] > tip - 1.0 - 0.35 * (down * place[:, 1] - (down * place[middle, 1]).min()))


def test_teeth_part_in_the_middle_and_the_map_is_else_as_it_was() -> None:
    flat, plain = DRAWN.reshape(-1, 3)[CHART.texel], PLAIN.reshape(-1, 3)[CHART.texel]
    teeth = on("upper_teeth") | on("lower_teeth")
    assert torch.equal(flat[~teeth], plain[~teeth])
    place = CHART.gather(MODEL.mean)
    share = (flat / plain)[:, 1]
    crowns = incisors("upper_teeth", 1.0) & (place[:, 1] < place[on("upper_teeth"), 1].min() + 6)
    assert share[crowns & (place[:, 0].abs() < 0.35)].mean() < 0.8  # between the two incisors
    for side in (-1.0, 1.0):  # the middle of each
        assert share[crowns & ((place[:, 0] - side * 4.2).abs() < 1)].min() > 0.97


def test_gum_is_redder_than_teeth_and_lies_at_their_roots() -> None:
    place = CHART.gather(MODEL.mean)
    red = DRAWN.reshape(-1, 3)[CHART.texel]
    red = red[:, 0] / red[:, 1]
    for part, down in (("upper_teeth", 1.0), ("lower_teeth", -1.0)):
        front = incisors(part, down)
        height = down * place[:, 1]
        height = height - height[front].min()
        assert red[front & (height < 5)].max() < 1.5
        assert red[front & (height > 11)].min() > 2


def test_both_halves_are_alike() -> None:
    # The control: a map that is drawn on one side only is not.
    def asymmetry(drawn: torch.Tensor) -> float:
        own = on("upper_teeth")
        place, color = CHART.gather(MODEL.mean)[own], drawn.reshape(-1, 3)[CHART.texel][own]
        mirrored = place * torch.tensor([-1.0, 1.0, 1.0])
        distance, index = torch.cdist(mirrored, place).min(1)
        return float((color - color[index])[distance < 0.2].abs().mean())

    half = torch.where((CHART.gather(MODEL.mean)[:, :1] > 0), DRAWN.reshape(-1, 3)[CHART.texel], 0.5)
    broken = DRAWN.reshape(-1, 3).clone()
    broken[CHART.texel] = half
    assert asymmetry(DRAWN) < 0.02 < asymmetry(broken.view_as(DRAWN))


def test_the_photo_tells_how_bright_teeth_are() -> None:
    sure = torch.ones(1024, 1024, 1)
    for share in (0.3, 0.8):
        seen = UvSamples(share * PLAIN, sure)
        assert abs(shown_brightness(TEETH, seen, PLAIN) - share) < 0.01
    # The control: what is unsure tells nothing.
    unsure = shown_brightness(TEETH, UvSamples(0.3 * PLAIN, 0.01 * sure), PLAIN)
    assert unsure == 0
    teeth = (CHART.texel, on("upper_teeth"))
    dark = draw_teeth(TEETH, PLAIN, 0.3).reshape(-1, 3)[teeth[0]][teeth[1]]
    np.testing.assert_allclose(dark, 0.3 * DRAWN.reshape(-1, 3)[teeth[0]][teeth[1]], rtol=1e-5)


def test_teeth_that_no_photo_shows_are_brighter_than_the_skin() -> None:
    face = bake(CHART, MODEL.regions["face"].float()[:, None])
    skin = float(luminance(PLAIN)[face[..., 0] > 0.5].median())
    for share in (1.0, 0.4):  # a face of any brightness
        dimmed = torch.where(face > 0.5, share * PLAIN, PLAIN)
        unseen, dim, bright = (likely_brightness(TEETH, dimmed, face, shown) for shown in (0.0, 0.1, 1.0))
        drawn = luminance(draw_teeth(TEETH, dimmed, unseen))
        front = drawn.reshape(-1)[CHART.texel[on("upper_teeth")]].max()
        assert abs(float(front) / (share * skin) / OVER_SKIN - 1) < 0.05
        assert dim == unseen  # the control: skin that lies on the teeth
        assert bright == 1.0 > unseen


def test_a_model_without_teeth_keeps_its_map() -> None:
    parts = {name: mask for name, mask in MODEL.parts.items() if not name.endswith("teeth")}
    none = drawn_teeth(CHART, replace(MODEL, parts=parts))
    np.testing.assert_array_equal(draw_teeth(none, PLAIN), PLAIN)
    assert shown_brightness(none, UvSamples(PLAIN, PLAIN[..., :1]), PLAIN) == 0
