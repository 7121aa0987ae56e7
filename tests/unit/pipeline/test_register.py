"""Registration as a batch: files, resuming, and inputs that fail one by one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.registration.small_face import fine_scan, known_head, small_face

from facewright.cli.register import unit_factor
from facewright.core.errors import InputError
from facewright.evaluation.landmarks import IN_DENSE478, INNER_IN_DENSE478, NOW_SEVEN
from facewright.geometry.scan_io import read_scan, scan_suffixes
from facewright.models.storage import ModelOrigin, save_face_model
from facewright.pipeline.batch import run_batch
from facewright.pipeline.folders import REGISTRATION
from facewright.pipeline.inputs import expand_inputs
from facewright.pipeline.register import SCANS, ScanRegistrar, read_scan_landmarks, register_made_with
from facewright.pipeline.settings import BatchSettings
from facewright.registration.head import RegistrationSettings

MODEL = small_face()
TRUTH = known_head(MODEL)


def write_scan(path: Path) -> None:
    vertices, faces = fine_scan(TRUTH)
    red = np.where(vertices[:, 0] > 0, 1.0, 0.2)
    lines = [f"v {x} {y} {z} {r} 0.5 0.5" for (x, y, z), r in zip(vertices, red, strict=True)]
    lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    path.write_text("\n".join(lines))


def write_landmarks(path: Path) -> None:
    points = MODEL.landmarks["dense478"].on(torch.from_numpy(TRUTH), MODEL.topology.faces).numpy()
    named = {name: points[row].tolist() for name, row in IN_DENSE478.items() if name != "nose_base"}
    path.write_text(json.dumps({"landmarks": named}))


def registrar(folder: Path) -> ScanRegistrar:
    return ScanRegistrar(
        MODEL, lambda _: [], RegistrationSettings(), texture_size=64, landmark_file=folder / "marks.json"
    )


def test_another_head_model_makes_another_result(tmp_path: Path) -> None:
    lacking = replace(small_face(), landmarks={})
    save_face_model(tmp_path / "m.safetensors", lacking, ModelOrigin("none", "test", "test"))
    usual = register_made_with(RegistrationSettings(), None, None)
    other = register_made_with(RegistrationSettings(), None, None, model_file=tmp_path / "m.safetensors")
    assert usual["settings"]["model"] is None
    assert other["settings"].pop("model")
    assert other["settings"] == {key: value for key, value in usual["settings"].items() if key != "model"}
    with pytest.raises(InputError, match="check --model"):
        register_made_with(RegistrationSettings(), None, None, model_file=tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="--to-base"):
        ScanRegistrar.load(RegistrationSettings(), model_file=tmp_path / "m.safetensors")


def test_a_folder_of_scans_is_registered_once(tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    write_scan(scans / "ann.obj")
    (scans / "bad.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vertex 9\n")
    (scans / "notes.txt").write_text("no scan")
    write_landmarks(tmp_path / "marks.json")
    made_with = register_made_with(RegistrationSettings(), 64, tmp_path / "marks.json")

    def run():
        inputs = expand_inputs([scans], scan_suffixes(), "scans")
        assert [item.path.name for item in inputs] == ["ann.obj", "bad.ply"]
        return run_batch(
            inputs, out, lambda: registrar(tmp_path), BatchSettings(), made_with, progress=False, kind=SCANS
        )

    first = run()
    assert (first.done, first.failed) == (1, 1)
    assert REGISTRATION.is_ours(out / "ann")
    again = run()
    assert (again.done, again.skipped, again.failed) == (0, 1, 1)
    report = {entry["status"]: entry for entry in json.loads((out / "report.json").read_text())["inputs"]}
    assert "bad.ply" in report["failed"]["reason"]
    assert any("unit taken as mm" in line for line in report["done"]["warnings"])
    summary = json.loads((out / "ann" / "registration.json").read_text())
    assert summary["head_from_scan"]["mm_per_unit"] == 1.0
    assert summary["face"]["distance_mm"]["mean"] < 0.2
    assert summary["solver"]
    assert summary["notes"]["scan_sha256"] == SCANS.digest(scans / "ann.obj", SCANS.max_bytes)
    assert REGISTRATION.source(out / "ann") == summary["notes"]["scan_sha256"]
    # The files hold what was measured, in the template's order.
    stored = read_scan(out / "ann" / "registration.npz")
    np.testing.assert_array_equal(stored.faces, MODEL.topology.faces.numpy())
    with np.load(out / "ann" / "registration.npz") as arrays:
        assert arrays["reliable"].mean() > 0.7
        size = np.ptp(arrays["vertices"], axis=0) / 1000
    np.testing.assert_allclose(np.ptp(read_scan(out / "ann" / "head.glb").vertices, axis=0), size, atol=5e-3)
    colored = read_scan(out / "ann" / "head.ply")
    assert colored.colors is not None
    left, right = MODEL.mean[:, 0].numpy() > 20, MODEL.mean[:, 0].numpy() < -20
    assert colored.colors[left, 0].mean() > colored.colors[right, 0].mean() + 100
    texture = read_scan(out / "ann" / "head.obj").texture
    assert texture is not None
    assert texture[20:40, 45:55, 0].mean() > texture[20:40, 10:20, 0].mean() + 100


def test_every_landmark_of_a_file_counts(tmp_path: Path) -> None:
    dense = MODEL.landmarks["dense478"].on(torch.from_numpy(TRUTH), MODEL.topology.faces).numpy()
    contour = torch.zeros(478, dtype=torch.bool)
    contour[[152, 10]] = True
    model = replace(MODEL, landmarks={"dense478": replace(MODEL.landmarks["dense478"], contour=contour)})
    ibug = np.zeros((68, 3))
    ibug[17:] = dense[list(INNER_IN_DENSE478)]
    named = {name: dense[row].tolist() for name, row in IN_DENSE478.items()}
    np.save(tmp_path / "dense.npy", dense)
    np.save(tmp_path / "ibug.npy", ibug)
    np.save(tmp_path / "now.npy", dense[[IN_DENSE478[name] for name in NOW_SEVEN]])
    (tmp_path / "named.json").write_text(json.dumps({"landmarks": named}))
    # Irises turn with the eyes, contours slide, and so does the chin.
    for file, count in (("dense.npy", 466), ("ibug.npy", 51), ("now.npy", 7), ("named.json", 8)):
        marks = read_scan_landmarks(tmp_path / file, model)
        assert len(marks.index) == len(set(marks.index.tolist())) == count, file
        assert not contour.numpy()[marks.index].any()
        np.testing.assert_array_equal(marks.points, dense[marks.index])


def test_a_unit_is_a_name_or_a_number() -> None:
    assert unit_factor("auto") is None
    assert unit_factor("cm") == 10.0
    assert unit_factor("25") == 25.0
    for odd in ("feet", "-1", "nan", "0"):
        with pytest.raises(InputError, match="--unit"):
            unit_factor(odd)
