"""The study behind ``facewright reproduce specular``: its data, its runs, and what is not mixed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from facewright.core.errors import InputError
from facewright.data.protocols import PHOTO_PROTOCOLS, photo_protocol
from facewright.evaluation.ablation import Variant
from facewright.methods.specular.examples import INDEX, Examples
from facewright.methods.specular.tables import TABLES
from facewright.models.base import load_base_model
from facewright.pipeline import reproduce_specular
from facewright.pipeline.reproduce import reproduce
from facewright.pipeline.reproduce_specular import EXAMPLES, PROTOCOL, SpecularStudy

COUNT = 5


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(SpecularStudy, "_count", lambda _: COUNT)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SpecularStudy, "_count", lambda _: COUNT)
        SpecularStudy("mini", steps=1).prepare(folder)
    return folder


def test_the_twin_is_prepared_once(prepared) -> None:
    model = load_base_model()
    examples = Examples([prepared / EXAMPLES], model)
    assert len(examples.rows(truth=True, kept_out=False)) == COUNT - 1
    assert len(examples.rows(truth=True, kept_out=True)) == 1
    assert examples.size == 112
    stamp = (prepared / EXAMPLES / INDEX).stat().st_mtime_ns
    SpecularStudy("mini", steps=1).prepare(prepared)
    assert (prepared / EXAMPLES / INDEX).stat().st_mtime_ns == stamp


def test_a_run_trains_and_measures(prepared) -> None:
    place = prepared / "runs" / "without" / "seed-0"
    figures = SpecularStudy("mini", steps=1).run(Variant("w", {"without": "photo"}), 0, place)
    assert {"pixel", "shape", "score"} <= figures.keys()
    assert (place / "best.safetensors").is_file()


@pytest.mark.parametrize(
    ("name", "value"), [("_count", COUNT + 1), ("_size", 224), ("seed", 1)], ids=["count", "size", "seed"]
)
def test_examples_of_another_twin_are_refused(prepared, monkeypatch, name, value) -> None:
    if name == "seed":
        monkeypatch.setattr(reproduce_specular, "TWIN_SEED", value)
    else:
        monkeypatch.setattr(SpecularStudy, name, lambda _: value)
    with pytest.raises(InputError, match=r"was prepared from other photos \(.*, now .*--out"):
        SpecularStudy("mini", steps=1).prepare(prepared)


def test_photos_of_other_distributions_and_examples_of_another_format_are_other_data(
    prepared, monkeypatch
) -> None:
    protocol = photo_protocol(PROTOCOL)
    studies = [SpecularStudy("mini", steps=1)]
    before = studies[0].settings()["data"]
    with monkeypatch.context() as patch:
        drawn = replace(protocol.settings, shininess=(20.0, 20.0))
        patch.setitem(PHOTO_PROTOCOLS, PROTOCOL, replace(protocol, settings=drawn))
        studies.append(SpecularStudy("mini", steps=1))
        with pytest.raises(InputError, match=r"other photos \(source\.settings\.shininess"):
            studies[1].prepare(prepared)
    monkeypatch.setattr(reproduce_specular, "FORMAT", "facewright specular examples 9")
    studies.append(SpecularStudy("mini", steps=1))
    with pytest.raises(InputError, match=r"other photos \(source\.format"):
        studies[2].prepare(prepared)
    for study in studies[1:]:
        assert study.settings()["data"] != before


def test_examples_that_do_not_say_of_what_they_are_are_refused(prepared, tmp_path) -> None:
    index = Path(shutil.copytree(prepared / EXAMPLES, tmp_path / EXAMPLES)) / INDEX
    index.write_text(json.dumps({**json.loads(index.read_text()), "source": {}}))
    with pytest.raises(InputError, match="was prepared from"):
        SpecularStudy("mini", steps=1).prepare(tmp_path)


def test_runs_of_other_heads_networks_and_examples_are_not_mixed(prepared, tmp_path, monkeypatch) -> None:
    other = Path(shutil.copytree(prepared / EXAMPLES, tmp_path / "other"))
    index = other / INDEX
    index.write_text(json.dumps({**json.loads(index.read_text()), "digest": "of other photos"}))
    studies = [SpecularStudy.of("mini", [folder]) for folder in (prepared / EXAMPLES, other)]
    figures = {figure.metric: 1.0 for figure in TABLES["1"].figures}
    monkeypatch.setattr(SpecularStudy, "run", lambda *_: figures)
    assert reproduce(studies[0], "1", tmp_path / "out", 1).made > 0
    assert reproduce(SpecularStudy.of("mini", [prepared / EXAMPLES]), "1", tmp_path / "out", 1).made == 0
    with pytest.raises(InputError, match="other settings"):
        reproduce(studies[1], "1", tmp_path / "out", 1)
    shipped = reproduce_specular.version_values()["assets"]
    for name in (reproduce_specular.BASE_HEAD, reproduce_specular.RECOGNITION, reproduce_specular.SECOND):
        changed = {"assets": {**shipped, name: "another"}}
        monkeypatch.setattr(reproduce_specular, "version_values", lambda changed=changed: changed)
        with pytest.raises(InputError, match=rf"other settings \(settings\.assets\.{name}"):
            reproduce(studies[0], "1", tmp_path / "out", 1)
