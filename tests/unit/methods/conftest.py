"""The shipped head and heads in small pictures, made once."""

from dataclasses import replace

import pytest
import torch
from tests.unit.methods.drawn_examples import TRAINING, drawn_examples

from facewright.fitting.face_probe import FaceProbe
from facewright.methods.specular.examples import Examples
from facewright.methods.specular.losses import MouthPatch
from facewright.methods.specular.model import mean_start
from facewright.methods.specular.train import SpecularTask
from facewright.models.base import load_base_model
from facewright.scene.lighting import PointLight


@pytest.fixture(scope="session")
def model():
    return load_base_model()


@pytest.fixture(scope="session")
def probe(model):
    return FaceProbe.of(model)


@pytest.fixture(scope="session")
def patch():
    return MouthPatch.make()


@pytest.fixture
def neutral(model):
    """Mean heads in crops of 64 px, with a lamp from the camera's side."""

    def make(batch=1, size=64, intensity=0.5, shininess=20.0, lamp=(-200.0, -300.0, -100.0)):
        start = mean_start(model, batch, size)
        bulb = PointLight(torch.tensor([lamp]).expand(batch, 3), torch.full((batch, 3), intensity))
        return replace(
            start,
            expression=torch.zeros_like(start.expression),
            point_light=bulb,
            shininess=torch.full((batch,), shininess),
        )

    return make


@pytest.fixture(scope="session")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("specular") / "examples"
    return drawn_examples(path, model)


@pytest.fixture(scope="session")
def task(model, folder):
    return SpecularTask(model, Examples([folder], model), TRAINING)
