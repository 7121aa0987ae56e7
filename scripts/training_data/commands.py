"""What commands share that learn from the labelled photographs: options, made faces, runs, assets."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from facewright.core.assets import assets_folder, record_asset
from training_data.photos import PhotoSet, load_photos, save_made

DATA = Path("../shared/data")


Maker = Callable[[PhotoSet, int, np.random.Generator], PhotoSet]


def write_made_faces(description: str | None, kind: str, count: int, make: Maker) -> None:
    """Read the options of a command that makes faces from those of the training identities, and run it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(f"build/{kind}.npz"))
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = load_photos(options.data)
    made = make(photos.select(~photos.kept_out), options.count, np.random.default_rng(options.seed))
    save_made(made, options.out)
    print(f"{len(made)} {kind} faces -> {options.out}")


def training_options(description: str | None, out: str, steps: int) -> argparse.ArgumentParser:
    """Options of a command that trains a network."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument(
        "--made", type=Path, nargs="*", default=[], help="of turn_faces.py and render_faces.py"
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches ahead")
    return parser


def asset_options(description: str | None, file: str) -> argparse.ArgumentParser:
    """Options of a command that finds the numbers of a shipped file."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=assets_folder() / file)
    parser.add_argument("--record", action="store_true", help="enter the file into the manifest")
    return parser


def finish_asset(options: argparse.Namespace, licence: str, command: str) -> None:
    """Enter the file that was written into the manifest, if that was asked for, and tell its size."""
    if options.record:
        record_asset(options.out.name, licence=licence, built_by=command)
    print(f"{options.out}: {options.out.stat().st_size} bytes")
