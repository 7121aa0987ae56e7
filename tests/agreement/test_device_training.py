"""Every task's losses, gradients, figures and pictures are the same on every device."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.methods.drawn_examples import drawn_examples
from torch import Tensor, nn

from facewright.core.tensor_records import on_device
from facewright.data.aligned_faces import CropSet
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.record import PhotoPair
from facewright.detection.aligned_crop import DENSE, TEMPLATE
from facewright.detection.recognition import NetworkFeatures
from facewright.methods.recognition.settings import RecognitionSettings
from facewright.methods.recognition.task import RecognitionTask
from facewright.methods.segmentation.crops import STORED, write_crops
from facewright.methods.segmentation.train import SegmentationSettings, SegmentationTask
from facewright.methods.specular.examples import Examples
from facewright.methods.specular.scales import SpecularTraining
from facewright.methods.specular.settings import (
    LossSettings,
    NetworkSettings,
    RenderSettings,
    SupervisionWeights,
)
from facewright.methods.specular.train import SpecularTask
from facewright.methods.sphere.encoder import EncoderSettings
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.train import SphereTask
from facewright.models.base import load_base_model
from facewright.models.sphere_model import sphere_model
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.segmentation import SegmentationNetworkSettings
from facewright.training.task import Task

STEP = 4  # of the tasks below: every loss counts
SMALL_TRUNK = RecognitionNetworkSettings((8, 16), (0,), 4, 12)


def _people() -> CropSet:
    """Noise as photos of people, of whom some are kept out."""
    names = [f"Name_{k}" for k in range(100)]
    kept = [name for name in names if is_kept_out(name)][:5]
    seen = [name for name in names if not is_kept_out(name)][:4]
    identity = tuple(who for who in (*kept, *seen) for _ in range(3))
    pixels = np.random.default_rng(0).integers(0, 255, (len(identity), 128, 128), dtype=np.uint8)
    return CropSet(pixels, identity, (PhotoPair(0, 0, 1, True),))


def _specular(folder: Path) -> Task:
    model = load_base_model()
    training = SpecularTraining(
        batch=6,
        photos=0.5,
        network=NetworkSettings(input_size=48, widths=(4, 8, 8, 8), hidden=16, geometry=8),
        losses=LossSettings(mouth_start=0),
        render=RenderSettings(size=48),
        supervision=SupervisionWeights(),
        render_rows=2,
        evaluated=2,
        evaluated_trained=2,
        evaluated_drawn=2,
        face_alone=True,
    )
    recognition = NetworkFeatures(RecognitionNetwork(SMALL_TRUNK))
    examples = Examples([drawn_examples(folder / "examples", model)], model)
    return SpecularTask(model, examples, training, recognition)


def _segmentation(folder: Path) -> Task:
    rng = np.random.default_rng(0)
    for name in ("synthetic_one", "synthetic_one_kept_out", "photos", "photos_kept_out"):
        images = rng.integers(0, 255, (4, STORED, STORED, 3), dtype=np.uint8)
        labels = 1 << rng.integers(0, 6, (4, STORED, STORED)).astype(np.uint8)
        write_crops(folder / name, zip(images, labels, strict=True), 4)
    network = SegmentationNetworkSettings(input_size=32, widths=(6, 8, 12), decoder=(8, 8))
    return SegmentationTask(folder, SegmentationSettings(network=network, batch=4))


def _recognition(folder: Path) -> Task:
    return RecognitionTask(_people(), RecognitionSettings((0,), batch=6, network=SMALL_TRUNK))


def _sphere(folder: Path) -> Task:
    model, crops = load_base_model(), _people()
    landmarks = 64 + 20 * torch.rand(len(crops.pixels), 478, 2, generator=torch.Generator().manual_seed(0))
    for group, place in zip(DENSE, TEMPLATE, strict=True):
        landmarks[:, list(group)] = torch.tensor(place) + 8.5
    sizes = EncoderSettings(widths=(8, 16), blocks=(0,), shrink=4, features=12, bottleneck=6, hidden=16)
    training = SphereTraining(
        kept_out_folds=(0,), batch=8, warm_up=2, margin_ramp=2, drawn=2, draw_every=1, network=sizes
    )
    return SphereTask(sphere_model(model, model.regions["face"]), crops, landmarks, training)


TASKS: dict[str, Callable[[Path], Task]] = {
    "specular": _specular,
    "segmentation": _segmentation,
    "recognition": _recognition,
    "sphere": _sphere,
}


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Task:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TASKS[request.param](tmp_path_factory.mktemp(request.param))


def _network(task: Task) -> nn.Module:
    """A fresh one; heads that start at 0 would give no gradient to what is before them."""
    network, generator = task.build(0), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # each device draws other numbers
    return network


def _step(task: Task, network: nn.Module, device: torch.device) -> tuple[dict[str, Tensor], float]:
    """Losses, and the length of their gradients."""
    losses = task.losses(network.train(), on_device(task.batch(0, STEP, 0, 1), device), STEP)
    leaves = [p for p in network.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(torch.stack(list(losses.values())).sum(), leaves, allow_unused=True)
    length = torch.stack([g.norm() for g in gradients if g is not None]).norm()
    return {name: value.detach() for name, value in losses.items()}, float(length)


def test_a_task_is_the_same(task: Task, device: torch.device) -> None:
    told, pictures = [], []
    for place in (torch.device("cpu"), device):
        network = _network(task).to(place)
        losses, length = _step(task, network, place)
        figures = task.evaluate(network.eval())
        told.append({name: float(value) for name, value in losses.items()} | figures | {"length": length})
        pictures.append([picture.detach().cpu() for picture in task.pictures(network).values()])
    assert told[1] == pytest.approx(told[0], rel=2e-3, abs=1e-4, nan_ok=True)
    for expected, found in zip(*pictures, strict=True):
        assert (found - expected).abs().mean() < 2e-3


def test_a_task_trains_in_bfloat16(task: Task) -> None:
    """The network is rounded, the losses are not: they stay near those of float32."""
    network, here = _network(task), torch.device("cpu")
    expected, length = _step(task, network, here)
    with torch.autocast("cpu", torch.bfloat16):
        found, other = _step(task, network, here)
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert other == pytest.approx(length, rel=0.2)
    assert other != length
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(float(value), rel=0.1, abs=1e-2), name
