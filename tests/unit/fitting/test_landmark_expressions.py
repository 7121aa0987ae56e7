"""What landmarks tell of expressions by themselves."""

import math
from dataclasses import replace

import pytest
import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.core.assets import write_safetensors
from facewright.core.errors import AssetError
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.landmark_expressions import (
    LandmarkExpressions,
    hats,
    load_landmark_expressions,
    pose_free,
)
from facewright.fitting.records import LANDMARK_SET
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.base import load_base_model

TURNS = torch.tensor([-0.9, 0.0, 0.9])


@pytest.fixture(scope="module")
def head():
    return load_base_model()


@pytest.fixture(scope="module")
def shipped(head):
    return load_landmark_expressions().of(head.expression_names, head.expression_prior)


def seen(head, yaw=0.0, roll=0.0, **shown):
    """Landmarks (1, 478, 2) of the mean head with some expressions, far away; yaw above 0 to the right."""
    expression = torch.zeros(1, head.expression_count)
    for name, value in shown.items():
        expression[0, head.expression_names.index(name)] = value
    points = head.landmark_points(head.vertices(None, expression), LANDMARK_SET)
    turn = rotation_from_axis_angle(torch.tensor([[0.0, yaw, 0.0], [0.0, 0.0, -roll]]))
    points = points @ (turn[1] @ turn[0]).mT
    return points[..., :2] * torch.tensor([3.0, -3.0]) + 200


def test_the_pose_is_taken_out(head):
    landmarks = head.landmarks[LANDMARK_SET]
    reference = head.landmark_points(head.mean, LANDMARK_SET)
    trust = torch.ones(1, 478)
    for yaw, roll in ((0.0, 0.0), (0.7, 0.4), (-0.5, -1.2)):
        points = seen(head, yaw, roll)
        away, sine = pose_free(reference, landmarks.contour, points, trust)
        assert float(away.abs().max()) < 0.3
        assert float(sine) == pytest.approx(math.sin(yaw), abs=0.02)
        # A point that moves down the face is seen to, whichever way the picture is turned.
        down = 3.0 * torch.tensor([-math.sin(roll), math.cos(roll)])
        points[0, 0] += 2.0 * down
        away, _ = pose_free(reference, landmarks.contour, points, trust)
        assert float(away[0, 0, 1]) == pytest.approx(2.0, abs=0.3)
        silent, _ = pose_free(reference, landmarks.contour, points, trust.index_fill(1, torch.tensor([0]), 0))
        assert float(silent[0, 0].abs().max()) == 0


def test_what_lies_between_two_turns_is_interpolated():
    share = hats(TURNS, torch.tensor([-2.0, -0.9, -0.45, 0.0, 0.3, 2.0]))
    torch.testing.assert_close(share.sum(1), torch.ones(6))
    torch.testing.assert_close(share[:, 1], torch.tensor([0.0, 0.0, 0.5, 1.0, 2 / 3, 0.0]))


def test_shut_eyes_glances_and_open_mouths_are_told(head, shipped):
    row, trust = {name: n for n, name in enumerate(head.expression_names)}, torch.ones(1, 478)
    rest = shipped.told(seen(head), trust)[0][0]
    for name, least in (("eyeBlinkLeft", 0.25), ("eyeLookOutLeft", 0.15), ("jawOpen", 0.15)):
        for yaw in (0.0, 0.5, -0.5):
            more = shipped.told(seen(head, yaw, **{name: 1.0}), trust)[0][0, row[name]]
            assert float(more - shipped.told(seen(head, yaw), trust)[0][0, row[name]]) > least, (name, yaw)
    assert float(rest[row["eyeBlinkLeft"]]) < 0.25
    assert float(rest[row["jawOpen"]]) < 0.15


def test_noise_makes_no_grimaces(head, shipped):
    generator, trust = torch.Generator().manual_seed(0), torch.ones(16, 478)
    for yaw in (0.0, 1.05):
        points = seen(head, yaw)
        plain = shipped.told(points, trust[:1])[0]
        noise = 0.75 * torch.randn(16, 478, 2, generator=generator)  # px; 0.25 mm
        assert float((shipped.told(points + noise, trust)[0] - plain).square().mean().sqrt()) < 0.05
    # No face at all tells no more than the strangest one does.
    told, std = shipped.told(torch.rand(16, 478, 2, generator=generator) * 100, trust)
    assert bool(torch.isfinite(told).all() & (std > 0).all())
    free = replace(shipped, strangest=1e9).told(torch.rand(16, 478, 2, generator=generator) * 100, trust)[0]
    assert float((told - plain).abs().mean()) < float((free - plain).abs().mean())


def test_a_model_has_the_prior_for_what_the_map_does_not_name(model):
    names = ("eyeBlinkLeft", *model.expression_names[1:])
    named = replace(model, expression_names=names)
    told = landmark_basis(named, told=load_landmark_expressions()).told
    assert isinstance(told, LandmarkExpressions)
    assert float(told.matrix[:, 0].abs().max()) > 0
    assert float(told.matrix[:, 1:].abs().max()) == 0
    torch.testing.assert_close(
        told.offset[:, 1:], model.expression_prior.mean[1:].expand(len(told.turns), -1)
    )
    assert landmark_basis(model, told=load_landmark_expressions()).told is None


def test_the_fit_expects_what_landmarks_tell(model):
    """A map that knows the truth makes a fit to noisy landmarks better."""
    truth = draw_parameters(model, 64, seed=5)
    pixels = landmarks_of(model, truth)
    pixels = pixels + 6 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1))
    basis = landmark_basis(model)
    reference, count = basis.mean[:, :478].T.contiguous(), len(model.expression_names)
    moved, _ = pose_free(reference, basis.contour, pixels.float(), torch.ones(64, 478))
    moved = torch.nn.functional.pad(moved.flatten(1), (0, 1), value=1.0)
    weights = torch.linalg.lstsq(moved, truth.expression, driver="gelsd").solution
    told = LandmarkExpressions(
        names=model.expression_names,
        reference=reference,
        contour=basis.contour,
        matrix=weights[:-1],
        strangest=1e9,
        turns=TURNS,
        offset=weights[-1].repeat(3, 1),
        slope=torch.ones(3, count),
        std=torch.full((3, count), 0.05),
        correlation=torch.eye(count),
    )
    errors = [
        (fit_landmarks(model, pixels, (600, 800), basis=b).parameters.expression - truth.expression)
        .abs()
        .mean()
        for b in (landmark_basis(model, told=told), basis)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "map.safetensors"
    write_safetensors(path, {"matrix": torch.zeros(3, 3)}, {"names": "a b c"})
    with pytest.raises(AssetError, match="fit_landmark_expressions"):
        load_landmark_expressions(path)
