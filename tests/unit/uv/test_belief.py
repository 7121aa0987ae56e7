"""What a photo shows near a head that was fitted a little off is not painted on it."""

from dataclasses import replace

import pytest
import torch
from tests.painted_head import SIZE, shoot
from torch.nn.functional import max_pool2d

from facewright.scene.parameters import HeadParameters
from facewright.uv import (
    BeliefSettings,
    CompletionSettings,
    HeadChart,
    TextureSettings,
    UvSamples,
    believed,
    complete,
    head_texture,
    unwrap_photo,
)
from facewright.uv.chroma import is_grey
from facewright.uv.unwrap import Sight

NEVER = (50.0, 60.0)
GULLIBLE = BeliefSettings(
    clothing=NEVER, outline=(-2.0, -1.0), hue=NEVER, glare=NEVER, teeth=NEVER, cavity=NEVER
)
BLUE = torch.tensor([0.1, 0.2, 0.9])


@pytest.fixture(scope="module")
def model(miniature):
    """With a mouth on the front of the face."""
    front = miniature.parts["skin"] & (miniature.mean[:, 2] > 60) & (miniature.mean[:, 0].abs() < 30)
    lips = front & (miniature.mean[:, 1] < -30) & (miniature.mean[:, 1] > -60)
    return replace(miniature, regions={**miniature.regions, "lips": lips})


@pytest.fixture(scope="module")
def head(model):
    return HeadChart.of(model, SIZE)


def fit_of(shot, shift=0.0):
    zeros = torch.zeros
    translation = shot.pose.translation + torch.tensor([[shift, 0.0, 0.0]])
    pose = replace(shot.pose, translation=translation)
    return HeadParameters(zeros(1, 3), zeros(1, 52), zeros(1, 1), zeros(1, 1), pose, shot.camera, shot.light)


def textured(model, head, photos, fits, **settings):
    return head_texture(model, photos, fits, chart=head, settings=TextureSettings(size=SIZE, **settings))


def blue_share(texture, head):
    face = texture[(head.face > 0.9)[..., 0]]
    return float((face[:, 2] > 1.1 * face[:, 0]).float().mean())


def test_background_is_not_painted_on_the_far_cheek(model, head, truth):
    shot = shoot(model, truth, 35.0)
    photo = torch.where(shot.photo.sum(0) == 0, BLUE[:, None, None], shot.photo)
    plain = CompletionSettings(doubt=NEVER)
    painted = {"wary": [], "gullible": []}
    for shift in (-16.0, 16.0):
        fit = fit_of(shot, shift)
        for name, belief in (("wary", BeliefSettings()), ("gullible", GULLIBLE)):
            texture = textured(model, head, [photo], [fit], belief=belief, completion=plain)
            painted[name].append(blue_share(texture, head))
    assert max(painted["wary"]) < 0.002
    assert max(painted["gullible"]) > 0.01


def test_the_distance_to_the_outline_is_in_millimetres(model, head, truth):
    shot = shoot(model, truth)
    samples = unwrap_photo(model, head.chart, shot.photo, fit_of(shot), settings=TextureSettings(size=SIZE))
    assert samples.inside is not None
    inside = samples.inside.view(-1)[head.chart.texel]
    seen = samples.confidence.view(-1)[head.chart.texel] > 0.1
    level = head.chart.gather(model.mean)[:, 1].abs() < 10
    across = (shot.camera.project(head.chart.gather(shot.vertices)[None])[0, :, 0] - 160).abs()
    expected = (across[level].max() - across[level & seen]) * 700 / 900  # mm a pixel, 700 mm away
    near = expected < 25
    assert (inside[level & seen][near] - expected[near]).abs().max() < 6
    assert inside[level & seen][~near].min() > 18


def test_glare_is_no_skin(model, head, truth):
    burnt = truth.clone()
    spot = (head.face > 0.9)[..., 0] & (torch.arange(SIZE)[:, None] > 60) & (torch.arange(SIZE)[:, None] < 75)
    spot &= (torch.arange(SIZE)[None] > 115) & (torch.arange(SIZE)[None] < 135)
    burnt[spot] = 0.9
    shot = shoot(model, burnt)
    brighter = {}
    for name, belief in (("wary", BeliefSettings()), ("gullible", GULLIBLE)):
        texture = textured(model, head, [shot.photo], [fit_of(shot)], belief=belief)
        brighter[name] = float((texture - truth)[spot].mean())
    assert brighter["wary"] < 0.06
    assert brighter["gullible"] > 2 * brighter["wary"]


def test_skin_is_no_glare_where_the_model_has_a_brow(head):
    skin = torch.tensor([0.4, 0.28, 0.2])
    model_map = skin.expand(SIZE, SIZE, 3).clone()
    model_map[80:86] = 0.2 * skin
    color = 1.1 * skin.expand(SIZE, SIZE, 3)
    glaring = color.clone()
    glaring[100:106] = torch.tensor([0.95, 0.9, 0.85])
    sure = torch.ones(SIZE, SIZE, 1)
    middle = (slice(None), slice(118, 138))
    confidence = believed(UvSamples(glaring, sure), model_map, head).confidence[middle]
    assert confidence[80:86].min() > 0.9
    assert confidence[100:106].max() < 0.1


def test_a_fringe_does_not_make_the_skin_below_it_glare(model, truth):
    """Where hair covers more of the face than it leaves free, nose and cheeks still say what skin is."""
    skin = model.parts["skin"]
    nose = skin & (model.mean[:, 2] > 70) & (model.mean[:, 0].abs() < 35) & (model.mean[:, 1].abs() < 45)
    known = replace(model, regions={**model.regions, "nose": nose})
    hairy = truth.clone()
    dark = torch.tensor([0.06, 0.04, 0.03])
    free = {}
    # Beside so much hair all skin would count as a highlight, or be made as dark.
    even = CompletionSettings(highlight=50.0, even=0.0)
    for name, each in (("known", known), ("unknown", model)):
        chart = HeadChart.of(each, SIZE)
        shown = (HeadChart.of(known, SIZE).middle > 0.5)[..., 0]
        hairy[~shown] = dark
        shot = shoot(each, hairy)
        texture = textured(each, chart, [shot.photo], [fit_of(shot)], completion=even)
        inner = (HeadChart.of(known, SIZE).middle > 0.99)[..., 0]
        free[name] = float(((texture - truth)[inner].abs() / truth[inner]).mean())
    assert free["known"] < 0.15
    assert free["unknown"] > 2 * free["known"]


def test_teeth_are_not_painted_on_the_lips(model, head, truth):
    lips = (head.lips > 0.9)[..., 0]
    upper = lips & (torch.arange(SIZE)[:, None] < lips.nonzero()[:, 0].float().mean())
    for paint in (torch.tensor([0.40, 0.42, 0.42]), torch.tensor([0.03, 0.02, 0.02])):
        open_mouth = truth.clone()
        open_mouth[upper] = paint
        shot = shoot(model, open_mouth)
        off = {}
        for name, belief in (("wary", BeliefSettings()), ("gullible", GULLIBLE)):
            texture = textured(model, head, [shot.photo], [fit_of(shot)], belief=belief)
            off[name] = float((texture - truth)[upper].abs().mean())
        assert off["wary"] < 0.6 * off["gullible"]
    lipstick = truth.clone()
    lipstick[lips] = truth[lips] * torch.tensor([0.8, 0.25, 0.3])
    shot = shoot(model, lipstick)
    texture = textured(model, head, [shot.photo], [fit_of(shot)])
    assert ((texture - lipstick)[lips].abs() / lipstick[lips]).mean() < 0.25  # make-up is the person's


def test_a_streak_gives_way_to_the_side_that_was_seen_better(head):
    """Where a texel seen badly and its mirror image seen well differ, the mirror image is right."""
    color = torch.full((SIZE, SIZE, 3), 0.4)
    color[100:120, 170:180] = 0.06
    confidence = torch.ones(SIZE, SIZE, 1)
    flat = torch.full((SIZE, SIZE, 3), 0.4)
    streak = (slice(104, 116), slice(173, 177))

    def completed(own, **settings):
        confidence[:, 128:] = own
        samples = UvSamples(color, confidence)
        how = CompletionSettings(**settings)
        return complete(head.chart, samples, flat, [head.face], mirror=head.mirror, settings=how)[
            streak
        ].mean()

    assert completed(0.3) > 0.3
    assert completed(0.3, doubt=NEVER) < 0.26
    assert completed(1.0) < 0.1  # seen well on both sides: a scar


def test_a_grey_photo_makes_a_grey_head(model, head, truth):
    shot = shoot(model, truth)
    tinted = replace(model, diffuse_mean=model.diffuse_mean * torch.tensor([1.0, 0.6, 0.5]))
    grey = shot.photo.mean(0, keepdim=True).expand(3, -1, -1).contiguous()
    white = replace(fit_of(shot), light=replace(shot.light, coefficients=shot.light.coefficients))
    made = textured(tinted, head, [grey], [white])
    assert (made.amax(-1) - made.amin(-1)).max() < 1e-4
    colored = textured(tinted, head, [shot.photo], [white])
    assert (colored.amax(-1) - colored.amin(-1)).mean() > 0.05
    both = textured(tinted, head, [grey, shot.photo], [white, white])
    assert torch.allclose(both, colored, atol=1e-5)


def test_nothing_seen_is_not_grey():
    nothing = UvSamples(torch.zeros(8, 8, 3), torch.zeros(8, 8, 1))
    assert not is_grey(nothing)
    assert is_grey(UvSamples(torch.full((8, 8, 3), 0.3), torch.ones(8, 8, 1)))


def test_chroma_noise_is_averaged_and_brightness_is_not(model, head, truth):
    shot = shoot(model, truth)
    generator = torch.Generator().manual_seed(2)
    noise = 0.12 * torch.randn(3, 80, 80, generator=generator)
    noise = (noise - noise.mean(0)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    noisy = (shot.photo + noise * (shot.photo.sum(0) > 0)).clamp(0, 1)
    seen = (head.face > 0.9)[..., 0]
    clean, calm, raw = (
        textured(model, head, [photo], [fit_of(shot)], chroma=pixels)
        for photo, pixels in ((shot.photo, 0.0), (noisy, 4.0), (noisy, 0.0))
    )

    def hue_error(texture):
        shares = [(each / each.sum(-1, keepdim=True))[seen] for each in (texture, clean)]
        return float((shares[0] - shares[1]).abs().mean())

    assert hue_error(calm) < 0.6 * hue_error(raw)
    sharp = textured(model, head, [shot.photo], [fit_of(shot)], chroma=4.0)
    assert ((sharp - clean).abs().mean(-1) / clean.mean(-1))[seen].mean() < 0.03


def test_what_lies_before_the_face_is_not_painted_on_it_but_on_the_scalp(model, head, truth):
    shot = shoot(model, truth)
    height, width = shot.photo.shape[-2:]
    strip = torch.zeros(height, width, dtype=torch.bool)
    strip[:, int(0.42 * width) : int(0.5 * width)] = True
    hair = 0.9 * shot.photo * torch.tensor([1.0, 0.93, 0.9])[:, None, None]  # no colour that skin has not
    photo = torch.where(strip, hair, shot.photo)

    def cover(places):
        columns, rows = places[:, 0].long().clamp(0, width - 1), places[:, 1].long().clamp(0, height - 1)
        return strip[rows, columns].float()

    settings = TextureSettings(size=SIZE)
    known = unwrap_photo(model, head.chart, photo, fit_of(shot), settings=settings, sight=Sight(cover))
    plain = unwrap_photo(model, head.chart, photo, fit_of(shot), settings=settings)
    assert torch.equal(known.confidence, plain.confidence)
    assert known.covered is not None
    under = known.covered[..., 0] > 0.9
    trusted, naive = (believed(each, truth, head).confidence[..., 0] for each in (known, plain))
    face = under & (head.face > 0.99)[..., 0] & (plain.confidence > 0.9)[..., 0]
    assert int(face.sum()) > 50
    assert float(naive[face].mean()) > 0.8
    assert float(trusted[face].max()) < 1e-3
    around = max_pool2d(known.covered.permute(2, 0, 1), 31, 1, 15)[0]
    elsewhere = (around == 0) | (head.scalp > 0.999)[..., 0]
    assert torch.equal(trusted[elsewhere], naive[elsewhere])
    # Tips of hair reach beyond what was judged; without a margin they stay.
    tips = (known.covered[..., 0] == 0) & (max_pool2d(known.covered.permute(2, 0, 1), 5, 1, 2)[0] > 0.9)
    tips &= (head.face > 0.99)[..., 0] & ~(head.lips > 0)[..., 0] & (plain.confidence > 0.9)[..., 0]
    tight = believed(known, truth, head, BeliefSettings(fringe=0.0)).confidence[..., 0]
    assert int(tips.sum()) > 50
    assert float(trusted[tips].mean()) < 0.1
    assert float(tight[tips].mean()) > 0.8


def test_what_is_surely_face_may_look_unlike_it_and_background_may_not(model, head, truth):
    """A beard towards the outline is believed where it was judged to be face, background is not."""
    shot = shoot(model, truth)
    dark, border = shot.photo.clone(), int(0.6 * shot.photo.shape[2])
    dark[..., border:] *= 0.5
    trusted, settings = {}, TextureSettings(size=SIZE)
    for name, beside in (("unknown", None), ("face", 0.0), ("background", 1.0)):
        look = None if beside is None else lambda places, value=beside: torch.full((len(places),), value)
        sight = Sight(lambda places: torch.zeros(len(places)), beside=look)
        samples = unwrap_photo(model, head.chart, dark, fit_of(shot), settings=settings, sight=sight)
        unsure = (samples.confidence > 0.3) & (samples.confidence < 0.6) & (head.face > 0.99)
        side = unsure[..., 0]
        side[:, : SIZE // 2] = False
        assert int(side.sum()) > 50
        found = believed(samples, truth, head).confidence
        trusted[name] = float((found / samples.confidence.clamp_min(1e-6))[side].mean())
    assert trusted["face"] > 0.95
    assert trusted["unknown"] < 0.5
    assert trusted["background"] == 0
