"""``scripts/evaluate_specular.py`` goes on where it stopped, and with nothing that it was not asked for."""

import pytest
import torch

from evaluate_specular import correlation, kept_errors, spread  # pyright: ignore[reportMissingImports]
from facewright.core.errors import InputError

ASKED = {"weights": "a digest", "count": "2"}


def test_a_last_line_that_was_not_ended_is_measured_again(tmp_path) -> None:
    path = tmp_path / "keep.jsonl"
    assert kept_errors(path, ASKED) == {}
    whole = path.read_text() + '[0, {"specular": {"albedo": 0.5}}]\n'
    path.write_text(whole + '[1, {"spec')
    assert kept_errors(path, ASKED) == {0: {"specular": {"albedo": 0.5}}}
    assert path.read_text() == whole  # so that the next line is one of its own
    path.write_text(whole[:5])
    assert kept_errors(path, ASKED) == {}


def test_a_file_of_other_weights_or_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "keep.jsonl"
    kept_errors(path, ASKED)
    with pytest.raises(InputError, match="is of a run with"):
        kept_errors(path, {**ASKED, "weights": "another"})
    path.write_text("words\n")
    with pytest.raises(InputError, match="is no file of --keep"):
        kept_errors(path, ASKED)


def test_photos_are_spread_and_maps_that_do_not_vary_correlate_with_nothing() -> None:
    assert spread([3, 5, 7, 9, 11], 3) == [3, 7, 11]
    assert spread([3, 5], 9) == [3, 5]
    rising = torch.linspace(0, 1, 9)
    assert correlation(rising, 2 * rising) == pytest.approx(1.0)
    assert correlation(rising, torch.ones(9)) == 0.0
