"""What the specular method is trained with, at each scale."""

import math
from dataclasses import dataclass, field, replace

from facewright.core.ranges import check_range
from facewright.methods.specular.settings import (
    LossSettings,
    LossWeights,
    NetworkSettings,
    RenderSettings,
    SupervisionWeights,
)
from facewright.training.recipe import Scale

EVALUATION_BATCH = 64  # photos at once
MOUTH_FROM = 4  # the mouth counts after one part of so many: 50,000 of 200,000 steps of the paper


@dataclass(frozen=True)
class SpecularTraining:
    """What the method is trained with.

    Attributes:
        batch: photos a step.
        photos: share of them without truth (real photographs), as far as there are any.
        network: sizes of the regressor.
        losses: of the paper.
        render: how heads are drawn for them.
        supervision: terms on synthetic photos; None: none, as in the paper.
        render_from: first step that draws heads; before it photos without truth are held by their landmarks
            and by regularisation alone.
        render_every: of the steps from then on, every so many draw heads.
        render_rows: of a batch that are drawn; each part of a step draws its share, at least one.
        grey: share of photos that are shown to the network without colour.
        noise: standard deviation of noise on the crops.
        patch: share of crops before which a grey patch is put.
        evaluated: kept-out photos at most.
        evaluated_drawn: of every 64 of them that are drawn.
        evaluated_trained: photos that are trained on, whose pixels are compared as well.
        landmarker_start: whether the small backbone starts from the shipped landmarker's, as the paper's
            starts from ImageNet's; else at random.
        face_alone: whether the losses draw the face and the eyes alone (the paper's model has no more).
    """

    batch: int = 32
    photos: float = 1.0
    network: NetworkSettings = field(default_factory=NetworkSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    render: RenderSettings = field(default_factory=RenderSettings)
    supervision: SupervisionWeights | None = None
    render_from: int = 0
    render_every: int = 1
    render_rows: int = 32
    grey: float = 0.0
    noise: float = 0.0
    patch: float = 0.0
    evaluated: int = 256
    evaluated_drawn: int = 16
    evaluated_trained: int = 0
    landmarker_start: bool = False
    face_alone: bool = False

    def __post_init__(self) -> None:
        check_range(self, 1, math.inf, "batch", "render_every", "render_rows", "evaluated")
        check_range(self, 0, math.inf, "render_from", "noise", "evaluated_trained")
        check_range(self, 0, 1, "photos", "grey", "patch")
        check_range(self, 1, EVALUATION_BATCH, "evaluated_drawn")

    @classmethod
    def full(cls) -> "SpecularTraining":
        """As the paper has it: photos alone, every one of them drawn, from the mean head on."""
        return cls(network=NetworkSettings.of_paper(), render=RenderSettings.of_paper())

    @classmethod
    def small(cls) -> "SpecularTraining":
        """What the shipped weights are trained with: synthetic truth and photographs, on a CPU."""
        weights = LossWeights(identity=0.0)
        return cls(
            batch=32,
            photos=0.25,
            losses=LossSettings(weights=weights, mouth_start=0),
            supervision=SupervisionWeights(),
            render_from=1500,
            render_every=4,
            render_rows=12,
            grey=0.15,
            noise=0.02,
            patch=0.15,
        )

    @classmethod
    def mini(cls) -> "SpecularTraining":
        """The paper's losses alone, from the mean head on, with a small network on few photos."""
        network = NetworkSettings(input_size=112, widths=(16, 24, 32, 48, 64), hidden=128, geometry=0)
        return cls(
            batch=8,
            network=network,
            losses=LossSettings(weights=LossWeights(identity=0.0)),
            render=RenderSettings(size=64),
            render_rows=8,
            evaluated=64,
        )

    @classmethod
    def ablation(cls, steps: int) -> "SpecularTraining":
        """What tables of ablations are run with on a CPU, for so many steps: as the paper trains, but small.

        Photos alone, from the mean head on, all of the paper's losses.
        """
        return replace(
            cls.mini(),
            network=NetworkSettings(geometry=0),
            losses=LossSettings(mouth_start=steps // MOUTH_FROM),
            evaluated=512,
            evaluated_drawn=EVALUATION_BATCH,
            evaluated_trained=128,
            landmarker_start=True,
            face_alone=True,
        )


def training_of(scale: Scale, steps: int, *, identity: bool = False) -> SpecularTraining:
    """How a scale trains.

    Args:
        scale: "full" is the paper's.
        steps: of the training; the mouth counts after a quarter of them, at the latest from the paper's step
            on, so that a run may be made longer than the paper's; in "small" at once.
        identity: with the identity loss, as "full" always has it.
    """
    training = {
        "mini": SpecularTraining.mini,
        "small": SpecularTraining.small,
        "full": SpecularTraining.full,
    }[scale]()
    losses = training.losses
    if scale != "small":
        losses = replace(losses, mouth_start=min(steps // MOUTH_FROM, LossSettings().mouth_start))
    if identity:
        losses = replace(losses, weights=replace(losses.weights, identity=LossWeights().identity))
    return replace(training, losses=losses)


def without(training: SpecularTraining, loss: str) -> SpecularTraining:
    """The same training without one of the paper's losses.

    Raises:
        InputError: no loss has this name.
    """
    return replace(training, losses=replace(training.losses, weights=training.losses.weights.without(loss)))
