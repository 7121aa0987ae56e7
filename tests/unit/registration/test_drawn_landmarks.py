"""A landmarker's error on one face, measured on a drawing of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.registration.test_rgbd import AS_SEEN, LENS, MODEL, TIGHT, TRUTH, finder, frame

from facewright.detection.records import Landmarks
from facewright.registration import drawn_landmarks
from facewright.registration.drawn_landmarks import drawn_bias, drawn_picture, true_landmarks
from facewright.registration.rgbd import UNDRAWN, register_frame

OFF = np.stack([3 + np.cos(np.arange(478)), np.sin(np.arange(478)) - 2], axis=1)  # px


def landmarks(points: np.ndarray) -> Landmarks:
    seen = torch.from_numpy(points).float()
    return Landmarks(seen, 1.0, torch.cat([seen.min(0).values, seen.max(0).values]))


def test_landmarks_of_a_head_are_projected() -> None:
    for scale in (1, 2):
        image = frame(color_scale=scale)
        seen = finder(scale=scale)(image)[0].points.double().numpy()
        np.testing.assert_allclose(true_landmarks(image, MODEL, TRUTH, seen), seen, atol=1e-3)
    wide = replace(image, intrinsics=replace(LENS, fy=1.1 * LENS.fy))  # pixels that are not square
    pixels = true_landmarks(wide, MODEL, TRUTH, seen)
    middle = np.array([2 * LENS.cx, 2 * LENS.cy])
    np.testing.assert_allclose(pixels - middle, (seen - middle) * [1, 1.1], atol=1e-3)


def test_the_error_is_what_is_seen_off_the_drawn_head() -> None:
    image, face = frame(), finder()(None)[0]
    own = true_landmarks(image, MODEL, TRUTH, face.points.double().numpy())
    bias = drawn_bias(image, MODEL, TRUTH, face, lambda _: [landmarks(own + OFF)])
    assert bias is not None
    np.testing.assert_allclose(bias, OFF, atol=1e-3)
    # What is no face, or another one, tells nothing.
    assert drawn_bias(image, MODEL, TRUTH, face, lambda _: []) is None
    assert drawn_bias(image, MODEL, TRUTH, face, lambda _: [landmarks(own + 80)]) is None


def test_the_drawing_has_the_light_of_the_frame() -> None:
    def drawn(brightness: int) -> torch.Tensor:
        image = frame()
        covered = (image.depth > 0)[..., None]
        slope = np.linspace(-40, 40, image.colors.shape[1])[None, :, None]  # darker on the image's left
        colors = np.where(covered, brightness + slope, 20).clip(0, 255).astype(np.uint8)
        colors = np.broadcast_to(colors, image.colors.shape)
        return drawn_picture(replace(image, colors=np.ascontiguousarray(colors)), MODEL, TRUTH)

    dim, bright = drawn(90), drawn(180)
    face = torch.from_numpy(frame().depth > 0)
    assert (dim[:, face] * 255).mean() == pytest.approx(90, abs=15)
    assert (bright[:, face] * 255).mean() == pytest.approx(180, abs=15)
    assert (dim[:, 0, 0] * 255).mean() == pytest.approx(20, abs=15)
    middle = dim.shape[2] // 2
    left, right = (
        part[:, own].mean() for part, own in zip(dim.split(middle, 2), face.split(middle, 1), strict=True)
    )
    assert left + 0.05 < right


def test_a_frame_is_registered_in_spite_of_a_landmarker_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []
    picture = drawn_landmarks.drawn_picture

    def watched(*args):
        drawn.append(args[2])
        return picture(*args)

    monkeypatch.setattr(drawn_landmarks, "drawn_picture", watched)
    true = finder()(None)[0].points.double().numpy()

    def off(_: torch.Tensor) -> list[Landmarks]:
        own = true_landmarks(frame(), MODEL, drawn[-1], true) if drawn else true
        return [landmarks(own + 2 * OFF)]

    def error(drawing: bool) -> float:
        drawn.clear()
        found = register_frame(frame(), MODEL, off, replace(AS_SEEN, drawn=drawing)).registration
        assert UNDRAWN not in found.notes
        placed = found.transform.scan_from_head(found.vertices)
        return float(np.linalg.norm(placed - TRUTH, axis=1)[TIGHT].mean())

    assert error(drawing=True) < 1.5
    assert error(drawing=False) > 4  # the control


def test_a_drawing_without_a_face_is_said() -> None:
    answers = [finder()(None)]
    result = register_frame(
        frame(), MODEL, lambda _: answers.pop() if answers else [], replace(AS_SEEN, drawn=True)
    )
    assert UNDRAWN in result.registration.notes
