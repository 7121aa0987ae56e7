"""Files in, tables and pictures out: pairing, formats, bad files, and the command."""

import csv
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from tests.unit.evaluation.face_shapes import (
    IBUG,
    depth,
    only_seven,
    sample,
    similarity,
    with_points,
    write_face,
)

from facewright.cli.evaluate import ProtocolName
from facewright.cli.main import main
from facewright.core.errors import InputError, OutputError
from facewright.evaluation.heatmap import BLANK, draw_heatmap, vertex_colours
from facewright.evaluation.inputs import pair_folders, read_pairs, read_sample
from facewright.evaluation.landmarks import IN_DENSE478, NOW_SEVEN, read_landmarks
from facewright.evaluation.protocols import PROTOCOLS
from facewright.evaluation.records import PointErrors
from facewright.evaluation.run import RunSettings, evaluate_into
from facewright.image.ramp import ramp_colors


@pytest.fixture(scope="module")
def face():
    return sample(31, 37)


@pytest.fixture
def folders(tmp_path, face):
    """Two good pairs, one without scan, one without prediction, one damaged."""
    predictions, scans = tmp_path / "predictions", tmp_path / "scans"
    for name in ("anna", "bert", "lonely", "torn"):
        write_face(predictions, name, with_points(face, similarity(1.1)))
    for name in ("anna", "bert", "missed", "torn"):
        write_face(scans, name, only_seven(face))
    (scans / "torn.obj").write_bytes((scans / "torn.obj").read_bytes()[:700] + b"f 1 2 99999\n")
    return predictions, scans


def test_pairs_are_made_by_name_and_what_is_alone_is_said(folders):
    pairs = {pair.name: pair for pair in pair_folders(*folders)}
    assert list(pairs) == ["anna", "bert", "lonely", "missed", "torn"]
    assert pairs["anna"].problem is None
    assert "no scan" in (pairs["lonely"].problem or "")
    assert "no prediction" in (pairs["missed"].problem or "")
    write_face(folders[0] / "anna", "head", sample(9, 9))
    again = {pair.name: pair for pair in pair_folders(*folders)}
    assert "not unique" in (again["anna"].problem or "")
    empty = folders[0] / "anna" / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no mesh"):
        pair_folders(folders[0], empty)
    with pytest.raises(InputError, match="expected a folder"):
        pair_folders(folders[0], folders[0] / "nothing")


def test_a_folder_stands_for_one_face(tmp_path, face):
    """As `facewright reconstruct` leaves it: head.obj, and 478 landmarks in parameters.json."""
    write_face(tmp_path / "one", "head", face)
    points = np.random.default_rng(0).normal(0, 50, (478, 3))
    for name, row in IN_DENSE478.items():
        points[row] = face.landmarks.named[name]
    (tmp_path / "one" / "head.json").unlink()
    (tmp_path / "one" / "parameters.json").write_text(json.dumps({"landmarks_mm": points.tolist()}))
    named = read_sample(tmp_path / "one" / "head.obj", None, "mm")  # the folder's face, named itself
    found = read_sample(tmp_path / "one", None, "mm")
    assert named.landmarks.named.keys() == found.landmarks.named.keys()
    np.testing.assert_allclose(found.landmarks.named["nose_tip"], face.landmarks.named["nose_tip"])
    np.testing.assert_allclose(found.vertices, face.vertices, atol=1e-6)
    large = read_sample(tmp_path / "one", None, "cm")
    np.testing.assert_allclose(large.vertices, 10 * face.vertices, atol=1e-5)
    assert large.landmarks.outer_interocular == pytest.approx(10 * face.landmarks.outer_interocular)
    (tmp_path / "one" / "parameters.json").unlink()
    with pytest.raises(InputError, match="no landmarks beside it"):
        read_sample(tmp_path / "one", None, "mm")


def test_every_landmark_format_is_read(tmp_path, face):
    rows = face.landmarks.rows(NOW_SEVEN)
    (tmp_path / "a.txt").write_text(
        "# seven\n" + "\n".join(", ".join(map(repr, row)) for row in rows.tolist())
    )
    np.save(tmp_path / "a.npy", np.column_stack([IBUG, depth(*IBUG.T)]))
    (tmp_path / "list.json").write_text(json.dumps(rows.tolist()))
    named = {name: {"vertex": 1, "xyz": row} for name, row in zip(NOW_SEVEN, rows.tolist(), strict=True)}
    (tmp_path / "named.json").write_text(json.dumps({"units": "mm", "landmarks": named}))
    points = "".join(
        f'<point x="{x!r}" y="{y!r}" z="{z!r}" name="p" active="1"/>\n' for x, y, z in rows.tolist()
    )
    (tmp_path / "picked.pp").write_text(f"<!DOCTYPE PickedPoints>\n<PickedPoints>\n{points}</PickedPoints>")
    for file in tmp_path.iterdir():
        np.testing.assert_allclose(read_landmarks(file).rows(NOW_SEVEN), rows, atol=1e-9, err_msg=file.name)
    inner = read_landmarks(tmp_path / "a.npy").inner51
    assert inner is not None
    np.testing.assert_allclose(inner, face.landmarks.inner51)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"1 2 3\n4 5 6\n"),
        ("a.txt", b"1 2\n" * 7),
        ("a.txt", b"nan 0 0\n" * 7),
        ("a.txt", b"one two three\n" * 7),
        ("a.txt", b"\xff\xfe\x00"),
        ("a.json", b"{"),
        ("a.json", b"[" * 100_000),
        ("a.json", b"3"),
        ("a.json", b'{"landmarks": {"left_ear": [0, 0, 0]}}'),
        ("a.json", b'{"landmarks": [[1, 2, "3"], 4]}'),
        ("a.json", b'{"landmarks": {"chin": {"xyz": null}}}'),
        ("a.pp", b'<point x="1" y="2"/>' * 7),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{"),
        ("a.npy", b""),
    ],
)
def test_a_damaged_landmark_file_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"a\.") as caught:
        read_landmarks(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"x": 1}] * 7, dtype=object), allow_pickle=True)
    with pytest.raises(InputError):
        read_landmarks(tmp_path / "a.npy")


def test_the_command_measures_what_it_can_and_counts_the_rest(folders, tmp_path, capsys):
    out = tmp_path / "out"
    command = [
        "evaluate",
        "now",
        "--predictions",
        str(folders[0]),
        "--scans",
        str(folders[1]),
        "--out",
        str(out),
    ]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "2 pairs measured, 3 failed" in told.out
    assert (
        len([line for line in told.err.splitlines() if line.startswith(("lonely:", "missed:", "torn:"))]) == 3
    )
    table = json.loads((out / "table.json").read_text())
    assert (table["measured"], table["failed"]) == (2, 3)
    assert table["pooled"]["face"]["mean"] < 0.01
    assert table["pairs"][0]["values"]["scale"] == pytest.approx(1 / 1.1, abs=1e-4)
    assert table["settings"]["protocol"]["crop_factor"] == 1.4
    rows = list(csv.DictReader((out / "table.csv").open()))
    assert [row["status"] for row in rows] == ["measured", "measured", "failed", "failed", "failed"]
    assert "| face | 2 |" in (out / "table.md").read_text()
    for name in ("ced.png", "heatmaps/anna_face.png", "heatmaps/bert_face.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 500
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    assert main(command) == 1  # an earlier evaluation is replaced, by the same bytes
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_without_a_measured_pair_there_is_a_table_and_no_curve(tmp_path, capsys):
    folders = [tmp_path / "heads", tmp_path / "scans"]
    for folder in folders:
        folder.mkdir()
        (folder / "anna.obj").write_text("torn")
    out = tmp_path / "out"
    options = ["--predictions", str(folders[0]), "--scans", str(folders[1]), "--out", str(out)]
    assert main(["evaluate", "now", *options]) == 1
    assert "0 pairs measured, 1 failed" in capsys.readouterr().out
    assert json.loads((out / "table.json").read_text())["failed"] == 1
    assert not (out / "ced.png").exists()


def test_other_files_are_never_replaced(folders, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="other files"):
        evaluate_into(
            tmp_path / "mine", "now", pair_folders(*folders)[:1], RunSettings(heatmaps=False), progress=False
        )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_strangers_table_is_no_earlier_result(folders, tmp_path):
    """Nor is what merely has the name of our table; an evaluation's own folder is replaced."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    pairs, settings = pair_folders(*folders)[:1], RunSettings(heatmaps=False)
    for foreign in ('{"format": "csvkit", "rows": []}', "[]", "{", "[" * 100_000, '{"format_version": 1}'):
        (mine / "table.json").write_text(foreign)
        with pytest.raises(OutputError, match="other files"):
            evaluate_into(mine, "now", pairs, settings, progress=False)
        assert (mine / "thesis.txt").read_text() == "years"
    (mine / "thesis.txt").unlink()
    (mine / "table.json").unlink()
    for _ in range(2):
        assert evaluate_into(mine, "now", pairs, settings, progress=False).measured == 1


def test_a_face_that_cannot_be_drawn_is_measured_nevertheless(folders, tmp_path):
    """Without a mouth corner nothing says how the face is turned; the distances do not need it."""
    marks = folders[1] / "anna.json"
    content = json.loads(marks.read_text())
    del content["landmarks"]["left_mouth_corner"]
    marks.write_text(json.dumps(content))
    table = evaluate_into(tmp_path / "out", "now", pair_folders(*folders)[:2], RunSettings(), progress=False)
    assert table.measured == 2
    assert any("no heat map" in note and "left_mouth_corner" in note for note in table.results[0].notes)
    assert not any("no heat map" in note for note in table.results[1].notes)
    assert [path.name for path in (tmp_path / "out" / "heatmaps").iterdir()] == ["bert_face.png"]


def test_every_pair_keeps_its_heat_map(folders, tmp_path):
    lines = ["name,prediction,scan"]
    lines += [f"{name},predictions/anna.obj,scans/anna.obj" for name in ("a/b", "a_b", "A_b")]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    evaluate_into(tmp_path / "out", "now", read_pairs(tmp_path / "pairs.csv"), RunSettings(), progress=False)
    assert len(list((tmp_path / "out" / "heatmaps").iterdir())) == 3


def test_a_list_of_pairs(folders, tmp_path):
    lines = ["name,prediction,scan,scan_landmarks"]
    lines += ["a,predictions/anna.obj,scans/bert.obj,scans/anna.json", "b,predictions/bert.obj,,"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    pairs = read_pairs(tmp_path / "pairs.csv")
    assert pairs[0].scan_landmarks == tmp_path / "scans" / "anna.json"
    assert "no scan" in (pairs[1].problem or "")
    table = evaluate_into(tmp_path / "out", "bai", pairs, RunSettings(heatmaps=False), progress=False)
    assert [result.status for result in table.results] == ["measured", "failed"]
    for bad in ("name,scan\n", "name,prediction,scan\na,x,y\na,x,y\n", "name,prediction,scan\n"):
        (tmp_path / "pairs.csv").write_text(bad)
        with pytest.raises(InputError, match=r"pairs\.csv"):
            read_pairs(tmp_path / "pairs.csv")


def test_usage(tmp_path, capsys):
    assert get_args(ProtocolName) == tuple(PROTOCOLS)
    for extra in ([], ["--predictions", "x"], ["--pairs", "a.csv", "--scans", "y"], ["--pairs", "none.csv"]):
        assert main(["evaluate", "now", "--out", str(tmp_path / "o"), *extra]) == 2
    assert main(["evaluate", "bogus", "--out", str(tmp_path / "o")]) == 2
    assert not Path(tmp_path / "o").exists()
    capsys.readouterr()


def test_colours_mean_errors(face):
    part = PointErrors(np.array([3, 3, 5]), np.array([1.0, 3.0, 99.0]))
    colours = vertex_colours(len(face.vertices), part, 4.0)
    np.testing.assert_allclose(colours[3], ramp_colors(np.array([0.5]))[0])
    np.testing.assert_allclose(colours[5], ramp_colors(np.array([1.0]))[0])
    np.testing.assert_allclose(colours[0], BLANK)
    lightness = ramp_colors(np.linspace(0, 1, 20)) @ [0.21, 0.72, 0.07]
    assert (np.diff(lightness) > 0).all()  # also readable in grey


def test_a_heat_map_shows_the_error_on_its_side(face):
    """Errors on the subject's left cheek: bright on the right of the frontal view."""
    left = face.vertices[:, 0] > 0
    rows = np.flatnonzero(np.abs(face.vertices[:, :2]).max(1) < 60)
    part = PointErrors(rows, np.where(left[rows], 5.0, 0.0))
    picture = np.asarray(draw_heatmap(with_points(face, similarity()), part, "mm", "test")).astype(float)
    front = picture[64:464, 24 + 412 : 24 + 412 + 400]
    yellow = front[..., 0] - front[..., 2]
    assert yellow[:, 220:300].mean() > 60 > 0 > yellow[:, 100:180].mean()
