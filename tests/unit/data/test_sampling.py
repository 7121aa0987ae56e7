"""Draws follow the settings."""

import math
from dataclasses import replace

import numpy as np
import torch

from facewright.core.tensor_records import joined_rows
from facewright.data.sampling import (
    ExpressionSettings,
    PoseSettings,
    SamplingSettings,
    draw_expression,
    draw_light,
    draw_person,
    draw_turn,
    draw_view,
    expression_spread,
    placed_view,
    rotation_of,
)
from facewright.scene.lighting import SH_CONSTANTS, sh_basis

SETTINGS = SamplingSettings()


def test_yaw_reaches_as_far_as_it_may() -> None:
    far = PoseSettings(turned=0.5, turned_yaw=(0.0, math.radians(80)))
    rng = np.random.default_rng(0)
    turns = np.array([draw_turn(far, rng) for _ in range(2000)])
    assert math.radians(75) < np.abs(turns[:, 0]).max() <= math.radians(80)
    assert np.abs(turns[:, 1]).max() <= far.pitch_limit
    near = np.array([draw_turn(replace(far, turned=0.0), rng)[0] for _ in range(500)])
    assert abs(near.std() / far.yaw - 1) < 0.15


def test_yaw_turns_the_face_to_the_right_of_the_picture() -> None:
    forward = rotation_of(np.array([0.5, 0.0, 0.0])) @ torch.tensor([0.0, 0.0, 1.0])
    assert forward[0] > 0.4
    assert forward[2] < 0


def test_the_picture_holds_the_landmarks(base_model) -> None:
    rng = np.random.default_rng(1)
    views = joined_rows([draw_view(SETTINGS, rng) for _ in range(20)])
    rotation = torch.stack([rotation_of(draw_turn(SETTINGS.pose, rng)) for _ in range(20)])
    points = base_model.landmark_points(base_model.mean, "ibug68").expand(20, -1, -1)
    pose, camera = placed_view(points, rotation, views, SETTINGS.size)
    pixels = camera.project(pose.camera_from_head(points))
    assert (pixels[..., :2] > 0).all()
    assert (pixels[..., :2] < SETTINGS.size).all()
    depth = pixels[..., 2].mean(1)
    assert SETTINGS.distance[0] * 0.8 < depth.min() < depth.max() < SETTINGS.distance[1] * 1.1


def test_no_side_is_black() -> None:
    rng = np.random.default_rng(2)
    normals = torch.nn.functional.normalize(torch.randn(500, 3), dim=1)
    lamps = 0
    for _ in range(50):
        light, lamp = draw_light(SETTINGS, rng)
        grey = (sh_basis(normals) @ light.coefficients[0]).mean(-1)
        level = float(light.coefficients[0, 0].mean()) * SH_CONSTANTS[0]
        assert grey.min() > 0
        assert abs(grey.mean() / level - 1) < 0.2
        lamps += bool((lamp.intensity > 0).all())
    assert 20 < lamps < 42


def test_expressions_are_activations_and_some_mouths_are_open(base_model) -> None:
    rng = np.random.default_rng(3)
    drawn = torch.stack([draw_expression(base_model, ExpressionSettings(), rng) for _ in range(300)])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    jaw = drawn[:, base_model.expression_names.index("jawOpen")]
    assert 0.25 < (jaw > 0.2).float().mean() < 0.6


def test_expressions_go_together_as_in_people(base_model) -> None:
    rng, prior = np.random.default_rng(5), base_model.expression_prior
    spread = expression_spread(base_model)
    covariance = torch.diag(prior.std) @ prior.correlation @ torch.diag(prior.std)
    assert np.abs(spread @ spread.T - covariance.numpy()).max() < 1e-4
    settings = ExpressionSettings(strength=(1.0, 1.0), active=1.0, open_mouth=0.0)
    names = base_model.expression_names
    pair = [names.index("mouthSmileLeft"), names.index("mouthSmileRight")]

    def together(drawn) -> float:
        return float(np.corrcoef(torch.stack(drawn)[:, pair].T.numpy())[0, 1])

    assert together([draw_expression(base_model, settings, rng, spread) for _ in range(300)]) > 0.6
    assert together([draw_expression(base_model, settings, rng) for _ in range(300)]) < 0.3


def test_eyes_look_together(base_model) -> None:
    rng, names = np.random.default_rng(6), base_model.expression_names
    spread = expression_spread(base_model)
    drawn = torch.stack([draw_expression(base_model, ExpressionSettings(), rng, spread) for _ in range(300)])

    def apart(one: str, other: str) -> float:
        return float((drawn[:, names.index(one)] - drawn[:, names.index(other)]).abs().mean())

    assert apart("eyeLookOutLeft", "eyeLookInRight") < 0.03
    assert apart("eyeLookUpLeft", "eyeLookUpRight") < 0.03
    assert apart("mouthSmileLeft", "mouthSmileRight") > 0.06


def test_people_differ_by_the_model_s_spread(base_model) -> None:
    rng = np.random.default_rng(4)
    people = [draw_person(base_model, SETTINGS, expression_spread(base_model), rng) for _ in range(60)]
    assert abs(float(torch.cat([p.identity for p in people]).std()) - 1) < 0.05
    assert float(torch.cat([p.diffuse for p in people])[:, 0].abs().max()) <= SETTINGS.tone
    exponents, (least, most) = torch.cat([p.shininess for p in people]), SETTINGS.shininess
    assert least <= float(exponents.min()) < float(exponents.max()) <= most
    assert abs(float(exponents.log().mean()) - math.log(least * most) / 2) < 0.2
