"""Registered scans of synthetic people: each of seed and index alone; people differ more than scans."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.miniature_head import miniature_model

from facewright.core.errors import InputError
from facewright.data.protocols import SCAN_PROTOCOLS
from facewright.data.registered_scans import RegistrationNoise, ScanPopulation, face_vertices
from facewright.geometry.alignment import align_points

PROTOCOL = replace(SCAN_PROTOCOLS["synthetic-frgc"], subjects=3, scans=4)
SILENT = RegistrationNoise(along=0.0, across=0.0, sensor=0.0)


@pytest.fixture(scope="module")
def population():
    model = miniature_model()
    region = model.mean[:, 2] > model.mean[:, 2].median()
    model = replace(model, regions={**model.regions, "front": region})
    return ScanPopulation(model, PROTOCOL, face_vertices(model, "front", 0.0), seed=5)


def drawn(population, block=256):
    return np.concatenate(list(population.blocks(block)))


def test_scans_do_not_depend_on_what_is_made_with_them(population):
    scans = drawn(population)
    assert scans.shape == (12, len(population.vertex), 3)
    assert np.array_equal(drawn(population, block=5), scans)
    assert not np.array_equal(drawn(replace(population, seed=6)), scans)
    assert population.people.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_people_differ_more_than_their_scans(population):
    scans = drawn(population).astype(np.float64)
    means = scans.reshape(3, 4, -1).mean(1)
    within = np.sqrt(((scans.reshape(3, 4, -1) - means[:, None]) ** 2).mean())
    assert means.std(0).mean() > within > 0


def test_scans_lie_on_the_mean_head(population):
    target = population.model.mean[population.vertex][None].double()
    points = torch.from_numpy(drawn(population)).double()
    rotation = align_points(points, target.expand_as(points)).rotation
    torch.testing.assert_close(rotation, torch.eye(3).double().expand_as(rotation), atol=1e-4, rtol=0)


def test_noise_has_the_size_it_is_told(population):
    noise = RegistrationNoise(along=0.0, across=0.0, sensor=0.5)
    added = drawn(replace(population, noise=noise)) - drawn(replace(population, noise=SILENT))
    assert float(np.sqrt((added**2).sum(2).mean())) == pytest.approx(0.5, rel=0.1)
    lasting = RegistrationNoise(along=1.0, across=0.0, lasting=1.0, sensor=0.0)
    added = drawn(replace(population, noise=lasting)) - drawn(replace(population, noise=SILENT))
    same = added.reshape(3, 4, -1)
    assert np.abs(same - same.mean(1, keepdims=True)).max() < 0.25 * np.abs(same).max()
    assert np.abs(same[0, 0] - same[1, 0]).max() > 0.25 * np.abs(same).max()


def test_vertices_are_as_far_apart_as_asked(population):
    model = population.model
    chosen = face_vertices(model, "front", 20.0)
    assert 3 < len(chosen) < len(population.vertex)
    distance = torch.pdist(model.mean[chosen].double())
    assert float(distance.min()) > 20.0
    # Every other vertex of the region is near one of them.
    apart = torch.cdist(model.mean[population.vertex].double(), model.mean[chosen].double()).min(1).values
    assert float(apart.max()) <= 20.0
    with pytest.raises(InputError, match="region"):
        face_vertices(model, "elbow")
