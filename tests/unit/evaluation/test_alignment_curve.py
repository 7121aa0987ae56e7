import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewright.core.errors import InputError
from facewright.evaluation.alignment_curve import alignment_curve, normalised_errors, write_alignment


def test_errors_are_parts_of_the_face_s_size() -> None:
    truth = np.array([[[0.0, 0.0], [40.0, 0.0], [0.0, 10.0], [40.0, 10.0]]])
    assert normalised_errors(truth, truth).tolist() == [0]
    assert normalised_errors(truth + np.array([3.0, 4.0]), truth).tolist() == pytest.approx([5 / 20])
    both = np.concatenate([truth, 7 * truth])
    assert np.ptp(normalised_errors(1.1 * both, both)) < 1e-12  # whatever the photo's size
    with pytest.raises(InputError, match="photo 1"):
        normalised_errors(both, np.concatenate([truth, truth * np.array([1.0, 0.0])]))


def test_the_curve_counts_photos_up_to_an_error() -> None:
    curve = alignment_curve(np.array([0.0, 0.05, 0.2, np.inf]))
    assert curve.shares[0] == 0.25
    assert curve.shares[-1] == 0.5
    assert curve.mean == pytest.approx(0.25 / 3)
    assert alignment_curve(np.zeros(3)).area == pytest.approx(1)
    assert curve.area == pytest.approx((1 + 0.5) / 4)  # exact: a photo of error e adds what lies beyond it
    with pytest.raises(InputError, match="at least one"):
        alignment_curve(np.zeros(0))


def test_the_curve_is_written_as_table_and_picture(tmp_path: Path) -> None:
    errors = np.array([0.0, 0.05, 0.2, np.inf])
    curve = write_alignment(tmp_path / "out", "a set", ["a", "b", "c", "d"], errors)
    told = json.loads((tmp_path / "out" / "ced.json").read_text())
    assert told["photos"] == {"a": 0.0, "b": 0.05, "c": 0.2, "d": None}
    assert told["area"] == curve.area
    with (tmp_path / "out" / "ced.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["share"]) for row in rows] == curve.shares.tolist() == told["shares"]
    assert float(rows[-1]["threshold"]) == 0.1
    picture = tmp_path / "out" / "ced.png"
    first = picture.read_bytes()
    assert np.asarray(Image.open(picture).convert("RGB")).std() > 1
    write_alignment(tmp_path / "out", "a set", ["a", "b", "c", "d"], errors)
    assert picture.read_bytes() == first
    write_alignment(tmp_path / "out", "a set", ["a", "b", "c", "d"], errors * 0.5)  # control
    assert picture.read_bytes() != first
