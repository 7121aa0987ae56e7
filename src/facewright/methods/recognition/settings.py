"""What the recognition network is trained on and how."""

from dataclasses import dataclass, field

from facewright.networks.recognition import RecognitionNetworkSettings

ALL_FOLDS = tuple(range(10))


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


@dataclass(frozen=True)
class AugmentationSettings:
    """How crops are changed before the network sees them, so that it learns faces and not photos.

    Attributes:
        shift: largest shift in px of the crop.
        scale: largest change of size, as a share.
        roll: largest turn in radians.
        light: largest change of brightness, as a share of the range; contrast and gamma change by twice that.
        blur: share of crops that are made coarser.
        coarsest: px across, the least that a coarse crop has of detail.
        noise: largest standard deviation of the noise.
        occlusion: share of crops of which a rectangle is hidden.
        border: share of crops that are black beyond a turned square, as where a photo ends.
    """

    shift: float = 4.0
    scale: float = 0.07
    roll: float = 0.12
    light: float = 0.15
    blur: float = 0.3
    coarsest: float = 28.0
    noise: float = 0.03
    occlusion: float = 0.3
    border: float = 0.4


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
