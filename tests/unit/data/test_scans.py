"""Scans lie on the heads that they show, and say what those are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.data.protocols import PHOTO_PROTOCOLS, SCAN_PROTOCOLS, protocol_named
from facewright.data.scanner import smooth_field
from facewright.data.scans import own_detail, scan_sample
from facewright.geometry.nearest import closest_points, index_surface

AHEAD, AROUND, DEPTH = (SCAN_PROTOCOLS[f"synthetic-{name}"] for name in ("bosphorus", "stirling", "florence"))


def off_surface(studio, sample, vertices) -> np.ndarray:
    """Distances of the face's middle points of a scan to the head itself, mm."""
    nose = sample.landmarks[30]
    near = vertices[np.linalg.norm(vertices - nose, axis=1) < 45][::20]
    surface = index_surface(sample.truth, studio.model.topology.faces.numpy())
    return closest_points(surface, near).distance


@pytest.mark.parametrize("protocol", [AHEAD, AROUND])
def test_a_scan_lies_on_its_head(studio, protocol) -> None:
    coarse = replace(protocol, spacing=2.5)
    sample = scan_sample(studio, coarse, 3, 1)
    distance = off_surface(studio, sample, sample.vertices)
    assert len(distance) > 20
    assert np.median(distance) < 3 * protocol.noise
    moved = sample.vertices + np.array([0.0, 0.0, 4.0])
    assert np.median(off_surface(studio, sample, moved)) > 3 * protocol.noise
    assert sample.faces.max() < len(sample.vertices)


def test_scans_differ_in_their_resolution_alone(studio) -> None:
    coarse, ends = replace(AHEAD, spacing=5.0), []
    for scale in ((0.8, 0.8), (1.25, 1.25), (0.8, 1.25)):
        ends.append(scan_sample(studio, replace(coarse, scale=scale), 3, 0))
    fine, rough, drawn = (len(sample.vertices) for sample in ends)
    assert fine / rough > (1.25 / 0.8) ** 2  # and more, as rims are lost between points far apart
    assert rough < drawn < fine
    assert all(np.array_equal(sample.truth, ends[0].truth) for sample in ends)
    frames = [scan_sample(studio, DEPTH, 3, index).frame for index in (3, 4)]
    sizes = {frame.depth.shape[0] for frame in frames if frame is not None}
    assert len(sizes) == 2
    assert 320 / 1.25 - 1 <= min(sizes) <= max(sizes) <= 320 / 0.8 + 1


def test_own_detail_is_as_large_as_documented(studio) -> None:
    points = studio.model.mean.double().numpy()
    drawn = np.stack([own_detail(points, np.random.default_rng(seed)) for seed in range(40)])
    each_axis, whole = np.sqrt((drawn**2).mean()), np.sqrt((drawn**2).sum(2).mean())
    assert abs(each_axis - np.hypot(1.0, 0.25)) < 0.1
    assert abs(whole - 1.8) < 0.2


def test_a_person_keeps_their_shape_and_detail(studio) -> None:
    coarse = replace(AHEAD, spacing=4.0)
    first, second = (scan_sample(studio, coarse, 3, index) for index in (0, 1))
    other = scan_sample(studio, coarse, 3, coarse.scans)
    assert first.subject == second.subject != other.subject
    assert np.array_equal(first.identity, second.identity)
    assert not np.array_equal(first.identity, other.identity)
    assert first.detail == second.detail > 0.5
    assert (first.expression_name, second.expression_name) == ("neutral", "happiness")


def test_detail_lies_outside_of_the_linear_space(studio) -> None:
    sample = scan_sample(studio, replace(AHEAD, spacing=4.0), 3, 0)
    model = studio.model
    coefficients = (
        torch.from_numpy(row.astype(np.float32))[None] for row in (sample.identity, sample.expression)
    )
    inside = model.vertices(*coefficients)[0].double().numpy()
    face = model.regions["face"].numpy()
    a, b = inside[face] - inside[face].mean(0), sample.truth[face] - sample.truth[face].mean(0)
    u, _, vt = np.linalg.svd(a.T @ b)
    rest = b - a @ (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt)
    assert 0.4 < np.sqrt((rest**2).sum(1).mean()) < 4.0


def test_a_scan_does_not_depend_on_others(studio) -> None:
    coarse = replace(AHEAD, spacing=4.0)
    first, again, other = (scan_sample(studio, coarse, 3, index) for index in (2, 2, 3))
    assert np.array_equal(first.vertices, again.vertices)
    assert first.vertices.shape != other.vertices.shape or not np.array_equal(first.vertices, other.vertices)


def test_a_frame_shows_its_head(studio) -> None:
    sample = scan_sample(studio, DEPTH, 3, 3)
    frame = sample.frame
    assert frame is not None
    assert len(sample.vertices) == 0
    lens, nose = frame.intrinsics, sample.landmarks[30]
    column, row = (int(lens.fx * nose[k] / nose[2] + c) for k, c in enumerate((lens.cx, lens.cy)))
    assert abs(frame.depth[row, column] - nose[2]) < 5.0
    assert frame.colors.shape == (2 * frame.depth.shape[0], 2 * frame.depth.shape[1], 3)
    yaws = [scan_sample(studio, DEPTH, 3, index).turn[0] for index in (0, 6)]
    assert np.degrees(yaws) == pytest.approx([-80, 80])


def test_there_are_as_many_scans_as_the_originals_have_people_for() -> None:
    assert {name: protocol.subjects for name, protocol in SCAN_PROTOCOLS.items()} == {
        "synthetic-frgc": 466,
        "synthetic-bosphorus": 105,
        "synthetic-florence": 53,
        "synthetic-stirling": 116,
    }
    assert SCAN_PROTOCOLS["synthetic-florence"].scans == 21


def test_what_is_not_there_is_refused(studio) -> None:
    with pytest.raises(InputError, match="0 to 927"):
        scan_sample(studio, AROUND, 0, 928)
    with pytest.raises(InputError, match="synthetic-celeba"):
        protocol_named("celeba")
    assert set(PHOTO_PROTOCOLS) == {"synthetic-celeba", "synthetic-300wlp"}


def test_a_field_has_the_size_and_the_wavelengths_that_are_asked_for() -> None:
    points = np.random.default_rng(0).uniform(-80, 80, (4000, 3))
    near = points + np.array([2.0, 0.0, 0.0])
    steps = []
    for lengths in ((60.0, 160.0), (8.0, 30.0)):
        fields = [smooth_field(p, np.random.default_rng(1), 48, lengths) for p in (points, near)]
        assert abs(np.sqrt((fields[0] ** 2).mean()) - 1) < 0.25
        steps.append(np.abs(fields[1] - fields[0]).mean())
    assert steps[1] > 3 * steps[0]
