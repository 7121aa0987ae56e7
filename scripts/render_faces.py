"""Write renderings of the base model in rare poses and expressions, for ``train_landmarker.py --made``."""

import argparse
from pathlib import Path

import numpy as np
import torch

from facewright.models.base import load_base_model
from training_data.photos import load_photos, save_made
from training_data.rendered import render_faces


def main() -> None:
    """Render heads over photos of the training identities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/rendered.npz"))
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photos = load_photos(options.data)
    seen = photos.select(~photos.kept_out)
    with torch.inference_mode():
        rendered = render_faces(load_base_model(), seen, options.count, np.random.default_rng(options.seed))
    save_made(rendered, options.out)
    print(f"{len(rendered)} rendered faces -> {options.out}")


if __name__ == "__main__":
    main()
