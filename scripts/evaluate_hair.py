"""Print how well shells of hair follow the hair of synthetic photos.

    python scripts/evaluate_hair.py [--count 60] [--seed 11] [--size 320]

Heads of `facewright synthesize` with hair but without clothes, glasses and hands, so that the mask of what lies
before or beside the head is that of its hair; one in four is bald. Each is reconstructed as a user would, without
the photometric fit, and its shell is drawn into the photo by the fitted camera.

Found: heads with hair that get a shell; false: bald heads that do. Cover: intersection over union of the drawn hair
and the photo's, over what the cap reaches (long hair is cut at the chin). Outline: mean distance of the outline of
head and hair above the brows, as a part of the distance of the outer eye corners.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from facewright.core.errors import FacewrightError
from facewright.data.records import Sample
from facewright.data.sampling import OccluderSettings, SamplingSettings
from facewright.data.synthesis import open_studio, photos_of_one, samples
from facewright.image.color import luminance
from facewright.image.io import photograph_from_bytes
from facewright.models.base import load_base_model
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import ReconstructionSettings
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.texture import texture
from facewright.scene.camera import PerspectiveCamera
