"""Settings of methods as flags of the command line."""

from dataclasses import dataclass, field

import pytest
import tyro

from facewright.methods.specular.recipe import RECIPE, _training
from facewright.methods.specular.scales import SpecularTraining, training_of
from facewright.methods.specular.settings import SupervisionWeights
from facewright.pipeline.training import RECIPES, training_recipe
from facewright.training.flags import changed, with_flags


@dataclass(frozen=True)
class Inner:
    """Of the inside.

    Attributes:
        size: how large
            it is.
        sharp: whether it cuts.
    """

    size: int = 3
    sharp: bool = True


@dataclass(frozen=True)
class Outer:
    """Of the outside.

    Attributes:
        share: of all.
        inner: what is inside.
        spare: likewise, if there is any.
        batch: of the loop.
    """

    share: float = 0.5
    inner: Inner = field(default_factory=Inner)
    spare: Inner | None = None
    batch: int = 1


@dataclass(frozen=True, kw_only=True)
class Own:
    """Own ones."""

    share: float = 0.1
    """An option of the method's own."""


def parsed(kind: type, *line: str):
    return tyro.cli(kind, args=list(line))


def test_settings_become_flags_and_come_back() -> None:
    kind = with_flags(Own, Outer, leave_out=("batch",))
    settings = Outer()
    assert changed(settings, parsed(kind)) is settings
    given = parsed(kind, "--inner-size", "7", "--inner-sharp", "off", "--share", "0.9")
    assert changed(settings, given) == Outer(inner=Inner(7, False))  # the share is the method's own option
    assert given.share == 0.9
    assert changed(settings, parsed(kind, "--spare-size", "3")).spare == Inner()
    assert "Inner_size: How large it is." in (kind.__doc__ or "").replace("inner_size", "Inner_size")
    with pytest.raises(SystemExit):
        parsed(kind, "--batch", "3")


def test_every_switch_of_the_specular_method_is_a_flag() -> None:
    line = ["--weights-mouth", "0", "--losses-uniform-on", "albedo", "--render-camera", "weak"]
    given = parsed(RECIPE.options, *line, "--render-lamp-diffuse", "off", "--network-widths", "4", "8")
    training = changed(training_of("full", 20_000), given)
    assert training.losses.weights.mouth == 0
    assert (training.losses.uniform_on, training.render.camera) == ("albedo", "weak")
    assert (training.render.lamp_diffuse, training.network.widths) == (False, (4, 8))
    assert training.supervision is None
    for method in RECIPES:
        parsed(training_recipe(method).options, *(["--crops", "."] if method == "segmentation" else []))


@pytest.mark.parametrize(
    ("scale", "line", "used"),
    [
        ("full", [], None),
        ("full", ["--supervision-shape", "2"], {"shape": 2.0}),
        ("full", ["--supervision-shape", "0"], None),
        ("mini", ["--supervision", "on", "--supervision-shape", "2"], SupervisionWeights(shape=2.0).used()),
        ("small", [], SupervisionWeights().used()),
        ("small", ["--supervision", "off"], None),
        ("small", ["--supervision", "off", "--supervision-albedo", "3"], {"albedo": 3.0}),
    ],
)
def test_one_term_of_the_truth_is_switched_on_alone_and_all_are_switched_off(scale, line, used) -> None:
    training = _training(parsed(RECIPE.options, *line), scale, RECIPE.scales[scale])
    assert (training.supervision and training.supervision.used()) == used


def test_the_mouth_counts_from_a_share_of_the_steps() -> None:
    assert [training_of("full", steps).losses.mouth_start for steps in (200_000, 20_000)] == [50_000, 5_000]
    assert training_of("full", 300_000).losses.mouth_start == 50_000  # a run that is made longer goes on
    assert training_of("mini", 400).losses.mouth_start == 100
    assert training_of("small", 6000).losses.mouth_start == 0
    assert training_of("full", 8).losses.weights == SpecularTraining().losses.weights
