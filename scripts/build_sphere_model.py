"""Make the shipped Sphere Face Model from a run of ``facewright reproduce sphere``.

    python scripts/build_sphere_model.py RUN [--seed 0] [--to FILE]

RUN holds the scans, their space and the training ``runs/SFM/seed-<n>`` (``facewright reproduce sphere 1
--scale small --out RUN``), made with the base head that ships. The face's basis is continued over the head,
stored for the vertices of the base head's file in half precision, and written into the package; --to writes
it elsewhere. What the storing costs is printed.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch

from facewright.core.assets import assets_folder, read_safetensors, record_asset
from facewright.methods.sphere.head import sphere_head
from facewright.methods.sphere.space import in_space
from facewright.methods.sphere.stack import open_stack
from facewright.models.base import load_base_model
from facewright.models.sphere_model import SphereModel, load_sphere_model, measured, sphere_parts
from facewright.models.storage import ModelOrigin
from facewright.models.variant import save_variant, stored_variant
from facewright.pipeline.reproduce_sphere import TRAINED_ON, SphereStudy, read_space
from facewright.training.recipe import Scale

ASSET = "sphere.safetensors"
VERSION = "2"  # 1 was made with the base head's version 6
LICENCE = "Apache-2.0; learned from synthetic scans of the base head, no data of people"


def main() -> None:
    """Make the file and tell what it holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, help="write here instead of into the package")
    options = parser.parse_args()
    base, stack = load_base_model(), open_stack(options.run / TRAINED_ON)
    scale = str(stack.told.get("scale", ""))
    study = SphereStudy.of(scale, []) if scale in get_args(Scale) else None
    if study is None or stack.told != study.told(TRAINED_ON):
        raise SystemExit(f"{options.run} holds scans of another base head or version: reproduce it again.")
    space = read_space(options.run, {**stack.told, "rank": study.stage1.rank})
    scans = in_space(space, stack)
    trained, header = read_safetensors(
        options.run / "runs" / "SFM" / f"seed-{options.seed}" / "best.safetensors"
    )
    if header.get("task") != "sphere-stage1":
        raise SystemExit(f"expected a training of stage 1, got {header.get('task')!r}")
    whole = sphere_head(trained["basis"], space, scans, stack.vertex, base, version=VERSION)
    stored, held = stored_variant(whole.face_model, base)
    model = measured(replace(whole, face_model=stored))
    _compare(whole, model, scans.rmse(torch.zeros_like(scans.coordinates)))
    command = (
        f"facewright reproduce sphere 1 --scale {scale} --seeds {options.seed + 1} --out RUN; "
        f"python scripts/build_sphere_model.py RUN --seed {options.seed}"
    )
    origin = ModelOrigin(
        LICENCE, f"{len(stack.scans)} synthetic scans of {stack.person_count} people", command
    )
    more, told = sphere_parts(model, held)
    told |= {"name": stored.name, "version": stored.version, "licence": LICENCE}
    told |= {"origin": json.dumps({**origin.__dict__, "notes": []}), "training": header["settings"]}
    path = options.to or assets_folder() / ASSET
    save_variant(path, {**held, **more}, base, told)
    if options.to is None:
        record_asset(path.name, licence=LICENCE, built_by=command)
    read = load_sphere_model(path)
    print(f"{path}: {path.stat().st_size} bytes, {read.dimensions} dimensions")
    print(f"scale {read.scale_mean:.1f} ± {read.scale_std:.1f}, A^T A - I at most {read.orthonormality:.3f}")


def _compare(whole: SphereModel, stored: SphereModel, spread: float) -> None:
    """What half precision and the coarser mesh cost."""
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(50, whole.dimensions, generator=generator)
    faces = [model.face_model.vertices(coefficients)[:, model.region] for model in (whole, stored)]
    error = (faces[0] - faces[1]).square().sum(2).mean().sqrt()
    scale, _ = stored.scale_direction(coefficients)
    moved = (faces[1] - stored.face_model.mean[stored.region]).double().flatten(1).norm(dim=1)
    print(f"random faces are {spread:.2f} mm from the mean; storing moves them by {float(error):.4f} mm")
    print(
        f"length of mesh - mean over the scale, at most off by {float((moved / scale - 1).abs().max()):.1e}"
    )


if __name__ == "__main__":
    main()
