"""Write renderings of the base model in rare poses and expressions, for ``train_landmarker.py --made``."""

import numpy as np
import torch

from facewright.models.base import load_base_model
from training_data.commands import write_made_faces
from training_data.photos import PhotoSet
from training_data.rendered import render_faces


def rendered(photos: PhotoSet, count: int, rng: np.random.Generator) -> PhotoSet:
    """Heads over photos."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        return render_faces(load_base_model(), photos, count, rng)


if __name__ == "__main__":
    write_made_faces(__doc__, "rendered", 4000, rendered)
