"""Each of a camera's faults does what it is called."""

import io
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from facewright.data.sensor import (
    SensorDraw,
    SensorSettings,
    draw_sensor,
    photograph,
    read_photograph,
)

PERFECT = SensorDraw(0.0, (1.0, 1.0, 1.0), 0.0, 1.0, 0.0, 0.0, 1.0, grey=False, quality=96, noise_seed=1)
FLAT = torch.full((3, 64, 64), 0.2)


def edge() -> torch.Tensor:
    picture = FLAT.clone()
    picture[:, :, 32:] = 0.6
    return picture


def steepness(sensor: SensorDraw) -> float:
    return float(read_photograph(photograph(edge(), sensor)).diff(dim=-1).abs().max())


def spread(sensor: SensorDraw) -> float:
    return float(read_photograph(photograph(FLAT, sensor)).std())


def test_a_perfect_camera_changes_little() -> None:
    picture = read_photograph(photograph(FLAT, PERFECT))
    assert (picture - 0.4845).abs().max() < 0.01
    assert spread(PERFECT) < 0.003


def test_blur_and_low_resolution_soften_edges() -> None:
    sharp = steepness(PERFECT)
    assert steepness(replace(PERFECT, blur=1.2)) < 0.7 * sharp
    assert steepness(replace(PERFECT, detail=0.4)) < 0.7 * sharp


def test_noise() -> None:
    assert spread(replace(PERFECT, read_noise=0.02)) > 0.01
    noisy = replace(PERFECT, shot_noise=0.002)
    assert spread(noisy) > 0.01
    assert photograph(FLAT, noisy) == photograph(FLAT, noisy)
    assert photograph(FLAT, noisy) != photograph(FLAT, replace(noisy, noise_seed=2))


def test_exposure_gamma_and_white_balance() -> None:
    auto = replace(PERFECT, auto_exposure=1.0)
    bright, dark = (read_photograph(photograph(FLAT * k, auto)).mean() for k in (2.0, 0.5))
    assert abs(bright - dark) < 0.01
    assert read_photograph(photograph(FLAT, replace(PERFECT, gamma=1.5))).mean() < 0.4
    red = read_photograph(photograph(FLAT, replace(PERFECT, gain=(1.5, 1.0, 1.0)))).mean((1, 2))
    assert red[0] > red[1] + 0.05


def test_grey_pictures_have_one_channel() -> None:
    file = photograph(edge() * torch.tensor([1.0, 0.5, 0.2])[:, None, None], replace(PERFECT, grey=True))
    assert Image.open(io.BytesIO(file)).mode == "L"
    picture = read_photograph(file)
    assert torch.equal(picture[0], picture[2])


def test_draws_lie_in_their_ranges() -> None:
    rng, settings = np.random.default_rng(0), SensorSettings()
    cameras = [draw_sensor(settings, rng) for _ in range(300)]
    assert all(settings.blur[0] <= c.blur <= settings.blur[1] for c in cameras)
    assert all(settings.quality[0] <= c.quality <= settings.quality[1] for c in cameras)
    assert 0.04 < np.mean([c.grey for c in cameras]) < 0.18
