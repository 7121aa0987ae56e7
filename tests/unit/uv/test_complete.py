"""Completion: what no photo shows takes the photo's colour, the model's pattern, and no seam."""

from dataclasses import replace

import pytest
import torch
from tests.painted_head import SIZE, shoot

from facewright.core.errors import InputError
from facewright.scene.parameters import HeadParameters
from facewright.uv import (
    BeliefSettings,
    CompletionSettings,
    HeadChart,
    Illumination,
    TextureSettings,
    UvSamples,
    bake,
    complete,
    head_texture,
    mirrored_texels,
    unwrap,
)


@pytest.fixture(scope="module")
def skin(chart, miniature):
    return bake(chart, miniature.parts["skin"].float()[:, None], gutter=False)


@pytest.fixture(scope="module")
def model_map():
    """Dark brows on a skin that is too pale."""
    pattern = torch.full((SIZE, SIZE, 3), 0.5)
    pattern[40:48] = 0.1
    return pattern


def test_without_photos_the_model_stays(chart, skin, model_map):
    nothing = UvSamples(torch.zeros(SIZE, SIZE, 3), torch.zeros(SIZE, SIZE, 1))
    completed = complete(chart, nothing, model_map, [skin]).view(-1, 3)[chart.texel]
    assert torch.allclose(completed, model_map.view(-1, 3)[chart.texel], atol=1e-5)


def test_colour_and_pattern_go_on_where_the_photo_ends(chart, skin, model_map):
    tint = torch.tensor([1.5, 1.0, 0.7])
    confidence = torch.zeros(SIZE, SIZE, 1)
    confidence[:, 80:150] = 1
    completed = complete(chart, UvSamples(model_map * tint * confidence, confidence), model_map, [skin])
    inside = (skin[..., 0] == 1) & (model_map[..., 0] == 0.5)
    assert (completed[inside] - 0.5 * tint).abs().max() < 0.03
    assert (0.5 - 0.5 * tint).abs().max() > 0.2
    brow = completed[42:46][skin[42:46, :, 0] == 1]
    assert (brow.mean(0) < 0.25).all()
    outside = (bake(chart, torch.ones(int(chart.corners.max()) + 1, 1), gutter=False) - skin)[..., 0] == 1
    assert torch.allclose(completed[outside], model_map[outside], atol=1e-4)  # eyes keep their white


def test_no_seam_at_the_border_of_a_soft_confidence(chart, skin, model_map):
    """Detail may fade, the mean may not jump: neighbouring columns differ less than the photo's grain."""
    grain = 0.05 * torch.rand(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(1))
    shaded = model_map * (0.6 + grain + torch.linspace(0, 0.6, SIZE)[:, None, None])
    ramp = ((torch.arange(SIZE) - 100).float() / 20).clamp(0, 1).expand(SIZE, SIZE)[..., None]
    completed = complete(chart, UvSamples(shaded * (ramp > 0), ramp), model_map, [skin])
    step = completed[60:140].mean((0, 2)).diff().abs().max()
    pasted = torch.where(ramp > 0.5, shaded, model_map)[60:140].mean((0, 2)).diff().abs().max()
    assert step < 0.01
    assert pasted > 0.02


def test_hidden_half_comes_from_the_other_half(chart, miniature, truth, skin):
    shot = shoot(miniature, truth, 40.0)
    samples = unwrap(
        chart,
        shot.photo,
        shot.vertices,
        miniature.topology,
        shot.camera,
        illumination=Illumination(shot.light),
    )
    flat = torch.full((SIZE, SIZE, 3), 0.4)
    mirror = mirrored_texels(chart, miniature.topology, miniature.mirror)
    hidden = (samples.confidence < 0.01) & (samples.confidence.flip(1) > 0.9)
    hidden = (hidden & (skin == 1))[..., 0]
    assert int(hidden.sum()) > 500
    error = {}
    for name, partner in (("mirrored", mirror), ("alone", None)):
        completed = complete(chart, samples, flat, [skin], mirror=partner)
        error[name] = ((completed - truth).abs() / truth)[hidden].mean()
    assert error["mirrored"] < 0.06
    assert error["mirrored"] < 0.6 * error["alone"]


def test_halves_seen_equally_well_do_not_lie_over_one_another(chart, miniature, skin, model_map):
    mirror = mirrored_texels(chart, miniature.topology, miniature.mirror)
    spot = model_map.clone()
    spot[110:118, 60:68] = 0.3  # on one side only
    both = torch.full((SIZE, SIZE, 1), 0.6)
    right = both.clone()
    right[:, SIZE // 2 :] = 0.1
    other = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    other[110:118, SIZE - 68 : SIZE - 60] = True
    ghost = {}
    for name, confidence in (("both", both), ("right", right)):
        samples = UvSamples(spot, confidence)
        found, alone = (complete(chart, samples, model_map, [skin], mirror=way) for way in (mirror, None))
        ghost[name] = float((found - alone)[other].mean())
    assert abs(ghost["both"]) < 0.003
    assert ghost["right"] < -0.02


def test_hair_at_the_border_of_what_is_seen_does_not_darken_the_skin_beyond(chart, skin, model_map):
    confidence = torch.zeros(SIZE, SIZE, 1)
    confidence[:, :140], confidence[:, 140:160] = 1, 0.3
    color = torch.where(confidence == 1, model_map, 0.1 * model_map)
    beyond = (skin[..., 0] == 1) & (model_map[..., 0] == 0.5)
    beyond[:, :180] = False
    assert int(beyond.sum()) > 500
    left = {}
    for name, unlike in (("hair", CompletionSettings().unlike), ("skin", (50.0, 100.0))):
        settings = CompletionSettings(unlike=unlike)
        found = complete(chart, UvSamples(color, confidence), model_map, [skin], skin=skin, settings=settings)
        left[name] = float((found / model_map)[beyond].mean())
    assert left["hair"] > 0.95
    assert left["skin"] < 0.8


def test_skin_that_is_hardly_seen_takes_the_colour_of_the_face_and_keeps_its_detail(chart, skin, model_map):
    """What a fitted light leaves towards the outline is no colour of the skin."""
    confidence = ((200 - torch.arange(SIZE)).float() / 60).clamp(0.02, 1).expand(SIZE, SIZE)[..., None]
    grain = 1 + 0.1 * torch.rand(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(2))
    samples = UvSamples(model_map * grain * (0.5 + 0.5 * confidence), confidence)
    face = skin * (confidence > 0.5)
    band = (skin[..., 0] == 1) & (model_map[..., 0] == 0.5) & ((confidence - 0.5).abs() < 0.1)[..., 0]
    evened, plain = (
        complete(chart, samples, model_map, [face, skin - face], skin=each)[..., 0] for each in (skin, None)
    )
    middle = float(evened[(skin[..., 0] == 1) & (confidence[..., 0] == 1)].median())
    off, left = (abs(float(each[band].mean()) - middle) for each in (evened, plain))
    assert off < 0.5 * left
    assert left > 0.08
    grain_left = [float(each[:, 170][band[:, 170]].std()) for each in (evened, plain)]
    assert grain_left[0] > 0.8 * grain_left[1]


def test_a_scalp_that_no_photo_shows_has_the_hair_that_it_shows_and_no_high_forehead(chart, skin, model_map):
    rows = torch.arange(SIZE)[:, None, None].expand(SIZE, SIZE, 1)
    face, scalp = skin * (rows >= 100), skin * (rows < 100)
    hair = ((rows >= 64) & (rows < 76)).float() * scalp
    confidence = (rows >= 64).float()
    seen = torch.where(hair > 0.5, 0.1 * model_map, model_map)
    samples = UvSamples(seen * confidence, confidence)
    far = (scalp[..., 0] == 1) & (rows[..., 0] < 30) & (model_map[..., 0] == 0.5)
    assert int(far.sum()) > 50
    known, unknown = (
        complete(chart, samples, model_map, [face, scalp], hair=each)[far].mean() for each in (hair, None)
    )
    assert known < 0.15
    assert unknown > known + 0.1


def test_a_highlight_on_a_high_forehead_is_filled_with_the_forehead_and_not_with_hair(chart, skin, model_map):
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    face, scalp = skin * (rows >= 100)[..., None], skin * (rows < 100)[..., None]
    hair = (rows < 50)[..., None] * scalp
    burnt = (rows >= 82) & (rows < 90) & (columns % 32 >= 12) & (columns % 32 < 20)
    sure = torch.where(burnt, 0.0, 1.0)[..., None]
    seen = torch.where(hair > 0.5, 0.1 * model_map, model_map)
    filled = complete(chart, UvSamples(seen * sure, sure), model_map, [face, scalp], hair=hair)
    inside = burnt & (scalp[..., 0] == 1)
    assert int(inside.sum()) > 50
    torch.testing.assert_close(filled[inside], model_map[inside], atol=0.1, rtol=0)
    # Control: were it all hair, they would be filled with hair.
    dark = complete(chart, UvSamples(0.1 * model_map * sure, sure), model_map, [face, scalp], hair=scalp)
    assert (dark[inside] - model_map[inside]).abs().max() > 0.2


def test_highlights_are_damped(chart, skin, model_map):
    sure = torch.ones(SIZE, SIZE, 1)
    shiny = model_map.clone()
    shiny[100:108, 100:108] = 0.95
    completed = complete(chart, UvSamples(shiny, sure), model_map, [skin])
    assert completed[104, 104].max() < 0.8
    assert (completed[120:130, 120:130] - 0.5).abs().max() < 0.02


def test_head_texture_of_a_fit(miniature, truth):
    model = replace(
        miniature,
        regions={**miniature.regions, "neck": miniature.parts["skin"] & (miniature.mean[:, 1] < -70)},
    )
    shots = [shoot(model, truth, yaw) for yaw in (0.0, 40.0)]
    fits = [
        HeadParameters(
            identity=torch.zeros(1, 3),
            expression=torch.zeros(1, 52),
            diffuse=torch.zeros(1, 1),
            specular=torch.zeros(1, 1),
            pose=shot.pose,
            camera=shot.camera,
            light=shot.light,
        )
        for shot in shots
    ]
    settings = TextureSettings(size=SIZE)
    chart = HeadChart.of(model, SIZE)
    one = head_texture(model, [shots[0].photo], fits[:1], chart=chart, settings=settings)
    two = head_texture(model, [shot.photo for shot in shots], fits, settings=settings)
    face = chart.face[..., 0] == 1
    seen = face & (bake(chart.chart, model.mean)[..., 2] > 40)
    for texture in (one, two):
        assert ((texture - truth).abs() / truth)[seen].median() < 0.03
        assert texture.min() >= 0
        assert texture.max() <= 1
    with pytest.raises(InputError, match="one fit a photo"):
        head_texture(model, [shots[0].photo], fits, chart=chart, settings=settings)
    with pytest.raises(InputError, match="texels a side"):
        head_texture(model, [shots[0].photo], fits[:1], chart=chart)


def test_cloth_over_the_neck_is_not_taken_for_skin(miniature, truth):
    neck = miniature.parts["skin"] & (miniature.mean[:, 1] < -70)
    model = replace(miniature, regions={**miniature.regions, "neck": neck})
    chart = HeadChart.of(model, SIZE)
    collar = truth.clone()
    collar[(chart.rim == 1)[..., 0]] = torch.tensor([0.02, 0.05, 0.3])
    shot = shoot(model, collar)
    zeros = torch.zeros
    fit = HeadParameters(
        zeros(1, 3), zeros(1, 52), zeros(1, 1), zeros(1, 1), shot.pose, shot.camera, shot.light
    )
    inside = (chart.rim == 1)[..., 0]
    trusting = TextureSettings(size=SIZE, belief=BeliefSettings(clothing=(50.0, 60.0)))
    blue = {}
    for name, settings in (("wary", TextureSettings(size=SIZE)), ("trusting", trusting)):
        texture = head_texture(model, [shot.photo], [fit], chart=chart, settings=settings)
        blue[name] = float((texture[inside][:, 2] > texture[inside][:, 0]).float().mean())
    assert blue["wary"] < 0.02
    assert blue["trusting"] > 0.2


def test_maps_of_another_size_are_refused(chart, skin, model_map):
    small = UvSamples(torch.zeros(64, 64, 3), torch.zeros(64, 64, 1))
    with pytest.raises(InputError, match="expected maps"):
        complete(chart, small, model_map, [skin])
