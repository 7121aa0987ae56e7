"""Irises on the map: round, and of the colour that a photo shows."""

import pytest
import torch

from facewright.fitting.records import LANDMARK_SET, project_landmarks
from facewright.image.color import luminance, srgb_from_linear
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import frontal_pose
from facewright.uv.bake import bake
from facewright.uv.head_chart import HeadChart
from facewright.uv.iris import (
    DARKEST,
    IRISES,
    REDDEST,
    YELLOWEST,
    draw_irises,
    likely_iris,
    seen_iris,
    whitened,
)

BLUE = torch.tensor([0.08, 0.12, 0.2])
SIZE = 400


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_base_model()


@pytest.fixture(scope="module")
def fit(model: FaceModel) -> HeadParameters:
    counts = model.identity_count, model.expression_count, model.diffuse_count, model.specular_count
    return HeadParameters(
        *(torch.zeros(1, count) for count in counts),
        pose=frontal_pose(1, 700.0),
        camera=PerspectiveCamera(torch.tensor([1200.0]), torch.full((1, 2), SIZE / 2), (SIZE, SIZE)),
        light=ambient_light(1),
    )


@pytest.fixture(scope="module")
def landmarks(model: FaceModel, fit: HeadParameters) -> torch.Tensor:
    return project_landmarks(fit, model.landmark_points(model.mean, LANDMARK_SET)[None])[0]


def photo_of(landmarks: torch.Tensor, color: torch.Tensor) -> torch.Tensor:
    """Grey, with a coloured disc at each iris."""
    photo = torch.full((SIZE, SIZE, 3), 0.4)
    rows, columns = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    for _, centre, margin, _ in IRISES:
        radius = (landmarks[list(margin)] - landmarks[centre]).norm(dim=-1).mean()
        away = (torch.stack([columns, rows], -1) - landmarks[centre]).norm(dim=-1)
        photo[away < radius] = color
    return srgb_from_linear(photo).permute(2, 0, 1)


def test_the_colour_is_the_photos_without_its_light(model, fit, landmarks) -> None:
    seen = seen_iris(model, photo_of(landmarks, BLUE), fit, landmarks)
    assert seen is not None
    assert torch.allclose(seen.albedo / seen.albedo.mean(), BLUE / BLUE.mean(), atol=0.02)
    brighter = HeadParameters(**{**vars(fit), "light": ambient_light(1, 2.0)})
    other = seen_iris(model, photo_of(landmarks, BLUE), brighter, landmarks)
    assert other is not None
    assert torch.allclose(other.albedo, seen.albedo / 2, rtol=1e-3)
    black = seen_iris(model, photo_of(landmarks, 0 * BLUE), fit, landmarks)
    assert black is not None
    assert torch.allclose(black.albedo, torch.tensor(DARKEST))


def test_both_eyes_have_a_colour_that_irises_have(model, fit, landmarks) -> None:
    """Skin that runs into small irises makes no amber, and a window in one eye makes it no brighter."""
    amber, brown = torch.tensor([0.12, 0.04, 0.01]), torch.tensor([0.06, 0.035, 0.022])
    seen = seen_iris(model, photo_of(landmarks, amber), fit, landmarks)
    assert seen is not None
    assert seen.albedo[0] <= (REDDEST + 0.01) * seen.albedo[1] <= REDDEST * YELLOWEST * 1.02 * seen.albedo[2]
    plain, window = photo_of(landmarks, brown), photo_of(landmarks, brown)
    x, y = (landmarks[468] + torch.tensor([2.0, -3.0])).int().tolist()
    window[:, y - 4 : y + 6, x : x + 6] = 1.0
    colors = [seen_iris(model, photo, fit, landmarks) for photo in (plain, window)]
    found = torch.stack([color.albedo for color in colors if color is not None])
    assert torch.allclose(
        found[0] / found[0].mean(), brown / brown.mean(), atol=0.02
    )  # the control: as it is
    assert torch.allclose(found[0], found[1], rtol=0.02)


def test_irises_that_no_photo_shows_are_brown_in_any_cast() -> None:
    skin = torch.ones(8, 8, 1)
    for cast in ((0.4, 0.23, 0.15), (0.3, 0.3, 0.3), (0.3, 0.1, 0.03)):
        iris = likely_iris(torch.tensor(cast).expand(8, 8, 3), skin)
        assert iris[0] >= iris[1] >= iris[2] > 0
        assert iris[0] <= (REDDEST + 0.01) * iris[1]
        assert iris.mean() < 0.3 * torch.tensor(cast).mean()


def test_what_cannot_be_seen_tells_nothing(model, fit, landmarks) -> None:
    photo = photo_of(landmarks, BLUE)
    assert seen_iris(model, photo, fit, 0.2 * landmarks) is None  # too small
    assert seen_iris(model, photo, fit, landmarks - 1000) is None  # out of the photo
    shut = landmarks.clone()
    for *_, (upper, lower) in IRISES:
        shut[upper] = shut[lower]
    assert seen_iris(model, photo, fit, shut) is None
    hidden = seen_iris(model, photo, fit, landmarks, lambda places: torch.ones(len(places)))
    assert hidden is None


def test_irises_are_round_on_the_head(model) -> None:
    chart = HeadChart.of(model, 512)
    plain = bake(chart.chart, model.diffuse_mean, gutter=False)
    drawn = draw_irises(chart.irises, plain, BLUE)
    points = model.landmark_points(model.mean, LANDMARK_SET)
    changed = (drawn - plain).abs().sum(-1).reshape(-1)[chart.chart.texel] > 1e-6
    for part, centre, margin, _ in IRISES:
        own = model.parts[part][chart.chart.corners].all(1)
        away = (chart.chart.gather(model.mean) - points[centre]).norm(dim=-1)
        away = away / (points[list(margin)] - points[centre]).norm(dim=-1).mean()
        assert not changed[own & (away > 1.5)].any()
        colors = drawn.reshape(-1, 3)[chart.chart.texel]
        iris, white, pupil = (
            colors[own & (away > low) & (away < high)].median(0).values
            for low, high in ((0.5, 0.7), (1.1, 1.2), (0.0, 0.3))
        )
        assert torch.allclose(iris / iris.mean(), BLUE / BLUE.mean(), atol=0.05)
        assert white.mean() > 1.3 * iris.mean() > 5 * pupil.mean()
        # Wherever one looks around the margin, the white begins at the same distance.
        ring = own & (away > 1.08) & (away < 1.14)
        assert (colors[ring].mean(-1) > 0.8 * white.mean()).float().mean() > 0.95
    eyes = (model.parts["left_eye"] | model.parts["right_eye"])[chart.chart.corners].all(1)
    assert not changed[~eyes].any()


def test_whites_have_little_of_the_colour_of_skin() -> None:
    plain, pink = (
        torch.tensor(color).expand(8, 8, 3).clone() for color in ((0.5, 0.5, 0.5), (0.4, 0.2, 0.15))
    )
    white = torch.zeros(8, 8, 1)
    white[:4] = 1
    found = whitened(pink.clone(), plain, white)
    assert torch.equal(found[4:], pink[4:])
    assert float((found[0, 0].max() - found[0, 0].min()) / (pink[0, 0].max() - pink[0, 0].min())) < 0.55
    assert torch.allclose(luminance(found), luminance(pink), atol=1e-5)  # as bright as it was
