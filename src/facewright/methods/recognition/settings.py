"""What the recognition network is trained on and how."""

import math
from dataclasses import dataclass, field

from facewright.core.ranges import check_range
from facewright.data.crop_augmentation import AugmentationSettings
from facewright.networks.recognition import RecognitionNetworkSettings

ALL_FOLDS = tuple(range(10))
LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class MarginSettings:
    """The margin softmax.

    Attributes:
        scale: of the cosines.
        angle: added to the angle of a face to its own class, radians (ArcFace's margin).
        cosine: taken from its cosine (CosFace's margin).
        ramp: steps over which the margins are raised from 0.
    """

    scale: float = 24.0
    angle: float = 0.0
    cosine: float = 0.25
    ramp: int = 1000

    def __post_init__(self) -> None:
        check_range(self, LEAST_SCALE, math.inf, "scale")
        check_range(self, 0, math.inf, "angle", "cosine", "ramp")


@dataclass(frozen=True)
class RecognitionSettings:
    """All that the training depends on, beside the photos and the schedule.

    Attributes:
        kept_out_folds: of the verification pairs; nobody in them is seen in training.
        batch: crops a step.
        share: exponent by which a photo counts less, the more there are of its person (0: photos count alike;
            1: persons do).
        network: its sizes.
        margin: of the loss.
        augmentation: of the crops.
    """

    kept_out_folds: tuple[int, ...] = ALL_FOLDS
    batch: int = 64
    share: float = 0.5
    network: RecognitionNetworkSettings = field(default_factory=RecognitionNetworkSettings)
    margin: MarginSettings = field(default_factory=MarginSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        check_range(self, 1, math.inf, "batch")
        check_range(self, 0, 1, "share")
