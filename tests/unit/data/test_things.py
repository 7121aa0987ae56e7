"""Things on heads have the topology that they were announced with, and lie where they belong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.core.errors import InputError
from facewright.data import hair, occluders
from facewright.data.backdrops import Backdrops
from facewright.data.face_frame import FaceFrame
from facewright.data.props import capsule, grid_faces


@pytest.fixture(scope="module")
def frame(base_model) -> FaceFrame:
    points = base_model.landmark_points(base_model.mean, "ibug68").double().numpy()
    return FaceFrame.of(points, base_model.mean[base_model.parts["skin"]].double().numpy())


def test_things_fit_their_triangles(frame, base_model) -> None:
    rng = np.random.default_rng(0)
    skin = base_model.mean[base_model.parts["skin"]].double().numpy()
    neck = skin[skin[:, 1] < frame.neck + 12]
    style = replace(hair.draw_hair(rng, long=True), long=50.0)
    made = (
        (occluders.glasses(frame, rng, dark=True), occluders.GLASSES_FACES, occluders.GLASSES_COUNT),
        (occluders.hand(frame, np.full(3, 0.3), rng), occluders.HAND_FACES, occluders.HAND_COUNT),
        (occluders.round_thing(frame, rng), occluders.THING_FACES, occluders.THING_COUNT),
        (occluders.clothes(frame, neck, 0.2, rng), occluders.CLOTHES_FACES, occluders.CLOTHES_COUNT),
        (hair.hanging_hair(frame, style, rng), hair.HANGING_FACES, hair.HANGING_COUNT),
    )
    for prop, faces, count in made:
        assert prop.vertices.shape == (count, 3)
        assert np.isfinite(prop.vertices).all()
        assert faces.min() == 0
        assert faces.max() == count - 1
        assert len(prop.albedo) == len(prop.specular) == len(prop.strand) == count


def test_glasses_sit_before_the_eyes_and_end_at_the_ears(frame) -> None:
    clear, dark = (occluders.glasses(frame, np.random.default_rng(1), dark=d) for d in (False, True))
    assert np.isnan(clear.vertices).any()
    there = dark.vertices
    assert there[:, 2].max() > frame.eyes[:, 2].max()
    assert there[:, 2].min() < frame.ear[2]
    assert abs(np.abs(there[:, 0]).max() - frame.ear[0]) < 15


def test_hair_grows_above_the_hairline_alone(studio, frame, base_model) -> None:
    from facewright.geometry.normals import vertex_normals

    rng = np.random.default_rng(2)
    points = base_model.mean.double().numpy()
    normals = vertex_normals(base_model.mean[None], base_model.topology.faces)[0].double().numpy()
    style = hair.draw_hair(rng, long=False)
    prop = studio.hair.on(points, normals, frame, style, rng)
    there = np.isfinite(prop.vertices).all(1)
    away = np.linalg.norm(prop.vertices - points[studio.hair.vertex], axis=1)
    top = points[studio.hair.vertex][:, 1] > frame.brow + 90
    assert away[there & top].mean() > 0.6 * style.thickness
    face = base_model.regions["face_tight"].numpy()[studio.hair.vertex]
    below = face & (points[studio.hair.vertex][:, 1] < frame.brow)
    assert not (there & below).any()


def test_a_capsule_is_closed_and_has_its_radii() -> None:
    points = capsule(np.zeros(3), np.array([0.0, 50.0, 0.0]), (10.0, 6.0), 11, 12)
    assert len(points) == grid_faces(11, 12, around=True).max() + 1
    assert -10.5 < points[:, 1].min() < -8.5
    assert 54.5 < points[:, 1].max() < 56.5
    assert np.abs(points[:, [0, 2]]).max() < 10.01


def test_backdrops_of_a_folder(tmp_path) -> None:
    Image.new("RGB", (80, 60), (255, 0, 0)).save(tmp_path / "red.png")
    red = Backdrops.of_folder(tmp_path).draw(32, 1.0, np.random.default_rng(0))
    assert red.shape == (3, 32, 32)
    assert torch.allclose(red.mean((1, 2)), torch.tensor([1.0, 0.0, 0.0]), atol=1e-3)
    drawn = Backdrops().draw(32, 1.0, np.random.default_rng(0))
    assert drawn.std() > 0.005
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="0 pictures"):
        Backdrops.of_folder(tmp_path / "empty")
    with pytest.raises(InputError, match="no folder"):
        Backdrops.of_folder(tmp_path / "nowhere")
