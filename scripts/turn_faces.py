"""Write faces turned to large yaw, for ``train_landmarker.py --turned``."""

import argparse
from pathlib import Path

import numpy as np

from training_data.photos import load_photos, save_made
from training_data.turned import turn_faces


def main() -> None:
    """Turn faces of the training identities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/turned.npz"))
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = load_photos(options.data)
    turned = turn_faces(photos.select(~photos.kept_out), options.count, np.random.default_rng(options.seed))
    save_made(turned, options.out)
    print(f"{len(turned)} turned faces -> {options.out}")


if __name__ == "__main__":
    main()
