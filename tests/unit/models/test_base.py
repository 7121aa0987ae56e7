"""The shipped head: what it promises, and that a broken one is refused."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from facewright.core.assets import asset_path, read_safetensors, write_safetensors
from facewright.core.errors import AssetError
from facewright.models.base import BASE_HEAD, load_base_model
from facewright.models.face_model import FaceModel
from facewright.render.rasterize import rasterize

FLIP = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return load_base_model()


def asymmetry(model: FaceModel) -> float:
    return float((model.mean[model.mirror] * FLIP - model.mean).norm(dim=1).max())


def outward_share(model: FaceModel) -> float:
    corners = model.mean[model.topology.faces]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = corners.mean(1) - model.mean[model.regions["skin"]].mean(0)
    face = model.regions["face_tight"][model.topology.faces].all(1)
    return float(((normal * away).sum(1) > 0)[face].float().mean())


def test_sizes_are_those_of_a_head(head: FaceModel) -> None:
    assert head.expression_count == 52
    assert head.identity_count >= 100
    assert head.diffuse_count >= 20
    eyes = head.landmark_points(head.mean, "ibug68")[[36, 45]]
    assert 85 < float((eyes[1] - eyes[0]).norm()) < 95
    assert eyes[1, 0] > 0  # the subject's left is +X
    tip = head.landmark_points(head.mean, "ibug68")[30]
    assert float((head.mean[head.mean[:, 2].argmax()] - tip).norm()) < 5


def test_mirror_is_exact_and_a_shuffled_one_is_not(head: FaceModel) -> None:
    assert torch.equal(head.mirror[head.mirror], torch.arange(len(head.mean)))
    assert asymmetry(head) < 1e-3
    assert asymmetry(replace(head, mirror=head.mirror.roll(1))) > 1


def test_faces_point_outward_and_flipped_ones_do_not(head: FaceModel) -> None:
    assert outward_share(head) > 0.9  # nostrils and lid margins turn inward
    flipped = replace(head, topology=replace(head.topology, faces=head.topology.faces.flip(1)))
    assert outward_share(flipped) < 0.1


def test_coefficients_move_the_skin_by_millimetres(head: FaceModel) -> None:
    face = head.regions["face"]
    rms = head.identity_basis[:, face].pow(2).sum((0, 2)).mean().sqrt()
    assert 2 < float(rms) < 12


def test_left_expressions_move_the_left(head: FaceModel) -> None:
    left = head.mean[:, 0] > 0
    for name, move in zip(head.expression_names, head.expression_basis.norm(dim=2), strict=True):
        assert move.max() > 1, name
        if name.endswith(("Left", "Right")) and not name.startswith(("jaw", "mouthLeft", "mouthRight")):
            side = left if name.endswith("Left") else ~left
            assert move[side].sum() > move[~side].sum(), name


def test_expressions_mirror_one_another(head: FaceModel) -> None:
    names = head.expression_names
    left, right = (head.expression_basis[names.index(f"mouthSmile{side}")] for side in ("Left", "Right"))
    assert torch.allclose(left[head.mirror] * FLIP, right, atol=0.02)
    assert not torch.allclose(left, right, atol=1.0)


def test_landmark_sets(head: FaceModel) -> None:
    assert {name: len(points.triangle) for name, points in head.landmarks.items()} == {
        "dense478": 478,
        "ibug68": 68,
        "now7": 7,
    }
    part = {name: mask[head.topology.faces].all(1) for name, mask in head.parts.items()}
    iris = head.landmarks["dense478"].triangle[468:]
    assert part["right_eye"][iris[:5]].all()
    assert part["left_eye"][iris[5:]].all()
    assert part["skin"][head.landmarks["ibug68"].triangle].all()
    points = head.landmark_points(head.mean, "ibug68")
    assert (points[[36, 39, 42, 45], 0].diff() > 0).all()
    assert points[8, 1] < points[57, 1] < points[33, 1] < points[27, 1]


def test_texture_triangles_do_not_overlap(head: FaceModel) -> None:
    total, covered = chart_areas(head.topology.uv, head.topology.uv_faces)
    assert covered == pytest.approx(total, rel=0.005)
    doubled = torch.cat([head.topology.uv_faces, head.topology.uv_faces[:8000]])
    total, covered = chart_areas(head.topology.uv, doubled)
    assert covered < 0.95 * total


def chart_areas(uv: torch.Tensor, faces: torch.Tensor) -> tuple[float, float]:
    """Summed area of the triangles, and area of the texels they cover."""
    size = 1024
    a, b, c = (uv[faces[:, k]] for k in range(3))
    total = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).abs().sum()
    pixels = torch.stack([uv[:, 0], 1 - uv[:, 1], torch.ones(len(uv))], dim=1)
    fragments = rasterize(
        (pixels * torch.tensor([size, size, 1.0]))[None], faces, (size, size), perspective=False
    )
    return float(total), float((fragments.triangle >= 0).float().mean())


def test_open_skin_is_one_chart_and_a_cut_throat_is_noticed(head: FaceModel) -> None:
    open_skin = head.regions["skin"][head.topology.faces].all(1)
    faces, uv_faces = head.topology.faces[open_skin], head.topology.uv_faces[open_skin]
    assert charts(uv_faces) == 1
    throat = head.mean[faces][..., 1].amax(1) < -90
    cut = torch.where(throat[:, None], uv_faces + len(head.topology.uv), uv_faces)
    assert charts(cut) > 1


def charts(uv_faces: torch.Tensor) -> int:
    """How many pieces the texture triangles fall into."""
    ends = uv_faces[:, [0, 1, 1, 2]].reshape(-1, 2).T.numpy()
    used, place = np.unique(ends, return_inverse=True)
    links = coo_matrix((np.ones(ends.shape[1]), place.reshape(2, -1)), shape=(len(used), len(used)))
    return int(connected_components(links, directed=False)[0])


def test_albedo_spans_dark_to_light_and_stays_in_range(head: FaceModel) -> None:
    tone = torch.zeros(2, head.diffuse_count)
    tone[:, 0] = torch.tensor([-3.0, 3.0])
    skin = head.diffuse_albedo(tone)[:, head.regions["face_tight"]].mean(1)
    assert skin.min() > 0
    assert (skin.amax(1).max() / skin.amax(1).min()) > 3
    assert head.specular_mean.min() >= 0


def changed(tensors: dict[str, torch.Tensor], name: str, value: float) -> dict[str, torch.Tensor]:
    """The tensors with the first number of one of them replaced."""
    copy = tensors[name].clone()
    copy.view(-1)[0] = value
    return tensors | {name: copy}


def test_damaged_files_get_one_clear_line(tmp_path: Path) -> None:
    tensors, metadata = read_safetensors(asset_path(BASE_HEAD))
    cases = {
        "format": (tensors, {**metadata, "format": "something else"}),
        "missing": ({k: v for k, v in tensors.items() if k != "mirror"}, metadata),
        "column": (tensors | {"subdivision_column": tensors["subdivision_column"] + 5000}, metadata),
        "faces": (tensors | {"faces": tensors["faces"] + 20000}, metadata),
        "mirror": (tensors | {"mirror": tensors["mirror"] + 20000}, metadata),
        "unpaired": (tensors | {"mirror": tensors["mirror"].roll(1)}, metadata),
        "triangle": (changed(tensors, "ibug68.triangle", 10**6), metadata),
        "behind": (changed(tensors, "ibug68.triangle", -1), metadata),
        "nan": (changed(tensors, "mean", math.nan), metadata),
        "weights": (tensors | {"now7.weights": tensors["now7.weights"] * 0}, metadata),
        "infinite": (changed(tensors, "diffuse_mean", math.inf), metadata),
        "short": (tensors | {"specular_mean": tensors["specular_mean"][1:]}, metadata),
        "expressions": (tensors, {**metadata, "expression_names": '["jawOpen"]'}),
        "number": (tensors, {**metadata, "landmark_sets": "7"}),
        "text": (tensors, {**metadata, "regions": '"skin"'}),
        "bases": (tensors | {"expression_start": torch.zeros(10**6, dtype=torch.int32)}, metadata),
    }
    for name, (arrays, header) in cases.items():
        path = tmp_path / f"{name}.safetensors"
        write_safetensors(path, arrays, header)
        with pytest.raises(AssetError, match=path.name):
            load_base_model(path)
        path.unlink()
    with pytest.raises(AssetError):
        load_base_model(tmp_path / "nothing.safetensors")
