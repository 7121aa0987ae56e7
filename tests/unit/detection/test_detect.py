"""The shipped networks on the two public-domain portraits, moved about in ways with a known answer."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import AssetError
from facewright.detection import DetectionSettings, FaceDetector, FaceLandmarker, Landmarks, detect
from facewright.detection.crop import frames_from_landmarks
from facewright.image.io import Photograph, photograph_of

# Mirror partners of eye corners, mouth corners, nose tip and irises.
LEFT_RIGHT = ((33, 263), (133, 362), (61, 291), (1, 1), (468, 473), (13, 13), (152, 152))


@pytest.fixture(scope="module")
def networks() -> dict:
    torch.manual_seed(0)
    return {"detector": FaceDetector.load(), "landmarker": FaceLandmarker.load()}


@pytest.fixture(scope="module")
def astronaut(portraits: dict[str, Path]) -> Tensor:
    return read(portraits["astronaut"])


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255


def eye_distance(face: Landmarks) -> float:
    return float((face.points[33] - face.points[263]).norm())


def turned(photo: Tensor, angle: float) -> Tensor:
    """The photo turned about its centre, clockwise as seen."""
    cos, sin = math.cos(angle), math.sin(angle)
    theta = torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]])
    assert photo.shape[1] == photo.shape[2]
    grid = functional.affine_grid(theta, [1, *photo.shape], align_corners=False)
    return functional.grid_sample(photo[None], grid, padding_mode="border", align_corners=False)[0]


def test_a_photo_may_be_given_in_any_form(
    networks: dict, portraits: dict[str, Path], astronaut: Tensor
) -> None:
    (seen,) = detect(astronaut, **networks)
    for form in (portraits["astronaut"], str(portraits["astronaut"]), photograph_of(astronaut)):
        (face,) = detect(form, **networks)
        assert torch.allclose(face.points, seen.points, atol=0.01)
    # A large file is reduced while it is read; its points are still its own.
    large = functional.interpolate(astronaut[None], scale_factor=8, mode="nearest")[0]
    (face,) = detect((large * 255).byte().permute(1, 2, 0).numpy(), **networks)
    assert (face.points / 8 - seen.points).norm(dim=1).mean() < 0.01 * eye_distance(seen)


def test_each_portrait_has_one_face_with_points_in_their_places(networks: dict, portraits: dict[str, Path]):
    for path in portraits.values():
        (face,) = detect(read(path), **networks)
        points = face.points
        assert face.presence > 0.9
        assert points[33, 0] < points[133, 0] < points[362, 0] < points[263, 0]
        assert points[159, 1] < points[1, 1] < points[13, 1] < points[152, 1]
        # Each iris lies between the corners of its eye.
        for iris, outer, inner in ((468, 33, 133), (473, 263, 362)):
            middle = 0.5 * (points[outer] + points[inner])
            assert (points[iris] - middle).norm() < 0.35 * (points[outer] - points[inner]).norm()


def test_known_place_of_the_astronaut(networks: dict, astronaut: Tensor):
    (face,) = detect(astronaut, **networks)
    # Read off the picture by eye: pupils and mouth corners.
    for index, place in ((468, (204.8, 101.1)), (473, (248.0, 103.1))):
        assert (face.points[index] - torch.tensor(place)).norm() < 0.08 * eye_distance(face)
    assert (face.points[468] - face.points[473]).norm() > 0.5 * eye_distance(face)


@pytest.mark.parametrize("angle", [-0.6, 0.4])
def test_points_turn_with_the_photo(networks: dict, astronaut: Tensor, angle: float):
    (upright,) = detect(astronaut, **networks)
    (face,) = detect(turned(astronaut, angle), **networks)
    centre = torch.tensor([256.0, 256.0])
    cos, sin = math.cos(angle), math.sin(angle)
    expected = (upright.points - centre) @ torch.tensor([[cos, sin], [-sin, cos]]) + centre
    error = (face.points - expected).norm(dim=-1).mean() / eye_distance(upright)
    assert error < 0.04
    assert (face.points - upright.points).norm(dim=-1).mean() / eye_distance(upright) > 0.3, "control"


def test_points_scale_and_shift_with_the_photo(networks: dict, astronaut: Tensor):
    (face,) = detect(astronaut, **networks)
    small = functional.interpolate(astronaut[None], scale_factor=0.4, mode="bilinear", antialias=True)[0]
    scene = torch.full((3, 500, 900), 0.4)
    scene[:, 200 : 200 + small.shape[1], 600 : 600 + small.shape[2]] = small
    (moved,) = detect(scene, **networks)
    expected = face.points * (small.shape[1] / 512) + torch.tensor([600.0, 200.0])
    assert (moved.points - expected).norm(dim=-1).mean() / eye_distance(moved) < 0.05


def test_mirrored_photo_gives_mirrored_points(networks: dict, astronaut: Tensor):
    (face,) = detect(astronaut, **networks)
    (mirrored,) = detect(astronaut.flip(2), **networks)
    for left, right in LEFT_RIGHT:
        expected = torch.tensor([512.0, 0.0]) + face.points[left] * torch.tensor([-1.0, 1.0])
        assert (mirrored.points[right] - expected).norm() < 0.08 * eye_distance(face)


def test_main_face_comes_first(networks: dict, astronaut: Tensor):
    small = functional.interpolate(astronaut[None], scale_factor=0.5, mode="bilinear", antialias=True)[0]
    scene = torch.full((3, 512, 800), 0.3)
    scene[:, :512, 288:] = astronaut
    scene[:, 256:512, :256] = small
    faces = detect(scene, **networks)
    assert len(faces) == 2
    assert faces[0].box[0] > 288 > faces[1].box[2]
    only = detect(scene, settings=DetectionSettings(max_faces=1), **networks)
    assert len(only) == 1
    torch.testing.assert_close(only[0].points, faces[0].points, atol=0.01, rtol=0)


def test_face_filling_or_cut_by_the_border_is_found(networks: dict, astronaut: Tensor):
    tight = astronaut[:, 60:185, 165:285].contiguous()
    (face,) = detect(tight, **networks)
    assert 35 < face.points[1, 0] < 80
    cut = astronaut[:, 75:300, 190:400].contiguous()  # the left edge runs through the cheek
    assert len(detect(cut, **networks)) == 1


@pytest.mark.parametrize("size", [(1, 1), (24, 24), (2, 700), (333, 217)])
def test_nothing_is_found_where_nothing_is(networks: dict, size: tuple[int, int]):
    generator = torch.Generator().manual_seed(3)
    for photo in (torch.zeros(3, *size), torch.ones(3, *size), torch.rand(3, *size, generator=generator)):
        assert detect(Photograph(photo, size), **networks) == []


def test_only_what_may_be_a_face_is_looked_at_twice(astronaut: Tensor):
    detector, landmarker = FaceDetector.load(), FaceLandmarker.load()
    (face,) = detector(astronaut)[:1]
    nothing = replace(face, center=(90.0, 400.0))
    first, second = landmarker.looks
    looked: list[np.ndarray] = []

    def noted(grey: Tensor, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        looked.append(frames)
        return second(grey, frames)

    landmarker.looks = [first, noted]
    found, empty = landmarker(astronaut, [face, nothing])
    assert found.presence > 0.9
    assert empty.presence < 0.3
    (frames,) = looked
    assert len(frames) == 1
    # The second crop lies around the points of the first look, nearer to the final ones than the detector's.
    final = frames_from_landmarks(found.points[None].double().numpy())[0]
    assert abs(frames[0] - final)[:2].max() < 0.03 * final[2]
    assert abs(frames[0, 2] / final[2] - 1) < 0.08


def test_damaged_weights_are_refused(tmp_path: Path):
    path = tmp_path / "detector.safetensors"
    path.write_bytes(b"\x10" * 200)
    with pytest.raises(AssetError):
        FaceDetector.load(path=path)
    with pytest.raises(AssetError):
        FaceLandmarker.load(second=tmp_path / "absent.safetensors")
