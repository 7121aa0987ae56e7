"""Stage 2 with synthetic photos, whose faces are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.data.datasets.miniature_folder import write_people
from torch.nn.functional import normalize

from facewright.cli.main import main
from facewright.core.assets import asset_path, read_safetensors, write_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.data.aligned_faces import crop_landmarks, load_crops
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.known_crops import FORMAT as KNOWN
from facewright.data.known_crops import KnownCrops
from facewright.methods.sphere import likeness_start
from facewright.methods.sphere.encoder import Decoder, EncoderOutputs, EncoderSettings, SphereEncoder
from facewright.methods.sphere.known import HELD, KnownFaces
from facewright.methods.sphere.likeness_start import Examples, start_from_shapes
from facewright.methods.sphere.losses import SphereWeights
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.recipe import RECIPE, SphereOptions, _seeing_parts, sphere_task
from facewright.methods.sphere.train import NOBODY, SphereTask
from facewright.networks.recognition import MarginSoftmax

KEPT = [name for name in (f"Kept_{k}" for k in range(200)) if is_kept_out(name)][:5]
SEEN = [name for name in (f"Seen_{k}" for k in range(40)) if not is_kept_out(name)][:6]
TESTED = [name for name in (f"Test_{k}" for k in range(40)) if not is_kept_out(name)][:4]
SIZES = EncoderSettings(widths=(8, 16), blocks=(0,), shrink=4, features=12, bottleneck=12, hidden=16)
PHOTOS = 2 * HELD


@pytest.fixture(scope="module")
def known(model) -> KnownCrops:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (PHOTOS, 128, 128), np.uint8)
    points = rng.uniform(20, 100, (PHOTOS, 478, 2)).astype(np.float32)
    identity = rng.normal(size=(PHOTOS, model.identity_count)).astype(np.float32)
    return KnownCrops(pixels, points, identity, (model.name, model.version))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, sphere, known) -> SphereTask:
    data = write_people(tmp_path_factory.mktemp("data"), (*KEPT, *SEEN), SEEN[:1], TESTED)
    how = SphereTraining(
        kept_out_folds=(0, 1), batch=8, warm_up=2, margin_ramp=2, drawn=0, network=SIZES, known=0.25
    )
    crops = load_crops(data, data / "crops.npy")
    return SphereTask(sphere, crops, crop_landmarks(data), how, known=known)


def test_known_faces_have_the_codes_of_their_meshes(model, sphere, known) -> None:
    faces = KnownFaces.of(known, sphere)
    identity = torch.from_numpy(known.identity[:3])
    meshes = (model.vertices(identity) - model.mean)[:, sphere.region].flatten(1)
    assert torch.allclose(faces.codes[:3].norm(dim=1), meshes.norm(dim=1), rtol=1e-3)
    assert torch.allclose(
        faces.codes[:3] @ faces.codes[3:5].T,
        meshes
        @ (
            (model.vertices(torch.from_numpy(known.identity[3:5])) - model.mean)[:, sphere.region]
            .flatten(1)
            .T
        ),
        rtol=1e-2,
        atol=50.0,
    )
    assert set(faces.held) == {HELD - 1, 2 * HELD - 1}
    assert not set(faces.held) & set(faces.seen)
    few = KnownCrops(known.pixels[:3], known.landmarks[:3], known.identity[:3], known.head)
    for other in (replace(known, head=(model.name, "6")), few):
        with pytest.raises(InputError, match="facewright synthesize"):
            KnownFaces.of(other, sphere)


def test_a_batch_has_its_share_of_known_faces(task: SphereTask) -> None:
    batch = task.batch(0, 3, 0, 1)
    assert int(batch.known.sum()) == 2
    assert (batch.people[batch.known] == NOBODY).all()
    assert batch.labelled[batch.known].all()
    assert (batch.truth[~batch.known] == 0).all()
    faces = task.known_faces
    assert faces is not None
    for truth in batch.truth[batch.known]:
        assert (faces.codes[faces.seen] == truth).all(1).any()
    assert not torch.equal(task.batch(0, 4, 0, 1).truth, batch.truth)


def test_the_loss_is_the_distance_of_known_faces_alone(task: SphereTask) -> None:
    networks = task.build(0)
    batch = task.batch(0, 3, 0, 1)
    told = task.losses(networks.eval(), batch, 3)["truth"].item()
    with torch.no_grad():
        head = task.heads(networks, batch.crops)
    meshes = [
        task.sphere.face_model.vertices(part[batch.known])[:, task.sphere.region]
        for part in (head.parameters.identity, batch.truth / task.sphere.deviations)
    ]
    assert told == pytest.approx((meshes[0] - meshes[1]).square().sum(2).mean().item(), rel=1e-2)
    figures = task.evaluate(networks)
    assert figures["shape_mm"] > 0
    assert -1 <= figures["shape_cosine"] <= 1
    apart = {name: value for name, value in figures.items() if not name.startswith("shape")}
    assert figures["score"] == pytest.approx(
        apart["kept_out_error"] + 10 * (apart["landmark_px"] + figures["shape_mm"])
    )


def test_where_nothing_is_known_likeness_stays_nothing(task: SphereTask) -> None:
    alone = SphereTask(task.sphere, task.crops, task.landmarks, task.training)
    networks = alone.build(0)
    assert not networks.encoder.likeness.requires_grad
    assert not networks.encoder.likeness.any()
    assert not alone.batch(0, 3, 0, 1).known.any()
    assert task.build(0).encoder.likeness.requires_grad


def test_the_start_tells_people_apart_and_is_like_them(
    sphere, task: SphereTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what is seen says who it is, half what the face is like."""
    monkeypatch.setattr(likeness_start, "STEPS", 120)
    generator = torch.Generator().manual_seed(0)
    shown = torch.randn(20, 28, generator=generator)  # of 20 people
    people = torch.arange(20).repeat_interleave(6)
    seen = shown[people] + 0.3 * torch.randn(120, 28, generator=generator)
    shapes = torch.randn(400, 28, generator=generator)
    true = sphere.deviations * (shapes @ torch.randn(28, 140, generator=generator)) / 28**0.5
    vertices = int(sphere.region.sum())
    decoder = Decoder.of(sphere.face_model, sphere.deviations, 200.0)
    results = {}
    for weight in (0.0, 10.0):
        torch.manual_seed(0)
        encoder, classes = SphereEncoder(SIZES), MarginSoftmax(20, 140, scale=15.0, cosine=0.2)
        examples = Examples(seen, people, torch.ones(120), shapes, true)
        centres = start_from_shapes(
            encoder, classes, examples, decoder, vertices, SphereWeights(truth=weight)
        )
        with torch.no_grad():
            codes = [encoder.identity(x[:, :12], x[:, 12:]) * decoder.deviations for x in (seen, shapes)]
        alike = normalize(codes[0], dim=1) @ normalize(centres, dim=1).T
        assert (alike.argmax(1) == people).float().mean() > 0.9
        assert (codes[0] / sphere.deviations).square().mean() < 20  # no axis of little mm is overdrawn
        results[weight] = (codes[1] - true).square().sum(1).mean() / true.square().sum(1).mean()
        rest = encoder.heads(shapes[:, 12:])
        head = decoder.decode(
            EncoderOutputs(codes[1] / decoder.deviations, rest), replace(SIZES, bottleneck=12), encoder.mixing
        )
        ratio = head.scale / codes[1].norm(dim=1)
        assert ratio.median().item() == pytest.approx(1, abs=0.2)
    assert results[10.0] < 0.3
    assert results[0.0] > 2 * results[10.0]  # control


def test_parts_of_an_encoder_that_a_run_starts_from(tmp_path: Path) -> None:
    encoder = SphereEncoder(SIZES)
    path = tmp_path / "encoder.safetensors"
    tensors = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    write_safetensors(path, {n: v for n, v in tensors.items() if "likeness" not in n}, {})
    parts = _seeing_parts(path)
    missing = set(encoder.state_dict()) - set(parts)
    assert missing == {"code.weight", "spread.weight", "spread.bias", "likeness", "mixing"}
    write_safetensors(path, {"other": torch.zeros(1)}, {})
    with pytest.raises(AssetError, match="sphere's encoder"):
        _seeing_parts(path)
    with pytest.raises(InputError, match="--synthetic"):
        sphere_task(SphereOptions(encoder=path), "small", RECIPE.scales["small"])


def test_the_command_goes_on_from_an_encoder_with_known_shapes(
    model,
    known: KnownCrops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``facewright train sphere --encoder``, on crops of a set that were cut before."""
    monkeypatch.setattr(likeness_start, "STEPS", 20)
    data = write_people(tmp_path / "data", (*KEPT, *SEEN), SEEN[:1], TESTED, (8, 9))
    folder, crops = tmp_path / "set", tmp_path / "crops.npy"
    folder.mkdir()
    (folder / "000000.tar").write_bytes(b"")
    cut = tmp_path / "crops.synthetic.npy"
    np.save(cut, known.pixels)
    np.save(
        cut.with_suffix(".numbers.npy"),
        np.concatenate([known.landmarks.reshape(PHOTOS, -1), known.identity], 1),
    )
    told = {"format": KNOWN, "side": 128, "shards": [["000000.tar", 0]], "head": [model.name, model.version]}
    cut.with_suffix(".json").write_text(json.dumps(told))
    sets = ["--data", str(data), "--crops", str(crops), "--synthetic", str(folder)]
    run = ["--out", str(tmp_path / "run"), "--encoder", str(asset_path("sphere_encoder.safetensors"))]
    steps = ["--steps", "2", "--batch", "8", "--evaluate-every", "1", "--ema", "0", "--device", "cpu"]
    command = ["train", "sphere", *sets, *run, *steps]
    assert main([*command, "--kept-out-folds", "0"]) == 2
    assert "with --encoder that were trained with --kept-out-folds 0" in capsys.readouterr().err
    assert main(command) == 0
    trained, header = read_safetensors(tmp_path / "run" / "best.safetensors")
    shipped = read_safetensors(asset_path("sphere_encoder.safetensors"))[0]
    settings = json.loads(header["settings"])
    assert settings["sphere.synthetic"]
    assert settings["sphere.from_parts"] == ["heads", "hidden", "level", "trunk"]
    # What it sees is nearly as it was after two steps, how identities are told is learned anew.
    for name, alike in (("encoder.trunk.project.weight", True), ("encoder.likeness", False)):
        first, second = shipped[name].float(), trained[name].float()
        assert bool((first - second).norm() < 0.1 * first.norm()) is alike
