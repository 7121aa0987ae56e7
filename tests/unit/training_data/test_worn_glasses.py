"""Drawn spectacles: labels lie where they are painted, and tell the shape that was drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.detection.glasses_look import CLASSES, GlassesLook, glasses_frame
from facewright.fitting.glasses import fit_glasses
from facewright.models.base import load_base_model
from facewright.models.glasses import GlassesPlaces
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.pose import Pose, turned_rotations
from training_data.glasses_task import GlassesSettings, GlassesTask  # pyright: ignore[reportMissingImports]
from training_data.worn_glasses import (  # pyright: ignore[reportMissingImports]
    draw_look,
    draw_shape,
    plain,
    wear,
)

CAMERA = PerspectiveCamera(torch.tensor([900.0]), torch.tensor([[256.0, 256.0]]), (512, 512))
PHOTO = torch.tensor([0.8, 0.6, 0.5])[:, None, None].repeat(1, 512, 512)


@pytest.fixture(scope="module")
def head():
    model = load_base_model()
    places = GlassesPlaces.of(model)
    assert places is not None
    return model.mean, model.topology.faces, places.on(model.mean.double().numpy())


def posed(yaw):
    return Pose(turned_rotations((yaw,)), torch.tensor([[0.0, 0.0, 900.0]]))


def drawn(head, yaw, seed):
    """Picture, label, shape and look of one face."""
    rng = np.random.default_rng(seed)
    shape = draw_shape(rng)
    look = replace(draw_look(rng), shadow=(0.0, 0.0, 0.0, 1.0), opaque=1.0)
    frame = glasses_frame(head[2], posed(yaw), CAMERA)
    picture, label = wear(PHOTO, frame, head, (posed(yaw), CAMERA), (shape, look), rng)
    return picture, label, shape, look, frame


@pytest.mark.parametrize("seed", range(4))
def test_labels_lie_where_the_frame_is_painted(head, seed):
    picture, label, _, _, frame = drawn(head, 0.1 * seed, seed)
    bare, nothing = plain(PHOTO, frame)
    assert not nothing.any()
    changed = np.abs(picture.astype(int) - bare).max(-1)
    small = changed.reshape(80, 2, 160, 2).mean((1, 3))
    solid, untouched = (label[..., :2].max(-1) > 200), label.max(-1) == 0
    assert solid.sum() > 15
    assert np.median(small[solid]) > 15
    assert small[untouched].max() <= 30  # half a pixel beside it


@pytest.mark.parametrize(("yaw", "seed"), [(0.0, 1), (0.3, 2), (-0.3, 5)])
def test_the_fit_finds_the_drawn_shape_from_its_label(head, yaw, seed):
    _, label, shape, _, frame = drawn(head, yaw, seed)
    shares = torch.from_numpy(label).permute(2, 0, 1).float() / 255
    shares = torch.cat([(1 - shares.sum(0, keepdim=True)).clamp(0, 1), shares])
    look = GlassesLook(shares, torch.zeros(3, 80, 160), frame)
    fit = fit_glasses(look, head[2], posed(yaw), CAMERA)
    assert fit is not None
    assert fit.sure
    for name, close in (("width", 1.5), ("height", 1.5), ("apart", 1.5)):
        assert getattr(fit.shape, name) == pytest.approx(getattr(shape, name), abs=close)


def test_a_batch_has_shares_of_one(tmp_path, head):
    for part in ("seen", "kept_out"):
        folder = tmp_path / part
        folder.mkdir()
        made = [drawn(head, 0.0, seed)[:2] for seed in range(2)]
        for name, rows in zip(("images", "labels"), zip(*made, strict=True), strict=True):
            np.save(folder / f"{name}.npy", np.stack(rows))
        (folder / "glasses-crops-1").write_text('{"digest": "x"}')
    task = GlassesTask(tmp_path, GlassesSettings(batch=2, coarse_steps=1))
    for step, width in ((0, 128), (1, 256)):
        batch = task.batch(0, step, 0, 1)
        assert batch.images.shape == (2, 3, width // 2, width)
        torch.testing.assert_close(batch.shares.sum(1), torch.ones(2, width // 2, width))
        assert float(batch.shares[:, CLASSES.index("nothing")].mean()) < 0.97
    network = task.build(0)
    assert task.losses(network, task.batch(0, 0, 0, 1), 0)["pixels"].requires_grad
    told = task.evaluate(network.eval())
    assert 0 < told["error"] < 1
