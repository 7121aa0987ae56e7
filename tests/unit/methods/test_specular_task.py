"""Examples, the task on them, and the trained network on photos."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.methods.drawn_examples import COUNT, NETWORK, SIZE, TRAINING, drawn_examples

from facewright.core.assets import asset_path
from facewright.core.errors import AssetError, InputError
from facewright.detection.landmarker import SECOND
from facewright.methods.specular.examples import INDEX, Examples, write_examples
from facewright.methods.specular.infer import SpecularMethod
from facewright.methods.specular.losses import LossSettings
from facewright.methods.specular.model import (
    SpecularNetwork,
    decode,
    mean_start,
    start_from_landmarker,
)
from facewright.methods.specular.scales import SpecularTraining
from facewright.methods.specular.settings import (
    NetworkSettings,
)
from facewright.methods.specular.train import SpecularTask
from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from facewright.networks.weights import read_weights
from facewright.training.checkpoint import (
    check_identity,
    identity_of,
)
from facewright.training.settings import TrainingSettings
from facewright.training.task import Task


def test_examples_of_no_photos_are_none(model, tmp_path):
    with pytest.raises(InputError, match="got none"):
        write_examples(tmp_path / "out", iter([]), SIZE, model)
    assert list(tmp_path.iterdir()) == []


def test_other_examples_have_another_digest(model, folder, tmp_path):
    digest = Examples([folder], model).digest
    assert Examples([folder], model).digest == digest != Examples([folder, folder], model).digest
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    index = other / INDEX
    index.write_text(json.dumps({**json.loads(index.read_text()), "digest": None}))
    assert Examples([other], model).digest == digest  # of a folder that does not tell it
    skin = np.load(other / "skin.npy", mmap_mode="r+")
    skin[0, 0, 0] ^= 1
    skin.flush()
    assert Examples([other], model).digest != digest


def test_examples_come_back_as_they_were_written_also_in_another_process(model, folder):
    examples = Examples([folder, folder], model)
    assert len(examples) == 2 * COUNT
    rows = np.array([COUNT + 1, 0, 1])
    one, other = examples.arrays["truth"][rows[:1]], examples.arrays["truth"][rows[2:]]
    assert np.array_equal(one, other)
    assert not np.array_equal(examples.arrays["truth"][rows[1:2]], other)
    head = examples.layout.unpacked(torch.from_numpy(one), SIZE)
    assert torch.equal(examples.layout.packed(head), torch.from_numpy(one))
    again = pickle.loads(pickle.dumps(examples))
    assert np.array_equal(again.arrays["crops"][rows], examples.arrays["crops"][rows])
    assert len(pickle.dumps(examples)) < 10_000
    assert set(examples.rows(truth=True, kept_out=True)) & {COUNT - 1, COUNT - 2, COUNT - 3} == {
        COUNT - 1,
        COUNT - 2,
    }


def test_folders_of_something_else_are_refused(model, folder, tmp_path):
    with pytest.raises(InputError, match="no whole examples"):
        Examples([tmp_path], model)
    with pytest.raises(InputError, match="prepare it again"):
        Examples([folder], replace(model, version="other"))
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "crops.npy").write_bytes((folder / "crops.npy").read_bytes()[:500])
    with pytest.raises(InputError, match="crops"):
        Examples([broken], model)
    told = json.loads((folder / INDEX).read_text())
    (broken / INDEX).write_text(json.dumps({**told, "format": "facewright specular examples 1"}))
    with pytest.raises(InputError, match=r"specular examples 1', expected .*prepare it again"):
        Examples([broken], model)
    drawn_examples(broken, model)  # which is possible
    Examples([broken], model)
    (broken / INDEX).write_text("{")
    with pytest.raises(InputError, match="no whole examples"):
        Examples([broken], model)


def test_a_batch_depends_on_its_arguments_alone(task):
    loop_takes: Task = task
    assert isinstance(loop_takes, Task)
    one, same, other = task.batch(3, 1, 0, 2), task.batch(3, 1, 0, 2), task.batch(3, 1, 1, 2)
    for name, value in vars(one).items():
        again = getattr(same, name)
        assert torch.equal(value, again) if isinstance(value, torch.Tensor) else value == again, name
    assert not torch.equal(one.start, other.start) or not torch.equal(one.crops, other.crops)
    assert len(one.crops) == 3
    assert len(one.photos) == 1
    assert len(task.batch(3, 2, 0, 2).photos) == 0  # this step draws no heads
    held = set(task.held.tolist())
    assert not held & {*task.synthetic.tolist(), *task.photographs.tolist()}


@pytest.mark.parametrize("step", [1, 2])  # of which the first draws heads
def test_parts_add_up_to_the_same_training(task, step):
    network = task.build(0).eval()  # batch normalisation counts each part's photos alone
    told = []
    for parts in (1, 2, 3):
        batches = [task.batch(0, step, part, parts) for part in range(parts)]
        seen = torch.cat([batch.crops for batch in batches]).flatten(1)
        with torch.no_grad():
            terms = [task.losses(network, batch, step) for batch in batches]
        names = {name for each in terms for name in each}
        mean = {name: float(sum(each.get(name, 0) for each in terms)) / parts for name in names}
        known = [int(batch.supervised.sum()) for batch in batches]
        told.append((seen[seen.sum(1).argsort()], mean, sum(len(batch.photos) for batch in batches)))
        assert max(known) - min(known) <= 1
    assert [drawn for _, _, drawn in told] == ([2, 2, 3] if step == 1 else [0, 0, 0])  # one a part at least
    for seen, mean, _ in told[1:]:
        assert torch.equal(seen, told[0][0])  # disturbed alike, too
        same = [name for name in mean if name.startswith("true_") or step == 2]
        assert len(same) > 5
        assert mean == pytest.approx({**mean, **{name: told[0][1][name] for name in same}}, rel=1e-4)


def test_an_untrained_network_gives_the_start_and_a_few_steps_improve_on_it(task):
    network = task.build(0)
    batch = task.batch(0, 1, 0, 1)
    head, start = task.heads(network, batch), task.start(batch)
    assert torch.equal(head.identity, start.identity)
    assert torch.allclose(head.pose.translation, start.pose.translation)
    before = task.losses(network, batch, 1)
    assert {"true_shape", "photo", "landmark", "mouth", "regularisation", "uniform"} <= set(before)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(12):
        optimiser.zero_grad()
        torch.stack(list(task.losses(network, batch, 1).values())).sum().backward()
        optimiser.step()
    after = task.losses(network, batch, 1)
    assert after["true_albedo"].item() < 0.9 * before["true_albedo"].item()
    assert sum(each.item() for each in after.values()) < sum(each.item() for each in before.values())
    assert "photo" not in task.losses(network, task.batch(0, 2, 0, 1), 2)


def test_without_supervision_the_truth_is_not_looked_at(model, folder):
    training = replace(TRAINING, supervision=None, render_from=0, render_every=1)
    task = SpecularTask(model, Examples([folder], model), training)
    network, batch = task.build(0), task.batch(0, 0, 0, 1)
    losses = task.losses(network, batch, 0)
    spoiled = replace(batch, truth=batch.truth + 7, true_landmarks=batch.true_landmarks + 9)
    assert not [name for name in losses if name.startswith("true_")]
    assert all(torch.equal(value, losses[name]) for name, value in task.losses(network, spoiled, 0).items())


def test_evaluation_and_pictures_are_of_kept_out_photos(task):
    figures = task.evaluate(task.build(0))
    assert figures["shape"] == pytest.approx(figures["start_shape"])
    assert figures["score"] == pytest.approx(1.0, abs=1e-6)
    assert figures["pixel"] > 0.01
    picture = task.pictures(task.build(0))["heads"]
    assert picture.shape[0] == 3
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_a_network_that_is_not_finite_is_told_as_such(task):
    network = task.build(0)
    torch.nn.init.constant_(network.heads.bias, float("nan"))
    figures = task.evaluate(network)
    assert np.isnan(figures[task.metric])
    assert "highlights" in figures  # the lamp in the drawn photos shone


def test_missing_parts_are_told(model, folder):
    examples = Examples([folder], model)
    with pytest.raises(InputError, match="recognition"):
        SpecularTask(model, examples, replace(TRAINING, losses=LossSettings()))
    with pytest.raises(InputError, match="112 px"):
        SpecularTask(model, examples, replace(TRAINING, network=NetworkSettings()))


def test_outputs_far_off_stay_heads(model):
    start = mean_start(model, 3, SIZE)
    raw = 5 * torch.randn(3, 264, generator=torch.Generator().manual_seed(2))
    for camera in ("perspective", "scaled", "weak"):
        at = decode(raw, start, NETWORK, camera)
        assert (at.expression >= 0).all()
        assert (at.expression <= 1).all()
        identity = torch.eye(3).expand(3, 3, 3)
        assert torch.allclose(at.pose.rotation @ at.pose.rotation.mT, identity, atol=1e-4)
        assert at.point_light is not None
        assert (at.point_light.intensity >= 0).all()
        assert (at.exponent >= 1).all()
    assert decode(torch.zeros(3, 264), start, NETWORK).exponent.tolist() == pytest.approx([20.0] * 3)


def test_the_method_gives_heads_in_photos_and_one_identity_for_one_person(model, probe):
    network = SpecularNetwork(NETWORK)
    method = SpecularMethod.of(model, network.eval())
    start = mean_start(model, 2, 200)
    points = start.camera.project(probe.landmarks(start)[0])[..., :2]
    photos = [torch.full((3, 200, 200), 0.5), torch.rand(3, 200, 200)]
    result = method.reconstruct(photos, points)
    fit = result.select(1)
    assert fit.parameters.camera.size == (200, 200)
    assert float(result.residual.max()) < 0.02  # the untrained network gives the fit to the landmarks
    assert (fit.landmarks_px - points[1:]).norm(dim=-1).median() < 2.0
    with torch.no_grad():
        network.heads.weight.normal_(0, 0.05)
    method = SpecularMethod.of(model, network.eval())
    alone = method.reconstruct(photos, points).parameters
    both = method.reconstruct(photos, points, groups=torch.tensor([4, 4])).parameters
    assert not torch.allclose(alone.diffuse[0], alone.diffuse[1])
    assert torch.allclose(both.diffuse[0], both.diffuse[1])
    assert torch.allclose(both.identity[0], both.identity[1], atol=1e-5)
    with pytest.raises(InputError, match="one photo for each"):
        method.reconstruct(photos[:1], points)


def test_a_run_on_other_examples_is_not_gone_on_from(model, folder, task, tmp_path):
    settings = TrainingSettings(steps=1, batch=TRAINING.batch)
    own = identity_of(task, settings, 1)
    check_identity(
        tmp_path, own, identity_of(SpecularTask(model, Examples([folder], model), TRAINING), settings, 1)
    )
    others = drawn_examples(tmp_path / "others", model, size=SIZE, count=COUNT, seed=1)
    other = SpecularTask(model, Examples([others], model), TRAINING)
    with pytest.raises(AssetError, match=r"specular\.examples"):
        check_identity(tmp_path, own, identity_of(other, settings, 1))


def test_scales_are_whole_settings():
    assert TrainingSettings(steps=1, batch=1).batch == 1
    full = SpecularTraining.full()
    assert (full.network.input_size, full.network.guided, full.supervision) == (224, False, None)
    assert full.losses.mouth_start == 50_000


def no_features(faces, points):
    return torch.zeros(len(faces), 4)


def test_ablations_start_from_the_landmarker_s_features_and_draw_the_face_alone(model, folder):
    training = replace(
        SpecularTraining.ablation(0), network=replace(NETWORK, geometry=0), landmarker_start=False
    )
    task = SpecularTask(model, Examples([folder], model), replace(training, evaluated_trained=3), no_features)
    assert len(task.model.mean) < len(model.mean)
    assert len(task.photographs) == COUNT - 4
    assert len(task.synthetic) == 0  # their truth is not looked at
    found = task.evaluate(task.build(0))
    assert {"pixel_trained", "highlights", "landmarks", "coefficients"} <= set(found)
    assert found["coefficients"] == 0  # of the mean head
    assert found["pixel"] != found["pixel_trained"]
    with pytest.raises(InputError, match="widths"):
        SpecularTask(model, task.examples, replace(training, landmarker_start=True), no_features).build(0)


def test_a_landmarker_s_backbone_sees_the_same_in_grey_crops():
    one, other = SpecularNetwork(NetworkSettings(geometry=0)), SpecularNetwork(NetworkSettings(geometry=0))
    start_from_landmarker(one)
    known = read_weights(asset_path(SECOND), LandmarkNetwork, LandmarkNetworkSettings)
    grey = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted = known.backbone(grey)[-1]
    colored = grey.expand(-1, 3, -1, -1)
    assert torch.allclose(one.eval().backbone(colored)[-1], wanted, atol=1e-4)
    assert not torch.allclose(other.eval().backbone(colored)[-1], wanted, atol=1e-4)
