"""Results of a miniature head, read back and lit anew."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.miniature_head import miniature_model

from facewright.cli.main import main
from facewright.cli.relight import LightName
from facewright.core.errors import InputError
from facewright.export import normal_texture, write_png
from facewright.export.parameters import read_light
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.image.io import read_photo
from facewright.models.storage import ModelOrigin, save_face_model
from facewright.pipeline.relight import GivenLight, Relighter
from facewright.pipeline.relight_files import (
    FILES,
    HEAD,
    RelightSettings,
    light_of_file,
    parsed_lamp,
    relight_into,
)
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.saved_head import load_head, photo_of
from facewright.pipeline.settings import ReconstructionSettings
from facewright.render.draw import Lighting, draw_mesh, over
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import soft_light
from facewright.scene.material import Material
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import frontal_pose
from facewright.scene.studio import PRESETS, Lamp, StudioLight

BACKDROP = 0.1  # linear


def drawn(model, parameters, lighting):
    """What a camera sees of the miniature head, linear RGB."""
    points = parameters.pose.camera_from_head(model.vertices(parameters.identity, parameters.expression))
    material = Material(
        albedo=model.diffuse_albedo(parameters.diffuse), specular=model.specular_albedo(parameters.specular)
    )
    drawing = draw_mesh(points, model.topology, parameters.camera, material, lighting)
    return over(drawing, torch.full((3,), BACKDROP))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A result folder of a photo that the renderer made, and the model's file."""
    folder = tmp_path_factory.mktemp("relight")
    model = miniature_model()
    camera = PerspectiveCamera(torch.tensor([500.0]), torch.tensor([[120.0, 120.0]]), (240, 240))
    zero = torch.zeros(1, 1)
    light = soft_light(1, 0.6, above=0.1, front=0.1)
    parameters = HeadParameters(
        torch.zeros(1, 3), torch.zeros(1, 52), zero, zero, frontal_pose(1, 900.0), camera, light
    )
    picture = srgb_from_linear(drawn(model, parameters, Lighting(light)))[0]
    Image.fromarray((picture * 255 + 0.5).to(torch.uint8).numpy()).save(folder / "subject.png")
    points = model.mean[torch.arange(478) % len(model.mean)]
    pixels = camera.project(parameters.pose.camera_from_head(points[None]))[0, :, :2]
    from facewright.core.assets import sha256

    photo = replace(read_photo(folder / "subject.png"), sha256=sha256(folder / "subject.png"))
    Reconstruction(
        photo=photo,
        model=model,
        parameters=parameters,
        box=(60.0, 60.0, 180.0, 180.0),
        detected_px=pixels,
        fitted_px=pixels,
        landmarks_head=points,
        albedo=torch.full((64, 64, 3), 0.3),
        residual=0.01,
        seconds={},
        settings=ReconstructionSettings(),
    ).save(folder / "heads" / "subject")
    save_face_model(folder / "mini.safetensors", model, ModelOrigin("test", "test", "test"))
    (folder / "heads" / "subject.png").symlink_to(folder / "subject.png")
    return folder


@pytest.fixture(scope="module")
def relighter(places):
    head = load_head(places / "heads/subject", places / "mini.safetensors")
    return Relighter.of(head, photo_of(head, places / "heads/subject"), 96)


def lamp_light():
    return StudioLight(0.2, lamp=Lamp(1.0, 0.3, 0.8))


def test_the_photo_in_another_light_is_what_a_renderer_makes_of_it(relighter):
    lighting = relighter.lighting(lamp_light())
    lit = relighter.photo_in(lighting).permute(1, 2, 0)
    truth = drawn(relighter.head.model, relighter.head.parameters(), lighting)[0].clamp(0, 1)
    view, (x0, y0, x1, y1) = relighter.photo_view, relighter.box
    sure = (view.known[0, ..., 0] > 0.99) & (relighter.matte[0, ..., 0] > 0.99)
    error = (lit - truth)[y0:y1, x0:x1][sure].abs().mean()
    unlit = (
        (linear_from_srgb(relighter.photo.pixels).permute(1, 2, 0) - truth)[y0:y1, x0:x1][sure].abs().mean()
    )
    assert sure.sum() > 3000
    assert error < 0.006
    assert unlit > 8 * error  # the control: the photo as it was


def test_what_is_no_head_stays_as_it_is(relighter):
    lit = relighter.photo_in(relighter.lighting(PRESETS["under"]))
    change = (lit - linear_from_srgb(relighter.photo.pixels)).abs().amax(0)
    empty = torch.ones_like(change, dtype=torch.bool)
    x0, y0, x1, y1 = relighter.box
    empty[y0:y1, x0:x1] = relighter.photo_view.coverage[0, ..., 0] == 0
    assert change[:20].max() == 0
    assert change[empty].mean() < 0.002
    assert change[~empty].mean() > 0.02


def test_the_photo_s_own_light_changes_nothing(relighter):
    own = relighter.parameters
    lighting = relighter.lighting(GivenLight(own.light, own.point_light))
    assert torch.allclose(lighting.ambient.coefficients, own.light.coefficients, rtol=1e-4)
    same = relighter.photo_in(lighting) - linear_from_srgb(relighter.photo.pixels)
    assert same.abs().max() < 2e-3


def test_exposure_is_the_brightness_of_the_face(relighter):
    bright, dim = (relighter.lighting(replace(lamp_light(), exposure=e)) for e in (1.0, 0.5))
    assert torch.allclose(dim.ambient.coefficients * 2, bright.ambient.coefficients)
    assert torch.allclose(dim.bulb.intensity * 2, bright.bulb.intensity)


def test_lamps_stand_where_they_are_told(relighter):
    def brightness(yaw, pitch):
        light = StudioLight(0.05, lamp=Lamp(yaw, pitch))
        picture = relighter.photo_in(relighter.lighting(light)).mean(0)
        return picture[90:150, 125:150].mean(), picture[90:150, 90:115].mean()

    right, left = brightness(1.2, 0.0)
    assert right > 1.5 * left
    right, left = brightness(-1.2, 0.0)
    assert left > 1.5 * right


def test_a_head_alone_is_diffuse_and_specular_together(relighter):
    render = relighter.render(relighter.lighting(lamp_light()))
    assert torch.allclose(render.full, render.diffuse + render.specular)
    assert render.specular.max() > 0.01
    assert render.coverage.min() == 0
    assert render.coverage.max() == 1
    soft = relighter.render(relighter.lighting(PRESETS["soft-front"]))
    assert soft.specular.max() == 0


def test_every_file_is_written_and_the_light_can_be_used_again(places, tmp_path, relighter):
    settings = RelightSettings(
        light=lamp_light(), name="lamp", turn=Lamp(0, 0.3), model=places / "mini.safetensors", size=96
    )
    summary = relight_into([places / "heads/subject"], tmp_path, settings, "cpu")
    assert (summary.done, summary.failed) == (1, 0)
    written = {path.name for path in (tmp_path / "subject").iterdir()}
    assert written == {*FILES, "relit.png", "turn.webp"}
    assert Image.open(tmp_path / "subject/relit.png").size == (240, 240)
    assert Image.open(tmp_path / "subject/turn.webp").n_frames > 10  # pyright: ignore[reportAttributeAccessIssue]
    again = relighter.lighting(light_of_file(tmp_path / "subject/relight.json"))
    expected = relighter.lighting(lamp_light())
    assert expected.bulb is not None
    content = (tmp_path / "subject" / HEAD).read_bytes()
    told = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    (lamp,) = [node for node in told["nodes"] if node["name"] == "lamp"]
    place = 1000 * torch.tensor(lamp["translation"])[None, None]
    there = relighter.parameters.pose.camera_from_head(place)[:, 0]
    assert torch.allclose(there, expected.bulb.position, rtol=1e-3, atol=0.1)
    assert torch.allclose(again.ambient.coefficients, expected.ambient.coefficients, rtol=1e-3)
    assert again.bulb is not None
    assert torch.allclose(again.bulb.position, expected.bulb.position, rtol=1e-4)
    # The same folder again is replaced, one with other files is not.
    assert relight_into([places / "heads/subject"], tmp_path, settings, "cpu").done == 1
    assert [path.name for path in tmp_path.iterdir()] == ["subject"]


def test_a_light_moves_with_the_head(relighter, tmp_path):
    document = {
        "light": {
            "frame": "camera",
            "spherical_harmonics": [[0.5, 0.5, 0.5], *[[0.0, 0.0, 0.0]] * 8],
            "point_light": {"position_mm": [500, 0, 1000], "intensity": [1, 1, 1]},
        }
    }
    path = tmp_path / "light.json"
    path.write_text(json.dumps(document))
    assert read_light(path)[2] is None
    assert relighter.lighting(light_of_file(path)).bulb.position.tolist() == [[500, 0, 1000]]
    path.write_text(json.dumps({**document, "pose": {"translation_mm": [0, 0, 1000]}}))
    assert relighter.lighting(light_of_file(path)).bulb.position.tolist() == [[500, 0, 900]]
    path.write_text(json.dumps({"light": {**document["light"], "spherical_harmonics": [[0.5] * 3] * 8}}))
    with pytest.raises(InputError, match="spherical_harmonics"):
        light_of_file(path)


@pytest.fixture
def copy(places, tmp_path):
    import shutil

    shutil.copytree(places / "heads/subject", tmp_path / "heads/subject")
    return tmp_path / "heads/subject"


def edited(folder, **changes):
    path = folder / "parameters.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: (f / "albedo.png").unlink(), "no albedo.png"),
        (lambda f: (f / "albedo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)), "albedo.png"),
        (lambda f: Image.new("RGB", (64, 32)).save(f / "albedo.png"), "square"),
        (lambda f: edited(f, format_version=99), "format version 1, got 99"),
        (lambda f: edited(f, model={"name": "base", "version": "0"}), "reconstruct again"),
        (lambda f: (f / "parameters.json").write_text("{"), "not a whole JSON"),
        (lambda f: (f / "parameters.json").unlink(), "has no parameters.json"),
    ],
)
def test_folders_that_are_no_results_are_told(copy, places, spoil, told):
    spoil(copy)
    with pytest.raises(InputError, match=told):
        load_head(copy, places / "mini.safetensors")


def test_a_result_of_another_model_is_told(copy):
    with pytest.raises(InputError, match="--model"):
        load_head(copy)


def test_relief_is_read_back_to_the_bit(copy, places):
    assert load_head(copy, places / "mini.safetensors").asset().normals is None
    slopes = torch.linspace(-0.7, 0.7, 2 * 32 * 32).view(32, 32, 2)
    write_png(copy / "normal.png", normal_texture(slopes))
    head = load_head(copy, places / "mini.safetensors").asset()
    assert head.normals is not None
    assert torch.equal(head.normals, normal_texture(slopes))


def test_photos_that_are_gone_or_others_are_told(copy, places, tmp_path):
    head = load_head(copy, places / "mini.safetensors")
    with pytest.raises(InputError, match="--no-photo"):
        photo_of(head, copy)
    other = tmp_path / "other.png"
    Image.fromarray(np.zeros((240, 240, 3), np.uint8)).save(other)
    with pytest.raises(InputError, match="not the photo"):
        photo_of(head, copy, other)
    assert photo_of(head, copy, places).size == (240, 240)  # a folder that has it


def test_a_name_in_a_file_never_leads_elsewhere(copy, places):
    edited(copy, photo="../../subject.png")
    head = load_head(copy, places / "mini.safetensors")
    with pytest.raises(InputError, match=str(copy.parent / "subject.png")):
        photo_of(head, copy)


def test_one_bad_result_stops_no_other(copy, places, tmp_path, capsys):
    (copy / "albedo.png").unlink()
    settings = RelightSettings(
        PRESETS["rim"], "rim", with_photo=False, model=places / "mini.safetensors", size=64
    )
    summary = relight_into([copy, places / "heads/subject"], tmp_path / "out", settings, "cpu")
    assert (summary.done, summary.failed) == (1, 1)
    assert "no albedo.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["", "1", "a,b", "0,0,1,red", "0,0,1,#12345", "400,0", "0,91", "nan,0", "0,0,-1"]
)
def test_lamps_that_are_none_are_told(text):
    with pytest.raises(InputError, match="--lamp"):
        parsed_lamp(text)


def test_lamps_are_read():
    lamp = parsed_lamp("-90, 30, 0.5, #ff0000")
    assert lamp.yaw == pytest.approx(-np.pi / 2)
    assert lamp.pitch == pytest.approx(np.pi / 6)
    assert (lamp.intensity, lamp.color) == (0.5, (1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere"],
        ["{empty}"],
        ["{heads}", "--light", "rim", "--lamp", "1,1"],
        ["{heads}", "--size", "1"],
        ["{heads}", "--exposure", "0"],
        ["{heads}", "--no-photo", "--photo", "x"],
        ["{heads}", "--sh", "nowhere.json"],
    ],
)
def test_command_lines_that_cannot_be_run(arguments, places, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    filled = [each.format(empty=tmp_path / "empty", heads=places / "heads/subject") for each in arguments]
    assert main(["relight", *filled, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("facewright: ")
    assert not (tmp_path / "out").exists()


def test_the_command_line_knows_every_light():
    from typing import get_args

    assert set(get_args(LightName)) == set(PRESETS)


def test_the_command(places, tmp_path, capsys):
    command = ["relight", str(places / "heads/subject"), "--out", str(tmp_path / "out"), "--sh"]
    command += [str(places / "heads/subject/parameters.json"), "--model", str(places / "mini.safetensors")]
    assert main([*command, "--size", "64", "--photo", str(places / "subject.png")]) == 0
    assert "1 relit" in capsys.readouterr().out
    before, after = read_photo(places / "subject.png"), read_photo(tmp_path / "out/subject/relit.png")
    assert (before.pixels - after.pixels).abs().max() < 0.02  # its own light
