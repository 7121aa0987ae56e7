"""All switches of stage 2: the encoder and the basis that learn from photographs."""

import math
from dataclasses import dataclass, field

from facewright.core.ranges import check_range
from facewright.data.crop_augmentation import AugmentationSettings
from facewright.methods.sphere.encoder import EncoderSettings
from facewright.methods.sphere.losses import SphereWeights


@dataclass(frozen=True)
class SphereTraining:
    """All that the training depends on, beside the photos and the schedule.

    Attributes:
        kept_out_folds: of the verification pairs; nobody in them is seen in training.
        batch: crops a step.
        labelled: P, the share of a batch from the photos with landmarks; the rest has identities.
        known: share of a batch from synthetic photos, whose faces are known, where such are given.
        all_landmarks: whether photos of the second kind, too, are held to their landmarks (ours have some).
        warm_up: steps on photos with landmarks alone; the trunk stays as it is in them.
        margin_scale: of the cosines.
        margin: taken from the cosine to the own person.
        margin_ramp: steps after the warm-up over which the margin is raised from 0.
        reliable: whether centres follow photos by how reliable these are.
        scale_share: of the model's mean scale and its spread, what photos are expected to tell.
        drawn: photos of a batch that are compared with pictures; each part of a step has its share of them,
            at least one, as of ``meshes``.
        draw_every: steps.
        meshes: photos of a batch whose meshes are held to be smooth, symmetric and near the mean.
        trunk_rate: learning rate of what recognition taught, over that of the rest.
        class_rate: of the people's directions, each of which few batches show.
        freeze_basis: train the encoder alone: the inference encoder.
        share: exponent by which a photo counts less, the more there are of its person.
        weights: of the losses.
        network: sizes of the encoder.
        augmentation: of the crops.
    """

    kept_out_folds: tuple[int, ...] = (8, 9)
    batch: int = 64
    labelled: float = 0.25
    known: float = 0.3
    all_landmarks: bool = True
    warm_up: int = 150
    margin_scale: float = 15.0
    margin: float = 0.2
    margin_ramp: int = 300
    reliable: bool = True
    scale_share: float = 0.5
    drawn: int = 6
    draw_every: int = 3
    meshes: int = 16
    trunk_rate: float = 0.5
    class_rate: float = 2.0
    freeze_basis: bool = False
    share: float = 0.5
    weights: SphereWeights = field(default_factory=SphereWeights)
    network: EncoderSettings = field(default_factory=EncoderSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        check_range(self, 0, 1, "labelled", "known", "share")
        check_range(self, 1, math.inf, "batch", "draw_every")
        check_range(self, 0, math.inf, "warm_up", "margin_ramp", "drawn", "meshes", "margin_scale", "margin")
        check_range(self, 0, math.inf, "scale_share", "trunk_rate", "class_rate")
