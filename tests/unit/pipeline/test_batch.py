"""Resuming, failing and colliding, with an engine that only writes the photo's mean colour."""

import json
import shutil
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from facewright.core.errors import AssetError, HiddenFaceError, NoFaceError, OutputError
from facewright.core.files import only_writer
from facewright.image.io import Photograph
from facewright.pipeline.batch import HELD, PHOTOS, InputKind, Summary, run_batch
from facewright.pipeline.folders import HEAD, HEAD_FILES, MARKER
from facewright.pipeline.inputs import expand_inputs
from facewright.pipeline.settings import BatchSettings


@dataclass(frozen=True)
class Head:
    text: str
    sha256: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        return ("it looks away.",) if self.text.startswith("aside") else ()

    def save(self, folder: Path) -> None:
        with HEAD.written(folder) as partial:
            for name in HEAD_FILES:
                (partial / name).write_text(self.text)
            if self.text == "full":
                raise OSError(28, "No space left on device")
            marker = {
                "format_version": 1,
                "facewright_version": "1",
                "notes": {"photo_sha256": self.sha256, "text": self.text},
            }
            (partial / MARKER).write_text(json.dumps(marker))


@dataclass
class Engine:
    """Finds as many faces as a photo's red value says; 0 is no face, 255 an interruption."""

    seen: list[str] = field(default_factory=list)

    def reconstruct(self, photo: Photograph, *, all_faces: bool) -> Sequence[Head]:
        self.seen.append(photo.name)
        red = round(float(photo.pixels[0].mean() * 255))
        if red == 0:
            raise NoFaceError("no face was found.")
        if red == 255:
            raise KeyboardInterrupt
        if red == 100:
            raise ZeroDivisionError("a\nbug")
        if red == 50:
            return [Head("full")]
        if red == 7:  # the second face cannot be written
            return [Head("first", photo.sha256), Head("full")]
        return [Head(f"{photo.name} {index}", photo.sha256) for index in range(red if all_faces else 1)]

    def reconstruct_together(self, photos: Sequence[Photograph]) -> Sequence[Head | Exception]:
        return [
            {0: NoFaceError("none"), 9: HiddenFaceError("hardly", [0]), 100: ZeroDivisionError("a bug")}.get(
                round(float(photo.pixels[0].max() * 255)), Head(photo.name, photo.sha256)
            )
            for photo in photos
        ]


def photo(path: Path, red: int, green: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (red, green, 0)).save(path)
    return path


def run(out, paths, engine=None, version="1", kind: InputKind = PHOTOS, **settings) -> Summary:
    engine = engine or Engine()
    made_with = {"version": version}
    chosen = BatchSettings(**settings)
    return run_batch(expand_inputs(paths), out, lambda: engine, chosen, made_with, progress=False, kind=kind)


def entries(out: Path) -> dict[str, dict]:
    return {Path(e["path"]).name: e for e in json.loads((out / "report.json").read_text())["inputs"]}


def files(out: Path) -> list[str]:
    """Files below a folder, a whole head as the name of its folder."""
    found = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    heads = [path.parent for path in found if all(path.parent / name in found for name in HEAD_FILES)]
    return sorted(
        {str(path.parent if path.parent in heads and path.name in HEAD_FILES else path) for path in found}
    )


def made_from(folder: Path) -> str:
    return json.loads((folder / MARKER).read_text())["notes"]["text"]


def listed(out: Path) -> list[dict]:
    return json.loads((out / "report.json").read_text())["inputs"]


def test_one_bad_file_never_stops_the_rest(tmp_path: Path) -> None:
    reds = {"a.png": 1, "b.png": 0, "c.png": 100, "d.png": 50, "e.png": 2}
    paths = [photo(tmp_path / name, red) for name, red in reds.items()]
    (tmp_path / "f.png").write_bytes(b"")
    out = tmp_path / "out"
    assert run(out, [*paths, tmp_path / "f.png", tmp_path / "missing.png"]) == Summary(2, 0, 5)
    assert files(out) == ["a", "e", "report.json"]
    found = {name: (entry["status"], entry["error"], entry["reason"]) for name, entry in entries(out).items()}
    assert found["b.png"] == ("failed", "NoFaceError", "no face was found.")
    assert found["c.png"][1] == "ZeroDivisionError"
    assert "\n" not in found["c.png"][2]
    assert "disk is full" in found["d.png"][2]
    assert "0 bytes" in found["f.png"][2]
    assert "no file" in found["missing.png"][2]
    assert found["e.png"] == ("done", None, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), "not enough memory"),
        (RuntimeError("a bug"), "internal error"),  # the control
        (ValueError("out of memory"), "internal error"),
    ],
)
def test_no_memory_is_told_as_such(tmp_path: Path, error: Exception, words: str) -> None:
    def broken() -> Engine:
        raise error

    inputs = expand_inputs([photo(tmp_path / "a.png", 1)])
    assert run_batch(inputs, tmp_path / "out", broken, BatchSettings(), {}, progress=False).failed == 1
    assert words in entries(tmp_path / "out")["a.png"]["reason"]


def test_two_runs_do_not_write_one_folder(tmp_path: Path) -> None:
    path, out = photo(tmp_path / "a.png", 1), tmp_path / "out"
    out.mkdir()
    with only_writer(out), pytest.raises(OutputError, match="another run is writing there"):
        run(out, [path])
    assert files(out) == []
    assert run(out, [path]) == Summary(1, 0, 0)
    assert sorted(entry.name for entry in out.iterdir()) == ["a", "report.json"], "no lock stays behind"


def test_warnings_reach_the_report_and_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, out = [photo(tmp_path / "aside.png", 2), photo(tmp_path / "front.png", 1)], tmp_path / "out"
    run_batch(expand_inputs(paths), out, Engine, BatchSettings(all_faces=True), {})
    told = entries(out)
    assert told["aside.png"]["warnings"] == ["face 1: it looks away.", "face 2: it looks away."]
    assert told["front.png"]["warnings"] == []
    assert f"note  {paths[0]}: face 2: it looks away." in capsys.readouterr().err.splitlines()


def test_the_report_says_where_it_was_computed_and_another_place_redoes_nothing(tmp_path: Path) -> None:
    inputs, out = expand_inputs([photo(tmp_path / "a.png", 1)]), tmp_path / "out"
    for place, expected in (("cuda", Summary(1, 0, 0)), ("cpu", Summary(0, 1, 0))):
        where = {"device": place}
        assert (
            run_batch(inputs, out, Engine, BatchSettings(), {}, progress=False, computed_on=where) == expected
        )
        assert entries(out)["a.png"]["computed_on"] == {"device": "cuda"}


def test_resume_does_only_what_is_not_done(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 0), photo(tmp_path / "c.png", 1)]
    out = tmp_path / "out"
    run(out, paths)
    photo(tmp_path / "b.png", 1)  # now it has a face
    engine = Engine()
    assert run(out, paths, engine) == Summary(1, 2, 0)
    assert engine.seen == ["b.png"]
    engine = Engine()
    assert run(out, paths, engine, force=True) == Summary(3, 0, 0)
    assert len(engine.seen) == 3


def test_resume_redoes_what_changed(tmp_path: Path) -> None:
    path, out = photo(tmp_path / "a.png", 1), tmp_path / "out"
    run(out, [path])
    assert run(out, [path], version="2").done == 1
    photo(path, 1, green=9)
    assert run(out, [path], version="2").done == 1
    shutil.rmtree(out / "a")
    assert run(out, [path], version="2").done == 1
    (out / "a" / "head.obj").unlink()
    assert run(out, [path], version="2").done == 1
    assert files(out) == ["a", "report.json"]
    assert run(out, [path], version="2") == Summary(0, 1, 0)


def test_interruption_keeps_what_is_finished(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 255), photo(tmp_path / "c.png", 1)]
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(out, paths)
    assert files(out) == ["a", "report.json"]
    photo(tmp_path / "b.png", 1)
    assert run(out, paths) == Summary(2, 1, 0)


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    path, out = photo(tmp_path / "a.png", 1), tmp_path / "out"
    (out / ".gone.partial").mkdir(parents=True)
    (out / ".gone.partial" / "head.obj").write_text("half")
    assert run(out, [path]) == Summary(1, 0, 0)
    assert sorted(entry.name for entry in out.iterdir()) == ["a", "report.json"]


def test_equal_stems_do_not_overwrite_one_another(tmp_path: Path) -> None:
    first, second = photo(tmp_path / "1" / "a.png", 1), photo(tmp_path / "2" / "a.png", 1, green=3)
    third = photo(tmp_path / "3" / "A.png", 1, green=4)
    out = tmp_path / "out"
    run(out, [first, second, third])
    folders = {Path(entry["path"]).parent.name: entry["folders"] for entry in listed(out)}
    assert folders == {"1": ["a"], "2": ["a_2"], "3": ["A_3"]}
    run(out, [third, second, first], force=True)  # another order keeps the names
    assert {Path(entry["path"]).parent.name: entry["folders"] for entry in listed(out)} == folders


def test_stems_that_tell_nothing_give_way_to_the_folder(tmp_path: Path) -> None:
    kind = replace(PHOTOS, faceless=("scan",))
    alone, out = photo(tmp_path / "ann" / "scan.png", 1), tmp_path / "out"
    run(out, [alone], kind=kind)
    assert files(out) == ["report.json", "scan"]
    both = [photo(tmp_path / name / "scan.png", 1, green=3) for name in ("ben", "cat")]
    run(out, [alone, *both, photo(tmp_path / "dan.png", 1)], kind=kind)
    assert files(out) == ["ben", "cat", "dan", "report.json", "scan"]  # what was there keeps its name


def test_a_face_that_cannot_be_written_leaves_the_earlier_heads(tmp_path: Path) -> None:
    path, out = photo(tmp_path / "a.png", 7), tmp_path / "out"
    assert run(out, [path], all_faces=True) == Summary(0, 0, 1)
    assert files(out) == ["report.json"]  # half of the faces of a new photo are no result
    photo(path, 2)
    run(out, [path], all_faces=True)
    photo(path, 7)
    assert run(out, [path], all_faces=True) == Summary(0, 0, 1)
    assert files(out) == ["a", "a_face2", "report.json"]
    assert made_from(out / "a_face2") == "a.png 1"
    assert entries(out)["a.png"]["folders"] == ["a", "a_face2"]


def test_all_faces(tmp_path: Path) -> None:
    out = tmp_path / "out"
    paths = [photo(tmp_path / "a.png", 3), photo(tmp_path / "a_face2.png", 1)]
    run(out, paths, all_faces=True)
    assert entries(out)["a.png"]["folders"] == ["a", "a_face2_2", "a_face3"]
    run(out, paths, all_faces=True, force=True)
    assert entries(out)["a.png"]["folders"] == ["a", "a_face2_2", "a_face3"]


def test_together_is_done_as_a_whole(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 2), photo(tmp_path / "c.png", 0)]
    out = tmp_path / "out"
    weak = [*paths, photo(tmp_path / "d.png", 9), tmp_path / "no.png"]
    assert run(out, weak, together=True) == Summary(2, 0, 3)
    assert run(out, weak, together=True) == Summary(0, 2, 3)
    assert run(out, paths[:2], together=True) == Summary(2, 0, 0)  # another group of photos
    assert run(out, paths[:2], together=True) == Summary(0, 2, 0)
    photo(tmp_path / "b.png", 3)
    assert run(out, paths[:2], together=True) == Summary(2, 0, 0)


def test_an_error_nobody_foresaw_leaves_the_others_of_its_group(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 100)]
    assert run(tmp_path / "out", paths, together=True) == Summary(1, 0, 1)
    told = entries(tmp_path / "out")
    assert "internal error" in told["b.png"]["reason"]
    assert told["a.png"]["status"] == "done"


def test_a_group_of_photos_has_a_short_report(tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"{index}.png", 1, green=index) for index in range(30)]
    run(tmp_path / "one", paths[:1], together=True)
    run(tmp_path / "many", paths, together=True)
    one, many = ((tmp_path / name / "report.json").stat().st_size for name in ("one", "many"))
    assert many < 32 * one


def test_of_many_photos_of_one_person_few_lie_in_memory(tmp_path: Path) -> None:
    class Counting(Engine):
        def reconstruct_together(self, photos):
            kept: list[weakref.ref[torch.Tensor]] = []
            for _ in range(2):  # each photo is needed again
                for number in range(len(photos)):
                    picture = photos[number]
                    assert picture.name == f"{number:02}.png"
                    kept.append(weakref.ref(picture.pixels))
                    del picture
                    alive.append(len({id(pixels()) for pixels in kept if pixels() is not None}))
            return super().reconstruct_together(photos)

    alive: list[int] = []
    paths = [photo(tmp_path / f"{index:02}.png", 1, green=index) for index in range(HELD + 6)]
    assert run(tmp_path / "out", paths, Counting(), together=True) == Summary(len(paths), 0, 0)
    assert max(alive) == HELD
    assert alive[HELD - 1] == HELD  # the control: photos that are kept are counted
    assert entries(tmp_path / "out")["13.png"]["status"] == "done"


def test_seconds_of_a_group_are_divided(tmp_path: Path) -> None:
    class Slow(Engine):
        def reconstruct_together(self, photos):
            time.sleep(0.4)
            return super().reconstruct_together(photos)

    paths = [photo(tmp_path / f"{index}.png", 1, green=index) for index in range(8)]
    start = time.perf_counter()
    run(tmp_path / "out", paths, Slow(), together=True)
    elapsed = time.perf_counter() - start
    assert 0.4 < sum(entry["seconds"] for entry in entries(tmp_path / "out").values()) <= elapsed + 0.01


def test_damaged_model_is_told_for_each_input(tmp_path: Path) -> None:
    def broken() -> Engine:
        loads.append(1)
        raise AssetError("the packaged file x is damaged: reinstall facewright.")

    loads = []
    paths = expand_inputs([photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 1)])
    summary = run_batch(paths, tmp_path / "out", broken, BatchSettings(), {}, progress=False)
    assert summary == Summary(0, 0, 2)
    assert len(loads) == 1  # loading takes seconds
    assert all("damaged" in entry["reason"] for entry in entries(tmp_path / "out").values())


def test_report_that_cannot_be_written_is_told_beside_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: object) -> None:
        raise OutputError(f"cannot write {path}: the disk is full.")

    monkeypatch.setattr("facewright.pipeline.report.write_json", full)
    summary = run(tmp_path / "out", [photo(tmp_path / "a.png", 1)])
    assert summary.done == 1
    assert "disk is full" in summary.report_problem
    assert files(tmp_path / "out") == ["a"]


def test_unwritable_output(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="it is a file"):
        run(tmp_path / "file", [photo(tmp_path / "a.png", 1)])
