"""Depth pictures with colour of a small known face."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.unit.registration.small_face import known_head, small_face

from facewright.core.errors import InputError, NoFaceError
from facewright.detection.records import Landmarks
from facewright.registration import rgbd
from facewright.registration.depth_image import (
    DepthImage,
    Intrinsics,
    depth_image,
    near_face,
    points_under,
    smoothed,
    surface_of_depth,
)
from facewright.registration.image_terms import ContourTerm, ViewFrame, nearest_on_ring
from facewright.registration.rgbd import RgbdSettings, register_frame
from facewright.registration.schedule import Stage
from facewright.render.rasterize import rasterize
from facewright.scene.camera import PerspectiveCamera

MODEL = small_face()
TIGHT = MODEL.regions["face_tight"].numpy()
TURN = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_rotvec([0.1, 0.25, 0.05]).as_matrix()
TRUTH = known_head(MODEL) @ TURN.T + [5.0, -8.0, 600.0]
LENS = Intrinsics(350.0, 350.0, 100.0, 110.0)
HEIGHT, WIDTH = 220, 200
AS_SEEN = replace(
    RgbdSettings(), drawn=False
).led_by_picture()  # the finders of these tests look at no picture
PLAIN = Intrinsics(100.0, 100.0, 40.0, 30.0)


def frame(noise: float = 0.5, color_scale: int = 1) -> DepthImage:
    camera = PerspectiveCamera(torch.tensor([LENS.fx]), torch.tensor([[LENS.cx, LENS.cy]]), (HEIGHT, WIDTH))
    pixels = camera.project(torch.from_numpy(TRUTH).float()[None])
    drawn = rasterize(pixels, MODEL.topology.faces, camera.size, perspective=True)
    depth = drawn.depth[0].double().numpy()
    depth += noise * np.random.default_rng(0).normal(size=depth.shape)
    depth = np.where(drawn.covered[0].numpy(), depth, 0.0)
    colors = np.full((color_scale * HEIGHT, color_scale * WIDTH, 3), 120, dtype=np.uint8)
    return depth_image("frame", depth, colors, LENS)


def finder(scale: float = 1.0, off: float = 0.0):
    """Sees the landmarks of the true head, each ``off`` px away."""
    points = MODEL.landmarks["dense478"].on(torch.from_numpy(TRUTH), MODEL.topology.faces).numpy()
    pixels = scale * (points[:, :2] / points[:, 2:] * [LENS.fx, LENS.fy] + [LENS.cx, LENS.cy])
    pixels += off * np.random.default_rng(1).normal(size=pixels.shape)
    seen = torch.from_numpy(pixels).float()
    box = torch.cat([seen.min(0).values, seen.max(0).values])
    return lambda _: [Landmarks(seen, 1.0, box)]


def error(settings: RgbdSettings, off: float = 0.3) -> float:
    """Distance to the same vertex of the true head, from the mean head, mm."""
    rigid = replace(
        MODEL, identity_basis=0 * MODEL.identity_basis, expression_basis=0 * MODEL.expression_basis
    )
    result = register_frame(frame(), rigid, finder(off=off), settings).registration
    placed = result.transform.scan_from_head(result.vertices)
    return float(np.linalg.norm(placed - TRUTH, axis=1)[TIGHT].mean())


def test_a_frame_is_registered_in_the_camera_frame() -> None:
    found = register_frame(frame(), MODEL, finder(), AS_SEEN)
    result = found.registration
    placed = result.transform.scan_from_head(result.vertices)
    assert np.linalg.norm(placed - TRUTH, axis=1)[TIGHT].mean() < 1.2
    assert result.distance[TIGHT].mean() < 0.4
    assert result.reliable[TIGHT].mean() > 0.9
    np.testing.assert_allclose(result.transform.rotation @ TURN, np.eye(3), atol=0.03)
    # What is rigid is taken out: the reliable face lies on the fit without a turn or shift of its own.
    face = TIGHT & result.reliable
    np.testing.assert_allclose((result.vertices - result.fit.vertices)[face].mean(0), 0, atol=1e-9)


def test_edges_tell_what_depth_does_not() -> None:
    alone = error(AS_SEEN.depth_alone())
    assert error(replace(AS_SEEN, others=0.0)) < 0.8 * alone
    assert error(replace(AS_SEEN, edges=0.0)) < 0.8 * alone
    # The control: edges seen in a wrong place do harm.
    assert error(AS_SEEN, off=8.0) > error(AS_SEEN)


def test_colour_of_another_size_is_said_and_scaled() -> None:
    doubled = frame(color_scale=2)
    assert any("scaled by 2" in note for note in doubled.notes)
    assert not frame().notes
    one = register_frame(frame(), MODEL, finder(), AS_SEEN).registration
    two = register_frame(doubled, MODEL, finder(scale=2.0), AS_SEEN).registration
    np.testing.assert_allclose(two.vertices, one.vertices, atol=1e-3)
    assert any("scaled by 2" in note for note in two.notes)


def test_depth_becomes_a_surface_that_faces_the_camera() -> None:
    depth = np.full((60, 80), 500.0)
    depth[:, 40:] = 600.0
    image = depth_image("step", depth, np.zeros((60, 80, 3), np.uint8), PLAIN)
    surface = surface_of_depth(image)
    a, b, c = surface.vertices[surface.faces].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] < 0).all()
    assert np.ptp(surface.vertices[surface.faces][..., 2], axis=1).max() == 0  # cut at the step
    assert len(surface.faces) == 2 * 59 * (39 + 39)
    np.testing.assert_allclose(surface.vertices[0], [(0.5 - 40) * 5, (0.5 - 30) * 5, 500])
    # The control: a slope that is no step stays whole.
    slope = np.tile(500 + 6.0 * np.arange(80), (60, 1))
    whole = surface_of_depth(replace(image, depth=slope))
    assert len(whole.faces) == 2 * 59 * 79


def test_smoothing_takes_noise_and_leaves_steps() -> None:
    clean, noisy = frame(noise=0.0), frame(noise=1.0)
    inside = points_under(clean, np.stack(np.meshgrid(np.arange(60, 140) + 0.5, np.arange(60, 150) + 0.5), -1)
                          .reshape(-1, 2))  # fmt: skip
    assert np.isfinite(inside).all()
    window = np.s_[60:150, 60:140]
    before = abs(noisy.depth - clean.depth)[window].mean()
    after = abs(smoothed(noisy, 3.0).depth - clean.depth)[window].mean()
    assert after < 0.5 * before
    step = np.where(np.arange(80) < 40, 500.0, 600.0) * np.ones((60, 1))
    image = depth_image("step", step, np.zeros((60, 80, 3), np.uint8), PLAIN)
    np.testing.assert_allclose(smoothed(image, 10.0).depth, step, atol=0.5)


def test_smoothing_works_only_where_there_is_depth() -> None:
    generator = np.random.default_rng(0)
    patch = 500 + generator.normal(size=(60, 80))
    small = depth_image("patch", patch, np.zeros((60, 80, 3), np.uint8), PLAIN)
    whole = np.zeros((1500, 2000))
    whole[700:760, 900:980] = patch
    large = replace(small, depth=whole)
    tracemalloc.start()
    found = smoothed(large, 10.0).depth
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found[700:760, 900:980], smoothed(small, 10.0).depth)
    assert np.count_nonzero(found) == patch.size
    assert peak < 2 * whole.nbytes  # one sum over the whole frame needs several times as much


def test_intrinsics_are_judged_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    good = frame()
    monkeypatch.setattr(rgbd, "smoothed", lambda *_: pytest.fail("smoothed what makes no face"))
    wrong = depth_image("frame", good.depth, good.colors, replace(LENS, fx=2 * LENS.fx, fy=2 * LENS.fy))
    with pytest.raises(InputError, match="mm apart"):
        register_frame(wrong, MODEL, finder())


def test_only_the_surroundings_of_the_face_stay() -> None:
    depth = np.full((60, 80), 500.0)
    depth[:10] = 2000.0
    image = depth_image("wall", depth, np.zeros((60, 80, 3), np.uint8), PLAIN)
    near = near_face(image, np.array([[35.0, 25.0], [45.0, 35.0]]))
    assert (near.depth[:10] == 0).all()
    assert near.depth[30, 40] == 500
    assert near.depth[30, 2] == 0
    edge = points_under(image, np.array([[40.5, 9.5], [40.5, 30.5], [-4.0, 5.0]]))
    assert np.isnan(edge[[0, 2]]).all()
    assert np.isfinite(edge[1]).all()


def test_bad_frames_are_refused() -> None:
    good = frame()
    colors = good.colors

    def refused(match: str, depth=good.depth, pictured=colors, lens=LENS) -> None:
        with pytest.raises(InputError, match=match):
            depth_image("frame", depth, pictured, lens)

    refused("no valid pixel", depth=np.zeros_like(good.depth))
    refused("no valid pixel", depth=np.full_like(good.depth, np.nan))
    refused("metres", depth=good.depth / 1000)
    refused("tenths", depth=good.depth * 100)
    refused(
        "too few",
        depth=np.where(np.arange(good.depth.size).reshape(good.depth.shape) == 110 * WIDTH + 100, 600.0, 0),
    )
    refused("another shape", pictured=np.zeros((HEIGHT, HEIGHT, 3), np.uint8))
    refused("as bytes", pictured=colors.astype(np.float32))
    refused("fx = 35 ", lens=replace(LENS, fx=35.0))
    refused("fy = 3500 ", lens=replace(LENS, fy=3500.0))
    refused("principal point", lens=replace(LENS, cx=-1.0))
    refused("principal point", lens=replace(LENS, cy=HEIGHT + 1.0))
    refused("finite", lens=replace(LENS, cy=float("nan")))
    # Intrinsics of another image size that pass for themselves make a face of no human size.
    for factor in (0.5, 2.0):
        other = depth_image(
            "frame", good.depth, colors, replace(LENS, fx=factor * LENS.fx, fy=factor * LENS.fy)
        )
        with pytest.raises(InputError, match="mm apart"):
            register_frame(other, MODEL, finder())
    with pytest.raises(NoFaceError, match="no face"):
        register_frame(good, MODEL, lambda _: [])
    hole = replace(good, depth=np.where(np.arange(WIDTH) < 140, 0.0, good.depth))
    with pytest.raises((NoFaceError, InputError), match="depth"):
        register_frame(hole, MODEL, finder())


def test_the_view_frame_and_the_ring() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3)) * 30 + [0, 0, 500]
    view = ViewFrame(450.0)
    moved = view.from_camera(points)
    np.testing.assert_allclose(view.to_camera(moved), points, atol=1e-9)
    nearer = view.from_camera(points * 1.3)
    np.testing.assert_allclose(nearer[:, :2], moved[:, :2])  # the same ray, the same place
    ring = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    near = nearest_on_ring(ring, np.array([[5.0, -3], [13, 12], [-1, 5]]))
    np.testing.assert_allclose(near, [[5, 0], [10, 10], [0, 5]])


def test_the_contour_is_drawn_to_the_curve_without_sliding_along_it() -> None:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    vertices = np.concatenate([np.pad(50 * ring, ((0, 0), (0, 1))), [[0.0, 0, 0]]])
    faces = np.stack([np.arange(24), (np.arange(24) + 1) % 24, np.full(24, 24)], 1)
    triangle = np.stack([np.arange(24), np.arange(24)], 1)
    share = np.tile(np.array([[1.0, 0, 0], [0.6, 0, 0.4]]), (24, 1, 1))
    half = np.pi / 24  # the curve's points lie between the landmarks: a pull to them would slide
    curve = 55 * ring @ np.array([[np.cos(half), np.sin(half)], [-np.sin(half), np.cos(half)]])
    term = ContourTerm(triangle, share, faces, curve, 1.0)
    rows = term.rows(vertices, np.zeros_like(vertices), Stage(1.0, landmarks=1.0))
    assert rows is not None
    assert rows.corner_weights is not None
    np.testing.assert_array_equal(rows.corner_weights, share[:, 0])  # the outermost candidate
    pull = rows.target[:, :2] - 50 * ring
    sideways = (pull * np.stack([-ring[:, 1], ring[:, 0]], 1)).sum(1)
    assert abs(sideways).max() < 1e-9
    assert ((pull * ring).sum(1) > 4).all()
    assert rows.axes == (True, True, False)
    assert term.rows(vertices, np.zeros_like(vertices), Stage(1.0)) is None
    # The control: where the inner candidates lie further out, they are taken.
    folded = vertices.copy()
    folded[24] = [200.0, 0, 0]
    taken = term.rows(folded, np.zeros_like(folded), Stage(1.0, landmarks=1.0))
    assert taken is not None
    assert taken.corner_weights is not None
    assert (taken.corner_weights[[23, 0, 1], 0] == 0.6).all()
