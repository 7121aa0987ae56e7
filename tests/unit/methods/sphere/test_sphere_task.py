"""Stage 2 on a miniature of the labelled folders, and the encoder on photos."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.data.datasets.miniature_folder import face_points, write_people

from facewright.core.assets import asset_path, write_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.data.aligned_faces import MARGIN, crop_landmarks, kept_out_text, load_crops
from facewright.data.crop_augmentation import AugmentationSettings, changed
from facewright.data.datasets.kept_out import is_kept_out
from facewright.detection.aligned_crop import DENSE, TEMPLATE
from facewright.methods.sphere.encoder import (
    Decoder,
    EncoderOutputs,
    EncoderSettings,
    SphereEncoder,
    head_sizes,
)
from facewright.methods.sphere.head_encoder import (
    HeadAxes,
    HeadEncoder,
    HeadEncoderSettings,
    load_head_encoder,
)
from facewright.methods.sphere.infer import SphereMethod
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.recipe import RECIPE, SphereOptions, _earlier, sphere_task
from facewright.methods.sphere.train import NOBODY, SphereTask
from facewright.models.sphere_model import load_sphere_model, nearest_identities
from facewright.models.told_head import told_head
from facewright.networks.weights import read_weights, write_weights
from facewright.training.checkpoint import FORMAT

KEPT = [name for name in (f"Kept_{k}" for k in range(200)) if is_kept_out(name)][:5]
SEEN = [name for name in (f"Seen_{k}" for k in range(40)) if not is_kept_out(name)][:6]
TESTED = [name for name in (f"Test_{k}" for k in range(40)) if not is_kept_out(name)][:4]
SIZES = EncoderSettings(widths=(8, 16), blocks=(0,), shrink=4, features=12, bottleneck=6, hidden=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("data"), (*KEPT, *SEEN), SEEN[:1], TESTED)


@pytest.fixture(scope="module")
def task(data: Path, sphere) -> SphereTask:
    how = SphereTraining(
        kept_out_folds=(0, 1), batch=8, warm_up=2, margin_ramp=2, drawn=1, draw_every=4, network=SIZES
    )
    return SphereTask(sphere, load_crops(data, data / "crops.npy"), crop_landmarks(data), how)


def test_landmarks_lie_where_crops_are_aligned_by_them(data: Path) -> None:
    points = crop_landmarks(data) - MARGIN - 0.5
    five = torch.stack([points[0, list(group)].mean(0) for group in DENSE])
    assert (five - torch.tensor(TEMPLATE)).abs().max() < 3  # the miniature's face is no exact template
    rng = np.random.default_rng(0)
    still = AugmentationSettings(shift=0.0, scale=0.0, roll=0.0)
    crops = np.zeros((6, 128, 128), np.uint8)
    found = changed(crops, rng, still)
    moved = found.moved(torch.full((6, 1, 2), 30.0))
    assert found.mirrored.any()
    assert not found.mirrored.all()
    assert torch.allclose(moved[~found.mirrored], torch.tensor(22.0))
    assert torch.allclose(moved[found.mirrored][..., 0], torch.tensor(112 - 22.0))


def test_a_batch_mixes_labels_by_p_and_starts_with_landmarks_alone(task: SphereTask) -> None:
    assert (task.batch(0, 0, 0, 1).people == NOBODY).all()
    mixed = task.batch(0, 2, 0, 1)
    assert int((mixed.people == NOBODY).sum()) == round(0.25 * 8)
    assert mixed.labelled.all()
    task_b = SphereTask(
        task.sphere, task.crops, task.landmarks, replace(task.training, all_landmarks=False, labelled=0.5)
    )
    switched = task_b.batch(0, 2, 0, 1)
    assert torch.equal(switched.labelled, switched.people == NOBODY)
    assert int(switched.labelled.sum()) == 4
    again = task.batch(0, 2, 0, 1)
    assert torch.equal(mixed.crops, again.crops)
    assert torch.equal(mixed.landmarks, again.landmarks)
    assert not torch.equal(mixed.crops, task.batch(0, 3, 0, 1).crops)


def test_nobody_of_the_tested_pairs_is_seen(task: SphereTask) -> None:
    names = task.crops.identity
    assert not {names[row] for row in (*task.rows, *task.labelled)} & {*KEPT, *TESTED}
    assert {names[row] for row in task.rows} == set(SEEN)


def test_a_few_steps_lower_the_losses(task: SphereTask) -> None:
    networks = task.build(0)
    optimizer = torch.optim.Adam(networks.parameter_groups(1e-2))
    values = []
    for step in range(8):
        found = task.losses(networks, task.batch(0, step, 0, 1), step)
        expected = {"landmark", "kl", "shape", "expression", "albedo", "orthonormal", "basis", "smooth"}
        assert expected <= found.keys()
        assert ("identity" in found) == ("centre" in found) == (step >= 2)
        optimizer.zero_grad()
        torch.stack(list(found.values())).sum().backward()
        optimizer.step()
        values.append(found["landmark"].item())
    assert np.mean(values[-2:]) < 0.95 * np.mean(values[:2])
    figures = task.evaluate(networks)
    assert task.metric in figures
    assert all(np.isfinite(value) for value in figures.values())
    assert task.pictures(networks)["heads"].shape[0] == 3


def test_a_frozen_basis_stays(task: SphereTask) -> None:
    how = replace(task.training, freeze_basis=True)
    networks = SphereTask(task.sphere, task.crops, task.landmarks, how).build(0)
    assert all(
        networks.encoder.mixing is not parameter
        for group in networks.parameter_groups(1e-3)
        for parameter in group["params"]  # type: ignore[union-attr]
    )
    rates = [group["lr"] for group in task.build(0).parameter_groups(1e-3)]
    assert 0.5e-3 in rates  # of the basis


def test_outputs_of_zero_are_the_mean_head_in_its_place(sphere) -> None:
    sizes = EncoderSettings()
    decoder = Decoder.of(sphere.face_model, sphere.deviations, 180.0)
    rest = torch.zeros(1, sum(head_sizes(sizes).values()))
    code = torch.zeros(1, sizes.dimensions)
    code[0, 3] = 1
    head = decoder.decode(EncoderOutputs(code, rest), sizes, torch.zeros(140, 140))
    assert head.scale.item() == pytest.approx(180, rel=1e-3)
    mesh = sphere.face_model.vertices(head.parameters.identity) - sphere.face_model.mean
    assert mesh[:, sphere.region].norm().item() == pytest.approx(head.scale.item(), rel=1e-4)
    points = sphere.face_model.landmark_points(sphere.face_model.mean, "dense478")
    five = torch.stack([points[list(group)].mean(0) for group in DENSE])[None]
    at = head.parameters
    pixels = at.camera.project(at.pose.camera_from_head(five))[0, :, :2]
    assert (pixels - torch.tensor(TEMPLATE) - 0.5).abs().max() < 4
    with pytest.raises(InputError, match="trained for a head"):
        decoder.decode(EncoderOutputs(code, rest), replace(sizes, expression=51), torch.zeros(140, 140))


def head_encoder(sphere) -> HeadEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = HeadEncoder(HeadEncoderSettings(**asdict(SIZES)))
        torch.nn.init.normal_(network.encoder.heads.weight, std=0.1)
        torch.nn.init.normal_(network.encoder.spread.bias, std=0.5)
    network.axes = HeadAxes.of(sphere, 0.5 * sphere.scale_mean)
    return network


def test_axes_are_kept_and_never_computed_again(model, sphere, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    network = head_encoder(sphere)
    write_weights(path, network, told_head(model))
    crops = torch.rand(2, 1, 112, 112, generator=torch.Generator().manual_seed(0))
    method = SphereMethod.load(model, weights=path)
    expected = method.encode_crops(crops).parameters.identity @ method.to_model
    # Another eigenvector driver: the same sphere over axes of other signs, an encoder trained on these.
    signs = torch.where(torch.arange(sphere.dimensions) % 3 == 0, -1.0, 1.0)
    network.axes.to_head *= signs[:, None]
    network.encoder.spread.weight.data *= signs[:, None]
    network.encoder.spread.bias.data *= signs
    write_weights(path, network, told_head(model))
    turned = SphereMethod.load(model, weights=path)
    found = turned.encode_crops(crops).parameters.identity @ turned.to_model
    moved = (model.vertices(found) - model.vertices(expected)).norm(dim=2).max()
    assert moved < 0.02  # mm
    wrong = turned.encode_crops(crops).parameters.identity @ method.to_model  # control: computed again
    assert (model.vertices(wrong) - model.vertices(expected)).norm(dim=2).max() > 1


def test_another_head_is_refused(model, sphere, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    write_weights(path, head_encoder(sphere), told_head(model))
    load_head_encoder(path, model)
    fewer = replace(model, identity_basis=model.identity_basis[:9])
    for other in (fewer, replace(model, name="other"), replace(model, version="5")):
        with pytest.raises(InputError, match="trained for the head"):
            load_head_encoder(path, other)
    faces = model.topology.faces.roll(1, 0)
    with pytest.raises(InputError, match="topology"):
        load_head_encoder(path, replace(model, topology=replace(model.topology, faces=faces)))
    write_weights(path, head_encoder(sphere), {})
    with pytest.raises(AssetError, match="which head"):
        load_head_encoder(path, model)


def test_a_run_on_other_axes_is_not_gone_on_from(task: SphereTask) -> None:
    earlier = task.build(3).state_dict()
    earlier["axes.to_head"] = -earlier["axes.to_head"]
    other = SphereTask(task.sphere, task.crops, task.landmarks, task.training, networks=earlier)
    with pytest.raises(InputError, match="another head"):
        other.build(0)


def test_the_method_gives_one_person_one_identity(model, sphere, tmp_path: Path) -> None:
    write_weights(tmp_path / "encoder.safetensors", head_encoder(sphere), told_head(model))
    method = SphereMethod.load(model, weights=tmp_path / "encoder.safetensors")
    again = read_weights(tmp_path / "encoder.safetensors", HeadEncoder, HeadEncoderSettings)
    assert again.settings == HeadEncoderSettings(**asdict(SIZES))
    generator = torch.Generator().manual_seed(0)
    photos = [torch.rand(3, 60, 60, generator=generator) for _ in range(3)]
    landmarks = torch.from_numpy(face_points(60)[None, :, :2].astype(np.float32)).expand(3, -1, -1)
    alone = method.identities(photos, landmarks)
    shared = method.identities(photos, landmarks, torch.tensor([4, 7, 4]))
    assert torch.allclose(shared[0], shared[2], atol=1e-5)
    assert not torch.allclose(alone[0], alone[2], atol=1e-3)  # control
    assert torch.allclose(shared[1], alone[1], atol=1e-4)
    # In the model's own coefficients, the face is as far from the mean as the encoder says.
    head = method.encode(photos, landmarks)
    mesh = model.vertices(alone) - model.mean
    length = mesh[:, model.regions["face"]].flatten(1).norm(dim=1)
    assert torch.allclose(length, head.scale, rtol=1e-3)
    with pytest.raises(InputError, match="one photo for each"):
        method.encode(photos[:1], landmarks)


def test_a_run_goes_on_from_an_earlier_one(task: SphereTask) -> None:
    earlier = task.build(3)
    later = SphereTask(
        task.sphere, task.crops, task.landmarks, task.training, networks=earlier.state_dict()
    ).build(0)
    crops = task.batch(0, 0, 0, 1).crops
    assert torch.equal(later.eval().encoder(crops).code, earlier.eval().encoder(crops).code)
    assert not torch.equal(task.build(0).eval().encoder(crops).code, earlier.encoder(crops).code)  # control
    wider = replace(task.training, network=replace(SIZES, hidden=20))
    other = SphereTask(task.sphere, task.crops, task.landmarks, wider, networks=earlier.state_dict())
    with pytest.raises(InputError, match="other sizes"):
        other.build(0)


def test_options_that_make_no_sense_are_refused(sphere, tmp_path: Path) -> None:
    small = RECIPE.scales["small"]
    with pytest.raises(InputError, match="folds 0 to 9, not 12"):
        sphere_task(SphereOptions(kept_out_folds=(8, 12)), "small", small)
    with pytest.raises(InputError, match=r"recognition\.safetensors kept out those of 8 9: .* fold 2"):
        sphere_task(SphereOptions(kept_out_folds=(2, 8)), "small", small)
    silent = tmp_path / "silent.safetensors"
    write_safetensors(silent, {}, {"data": "photos"})
    with pytest.raises(InputError, match="nobody that its header tells of"):
        sphere_task(SphereOptions(recognition=silent), "small", small)
    write_safetensors(silent, {}, {"data": kept_out_text((0, 8, 9))})  # control: more than is asked
    with pytest.raises(AssetError, match="RecognitionNetwork"):
        sphere_task(SphereOptions(recognition=silent), "small", small)
    with pytest.raises(InputError, match="from 0 to 1"):
        SphereTraining(labelled=1.5)
    write_weights(tmp_path / "encoder.safetensors", SphereEncoder(SIZES), {})
    with pytest.raises(AssetError, match="best"):
        _earlier(tmp_path / "encoder.safetensors", sphere)
    old = json.dumps({"sphere.model": ["base", "6"], "sphere.basis": ""})
    run = {"format": FORMAT, "task": "sphere", "settings": old}
    write_safetensors(tmp_path / "run.safetensors", {}, run)
    with pytest.raises(InputError, match="train anew"):
        _earlier(tmp_path / "run.safetensors", sphere)
    own = json.dumps(
        {"sphere.model": [sphere.face_model.name, sphere.face_model.version], "sphere.basis": ""}
    )
    write_safetensors(tmp_path / "run.safetensors", {}, {**run, "settings": own})
    with pytest.raises(InputError, match="another basis"):
        _earlier(tmp_path / "run.safetensors", replace(sphere, digest="of a file"))
    assert _earlier(tmp_path / "run.safetensors", sphere) == {}  # control


def test_faces_are_carried_into_another_model_of_the_topology(model, sphere, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    write_weights(path, head_encoder(sphere), told_head(model))
    crops = torch.rand(2, 1, 112, 112, generator=torch.Generator().manual_seed(0))
    own = SphereMethod.load(model, weights=path)
    found = own.encode_crops(crops).parameters.identity
    faces = model.vertices(found @ own.to_model)
    target = load_sphere_model(asset_path("sphere.safetensors")).face_model
    carried = SphereMethod.load(target, weights=path)
    face = model.regions["face"]
    heads = target.vertices(found @ carried.to_model + carried.shift)
    far = [(each - faces)[:, face].norm(dim=2).square().mean().sqrt() for each in (heads, target.mean[None])]
    assert far[0] < 0.5 * far[1]
    torch.testing.assert_close(
        found @ carried.to_model + carried.shift,
        nearest_identities(target, faces, face),
        rtol=1e-2,
        atol=1e-2,
    )
    unknown = replace(target, topology=replace(target.topology, faces=target.topology.faces.roll(1, 0)))
    for other in (unknown, replace(model, version="5")):
        with pytest.raises(InputError, match="trained for the head"):
            SphereMethod.load(other, weights=path)
