"""Regions carried over to a scan of another topology, and errors by region."""

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.evaluation.geometry_metrics import kept_faces
from facewright.evaluation.landmarks import FaceLandmarks, landmarks_from_rows
from facewright.evaluation.protocols import PROTOCOLS
from facewright.evaluation.records import FaceSample
from facewright.evaluation.regions import region_template, scan_regions, warp_by_landmarks
from facewright.evaluation.run import RunSettings, evaluate_into
from facewright.models.base import load_base_model


@pytest.fixture(scope="module")
def model():
    return load_base_model()


@pytest.fixture(scope="module")
def template(model):
    return region_template(model)


def head(model, generator_seed, count=10):
    """A random person: skin of the head, 68 landmarks, and the number of each vertex in the model."""
    identity = torch.zeros(1, model.identity_count)
    generator = torch.Generator().manual_seed(generator_seed)
    identity[0, :count] = torch.randn(count, generator=generator)
    vertices = model.vertices(identity)[0]
    marks = model.landmark_points(vertices, "ibug68").double().numpy()
    used = np.flatnonzero(model.parts["skin"].numpy())
    faces = kept_faces(model.topology.faces.numpy(), model.parts["skin"].numpy())
    number = np.full(len(vertices), -1)
    number[used] = np.arange(len(used))
    points = vertices.double().numpy()[used]
    return FaceSample("head", points, number[faces], landmarks_from_rows(marks, "head")), used


@pytest.mark.parametrize("seven", [False, True])
def test_a_vertex_keeps_its_region_on_another_person(model, template, seven):
    person, used = head(model, 1)
    marks = FaceLandmarks(person.landmarks.named) if seven else person.landmarks
    found = scan_regions(template, person.vertices, marks)
    for number, name in enumerate(template.names):
        true = template.region[used] == number
        overlap = (found[name] & true).sum() / (found[name] | true).sum()
        assert overlap > (0.75 if seven else 0.85), name
    # Control: regions by a wrong frame overlap little.
    wrong = scan_regions(template, person.vertices + np.array([0, 12.0, 0]), marks)
    assert (wrong["nose"] & (template.region[used] == 0)).sum() < 0.75 * (template.region[used] == 0).sum()


def test_an_error_shows_in_its_region_only(model, template, tmp_path):
    person, _ = head(model, 2)
    nose = person.landmarks.named["nose_tip"]
    fall_off = np.exp(-((person.vertices - nose) ** 2).sum(1) / (2 * 9.0**2))
    pulled = person.vertices + fall_off[:, None] * np.array([0, 0, 6.0])
    longer = FaceSample("longer", pulled, person.faces, person.landmarks)
    measured = PROTOCOLS["realy"](longer, person, template)
    means = {name: part.error.mean() for name, part in measured.parts.items()}
    assert list(means) == ["nose", "mouth", "forehead", "cheek"]
    assert means["nose"] > 0.5
    assert means["nose"] > 4 * max(means["mouth"], means["forehead"], means["cheek"])
    same = PROTOCOLS["realy"](person, person, template)
    assert same.values["all"] < 0.05
    with pytest.raises(InputError, match="template"):
        evaluate_into(tmp_path / "o", "realy", [], RunSettings(), progress=False)


def test_the_non_rigid_estimate_is_nearer_to_the_true_error(model):
    """One person for another: closest points hide most of the error, corresponding ones do not."""
    prediction, scan = head(model, 1)[0], head(model, 2)[0]
    true = PROTOCOLS["tewari"](prediction, scan).parts["face"].error.mean()
    parts = PROTOCOLS["nonrigid"](prediction, scan).parts
    bent, icp = parts["nonrigid"].error.mean(), parts["icp"].error.mean()
    assert icp < 0.7 * true
    assert abs(bent - true) < 0.6 * abs(icp - true)


def test_a_warp_takes_landmarks_where_they_belong():
    rng = np.random.default_rng(0)
    for count in (3, 7, 51):
        source = rng.normal(0, 40, (count, 3))
        target = source + rng.normal(0, 3, (count, 3))
        np.testing.assert_allclose(warp_by_landmarks(source, source, target), target, atol=1e-6)
        everywhere = rng.normal(0, 40, (20, 3))
        shifted = warp_by_landmarks(everywhere, source, source + np.array([1.0, 2, 3]))
        np.testing.assert_allclose(shifted, everywhere + np.array([1.0, 2, 3]), atol=1e-6)
