import numpy as np
import torch

from facewright.detection.crop import (
    CROP_MARGIN,
    crop_from_photo,
    cut_color_crops,
    cut_crops,
    frames_from_landmarks,
    halve,
    luma,
    photo_from_crop,
)

FRAMES = np.array([[40.0, 30.0, 24.0, 0.4], [300.0, 200.0, 200.0, -1.1]])


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def face_like(rng: np.random.Generator) -> np.ndarray:
    """Points in a 60 x 80 px box with eyes above the mouth; image left eye first."""
    points = rng.uniform([-30, -40], [30, 40], (478, 2))
    points[0], points[1] = (-30, -40), (30, 40)
    points[33], points[133], points[362], points[263] = (-22, -10), (-8, -10), (8, -10), (22, -10)
    points[61], points[291] = (-10, 20), (10, 20)
    return points


def test_crop_and_photo_points_are_inverse():
    points = np.random.default_rng(0).uniform(0, 1, (2, 9, 2))
    np.testing.assert_allclose(crop_from_photo(photo_from_crop(points, FRAMES), FRAMES), points, atol=1e-12)
    assert abs(crop_from_photo(photo_from_crop(points, FRAMES), FRAMES[::-1]) - points).max() > 0.1


def test_frame_follows_roll_shift_and_scale():
    points = face_like(np.random.default_rng(0))
    upright = frames_from_landmarks(points[None])[0]
    np.testing.assert_allclose(upright, [0, 0, 80 * CROP_MARGIN, 0], atol=1e-9)
    for angle in (-2.5, -0.7, 0.3, 1.5):
        frame = frames_from_landmarks(turned(3 * points, angle)[None] + [100.0, 50.0])[0]
        np.testing.assert_allclose(frame, [100, 50, 240 * CROP_MARGIN, angle], atol=1e-9)


def test_crops_hold_the_photo_at_their_pixel_centres():
    # A ramp is reproduced exactly by bilinear reading and by halving, so each crop pixel has a known value.
    height, width = 400, 640
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    grey = 0.001 * x + 0.002 * y
    crops = cut_crops(grey, FRAMES, 16)
    centres = (np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1).reshape(1, -1, 2) + 0.5) / 16
    places = photo_from_crop(np.repeat(centres, 2, 0), FRAMES)
    expected = places @ [0.001, 0.002]
    assert crops.shape == (2, 1, 16, 16)
    np.testing.assert_allclose(crops.reshape(2, -1).numpy(), expected, atol=1e-4)
    shifted = places + 0.5
    assert abs(shifted @ [0.001, 0.002] - expected).min() > 1e-3, "control: half a pixel is seen"


def test_crop_beyond_the_photo_shows_its_border():
    crops = cut_crops(torch.full((20, 30), 0.25), np.array([[-50.0, -50.0, 10.0, 0.0]]), 8)
    assert (crops == 0.25).all()


def test_no_frames_give_no_crops():
    assert cut_crops(torch.zeros(20, 30), np.zeros((0, 4)), 8).shape == (0, 1, 8, 8)


def test_halving_takes_means_of_four():
    image = torch.rand(1, 1, 6, 10)
    torch.testing.assert_close(halve(image), torch.nn.functional.avg_pool2d(image, 2))
    odd = halve(image[..., :5, :9])
    assert odd.shape == (1, 1, 3, 5)
    torch.testing.assert_close(odd[..., 2, 4], image[..., 4, 8])


def test_luma_weighs_the_channels_and_leaves_the_photo_alone():
    photo = torch.rand(3, 4, 5)
    before = photo.clone()
    grey = luma(photo)
    torch.testing.assert_close(grey, torch.einsum("chw,c->hw", photo, torch.tensor([0.299, 0.587, 0.114])))
    assert torch.equal(photo, before)


def test_a_crop_that_shrinks_reads_the_whole_photo_halved():
    generator = torch.Generator().manual_seed(0)
    photo = torch.rand(3, 203, 301, generator=generator)
    # Inside; over each border, turned; outside; wider than the photo.
    places = [
        (150, 100, 0.3),
        (20, 190, 2.0),
        (300, 5, -1.0),
        (150, -90, 0.0),
        (400, 130, 0.7),
        (140, 90, 1.0),
    ]
    for (x, y, roll), side in zip(places, (70.0, 80.0, 90.0, 60.0, 100.0, 600.0), strict=True):
        frame = np.array([[x, y, side, roll]])
        depth = int(np.log2(side / 16 / 1.15))
        halved = photo[None]
        for _ in range(depth):
            halved = halve(halved)
        smaller = frame / [2.0**depth, 2.0**depth, 2.0**depth, 1.0]
        whole, aside = (
            cut_color_crops(halved[0], smaller + shift * np.array([1, 1, 0, 0]), 16) for shift in (0, 1)
        )
        crop = cut_color_crops(photo, frame, 16)
        torch.testing.assert_close(crop, whole, atol=1e-4, rtol=0)
        assert not torch.allclose(crop, aside, atol=1e-2)  # the control
