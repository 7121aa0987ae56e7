"""Verification accuracy of a recognition network beside an untrained one and plain pixels.

Example: ``python scripts/evaluate_recognition.py build/run/best.safetensors --folds 8 9``. Of a network that
was trained on people of some folds, ask the others alone. Without a file only the baselines are measured.
"""

import argparse
from pathlib import Path

import torch

from facewright.data.aligned_faces import load_crops
from facewright.methods.recognition.verification import baselines, verify_pairs
from facewright.methods.recognition.weights import recognition_network
from facewright.networks.onnx_recognition import OnnxInput, OnnxRecogniser
from facewright.networks.recognition import FaceRecogniser

COLUMNS = {
    "accuracy": "accuracy",
    "accuracy_std": "+-",
    "equal_error_rate": "EER",
    "area_under_roc": "AUC",
    "true_accepts_at_0.1": "TAR@10%",
    "true_accepts_at_0.01": "TAR@1%",
    "true_accepts_at_0.001": "TAR@0.1%",
}


def main() -> None:
    """Print one line a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "weights", type=Path, nargs="*", help="best.safetensors of a run, shipped weights, or ONNX files"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--crops", type=Path, default=Path("build/recognition_crops.npy"))
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--size", type=int, default=112, help="of an ONNX network's input")
    parser.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw")
    parser.add_argument("--order", choices=("rgb", "bgr"), default="rgb")
    parser.add_argument("--mean", type=float, default=127.5)
    parser.add_argument("--scale", type=float, default=1 / 127.5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    crops = load_crops(options.data, options.crops)
    expected = OnnxInput(options.size, options.layout, options.order, options.mean, options.scale)
    networks: dict[str, FaceRecogniser] = {
        str(path): OnnxRecogniser(path, expected) if path.suffix == ".onnx" else recognition_network(path)[0]
        for path in options.weights
    }
    print(" ".join(f"{name:>9}" for name in COLUMNS.values()), " network (all in per cent)")
    for name, network in {**networks, **baselines()}.items():
        found = verify_pairs(network, crops, options.folds)
        print(" ".join(f"{found[key]:9.2f}" for key in COLUMNS), f" {name} ({found['pairs']:.0f} pairs)")


if __name__ == "__main__":
    main()
