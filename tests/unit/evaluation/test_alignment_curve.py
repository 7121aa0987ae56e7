import numpy as np
import pytest

from facewright.core.errors import InputError
from facewright.evaluation.alignment_curve import alignment_curve, normalised_errors


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
    assert curve.area < 0.4
    with pytest.raises(InputError, match="at least one"):
        alignment_curve(np.zeros(0))
