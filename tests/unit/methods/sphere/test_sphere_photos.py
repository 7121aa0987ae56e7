"""Stage 2 as table 4 runs it: a basis that photographs tune, and the pairs that no training saw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.data.datasets.miniature_folder import write_people

from facewright.core.errors import InputError
from facewright.data.datasets.kept_out import is_kept_out
from facewright.evaluation.ablation import AblationTable
from facewright.methods.sphere.tables import ENCODER, TABLES, TUNED
from facewright.pipeline import reproduce_sphere_photos
from facewright.pipeline.reproduce_sphere import SphereStudy
from facewright.pipeline.reproduce_sphere_photos import FOLDS, PhotoRuns, schedule

KEPT = [name for name in (f"Kept_{k}" for k in range(200)) if is_kept_out(name)][:5]
SEEN = [name for name in (f"Seen_{k}" for k in range(40)) if not is_kept_out(name)][:4]
TESTED = [name for name in (f"Test_{k}" for k in range(40)) if not is_kept_out(name)][:6]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("data"), (*KEPT, *SEEN), SEEN[:1], TESTED, FOLDS)


def test_photos_tune_the_basis_unless_it_is_frozen(
    data: Path, sphere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(reproduce_sphere_photos.STEPS, "mini", 5)
    short = replace(schedule("mini", 0), batch=8)
    monkeypatch.setattr(reproduce_sphere_photos, "schedule", lambda _, seed: replace(short, seed=seed))
    runs = PhotoRuns(data, data / "crops.npy")
    tuned = runs.run(sphere, {}, "mini", 0, tmp_path / "tuned")
    assert float(tuned.mixing.abs().max()) > 1e-6
    assert set(tuned.figures) == {"photo_cosine", "photo_euclidean", "photo_landmarks"}
    assert all(np.isfinite(value) for value in tuned.figures.values())
    again = runs.run(sphere, {}, "mini", 0, tmp_path / "tuned")  # done: nothing is trained
    assert again.figures == tuned.figures
    frozen = runs.run(sphere, {"frozen": True, "without": "identity"}, "mini", 0, tmp_path / "frozen")
    assert torch.equal(frozen.mixing, torch.zeros_like(frozen.mixing))


def test_table_4_needs_photos_and_compares_what_photos_do(data: Path) -> None:
    assert "4" not in SphereStudy.of("mini", []).tables
    with pytest.raises(InputError, match="faces_in_the_wild"):
        SphereStudy.of("mini", [data / "faces_in_colour"])
    study = SphereStudy.of("mini", [data])
    assert set(study.tables) == {"1", "4"}
    table: AblationTable = study.tables["4"]
    assert [figure.metric for figure in table.figures] == [
        "photo_cosine",
        "photo_euclidean",
        "photo_landmarks",
    ]
    assert [variant.name for variant in table.variants[:2]] == [TUNED, ENCODER]
    # The tuned basis of table 3 is the one of table 4: they share the runs.
    assert table.variants[0].changes == TABLES["3"].variants[2].changes
    assert TABLES["3"].variants[2].name == TUNED
    # What mixing within the span cannot change, nothing is expected of.
    expected = [figure.claims[TUNED].expected for figure in TABLES["3"].figures]
    assert expected == [None, "better", "better", "better"]
