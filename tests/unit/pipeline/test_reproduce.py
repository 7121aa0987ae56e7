"""Tables of a toy method, whose figures are known."""

import csv
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from facewright.cli.main import main
from facewright.core.errors import InputError, NotFiniteError, UnavailableError
from facewright.evaluation.ablation import AblationTable, Claim, Figure, PaperNumber, Run, Variant, judge
from facewright.pipeline.methods import METHODS, load_study
from facewright.pipeline.reproduce import reproduce
from facewright.pipeline.reproduce_sphere import SphereStudy

CLAIMS = {
    "full": Claim(PaperNumber(1.0, 0.5)),
    "without A": Claim(PaperNumber(2.0, 0.1), "worse"),
    "without B": Claim(PaperNumber(1.1), "worse"),
    "without C": Claim(PaperNumber(1.2), "worse"),
    "without D": Claim(PaperNumber(float("nan")), "diverges"),
    "without E": Claim(PaperNumber(), "worse"),
}
ERROR = Figure("error", "how wrong toys are", "mm", claims=CLAIMS)
TABLE = AblationTable(
    name="7",
    title="toys",
    source="nobody 2000, table 7",
    variants=tuple(
        Variant(name, {"without": name[-1]} if claim.expected else {}) for name, claim in CLAIMS.items()
    ),
    figures=(ERROR,),
)
# Error of each variant for seeds 0, 1, 2.
ERRORS = {
    "full": (1.0, 1.1, 0.9),
    "without A": (1.9, 2.1, 2.0),
    "without B": (1.1, 1.0, 1.0),
    "without C": (0.5, 0.4, 0.6),
}


@dataclass
class Toy:
    """Counts its runs, and fails where it is told to."""

    name: str = "toy"
    tables: dict[str, AblationTable] = field(default_factory=lambda: {"7": TABLE})
    steps: int = 5
    calls: list[tuple[str, int]] = field(default_factory=list)
    stop_after: int = 1000
    prepared: int = 0

    def settings(self):
        return {"steps": self.steps, "sizes": (1, 2)}

    def prepare(self, folder):
        assert folder.is_dir()
        self.prepared += 1

    def run(self, variant, seed, folder):
        assert folder.name == f"seed-{seed}"
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append((variant.name, seed))
        if variant.name == "without D":
            raise NotFiniteError("the loss is NaN")
        if variant.name == "without E":
            raise UnavailableError("E is not here")
        return {"error": ERRORS[variant.name][seed], "other": 3.0}


def test_numbers_spreads_and_directions(tmp_path):
    done = reproduce(Toy(), "7", tmp_path, 3)
    found = {each.variant.name: each for each in done.findings}
    assert [each.agrees for each in done.findings] == [
        "reference",
        "yes",
        "undecided",
        "no",
        "yes",
        "not run",
    ]
    assert found["full"].mean == pytest.approx(1.0)
    assert found["full"].spread == pytest.approx(0.1)
    assert found["without A"].difference == pytest.approx(1.0)
    assert found["without D"].diverged == 3
    assert "E is not here" in found["without E"].note
    text = (tmp_path / "table_7.md").read_text()
    assert "| without A | 2 ± 0.1 | 2 ± 0.1 | 3 | +100.0 % | +100.0 ± 10.0 % | worse | yes |" in text
    assert "| without D | diverges | " in text
    rows = list(csv.DictReader((tmp_path / "table_7.csv").open()))
    assert [row["agrees"] for row in rows] == [each.agrees for each in done.findings]
    assert float(rows[1]["mean"]) == pytest.approx(2.0)
    document = json.loads((tmp_path / "table_7.json").read_text())
    assert document["figures"][0]["rows"][4]["paper"] == [None, None]
    assert document["settings"] == {"steps": 5, "sizes": [1, 2]}


def test_other_figures_stand_beside_the_table_and_are_not_judged(tmp_path):
    others = Figure("other", "of something else"), Figure("missing", "that no run has")
    table = replace(TABLE, figures=(ERROR, *others))
    done = reproduce(Toy(tables={"7": table}), "7", tmp_path, 3)
    other = [found for found in done.findings if found.figure is others[0]]
    assert (other[0].mean, other[0].spread) == (3.0, 0.0)
    assert other[4].mean is None  # diverged
    assert {found.agrees for found in other} == {""}
    assert [each.agrees for each in done.findings][1] == "yes"
    text = (tmp_path / "table_7.md").read_text()
    assert "| variant | other |" in text  # no run has the other one
    assert "| without A | 3 ± 0 |" in text
    assert "- `other`: of something else" in text
    assert json.loads((tmp_path / "table_7.json").read_text())["figures"][1]["rows"][1]["mean"] == 3.0
    reproduce(Toy(), "7", tmp_path / "plain", 1)
    assert "Other figures" not in (tmp_path / "plain" / "table_7.md").read_text()


def test_a_direction_that_is_the_other_way_round_is_told():
    runs = {
        name: [Run(seed, {"error": -value}) for seed, value in enumerate(v)] for name, v in ERRORS.items()
    }
    verdicts = [each.agrees for each in judge(TABLE, runs)][:4]
    assert verdicts == ["reference", "no", "undecided", "yes"]
    larger = replace(TABLE, figures=(replace(ERROR, smaller_is_better=False),))
    assert [each.agrees for each in judge(larger, runs)][:4] == ["reference", "yes", "undecided", "no"]


def test_seeds_are_compared_one_by_one():
    """A row that is worse with every seed, by less than seeds differ, is told."""

    def verdict(*errors: float) -> str:
        own = [Run(seed, {"error": value}) for seed, value in enumerate(errors)]
        full = [Run(seed, {"error": ERRORS["full"][seed]}) for seed in range(len(errors))]
        return judge(TABLE, {"full": full, "without A": own})[1].agrees

    assert verdict(1.05, 1.16, 0.94) == "yes"
    assert verdict(1.05, 1.16) == "yes"
    assert verdict(1.05, 1.2) == "undecided"  # two differences of 0.05 and 0.1 may be chance
    # The same errors with other seeds are no pairs.
    other = [Run(seed + 5, {"error": value}) for seed, value in enumerate((1.05, 1.16, 0.94))]
    full = [Run(seed, {"error": value}) for seed, value in enumerate(ERRORS["full"])]
    (_, found, *_) = judge(TABLE, {"full": full, "without A": other})
    assert (found.agrees, found.difference) == ("undecided", None)


def test_one_seed_decides_nothing():
    runs = {name: [Run(0, {"error": values[0]})] for name, values in ERRORS.items()}
    assert {each.agrees for each in judge(TABLE, runs)} == {"reference", "undecided", "not run"}


def test_what_should_diverge_and_does_not():
    runs = {name: [Run(s, {"error": value}) for s, value in enumerate(v)] for name, v in ERRORS.items()}
    runs["without D"] = [Run(seed, {"error": 5.0 + seed}) for seed in range(3)]
    assert judge(TABLE, runs)[4].agrees == "no"
    runs["without A"] = [Run(0, {}, "NaN", True), Run(1, {"error": 1.0}), Run(2, {}, "NaN", True)]
    assert judge(TABLE, runs)[1].agrees == "yes"  # most of the runs diverged, of the full method none


def test_a_stopped_run_goes_on(tmp_path):
    stopped = Toy(stop_after=8)
    with pytest.raises(KeyboardInterrupt):
        reproduce(stopped, "7", tmp_path, 2)
    again = Toy()
    done = reproduce(again, "7", tmp_path, 2)
    # What could not be run for want of something is tried again, what diverged is not.
    assert len(again.calls) == 12 - 8 + 1
    assert ("without E", 0) in again.calls
    assert not {("without D", 0), ("full", 0)} & set(again.calls)
    whole = reproduce(Toy(), "7", tmp_path / "whole", 2)
    assert [each.values for each in done.findings] == [each.values for each in whole.findings]
    more = Toy()
    assert reproduce(more, "7", tmp_path, 3).kept == 10
    assert {seed for name, seed in more.calls if name != "without E"} == {2}


def test_tables_of_the_same_variants_share_their_runs(tmp_path):
    other = replace(TABLE, name="8", figures=(Figure("other", "the other"),))
    toy = Toy(tables={"7": TABLE, "8": other})
    reproduce(toy, "7", tmp_path, 1)
    first = len(toy.calls)
    done = reproduce(toy, "8", tmp_path, 1)
    assert toy.calls[first:] == [("without E", 0)]
    assert done.findings[0].mean == 3.0


def test_runs_with_other_settings_are_not_mixed(tmp_path):
    reproduce(Toy(), "7", tmp_path, 1)
    with pytest.raises(InputError, match=r"settings.steps: 5, now 6"):
        reproduce(Toy(steps=6), "7", tmp_path, 1)
    path = tmp_path / "runs" / "full" / "seed-0.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(InputError, match="damaged"):
        reproduce(Toy(), "7", tmp_path, 1)
    path.unlink()
    assert reproduce(Toy(), "7", tmp_path, 1).made == 2


def test_figures_that_are_not_finite_are_divergence(tmp_path):
    class Wild(Toy):
        def run(self, variant, seed, folder):
            assert folder.name == f"seed-{seed}"
            return {"error": float("nan") if variant.name == "without A" else 1.0}

    done = reproduce(Wild(), "7", tmp_path, 2)
    assert done.findings[1].diverged == 2
    assert done.findings[1].agrees == "yes"


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="has the tables 7"):
        reproduce(Toy(), "9", tmp_path, 1)
    with pytest.raises(InputError, match="seeds"):
        reproduce(Toy(), "7", tmp_path, 0)
    with pytest.raises(InputError, match="needs the figure"):
        judge(TABLE, {"full": [Run(0, {"speed": 1.0})]})
    with pytest.raises(InputError, match="specular"):
        load_study("fit", "mini", [])
    # The mouth loss starts at a quarter of any length.
    longer: dict[str, Any] = dict(load_study("specular", "mini", [], 1200).settings())
    assert (longer["schedule"]["steps"], longer["training"]["losses"]["mouth_start"]) == (1200, 300)
    study = load_study("specular", "mini", [])
    assert longer != dict(study.settings())
    assert dict(load_study("specular", "mini", [], device="cpu").settings()) == dict(study.settings())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "1"],
        ["specular", "9"],
        ["specular", "1", "--seeds", "0"],
        ["specular", "1", "--steps", "0"],
        ["specular", "1", "--examples", "."],
        ["sphere", "1", "--device", "cpu"],
    ],
)
def test_command_lines_that_cannot_be_run(arguments, tmp_path, capsys):
    assert main(["reproduce", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("facewright: ")
    assert not (tmp_path / "out").exists()


def test_the_paper_s_tables_leave_out_each_loss_once():
    study = load_study("specular", "mini", [])
    from facewright.methods.specular.settings import LOSSES

    for table in study.tables.values():
        left_out = [variant.changes.get("without", "") for variant in table.variants]
        assert left_out[0] == ""
        assert sorted(left_out[1:]) == sorted(LOSSES)
    assert study.tables["1"].figures[0].claims["without L_photo"].paper == PaperNumber(0.228, 0.247)
    assert study.tables["2"].figures[0].claims["without L_reg"].paper == PaperNumber(9.89, 5.81)
    for figure in (figure for table in study.tables.values() for figure in table.figures):
        assert set(figure.claims) <= {variant.name for variant in study.tables["1"].variants}
    assert set(METHODS) >= {"fit", "specular"}


def test_a_table_may_have_several_figures_of_a_run(tmp_path):
    """The Sphere Face Model's: all figures of a model in one file, without training it again."""
    study = load_study("sphere", "mini", [])
    table = study.tables["1"]
    assert [figure.metric for figure in table.figures] == ["frgc_rmse", "frgc_sce", "frgc_scc", "frgc_ch"]
    assert table.figures[2].claims["PCA"].paper == PaperNumber(-0.1068)
    few = replace(table, variants=table.variants[:2])

    class Small(SphereStudy):
        @property
        def tables(self):
            return {"1": few}

        @property
        def stage1(self):
            return replace(super().stage1, dimensions=10, rank=40, epochs=9)

        def _protocol(self, name):
            return replace(super()._protocol(name), subjects=15, scans=4)

    done = reproduce(Small("mini"), "1", tmp_path, 1)
    assert [finding.variant.name for finding in done.findings] == ["SFM", "PCA"] * 4
    assert all(len(finding.values) == 1 for finding in done.findings)
    text = done.markdown.read_text()
    assert text.count("| variant | paper |") == 4
    assert len((tmp_path / "table_1.csv").read_text().splitlines()) == 1 + 8
    assert set(METHODS) >= {"fit", "specular"}
    with pytest.raises(InputError, match="tables 1"):
        reproduce(study, "2", tmp_path / "other", 1)
