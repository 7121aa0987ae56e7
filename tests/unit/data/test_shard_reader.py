"""Samples read back from shards are the samples that were written; hostile shards are refused."""

import io
import json
import tarfile
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.data.aligned_faces import MARGIN, plain_crops
from facewright.data.known_crops import load_known_crops
from facewright.data.shard_reader import ShardSet, shard_index
from facewright.data.synthesis import sample
from facewright.detection.aligned_crop import TEMPLATE, aligned_crops, five_points
from facewright.detection.crop import luma
from facewright.pipeline.sample_files import photo_files
from facewright.pipeline.shards import write_shard


@pytest.fixture(scope="module")
def folder(tmp_path_factory, studio):
    out = tmp_path_factory.mktemp("set")
    made = [(f"{k:09d}", photo_files(sample(studio, 5, k), studio.model)) for k in range(3)]
    write_shard(out / "shards" / "000000.tar", made[:2])
    write_shard(out / "shards" / "000001.tar", made[2:])
    return out


def test_a_photo_comes_back(folder, studio) -> None:
    stored = ShardSet.open(folder)
    assert len(stored) == 3
    for number in (2, 0):
        truth, photo = sample(studio, 5, number), stored.photo(number)
        assert photo.key == f"{number:09d}"
        assert torch.equal(photo.image, truth.image)
        for field in fields(truth.masks):
            assert torch.equal(getattr(photo.masks, field.name), getattr(truth.masks, field.name))
        assert (photo.depth - truth.depth).abs().max() <= 0.051
        assert (photo.normals - truth.normals).abs().max() <= 0.01
        assert (photo.diffuse - truth.diffuse.clamp(0, 1)).abs().max() < 0.01
        assert (photo.specular - truth.specular.clamp(0, 1)).abs().max() < 0.01
        assert (photo.albedo_map - truth.albedo_map).abs().max() < 0.01
        assert (photo.specular_map - truth.specular_map).abs().max() < 0.01
        assert torch.equal(photo.vertices, truth.vertices)
        assert torch.equal(photo.visible, truth.visible)
        points, seen = photo.points("landmarks68")
        assert (points - truth.landmarks68).abs().max() < 1e-3
        assert torch.equal(seen, truth.landmarks68_seen)
        at, known = photo.parameters, truth.parameters
        for name in ("identity", "expression", "diffuse", "specular", "shininess"):
            assert (getattr(at, name) - getattr(known, name)).abs().max() < 1e-4
        assert (at.pose.rotation - known.pose.rotation).abs().max() < 1e-6
        pixels = at.camera.project(at.pose.camera_from_head(photo.vertices[None]))
        again = known.camera.project(known.pose.camera_from_head(truth.vertices[None]))
        assert (pixels - again)[..., :2].abs().max() < 0.01
        assert (at.point_light is None) == (known.point_light is None)


def test_crops_of_photos_whose_faces_are_known(folder, studio, tmp_path) -> None:
    known = load_known_crops([folder], tmp_path / "known.npy")
    assert known.head == (studio.model.name, studio.model.version)
    for number in (2, 0):
        truth = sample(studio, 5, number)
        assert np.allclose(known.identity[number], truth.parameters.identity[0], atol=1e-4)
        five = torch.from_numpy(known.landmarks[number] - MARGIN)[None]
        assert (five_points(five)[0] - torch.tensor(TEMPLATE) - 0.5).abs().max() < 12
        crop = aligned_crops(luma(truth.image)[None, None], five_points(truth.landmarks478[None]))
        plain = plain_crops(known.pixels, [number])
        assert (plain - crop).abs().max() < 0.01
    again = load_known_crops([folder], tmp_path / "known.npy")
    assert again.digest == known.digest
    (tmp_path / "known.numbers.npy").unlink()  # control: cut again
    assert load_known_crops([folder], tmp_path / "known.npy").digest == known.digest


def test_several_folders_and_a_limit(folder) -> None:
    both = ShardSet.open(folder, folder / "shards", limit=2)
    assert [both.photo(k).key for k in range(len(both))] == ["000000000", "000000001"] * 2


def test_a_folder_without_shards_and_a_missing_file_are_told(folder, tmp_path) -> None:
    with pytest.raises(InputError, match="found none"):
        ShardSet.open(tmp_path)
    with pytest.raises(InputError, match="no 'ply'"):
        ShardSet.open(folder).files(0, ["ply"])


@pytest.mark.parametrize("bytes_left", [700, 30_000])
def test_a_cut_shard_is_told(folder, tmp_path, bytes_left) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes((folder / "shards/000001.tar").read_bytes()[:bytes_left])
    with pytest.raises(InputError, match="make it again"):
        shard_index(cut)


def test_a_shard_that_is_cut_later_is_told(folder, tmp_path) -> None:
    shard = tmp_path / "000000.tar"
    shard.write_bytes((folder / "shards/000000.tar").read_bytes())
    stored = ShardSet.open(tmp_path)
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(InputError, match="make it again"):
        _ = stored.photo(1).image


def _hostile_array(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def _pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("suffix", "content", "part"),
    [
        ("jpg", b"no picture", "image"),
        ("masks.png", b"\x89PNG\r\n\x1a\n", "masks"),
        ("vertices.npy", _hostile_array((1 << 40, 3)), "vertices"),
        ("vertices.npy", _hostile_array((100, 3)), "vertices"),
        ("vertices.npy", _pickled(), "vertices"),
        ("json", b"[" * 100_000, "numbers"),
        ("json", b"[]", "numbers"),
        ("json", b"{}", "parameters"),
        ("json", json.dumps({"camera_from_head": 3, "camera": [], "point_light": 0}).encode(), "parameters"),
    ],
)
def test_hostile_files_are_refused(tmp_path, suffix, content, part) -> None:
    write_shard(tmp_path / "000000.tar", [("0", {suffix: content})])
    with pytest.raises(InputError, match="make the shard again"):
        getattr(ShardSet.open(tmp_path).photo(0), part)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"size": ["a", 3]}, "parameters"),
        ({"size": [float("inf"), 3]}, "parameters"),
        ({"size": [-5, 10**9]}, "parameters"),
        ({"size": [224]}, "parameters"),
        ({"shininess": -3.0}, "parameters"),
        ({"shininess": 0.0}, "parameters"),
        ({"shininess": "much"}, "parameters"),
        ({"sensor": []}, "grey"),
        ({"model": "base"}, "model"),
    ],
)
def test_hostile_numbers_are_refused(folder, tmp_path, changes, part) -> None:
    told = dict(ShardSet.open(folder).photo(0).numbers)
    changes = {**changes, "camera": {**told["camera"], "size": changes.get("size", (224, 224))}}
    for name, numbers in (("whole", told), ("changed", {**told, **changes})):
        write_shard(tmp_path / name / "000000.tar", [("0", {"json": json.dumps(numbers).encode()})])
    getattr(ShardSet.open(tmp_path / "whole").photo(0), part)
    with pytest.raises(InputError, match="make the shard again"):
        getattr(ShardSet.open(tmp_path / "changed").photo(0), part)


def test_photos_of_another_head_and_points_that_it_has_not_are_told(folder, studio, tmp_path) -> None:
    photo = ShardSet.open(folder).photo(0)
    photo.check_head(studio.model)
    with pytest.raises(InputError, match="expected base version older: synthesise the photos again"):
        photo.check_head(replace(studio.model, version="older"))
    numbers = {**photo.numbers, "landmarks478": [], "landmarks478_seen": []}
    write_shard(tmp_path / "000000.tar", [("0", {"json": json.dumps(numbers).encode()})])
    with pytest.raises(InputError, match="has no landmarks478, since its head has none"):
        ShardSet.open(tmp_path).photo(0).points("landmarks478")


def test_a_path_that_leaves_the_archive_is_refused(tmp_path) -> None:
    with tarfile.open(tmp_path / "000000.tar", "w") as archive:
        entry = tarfile.TarInfo("../0.jpg")
        archive.addfile(entry, io.BytesIO())
    with pytest.raises(InputError, match="expected files of samples"):
        ShardSet.open(tmp_path)
