"""Hair written into a GLB file and read back, between two heads, and in another light."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from tests.miniature_head import miniature_model

from facewright.core.errors import InputError
from facewright.export.asset import head_asset
from facewright.export.glb_read import read_glb_mesh
from facewright.export.gltf import write_glb
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import HairShell
from facewright.pipeline import saved_hair
from facewright.pipeline.hair import HeadHair
from facewright.pipeline.relight_hair import under_hair
from facewright.pipeline.saved_hair import hair_between, read_hair
from facewright.pipeline.views import drawn_hair
from facewright.render.draw import Lighting
from facewright.render.rasterize import rasterize
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import soft_light
from facewright.scene.pose import frontal_pose

SIZE = 32


class Result(NamedTuple):
    model: FaceModel
    neutral: torch.Tensor
    hair: HeadHair
    path: object


def hair_of(cap, model, *, above=0.0, lift=10.0, alpha=1.0, seed=0):
    """Hair over the part of a cap above a height over short hair's line (mm)."""
    points, outward = cap.surface(model.mean)
    places = torch.from_numpy(cap.mesh.rounded(points + lift * outward)).float()
    cover = torch.from_numpy(cap.mesh.spread(cap.over_short) > above).float()
    colors = torch.rand(SIZE, SIZE, 4, generator=torch.Generator().manual_seed(seed))
    colors[..., 3] = alpha
    return HeadHair(HairShell(cap.mesh, places - cap.mesh.base(model.mean), cover), colors)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    identity = torch.linspace(-1, 1, model.identity_count)
    hair = hair_of(cap, model)
    texture = torch.full((16, 16, 3), 128, dtype=torch.uint8)
    asset = head_asset(model, identity, torch.zeros(model.expression_count), texture)
    path = tmp_path_factory.mktemp("hair") / "head.glb"
    write_glb(path, replace(asset, hair=hair.asset()))
    bald = path.parent / "bald.glb"
    write_glb(bald, asset)
    return Result(model, model.vertices(identity[None])[0], hair, path)


def test_hair_is_read_back_as_it_was(result):
    found = read_hair(result.path, result.model, result.neutral)
    assert found is not None
    assert set(map(tuple, found.topology.faces.tolist())) == set(
        map(tuple, result.hair.topology.faces.tolist())
    )
    rows = result.hair.topology.faces.unique()
    there, was = (each.shell.on(result.neutral)[rows] for each in (found, result.hair))
    torch.testing.assert_close(there, was, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.colors, result.hair.colors, atol=0.01, rtol=0)
    # It can be written again.
    assert torch.equal(found.asset().texture[..., 3], result.hair.asset().texture[..., 3])


def test_a_bald_head_has_none(result):
    assert read_hair(result.path.parent / "bald.glb", result.model, result.neutral) is None


def test_hair_of_another_layout_is_told(result, tmp_path):
    hair = result.hair.asset()
    moved = replace(hair, topology=replace(hair.topology, uv=hair.topology.uv * 0.9))
    asset = head_asset(
        result.model,
        torch.zeros(result.model.identity_count),
        torch.zeros(result.model.expression_count),
        torch.zeros(8, 8, 3, dtype=torch.uint8),
    )
    write_glb(tmp_path / "head.glb", replace(asset, hair=moved))
    with pytest.raises(InputError, match="reconstruct the photo again"):
        read_hair(tmp_path / "head.glb", result.model, result.neutral)
    with pytest.raises(InputError, match="reconstruct the photo again"):
        read_hair(result.path, miniature_model(), miniature_model().mean)


@pytest.mark.parametrize("wrong", ["fewer triangles", "turned triangles", "another triangle"])
def test_hair_that_is_no_shell_of_the_model_is_told(result, tmp_path, wrong):
    hair, faces = result.hair.asset(), result.hair.topology.faces
    other = {
        "fewer triangles": faces[::2],
        "turned triangles": faces.flip(1),
        "another triangle": torch.cat([faces, faces[:1] + torch.tensor([0, 0, 400])]),
    }[wrong]
    hair = replace(hair, topology=replace(hair.topology, faces=other, uv_faces=other))
    asset = head_asset(
        result.model,
        torch.zeros(result.model.identity_count),
        torch.zeros(result.model.expression_count),
        torch.zeros(8, 8, 3, dtype=torch.uint8),
    )
    write_glb(tmp_path / "head.glb", replace(asset, hair=hair))
    with pytest.raises(InputError, match="reconstruct the photo again"):
        read_hair(tmp_path / "head.glb", result.model, result.neutral)


def test_an_oblong_map_of_hair_is_told(result, monkeypatch):
    mesh = read_glb_mesh(result.path, "hair")
    assert mesh is not None
    oblong = replace(mesh, texture=mesh.texture[: SIZE // 2])
    monkeypatch.setattr(saved_hair, "read_glb_mesh", lambda *_: oblong)
    with pytest.raises(InputError, match="reconstruct the photo again"):
        read_hair(result.path, result.model, result.neutral)


@pytest.mark.parametrize("content", [b"", b"glTF" + bytes(40), b"\x67\x6c\x54\x46\x02\x00\x00\x00" * 9])
def test_what_is_no_glb_is_told(tmp_path, content):
    (tmp_path / "head.glb").write_bytes(content)
    with pytest.raises(InputError, match=r"head\.glb"):
        read_glb_mesh(tmp_path / "head.glb", "hair")
    with pytest.raises(InputError, match=r"other\.glb"):
        read_glb_mesh(tmp_path / "other.glb", "hair")


def between(first, last, share):
    """Hair that there must be."""
    found = hair_between(first, last, share)
    assert found is not None
    return found


def test_the_way_between_two_heads_of_hair(result):
    cap = HairCap.of(result.model)
    short = hair_of(cap, result.model, above=30.0, lift=4.0, seed=1)
    long = result.hair
    for share, end in ((0.0, long), (1.0, short)):
        found = between(long, short, share)
        rows = end.topology.faces.unique()
        torch.testing.assert_close(found.shell.offset[rows], end.shell.offset[rows], atol=1e-5, rtol=0)
        torch.testing.assert_close(found.colors, end.colors, atol=1e-4, rtol=0)
    half = between(long, short, 0.5)
    both = short.topology.faces.unique()
    expected = 0.5 * (long.shell.offset + short.shell.offset)[both]
    torch.testing.assert_close(half.shell.offset[both], expected, atol=1e-5, rtol=0)
    assert len(half.topology.faces) == len(long.topology.faces)
    thin = between(None, short, 0.25)
    torch.testing.assert_close(thin.colors[..., 3], torch.full((SIZE, SIZE), 0.25))
    assert hair_between(long, None, 1.0) is None
    assert hair_between(None, None, 0.5) is None
    with pytest.raises(InputError, match="one size"):
        hair_between(long, replace(short, colors=short.colors[:16, :16]), 0.5)


def test_hair_is_lit_where_it_is_before_the_head(result):
    model, pose, light = result.model, frontal_pose(1, 900.0), soft_light(1, 0.5, above=0.1, front=0.1)
    camera = PerspectiveCamera(torch.tensor([300.0]), torch.tensor([[48.0, 48.0]]), (96, 96))
    fragments = rasterize(
        camera.project(pose.camera_from_head(model.mean[None])),
        model.topology.faces,
        camera.size,
        perspective=True,
    )
    grey = replace(result.hair, colors=torch.tensor([0.2, 0.3, 0.4, 1.0]).expand(SIZE, SIZE, 4).contiguous())
    empty = torch.zeros(1, 96, 96, 13)
    found = under_hair(empty, fragments, drawn_hair(grey, model.mean), (pose, camera), Lighting(light))
    full = found[..., 12] > 0.99
    assert 500 < int(full.sum()) < 5000
    torch.testing.assert_close(
        found[full][:, 6:9], grey.colors[0, :1, :3].expand(int(full.sum()), 3), atol=1e-4, rtol=0
    )
    brighter = Lighting(replace(light, coefficients=2 * light.coefficients))
    again = under_hair(empty, fragments, drawn_hair(grey, model.mean), (pose, camera), brighter)
    torch.testing.assert_close(again[..., :3], 2 * found[..., :3], atol=1e-5, rtol=1e-4)
    face = camera.project(pose.camera_from_head(model.mean[model.regions["nose"]][None]))[0, 0, :2].long()
    assert float(found[0, face[1], face[0], 12]) == 0.0
