"""A sample is the same wherever it is made, and what it says of itself is true."""

from dataclasses import fields, is_dataclass, replace
from itertools import islice

import pytest
import torch

from facewright.core.errors import InputError
from facewright.data.sensor import read_photograph
from facewright.data.synthesis import open_studio, photos_of_one, sample, samples, stream
from facewright.image.sample import sample_bilinear
from facewright.scene.material import EYE_SHININESS


def same(first, second) -> bool:
    """Equal to the last bit, through records."""
    if isinstance(first, torch.Tensor):
        return first.shape == second.shape and torch.equal(first, second)
    if is_dataclass(first):
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    return first == second


def test_a_sample_does_not_depend_on_its_batch(studio, photos) -> None:
    assert same(sample(studio, 5, 3), photos[3])
    assert same(samples(studio, 5, [4, 3])[1], photos[3])
    assert same(next(islice(stream(studio, 5, start=2), 1, None)), photos[3])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert same(sample(studio, 5, 3), photos[3])
    finally:
        torch.set_num_threads(threads)
    assert not same(photos[3], photos[2])
    assert not same(sample(studio, 6, 3), photos[3])


def test_a_stream_ends_where_it_is_told(studio) -> None:
    assert [photo.index for photo in stream(studio, 1, start=3, count=2)] == [3, 4]


def test_photos_of_one_person_differ_in_all_else(studio, photos) -> None:
    first, second = photos_of_one(studio, 5, [3, 2])
    assert same(first, photos[3])
    ours, others = second.parameters, photos[2].parameters
    assert torch.equal(ours.identity, photos[3].parameters.identity)
    assert torch.equal(ours.diffuse, photos[3].parameters.diffuse)
    assert not torch.equal(ours.identity, others.identity)  # control
    assert torch.equal(ours.expression, others.expression)
    with pytest.raises(InputError, match="at least 0"):
        photos_of_one(studio, 5, [])


def test_a_negative_seed_is_refused(studio) -> None:
    with pytest.raises(InputError, match="at least 0"):
        sample(studio, -1, 0)


def test_the_image_is_what_its_file_holds(photos) -> None:
    for photo in photos:
        assert torch.equal(read_photograph(photo.image_file), photo.image)
        assert photo.image.std() > 0.02


def test_masks_belong_together(photos) -> None:
    for photo in photos:
        masks = photo.masks
        assert not (masks.skin & masks.occluder).any()
        assert not (masks.inner_mouth & (masks.skin | masks.occluder)).any()
        assert not (masks.face & ~masks.skin).any()
        assert not (masks.skin & ~masks.head).any()
        assert torch.equal(masks.head, photo.depth > 0)
        assert torch.allclose(photo.normals[masks.head].norm(dim=-1), torch.ones(()), atol=1e-4)
        assert not photo.normals[~masks.head].any()
        assert photo.diffuse[masks.face].mean() > 0.001
    assert any(photo.masks.occluder.any() for photo in photos)


def vertex_depth_error(photo, shift: float = 0.0) -> float:
    """How far the depth at the pixels of seen vertices is from the vertices, mm (median)."""
    at = photo.parameters
    there = at.camera.project(at.pose.camera_from_head(photo.vertices[None]))[0]
    seen = photo.visible & (there[:, :2] > 2).all(1) & (there[:, :2] < photo.depth.shape[0] - 2).all(1)
    depth = sample_bilinear(photo.depth[None, None], there[None, seen, :2] + shift)[0, :, 0]
    return float((depth - there[seen, 2]).abs().median())


def test_depth_is_that_of_the_seen_vertices(photos) -> None:
    for photo in photos:
        assert vertex_depth_error(photo) < 0.6
        assert vertex_depth_error(photo, shift=12.0) > 2.0


def test_occluders_hide_vertices(studio, bare_studio) -> None:
    bare = samples(bare_studio, 5, range(3))
    dressed = samples(studio, 5, range(3))
    assert not any(photo.masks.occluder.any() for photo in bare)
    assert sum(int(p.visible.sum()) for p in dressed) < sum(int(p.visible.sum()) for p in bare)


def test_landmarks_lie_on_the_head_and_on_its_outline(base_model, photos) -> None:
    contour = base_model.landmarks["ibug68"].contour
    moved = []
    for photo in photos:
        at = photo.parameters
        points = base_model.landmark_points(photo.vertices[None], "ibug68")
        there = at.camera.project(at.pose.camera_from_head(points))[0, :, :2]
        assert torch.allclose(photo.landmarks68[~contour], there[~contour], atol=1e-2)
        moved.append((photo.landmarks68[contour] - there[contour]).norm(dim=1).max())
        assert photo.landmarks478.shape == (478, 2)
        assert photo.landmarks68_seen.any()
    assert max(moved) > 1.0  # of a turned head, points of the far side slide inwards


def test_little_light_comes_in_by_a_slit(base_model, studio) -> None:
    names, openings = base_model.expression_names, studio.topology.openings
    activations = torch.zeros(2, len(names))
    activations[1, [names.index(name) for name in ("eyeBlinkRight", "jawOpen")]] = 0.5
    heads = base_model.vertices(torch.zeros(2, base_model.identity_count), activations)
    light = openings.light(base_model.landmark_points(heads, "ibug68"))

    def share(part: str) -> list[float]:
        return light[:, base_model.parts[part]].mean(1).tolist()

    assert share("right_eye")[0] > 0.95 > 0.7 > share("right_eye")[1]
    assert share("left_eye")[1] > 0.95
    assert share("upper_teeth")[0] < 0.5 < 0.8 < share("upper_teeth")[1]
    assert (light[:, openings.behind == 0] == 1).all()
    dull, shiny = openings.shininess(torch.tensor([9.0, 40.0]))
    assert set(dull[base_model.parts["skin"]].tolist()) == {9.0}
    assert set(shiny[base_model.parts["skin"]].tolist()) == {40.0}
    assert set(shiny[base_model.parts["left_eye"]].tolist()) == {EYE_SHININESS}


def test_maps_show_the_albedo(base_model, photos) -> None:
    for photo in photos:
        mean = base_model.diffuse_albedo(photo.parameters.diffuse)[0, base_model.regions["face"]].mean(0)
        assert (photo.albedo_map.mean((0, 1)) - mean).abs().max() < 0.15
        assert photo.specular_map.shape == (32, 32, 1)


def test_a_model_without_landmarks_is_refused(base_model) -> None:
    with pytest.raises(InputError, match="ibug68"):
        open_studio(replace(base_model, landmarks={}))
