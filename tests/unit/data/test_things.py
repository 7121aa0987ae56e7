"""Things on heads have the topology that they were announced with, and lie where they belong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.core.errors import InputError
from facewright.data import hair, occluders
from facewright.data.backdrops import Backdrops, backdrop_pictures
from facewright.data.face_frame import FaceFrame
from facewright.data.props import capsule, grid_faces
from facewright.data.sampling import OccluderSettings
from facewright.data.things import draw_things


@pytest.fixture(scope="module")
def frame(base_model) -> FaceFrame:
    points = base_model.landmark_points(base_model.mean[None], "ibug68")
    return FaceFrame.of(points, base_model.mean[None, base_model.parts["skin"]])


def test_things_fit_their_triangles(frame, base_model, studio) -> None:
    rng = np.random.default_rng(0)
    neck = torch.tensor([[[-50.0, 0.0, -60.0], [50.0, 0.0, 40.0]]])
    style = replace(hair.draw_hair(rng, long=True), long=torch.tensor([50.0]))
    glasses = occluders.glasses(frame, occluders.draw_glasses(rng, dark=True))
    hand = occluders.hand(frame, torch.full((1, 3), 0.3), occluders.draw_hand(rng))
    made = (
        (hair.hanging_hair(frame, style, hair.draw_hanging(rng)), True),
        (occluders.clothes(frame, neck, occluders.draw_clothes(0.2, rng)), True),
        (glasses, True),
        (hand, True),
        (occluders.round_thing(frame, occluders.draw_round_thing(rng)), True),
        (occluders.glasses(frame, occluders.draw_glasses(rng, dark=False)), False),
    )
    meshes = [*studio.skin.meshes()[1:], studio.skin.meshes()[3]]
    for (prop, whole), (faces, count) in zip(made, meshes, strict=True):
        assert prop.vertices.shape == (1, count, 3)
        assert prop.vertices.isfinite().all()
        assert prop.there.all() == whole
        assert faces.min() == 0
        assert faces.max() == count - 1
        assert prop.albedo.shape[1] == prop.specular.shape[1] == prop.strand.shape[1] == count


def test_glasses_sit_before_the_eyes_and_end_at_the_ears(frame) -> None:
    there = occluders.glasses(frame, occluders.draw_glasses(np.random.default_rng(1), dark=True)).vertices[0]
    assert there[:, 2].max() > frame.eyes[0, :, 2].max()
    assert there[:, 2].min() < frame.ear[0, 2]
    assert abs(there[:, 0].abs().max() - frame.ear[0, 0]) < 15


def test_hair_grows_above_the_hairline_alone(studio, frame, base_model) -> None:
    from facewright.geometry.normals import vertex_normals

    rng, shell = np.random.default_rng(2), studio.skin.shell
    points = base_model.mean[None]
    normals = vertex_normals(points, base_model.topology.faces)
    style = hair.draw_hair(rng, long=False)
    prop = shell.on(points, normals, frame, style, hair.draw_shell(shell.count, rng))
    there, height = prop.there[0], points[0, shell.vertex, 1] - frame.brow
    away = (prop.vertices[0] - points[0, shell.vertex]).norm(dim=1)
    assert away[there & (height > 90)].mean() > 0.6 * style.thickness
    face = base_model.regions["face_tight"][shell.vertex]
    assert not (there & face & (height < 0)).any()


def test_a_capsule_is_closed_and_has_its_radii() -> None:
    ends = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[0.0, 50.0, 0.0]])
    points = capsule(*ends, torch.tensor([[10.0, 6.0]]), 11, 12)[0]
    assert len(points) == grid_faces(11, 12, around=True).max() + 1
    assert -10.5 < points[:, 1].min() < -8.5
    assert 54.5 < points[:, 1].max() < 56.5
    assert points[:, [0, 2]].abs().max() < 10.01
    heights = points.reshape(11, 12, 3)[..., 1].mean(1)
    assert heights[5].abs() < 0.1
    assert heights[6] > 50


def test_what_is_not_drawn_takes_no_numbers() -> None:
    often = OccluderSettings(*[0.0] * 7)
    rngs = [np.random.default_rng(4) for _ in range(2)]
    nothing = draw_things(often, 0.0, 50, rngs[0])
    hair_alone = draw_things(replace(often, hair=1.0), 0.0, 50, rngs[1])
    assert nothing.shown.tolist() == [[False] * 6]
    assert hair_alone.shown.tolist() == [[True] + [False] * 5]
    assert rngs[0].random() != rngs[1].random()
    assert torch.equal(nothing.clothes.rows, hair_alone.clothes.rows)


def test_backdrops_of_a_folder(tmp_path) -> None:
    Image.new("RGB", (80, 60), (255, 0, 0)).save(tmp_path / "red.png")
    rng, level = np.random.default_rng(0), torch.ones(2)
    red = backdrop_pictures([Backdrops.of_folder(tmp_path).draw(32, rng) for _ in range(2)], 32, level)
    assert red.shape == (2, 3, 32, 32)
    assert torch.allclose(red.mean((2, 3)), torch.tensor([1.0, 0.0, 0.0]), atol=1e-3)
    drawn = backdrop_pictures([Backdrops().draw(32, rng) for _ in range(2)], 32, level)
    assert (drawn.flatten(1).std(1) > 0.005).all()
    assert not torch.allclose(drawn[0], drawn[1], atol=0.05)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="0 pictures"):
        Backdrops.of_folder(tmp_path / "empty")
    with pytest.raises(InputError, match="no folder"):
        Backdrops.of_folder(tmp_path / "nowhere")
