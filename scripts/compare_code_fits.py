"""Where the paper's optimiser of codes ends beside least squares, which the Sphere Face Model's tables use.

Example: ``python scripts/compare_code_fits.py RUN --scans 512``; RUN is a folder of ``facewright reproduce
sphere``, whose SFM of a seed and whose scans are taken.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from facewright.core.assets import read_safetensors
from facewright.evaluation.identity_metrics import silhouette
from facewright.methods.sphere.codes import CodeFit, closed_codes
from facewright.methods.sphere.space import ScanSpace, in_space
from facewright.methods.sphere.stack import ScanStack, open_stack
from facewright.pipeline.reproduce_sphere import OTHER, SPACE, TRAINED_ON


def main() -> None:
    """Print errors and cosine silhouettes of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scans", type=int, default=512, help="of each set, the first")
    options = parser.parse_args()
    tensors, _ = read_safetensors(options.run / SPACE)
    space = ScanSpace(tensors["mean"].numpy(), tensors["axes"].numpy())
    trained = options.run / "runs" / "SFM" / f"seed-{options.seed}" / "best.safetensors"
    basis = read_safetensors(trained)[0]["basis"]
    for name in (TRAINED_ON, OTHER):
        if not (options.run / name).is_dir():
            continue
        stack, rows = open_stack(options.run / name), slice(options.scans)
        part = ScanStack(stack.scans[rows], stack.people[rows], stack.vertex, {})
        scans = in_space(space, part)
        for model, used in (("SFM", basis), ("PCA", torch.eye(*basis.shape))):
            generator = torch.Generator().manual_seed(options.seed)
            found = {
                "least squares": closed_codes(used, scans.coordinates),
                "Adam": CodeFit()(used, scans.coordinates, generator),
            }
            for how, codes in found.items():
                apart = silhouette(np.asarray(codes), part.people, "cosine")
                told = f"{scans.rmse(codes @ used.T):.4f} mm, cosine silhouette {apart:.3f}"
                print(f"{name}, {len(part.scans)} scans, {model}, {how}: {told}")


if __name__ == "__main__":
    main()
