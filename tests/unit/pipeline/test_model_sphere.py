"""A Sphere Face Model of scans: it runs like any model, and scans that make none are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facewright.cli.main import main
from facewright.core.errors import InputError
from facewright.evaluation.identity_metrics import silhouette
from facewright.models.base import load_base_model
from facewright.models.sphere_model import load_sphere_model
from facewright.models.storage import load_face_model, read_origin
from facewright.pipeline.model_sphere import SphereBuildSettings, build_sphere, people_of, stage_of

PEOPLE, SCANS, DIMENSIONS = 8, 4, 6
SETTINGS = SphereBuildSettings(dimensions=DIMENSIONS)


def people_of_the_base_head() -> torch.Tensor:
    """Scans (P,S,V,3): people differ along six axes of identity, their scans by two expressions and place."""
    base, generator = load_base_model(), torch.Generator().manual_seed(1)
    identity = torch.zeros(PEOPLE, base.identity_count)
    identity[:, :6] = torch.randn(PEOPLE, 6, generator=generator)
    expression = torch.zeros(PEOPLE * SCANS, base.expression_count)
    expression[:, [25, 43]] = torch.rand(PEOPLE * SCANS, 2, generator=generator)
    vertices = base.vertices(identity.repeat_interleave(SCANS, 0), expression)
    moved = vertices + 30 * torch.randn(PEOPLE * SCANS, 1, 3, generator=generator)
    return moved.unflatten(0, (PEOPLE, SCANS))


@pytest.fixture(scope="module")
def scans() -> torch.Tensor:
    return people_of_the_base_head()


@pytest.fixture(scope="module")
def folder(scans: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("people")
    for person, own in enumerate(scans):
        for number, vertices in enumerate(own):
            write(place / f"person{person}" / f"scan{number}.npz", vertices)
    return place


def write(path: Path, vertices: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, vertices=vertices.numpy(), faces=load_base_model().topology.faces.numpy())


def test_the_command_writes_a_sphere_that_tells_the_people_apart(
    folder: Path, scans: torch.Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.safetensors"
    line = [
        "model",
        "sphere",
        str(folder),
        "--out",
        str(out),
        "--dimensions",
        str(DIMENSIONS),
        "--epochs",
        "20",
    ]
    assert main([*line, "--name", "ours", "--licence", "mine"]) == 0
    assert "people apart" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [out]  # scans and training are gone
    sphere, base = load_sphere_model(out), load_base_model()
    assert (sphere.face_model.name, sphere.dimensions) == ("ours", DIMENSIONS)
    assert read_origin(out).licence == "mine"
    assert sphere.face_model.landmarks.keys() == base.landmarks.keys()
    model = load_face_model(out)  # one of the package, like any other
    # A mesh is as far from the mean as its scale, over the region.
    coefficients = torch.randn(3, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    offset = (model.vertices(coefficients) - model.mean)[:, sphere.region]
    scale, direction = sphere.scale_direction(coefficients)
    assert torch.allclose(offset.flatten(1).norm(dim=1), scale, rtol=1e-4)
    assert torch.allclose(direction.norm(dim=1), torch.ones(3))
    # Placed as the model lies, the scans' directions tell whose they are.
    flat = scans.flatten(0, 1)
    flat = flat - flat[:, sphere.region].mean(1, keepdim=True) + model.mean[sphere.region].mean(0)
    found = sphere.scale_direction(sphere.coefficients_of(flat))[1].double().numpy()
    whose = np.repeat(np.arange(PEOPLE), SCANS)
    assert silhouette(found, whose, "cosine") > 0.5
    assert silhouette(found, np.tile(np.arange(PEOPLE), SCANS), "cosine") < 0  # control: other labels


def test_a_table_names_people_and_must_name_all(folder: Path, tmp_path: Path) -> None:
    paths = [path.rename(tmp_path / f"{k}.npz") for k, path in enumerate(sorted(folder.rglob("*.npz")))]
    try:
        table = tmp_path / "people.csv"
        table.write_text("".join(f"{k},{'AB'[k % 2]}\n" for k in range(len(paths))))
        numbers, names = people_of(paths, table)
        assert names == ["A", "B"]
        assert numbers.tolist() == [k % 2 for k in range(len(paths))]
        with pytest.raises(InputError, match="all 32 are of one person"):
            people_of(paths, None)  # one folder holds all
        table.write_text("0,A\n1,B\n2,A\n")
        with pytest.raises(InputError, match="names no person for '3'"):
            people_of(paths, table)
        table.write_text("nobody,A\n")
        with pytest.raises(InputError, match="none of the heads"):
            people_of(paths, table)
        table.write_text("".join(f"{k},{k}\n" for k in range(len(paths))))
        with pytest.raises(InputError, match="one scan only"):
            people_of(paths, table)
    finally:
        for k, path in enumerate(paths):
            path.rename(folder / f"person{k // SCANS}" / f"scan{k % SCANS}.npz")


def test_registered_heads_belong_to_the_folder_above_theirs(tmp_path: Path) -> None:
    paths = [tmp_path / who / scan / "head.ply" for who in ("ANNA", "BEN") for scan in ("first", "second")]
    numbers, names = people_of(paths, None)
    assert (numbers.tolist(), names) == ([0, 0, 1, 1], ["ANNA", "BEN"])


def test_scans_that_make_no_model_are_refused(folder: Path, scans: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot tell 32 dimensions"):
        build_sphere([folder], replace(SETTINGS, dimensions=32), tmp_path)
    assert stage_of(replace(SETTINGS, dimensions=31), 32).rank == 31
    odd = tmp_path / "odd"
    for person in range(4):
        for number in range(2):
            write(odd / f"p{person}" / f"{number}.npz", scans[person, number] / 10)
    with pytest.raises(InputError, match=r"0\.1.* times as large as a head.s: expected mm"):
        build_sphere([odd], SETTINGS, tmp_path / "work")
    small = odd / "p0" / "0.npz"
    np.savez(small, vertices=np.eye(3, dtype=np.float32), faces=np.array([[0, 1, 2]]))
    with pytest.raises(InputError, match="3 vertices and 1 triangles"):
        build_sphere([odd], SETTINGS, tmp_path / "work")
