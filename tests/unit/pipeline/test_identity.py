"""Comparing photos by identity codes: ranks, verification of sets, and the commands on top."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.cli.main import main
from facewright.core.errors import FacewrightError, InputError, NoFaceError
from facewright.data.datasets.record import FacePhoto, FaceSet, PhotoPair, StoredImage
from facewright.data.datasets.youtube_faces import ClipPair
from facewright.image.io import Photograph
from facewright.models.base import load_base_model
from facewright.models.sphere_model import sphere_model
from facewright.pipeline import identity
from facewright.pipeline.identity import (
    IdentityReader,
    Threshold,
    likeness,
    rank_photos,
    verify_set,
)


class ColourReader:
    """A code that is the mean colour; dark photos show no face."""

    def distance(self, first: np.ndarray, second: np.ndarray) -> float:
        return float(np.linalg.norm(first - second)) / 2

    def code(self, photo: Photograph) -> np.ndarray:
        colour = photo.pixels.mean((1, 2)).double().numpy()
        if colour.max() < 0.1:
            raise NoFaceError(f"no face was found in {photo.name}.")
        return colour


def photo(path: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (32, 32), colour).save(path)
    return path


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    folder = tmp_path / "gallery"
    folder.mkdir()
    photo(folder / "alike.png", (190, 20, 20))
    photo(folder / "between.png", (150, 150, 0))
    photo(folder / "dark.png", (0, 0, 0))
    photo(folder / "other.png", (0, 0, 220))
    photo(folder / "probe.png", (200, 10, 10))
    (folder / "broken.jpg").write_bytes(b"nothing")
    return folder


def test_codes_are_compared_by_angle_and_in_mm() -> None:
    found = likeness(np.array([3.0, 0.0]), np.array([3.0, 4.0]), ColourReader())
    assert found.cosine == pytest.approx(0.6)
    assert found.distance == pytest.approx(2.0)


def test_the_most_alike_come_first_and_failures_last(gallery: Path) -> None:
    ranked = rank_photos(gallery / "probe.png", [gallery], ColourReader())
    assert [each.photo.stem for each in ranked] == ["alike", "between", "other", "broken", "dark"]
    assert ranked[0].likeness is not None
    assert ranked[0].likeness.cosine > 0.98
    assert [each.problem is not None for each in ranked] == [False, False, False, True, True]
    with pytest.raises(NoFaceError):
        rank_photos(gallery / "dark.png", [gallery], ColourReader())
    with pytest.raises(InputError, match="found none"):
        rank_photos(gallery / "probe.png", [gallery / "probe.png"], ColourReader())


def a_set(tmp_path: Path, colours: list[tuple[int, int, int]]) -> FaceSet:
    names = [photo(tmp_path / f"{k}.png", colour).name for k, colour in enumerate(colours)]

    def load(index: int) -> FacePhoto:
        return FacePhoto("set", names[index], StoredImage(tmp_path / names[index], names[index]))

    return FaceSet("set", "https://example.org", tmp_path, names, load)


def test_pairs_of_a_set_are_told_apart_by_folds(tmp_path: Path) -> None:
    red, blue, black = (200, 20, 10), (10, 20, 200), (0, 0, 0)
    photos = a_set(tmp_path, [red, (190, 30, 20), blue, (20, 10, 190), black])
    alike = [PhotoPair(k % 2, 0, 1, True) for k in range(2)] + [
        PhotoPair(k % 2, 2, 3, True) for k in range(2)
    ]
    apart = [PhotoPair(k % 2, 0, 2 + k, False) for k in range(2)] * 2
    found = verify_set(photos, [*alike, *apart], ColourReader().code)
    assert found.cosine.accuracy == found.euclidean.accuracy == 1
    assert (found.pairs, found.missed) == (8, 0)
    # A pair with a side without a face counts as two people: right where it is, wrong where it is not.
    hidden = verify_set(photos, [*alike, *apart, PhotoPair(0, 0, 4, True)], ColourReader().code)
    assert hidden.missed == 1
    assert hidden.cosine.accuracy < 1
    with pytest.raises(InputError, match="nothing can be measured"):
        verify_set(photos, [PhotoPair(0, 4, 4, True)], ColourReader().code)


def test_a_damaged_photo_of_a_set_is_no_photo_without_a_face(tmp_path: Path) -> None:
    photos = a_set(tmp_path, [(200, 20, 10), (190, 30, 20)])
    (tmp_path / "1.png").write_bytes(b"nothing")
    with pytest.raises(FacewrightError, match=r"1\.png"):
        verify_set(photos, [PhotoPair(k, 0, 1, k % 2 == 0) for k in range(4)], ColourReader().code)


def test_the_code_of_a_clip_is_the_mean_of_its_frames(tmp_path: Path) -> None:
    red, blue, black = (200, 20, 10), (10, 20, 200), (0, 0, 0)
    photos = a_set(tmp_path, [red, blue, red, black, blue, blue])
    asked: list[str] = []

    def encode(frame: Photograph) -> np.ndarray:
        asked.append(frame.name)
        return ColourReader().code(frame)

    mixed, mostly_red, only_blue = (0, 1, 2), (0, 3, 2), (4, 5)
    pairs = [ClipPair(k, mixed, mostly_red, True) for k in range(2)]
    pairs += [ClipPair(k, mostly_red, only_blue, False) for k in range(2)]
    found = verify_set(photos, pairs, encode)
    assert found.cosine.accuracy == 1
    assert found.missed == 0  # of one clip a frame shows no face, but others do
    assert sorted(asked) == sorted(photos.names)  # each once


def test_codes_keep_lengths_of_meshes() -> None:
    model = load_base_model()
    sphere = sphere_model(model, model.regions["face"])
    coefficients = torch.randn(2, model.identity_count, generator=torch.Generator().manual_seed(0))
    codes = sphere.faces(sphere.codes(sphere.own_coefficients(coefficients)))
    meshes = model.vertices(coefficients)[:, sphere.region]
    direct = (meshes[0] - meshes[1]).square().sum(-1).mean().sqrt().item()
    assert float((codes[0] - codes[1]).norm()) == pytest.approx(direct, rel=1e-3)


@pytest.fixture
def colours_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object, **named: object) -> ColourReader:
        del arguments, named
        return ColourReader()

    monkeypatch.setattr(IdentityReader, "load", load)
    monkeypatch.setitem(identity.THRESHOLDS, "fit", Threshold(0.9, 66.0, 4322))


@pytest.mark.usefixtures("colours_instead")
def test_verify_says_what_the_numbers_mean(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["verify", str(gallery / "probe.png"), str(gallery / "alike.png"), "--method", "fit"]
    assert main(line) == 0
    told = capsys.readouterr()
    assert "speaks for one person" in told.out
    assert "66 of 100 pairs" in told.out
    assert told.err.count("only with their consent") == 1
    line[2] = str(gallery / "other.png")
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is False
    assert found["cosine"] < 0.2
    line[2] = str(gallery / "dark.png")
    assert main(line) == 2
    assert "no face was found in dark.png" in capsys.readouterr().err


@pytest.mark.usefixtures("colours_instead")
def test_identify_writes_a_ranked_table(
    gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["identify", str(gallery / "probe.png"), str(gallery), "--method", "fit"]
    assert main(line) == 1  # two photos of the folder failed
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "", ""]
    assert rows[0]["photo"].endswith("alike.png")
    assert "no face" in rows[-1]["problem"]
    assert main([*line, "--out", str(tmp_path / "table.json")]) == 1
    assert json.loads((tmp_path / "table.json").read_text())[0]["cosine"] == float(rows[0]["cosine"])
    assert main([*line, "--out", str(tmp_path / "table.txt")]) == 2
    # Where nothing can be written, nothing is asked: the probe is not there.
    nowhere = ["identify", "none.png", str(gallery), "--out", str(gallery / "probe.png" / "table.csv")]
    capsys.readouterr()
    assert main(nowhere) == 2
    assert "it is a file" in capsys.readouterr().err
    assert main(["identify", str(gallery / "probe.png"), "--method", "fit"]) == 2
    (gallery / "broken.jpg").unlink()
    (gallery / "dark.png").unlink()
    assert main(line) == 0  # control


def test_the_consent_note_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("verify", "identify"):
        assert main([command, "--help"]) == 0
        assert "consent" in capsys.readouterr().out
