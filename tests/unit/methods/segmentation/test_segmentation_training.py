"""Training of segmentation: labels are true, half-known ones contradict no exact ones, batches repeat."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.data.sampling import SamplingSettings
from facewright.data.synthesis import open_studio, samples
from facewright.detection.crop import crop_from_photo, frames_from_landmarks
from facewright.detection.segmentation import CLASSES
from facewright.methods.segmentation.augment import AugmentSettings, unchanged, viewed
from facewright.methods.segmentation.crops import (
    FORMAT_FILE,
    LABELS,
    STORED,
    CropStore,
    cut_image,
    cut_label,
    wide,
    write_crops,
)
from facewright.methods.segmentation.labels import ANY, BIT, labels_of_landmarks, labels_of_masks
from facewright.methods.segmentation.train import (
    SegmentationSettings,
    SegmentationTask,
    partial_cross_entropy,
)
from facewright.models.base import load_base_model
from facewright.networks.segmentation import SegmentationNetworkSettings
from facewright.pipeline.training import training_recipe
from facewright.training.task import Task

WHOLE = SegmentationNetworkSettings(input_size=64, widths=(6, 8, 12), decoder=(8, 8))
TINY = SegmentationSettings(
    network=SegmentationNetworkSettings(input_size=32, widths=(6, 8, 12), decoder=(8, 8)), batch=8
)


@pytest.fixture(scope="module")
def photos():
    return samples(open_studio(load_base_model(), SamplingSettings(size=128, texture_size=32)), 5, range(6))


def frame_of(photo) -> np.ndarray:
    return wide(frames_from_landmarks(photo.landmarks478.double().numpy()[None]))


def weak(photo) -> torch.Tensor:
    points = crop_from_photo(photo.landmarks478.double().numpy()[None], frame_of(photo))[0] * STORED
    return labels_of_landmarks(points, STORED)


@pytest.fixture(scope="module")
def crops(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    exact = [
        (cut_image(p.image, frame_of(p)), cut_label(labels_of_masks(p.masks), frame_of(p))) for p in photos
    ]
    write_crops(folder / "synthetic_one", exact[:4], 4)
    write_crops(folder / "synthetic_one_kept_out", exact[4:], 2)
    half = [(image, weak(p).numpy()) for (image, _), p in zip(exact, photos, strict=True)]
    write_crops(folder / "photos", half[:4], 4)
    write_crops(folder / "photos_kept_out", half[4:], 2)
    return folder


def test_every_pixel_of_a_synthetic_photo_has_its_class(photos) -> None:
    for photo in photos:
        label, masks = labels_of_masks(photo.masks), photo.masks
        assert set(label.unique().tolist()) <= set(BIT.values())
        assert torch.equal(label == BIT["face"], masks.face)
        assert torch.equal(label == BIT["inner_mouth"], masks.inner_mouth)
        assert torch.equal(label == BIT["occluder"], masks.occluder)
        assert torch.equal(label == BIT["background"], ~masks.head & ~masks.occluder)
        eyes = torch.nonzero(label == BIT["eyes"]).float().flip(1) + 0.5
        corners = photo.landmarks478[[33, 133, 263, 362]]
        near = torch.cdist(eyes, corners).amin(1) < (corners[0] - corners[2]).norm()
        assert near.float().mean() > 0.9 if len(eyes) > 50 else True


def test_what_landmarks_tell_is_true(photos) -> None:
    """Faces that nothing hides: the true class is among those that their landmarks allow."""
    bare = [p for p in photos if (p.masks.head & p.masks.occluder).sum() < 0.3 * p.masks.head.sum()]
    assert len(bare) >= 2
    for photo in bare:
        exact = torch.from_numpy(cut_label(labels_of_masks(photo.masks), frame_of(photo)))
        allowed = weak(photo)
        known = (exact != ANY) & (exact != BIT["occluder"])
        agree = ((exact & allowed) > 0)[known].float().mean()
        turned = ((exact & allowed.roll(STORED // 4, 1)) > 0)[known].float().mean()
        assert agree > 0.97
        assert turned < 0.93  # control: labels of another place are not true
        sure = (allowed == BIT["face"]).float().mean()
        assert sure > 0.05


def test_partial_cross_entropy() -> None:
    logits = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    classes = torch.randint(0, 6, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    one = (1 << classes).to(torch.uint8)
    expected = functional.cross_entropy(logits, classes, reduction="none")
    torch.testing.assert_close(partial_cross_entropy(logits, one), expected)
    anything = torch.full_like(one, ANY)
    assert partial_cross_entropy(logits, anything).abs().max() < 1e-5
    two = torch.full_like(one, BIT["face"] | BIT["eyes"])
    share = logits.softmax(1)[:, [1, 3]].sum(1)
    torch.testing.assert_close(partial_cross_entropy(logits, two), -share.log())
    partial_cross_entropy(logits * 1e3, two).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_crop_comes_back(crops, photos) -> None:
    store = CropStore(crops / "synthetic_one")
    images, labels = store.read(np.array([1, 1, 3]))
    assert images.shape == (3, 3, STORED, STORED)
    assert torch.equal(labels[0], labels[1])
    small, known = unchanged(images, labels, 64)
    frame = frames_from_landmarks(photos[1].landmarks478.double().numpy()[None])
    seen = (photos[1].landmarks478.double().numpy()[None], frame)
    lips = (crop_from_photo(*seen)[0, [61, 291]] * 64).astype(int)
    assert ((lips > 8) & (lips < 56)).all()
    assert small.shape == (3, 3, 64, 64)
    assert BIT["face"] in known.unique()


def test_augmentation_moves_image_and_label_alike(crops) -> None:
    """A label painted into the picture stays where the label is."""
    _, labels = CropStore(crops / "synthetic_one").read(np.arange(4))
    painted = (labels == BIT["face"]).float()[:, None].expand(-1, 3, -1, -1).contiguous()
    images, moved = viewed(painted, labels, 64, AugmentSettings(), np.random.default_rng(0))
    apart = (images[:, 0] > 0.5) != (moved == BIT["face"])
    assert apart.float().mean() < 0.02
    other, _ = viewed(painted, labels, 64, AugmentSettings(), np.random.default_rng(1))
    assert (images - other).abs().mean() > 0.05  # control: the seed decides


def test_batches_depend_on_their_arguments_alone(crops) -> None:
    first, second = SegmentationTask(crops, TINY), SegmentationTask(crops, TINY)
    second.batch(0, 1, 0, 1)
    one, same, other = first.batch(0, 5, 1, 2), second.batch(0, 5, 1, 2), first.batch(0, 6, 1, 2)
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.labels, same.labels)
    assert not torch.equal(one.images, other.images)
    assert one.images.shape == (4, 3, 32, 32)
    assert one.weights.tolist() == [1, 1, 0.5, 0.5]
    assert ((one.images >= 0) & (one.images <= 1)).all()


def test_building_a_network_leaves_the_caller_s_random_numbers(crops) -> None:
    task = SegmentationTask(crops, TINY)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, same, other = (task.build(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    name = next(name for name, value in first.items() if value.ndim > 1)
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])


def test_first_steps_see_smaller_crops(crops) -> None:
    task = SegmentationTask(crops, replace(TINY, network=WHOLE, coarse_steps=2))
    assert [task.batch(0, step, 0, 1).images.shape[-1] for step in range(4)] == [32, 32, 64, 64]


def test_a_task_travels_to_processes(crops) -> None:
    task = SegmentationTask(crops, TINY)
    task.batch(0, 0, 0, 1)
    packed = pickle.dumps(task)
    assert len(packed) < 10_000  # no crops in it
    assert torch.equal(pickle.loads(packed).batch(0, 3, 0, 1).images, task.batch(0, 3, 0, 1).images)


def test_settings_tell_which_crops_they_are(crops, tmp_path) -> None:
    shutil.copytree(crops, tmp_path / "same")
    shutil.copytree(crops, tmp_path / "other")
    stored = np.load(tmp_path / "other" / "photos_kept_out" / LABELS)
    stored[-1, -1, -1] ^= 1
    np.save(tmp_path / "other" / "photos_kept_out" / LABELS, stored)
    (tmp_path / "other" / "photos_kept_out" / FORMAT_FILE).write_text("")  # as it was before it told itself
    own, same, other = (
        SegmentationTask(folder, TINY).settings() for folder in (crops, tmp_path / "same", tmp_path / "other")
    )
    assert own == same
    assert own != other


def test_the_command_line_knows_it(crops) -> None:
    recipe = training_recipe("segmentation")
    for scale, settings in recipe.scales.items():
        task = recipe.make(recipe.options(crops=crops), scale, settings)
        assert isinstance(task, Task)
        assert task.batch(0, 0, 0, settings.batch).images.shape == (1, 3, 64, 64)
        assert json.dumps(task.settings())


def test_a_few_steps_learn(crops) -> None:
    task = SegmentationTask(crops, TINY)
    network = task.build(0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    before = task.evaluate(network.eval())
    network.train()
    lost = []
    for step in range(12):
        (loss,) = task.losses(network, task.batch(0, step, 0, 1), step).values()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        lost.append(loss.item())
    after = task.evaluate(network.eval())
    assert np.mean(lost[-3:]) < 0.8 * np.mean(lost[:3])
    assert after["impossible_on_photos"] < before["impossible_on_photos"]
    assert {f"iou_{name}" for name in CLASSES} < set(after)
    for sheet in task.pictures(network.eval()).values():
        assert sheet.shape == (3, 64, 12 * 32)


def test_a_folder_without_crops_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match="found nothing"):
        SegmentationTask(tmp_path / "nowhere")
    (tmp_path / "synthetic_x").mkdir()
    (tmp_path / "synthetic_x_kept_out").mkdir()
    with pytest.raises(InputError, match="expected crops"):
        SegmentationTask(tmp_path)
    with pytest.raises(InputError, match="ask for fewer"):
        write_crops(tmp_path / "few", [], 2)
