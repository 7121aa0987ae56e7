"""A reconstruction, its files and its overview, on a miniature head."""

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.miniature_head import miniature_model

from facewright.core.errors import OutputError
from facewright.export import read_parameters
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.geometry.tangents import vertex_tangents
from facewright.image.io import photograph_from_array
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import ReconstructionSettings
from facewright.pipeline.views import DrawnHair, Finish, turned_views, zoomed_camera
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import frontal_pose
from facewright.uv.relief import SkinRelief

FILES = ["albedo.png", "head.glb", "head.mtl", "head.obj", "overview.png", "parameters.json", "specular.png"]


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    model = miniature_model()
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(model.mean), (478,), generator=generator)
    expression = torch.zeros(1, 52)
    expression[0, model.expression_names.index("jawOpen")] = 0.5
    camera = PerspectiveCamera(torch.tensor([400.0]), torch.tensor([[160.0, 120.0]]), (240, 320))
    zero = torch.zeros(1, 1)
    identity = torch.randn(1, 3, generator=generator)
    parameters = HeadParameters(
        identity, expression, zero, zero, frontal_pose(1, 900.0), camera, ambient_light(1)
    )
    points = model.vertices(identity, expression)[0, chosen]
    pixels = camera.project(parameters.pose.camera_from_head(points[None]))[0, :, :2]
    photo = photograph_from_array(np.full((240, 320, 3), 128, np.uint8), "subject.jpg")
    return Reconstruction(
        photo=replace(photo, size=(480, 640), scale=2.0),
        model=model,
        parameters=parameters,
        box=(120.0, 70.0, 200.0, 170.0),
        detected_px=pixels + 0.5,
        fitted_px=pixels,
        landmarks_head=points,
        albedo=torch.rand(64, 64, 3, generator=generator),
        residual=0.0125,
        seconds={"detection": 0.25},
        settings=ReconstructionSettings(),
    )


def test_a_disk_that_is_full_when_the_overview_is_drawn(
    head: Reconstruction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Image.Image, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(Reconstruction, "overview", lambda _: Image.new("RGB", (8, 8)))
    monkeypatch.setattr("facewright.pipeline.result.write_glb", lambda *_: None)
    monkeypatch.setattr("facewright.pipeline.result.write_obj", lambda *_, **__: None)
    monkeypatch.setattr("facewright.pipeline.result.write_unit_png", lambda *_: None)
    with pytest.raises(OutputError, match="disk is full"):
        head.save(tmp_path / "subject")
    assert list(tmp_path.iterdir()) == []


def test_the_notes_say_what_computed_it(head: Reconstruction) -> None:
    notes = head.saved_parameters({}).notes
    assert notes["computed_on"] == {"device": "cpu", "renderer": "cpu"}


def test_save_writes_every_file(head: Reconstruction, tmp_path: Path) -> None:
    head.save(tmp_path / "subject")
    assert sorted(path.name for path in (tmp_path / "subject").iterdir()) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["subject"]


def test_save_replaces_an_earlier_result_and_nothing_else(head: Reconstruction, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "parameters.json").write_text('{"format_version": 1, "learning_rate": 0.1}')
    with pytest.raises(OutputError, match="other files"):
        head.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    head.save(tmp_path / "subject")
    (tmp_path / "subject" / "head.glb").unlink()
    head.save(tmp_path / "subject")
    assert sorted(path.name for path in (tmp_path / "subject").iterdir()) == FILES


def test_relief_is_a_file_of_its_own_that_goes_when_it_is_not_wanted(
    head: Reconstruction, tmp_path: Path
) -> None:
    relief = SkinRelief(torch.zeros(32, 32, 2), torch.zeros(32, 32, 1))
    replace(head, relief=relief).save(tmp_path / "subject")
    assert sorted(path.name for path in (tmp_path / "subject").iterdir()) == sorted([*FILES, "normal.png"])
    head.save(tmp_path / "subject")
    assert sorted(path.name for path in (tmp_path / "subject").iterdir()) == FILES


def test_parameters_are_in_pixels_of_the_whole_photo(head: Reconstruction, tmp_path: Path) -> None:
    head.save(tmp_path / "subject")
    saved = read_parameters(tmp_path / "subject" / "parameters.json")
    assert saved.parameters.camera.size == (480, 640)
    assert torch.allclose(saved.detected_landmarks_px, 2 * head.detected_px)
    points = saved.parameters.pose.camera_from_head(saved.landmarks_mm[None])
    projected = saved.parameters.camera.project(points)[0, :, :2]
    assert torch.allclose(projected, saved.fitted_landmarks_px, atol=0.01)
    assert not torch.allclose(projected, head.fitted_px, atol=1.0)  # the control: the reduced photo's pixels
    assert set(saved.seconds) == {"detection", "files", "overview"}


def test_neutral_has_no_expression(head: Reconstruction) -> None:
    assert not torch.allclose(head.neutral, head.vertices)
    quiet = replace(head, parameters=replace(head.parameters, expression=torch.zeros(1, 52)))
    assert torch.allclose(quiet.neutral, quiet.vertices)
    assert head.asset().weights.max() == 0.5


def test_failing_to_save_leaves_nothing(
    head: Reconstruction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facewright.pipeline.result.write_parameters", full)
    with pytest.raises(OutputError, match="disk is full"):
        head.save(tmp_path / "subject")
    assert list(tmp_path.iterdir()) == []


def test_overview_shows_twelve_pictures(head: Reconstruction) -> None:
    picture = np.asarray(head.overview()).astype(int)
    assert picture.shape[1] > 1500
    # The box, the points and the caption are drawn in colours that nothing else has.
    box = (np.abs(picture - [0x1F, 0x8F, 0x6B]).sum(-1) < 8).sum()
    points = (np.abs(picture - [0x5F, 0xF0, 0xB6]).sum(-1) < 8).sum()
    assert box > 200
    assert points > 200
    rows = [slice(64 + i * 426, 64 + i * 426 + 384) for i in range(3)]
    columns = [slice(28 + j * 398, 28 + j * 398 + 384) for j in range(4)]
    assert all(picture[row, column].std() > 4 for row in rows for column in columns)
    assert picture[:60, 28:400].min() < 60  # the title


def test_edges_are_sorted_once_a_model(head: Reconstruction, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = replace(head, model=replace(head.model, topology=replace(head.model.topology)))
    sorted_meshes = []

    def counted(faces: torch.Tensor) -> EdgeTable:
        sorted_meshes.append(len(faces))
        return edge_table(faces)

    for module in ("geometry.mesh", "render.antialias"):
        # By its module: the package offers a function of the same name.
        monkeypatch.setattr(import_module(f"facewright.{module}"), "edge_table", counted)
    fresh.overview()
    fresh.overview()
    assert len(sorted_meshes) == 1


def test_positive_yaw_shows_the_subjects_left(head: Reconstruction) -> None:
    model = head.model
    red_left = torch.zeros(64, 64, 3)
    red_left[:, 32:, 0] = 0.8  # u > 0.5 is the subject's left of the miniature
    red_left[:, :32, 2] = 0.8
    clay, textured = turned_views(model.mean, model.topology, red_left, (1.2, -1.2), 64, (0.0, 0.0, 0.0))
    left, right = textured.sum((1, 2))
    assert left[0] > 1.5 * left[2]
    assert right[2] > 1.5 * right[0]
    assert clay.shape == textured.shape == (2, 64, 64, 3)


def test_zoomed_camera_sees_the_same(head: Reconstruction) -> None:
    camera = head.parameters.camera
    points = torch.tensor([[[20.0, -30.0, 800.0]]])
    x, y, _ = camera.project(points)[0, 0].tolist()
    zoomed = zoomed_camera(camera, (100.0, 60.0, 200.0, 160.0), 300).project(points)[0, 0].tolist()
    assert zoomed[:2] == pytest.approx([(x - 100) * 3, (y - 60) * 3], abs=1e-3)


def test_hair_lies_over_the_head_that_it_covers_and_behind_what_is_before_it() -> None:
    model = miniature_model()
    grey, topology = torch.full((8, 8, 3), 0.4), model.topology
    red = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(8, 8, 4).contiguous()
    skin = model.parts["skin"][topology.faces].all(1)
    places = (model.mean[topology.faces].mean(1)[:, 2] > 0) & skin  # the front of the head
    shell = Topology(topology.faces[places], topology.uv, topology.uv_faces[places])
    hair = DrawnHair(model.mean + torch.tensor([0.0, 0.0, 2.0]), shell, red)
    _, front = turned_views(model.mean, topology, grey, (0.0,), 64, (0.0, 0.0, 0.0), finish=Finish(hair=hair))
    _, back = turned_views(
        model.mean, topology, grey, (math.pi,), 64, (0.0, 0.0, 0.0), finish=Finish(hair=hair)
    )
    middle = slice(28, 36)
    assert float((front[0, middle, middle, 0] - front[0, middle, middle, 1]).min()) > 0.2
    assert float((back[0, middle, middle, 0] - back[0, middle, middle, 1]).abs().max()) < 0.05
    clear = replace(hair, colors=red * torch.tensor([1.0, 1.0, 1.0, 0.0]))
    _, bald = turned_views(model.mean, topology, grey, (0.0,), 64, (0.0, 0.0, 0.0), finish=Finish(hair=clear))
    assert float((bald[0, middle, middle, 0] - bald[0, middle, middle, 1]).abs().max()) < 0.05


def test_clay_with_slopes_is_lit_as_a_surface_that_has_them() -> None:
    """Skin that rises to the camera's left faces away from the lamp there; the texture is left as it is."""
    model = miniature_model()
    grey, views = torch.full((8, 8, 3), 0.4), []
    normals = vertex_normals(model.mean[None], model.topology.faces)
    along_u = vertex_tangents(model.mean[None], normals, model.topology)[0, :, 0]
    front = (model.mean[:, 2] > 0.9 * model.mean[:, 2].max()) & model.parts["skin"]
    right = float(
        along_u[front, 0].mean().sign()
    )  # whether u grows towards the subject's left, as the map has it
    for slope in (-0.2, 0.0, 0.2):
        slopes = torch.zeros(8, 8, 2)
        slopes[..., 0] = slope * right
        finish = Finish(relief=SkinRelief(slopes, torch.zeros(8, 8, 1)))
        clay, textured = turned_views(
            model.mean, model.topology, grey, (0.0,), 64, (0.0, 0.0, 0.0), finish=finish
        )
        views.append((float(clay[0, 28:36, 28:36].mean()), textured))
    # The subject's left is on the right of the picture; the lamp stands on its left.
    assert views[2][0] > 1.03 * views[1][0] > 1.06 * views[0][0]
    assert torch.equal(views[0][1], views[2][1])


def test_brows_are_darker_than_clay_and_lively_parts_as_light_as_the_texture() -> None:
    model = miniature_model()
    grey, topology = torch.full((8, 8, 3), 0.2), model.topology

    def middle(finish: Finish) -> tuple[float, float]:
        clay, textured = turned_views(model.mean, topology, grey, (0.0,), 64, (0.0, 0.0, 0.0), finish=finish)
        return float(clay[0, 28:36, 28:36].mean()), float(textured[0, 28:36, 28:36].mean())

    plain, seen = middle(Finish())
    hairy, _ = middle(Finish(relief=SkinRelief(torch.zeros(8, 8, 2), torch.ones(8, 8, 1))))
    assert hairy < 0.7 * plain
    lively, _ = middle(Finish(lively=torch.ones(len(model.mean))))
    assert abs(plain - seen) > 0.02
    assert lively == pytest.approx(seen, abs=1e-3)
