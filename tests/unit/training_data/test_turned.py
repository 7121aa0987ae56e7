import numpy as np
import pytest

from training_data.turned import rotation, yaw_of  # pyright: ignore[reportMissingImports]
from training_data.warp import CLAMP, CONSTANT, cut_batch, sharpen  # pyright: ignore[reportMissingImports]

CROP = np.array([[4.0, 4.0, 8.0, 0.0]])


def cut(image: np.ndarray, frames: np.ndarray, *, flip: bool = False, fill: int = CLAMP, level: float = 0.0):
    place, fills, levels = np.array([[0, *image.shape]]), np.array([fill]), np.array([level])
    out = np.empty((1, 8, 8), np.float32)
    cut_batch(image.ravel(), place, frames, np.array([flip]), fills, place, frames, levels, out)
    return out[0] * 255


def test_crop_of_the_whole_image_is_the_image():
    image = np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)
    np.testing.assert_allclose(cut(image, CROP), image, atol=1e-3)
    np.testing.assert_allclose(cut(image, CROP, flip=True), image[:, ::-1], atol=1e-3)
    quarter = CROP + np.array([0, 0, 0, np.pi / 2])
    np.testing.assert_allclose(cut(image, quarter), np.rot90(image), atol=1e-2)


def test_beyond_the_photo_the_fill_is_seen():
    image = np.full((8, 8), 200, np.uint8)
    outside = cut(image, CROP + np.array([8.0, 0, 0, 0]), fill=CONSTANT, level=30.0)
    np.testing.assert_allclose(outside, 30.0, atol=1e-3)


@pytest.mark.parametrize("yaw", [-1.0, 0.3, 1.2])
def test_turning_adds_to_the_yaw(yaw: float):
    points = np.zeros((1, 478, 3))
    points[0, 33], points[0, 263] = (-1, 0, 0), (1, 0, 0)
    points[0, 1] = (0, 0, -1)
    moved = points @ rotation(yaw, 0.0).T
    assert yaw_of(moved)[0] == pytest.approx(yaw)
    # The nose goes to the image left for a positive yaw.
    assert np.sign(moved[0, 1, 0]) == -np.sign(yaw)


def test_sharpening_steepens_edges_and_leaves_planes():
    scratch = np.empty((8, 8), np.float32)
    flat = np.full((8, 8), 0.4, np.float32)
    sharpen(flat, 1.0, scratch)
    np.testing.assert_allclose(flat, 0.4, atol=1e-6)
    edge = np.where(np.arange(8) < 4, 0.3, 0.6)[None].repeat(8, 0).astype(np.float32)
    before = edge.copy()
    sharpen(edge, 1.0, scratch)
    step = np.abs(np.diff(edge, axis=1)).max()
    assert step > np.abs(np.diff(before, axis=1)).max() + 0.1
