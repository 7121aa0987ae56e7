"""Settings that make no sense are refused in one line, whatever they belong to."""

from dataclasses import replace

import pytest

from facewright.core.errors import InputError
from facewright.data.crop_augmentation import AugmentationSettings
from facewright.methods.recognition.settings import MarginSettings, RecognitionSettings
from facewright.methods.segmentation.augment import AugmentSettings
from facewright.methods.segmentation.train import SegmentationSettings
from facewright.methods.specular.scales import SpecularTraining
from facewright.methods.specular.settings import (
    LossSettings,
    LossWeights,
    RenderSettings,
    SupervisionWeights,
)
from facewright.methods.sphere.losses import SphereWeights
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.settings import Stage1Weights
from facewright.training.settings import TrainingSettings

NAN, ENDLESS = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (SpecularTraining(), {"render_every": 0, "render_rows": -3, "evaluated_drawn": 0, "evaluated": 0}),
        (SpecularTraining(), {"photos": 2.0, "grey": -0.1, "patch": NAN, "noise": -1.0, "render_from": -1}),
        (SpecularTraining(), {"evaluated_drawn": 65, "batch": 0}),
        (RenderSettings(), {"size": 0}),
        (LossSettings(), {"eta": NAN, "mouth_start": -1, "skin_threshold": 0.0, "reference_size": 0}),
        (LossWeights(), {"photo": -1.0, "mouth": NAN}),
        (SupervisionWeights(), {"shape": NAN, "lamp": ENDLESS}),
        (SegmentationSettings(), {"real": 1.5, "small_weight": -1.0, "coarse_steps": -1, "batch": 0}),
        (AugmentSettings(), {"patch": 2.0, "noise": -1.0, "coarsest": 1.5}),
        (RecognitionSettings(), {"share": -1.0, "batch": 0}),
        (MarginSettings(), {"scale": 0.0, "cosine": NAN, "ramp": -1}),
        (AugmentationSettings(), {"blur": 1.1, "coarsest": 0.0, "shift": -1.0}),
        (SphereTraining(), {"labelled": 1.2, "draw_every": 0, "warm_up": -1, "class_rate": NAN}),
        (SphereWeights(), {"pixel": -1.0}),
        (Stage1Weights(), {"centre": NAN}),
        (TrainingSettings(steps=1, batch=1), {"steps": 0, "learning_rate": NAN, "clip": NAN, "ema": 1.0}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else "",
)
def test_values_that_make_no_sense_are_refused(settings, wrong) -> None:
    for name, value in wrong.items():
        assert replace(settings, **{name: getattr(settings, name)}) == settings
        with pytest.raises(InputError, match=name.replace("learning_rate", "learning rate")):
            replace(settings, **{name: value})
