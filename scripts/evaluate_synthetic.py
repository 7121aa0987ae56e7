"""Ask the shipped landmarker what it sees in synthetic photos: is a face there, and are the labels on it?

    python scripts/evaluate_synthetic.py [--count 100] [--protocol synthetic-celeba] [--model FILE]

Prints how many faces were found, and the mean distance of the landmarks that it finds from the exact ones
that are seen, in per cent of an outer eye distance of 90 mm at the head's depth. The landmarker errs too; an
error of labels or of the camera would come on top.
"""

import argparse
from pathlib import Path

import torch

from facewright.data.dressing import dressed
from facewright.data.protocols import PHOTO_PROTOCOLS
from facewright.data.records import Sample
from facewright.data.synthesis import open_studio, stream
from facewright.evaluation.landmarks import INNER_IN_DENSE478, INNER_IN_IBUG68
from facewright.models.base import load_base_model
from facewright.models.storage import load_face_model
from facewright.pipeline.finder import ShippedFinder


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--protocol", choices=sorted(PHOTO_PROTOCOLS), default="synthetic-celeba")
    parser.add_argument("--model", type=Path, default=None)
    options = parser.parse_args()
    model = load_base_model()
    if options.model is not None:
        model = dressed(load_face_model(options.model), model)
    studio = open_studio(model, PHOTO_PROTOCOLS[options.protocol].settings)
    finder = ShippedFinder.load(torch.device("cpu"))
    errors: list[float] = []
    for photo in stream(studio, options.seed, count=options.count):
        found = finder(photo.image)
        if found:
            errors.append(min(landmark_error(photo, face.points) for face in found))
    table = torch.tensor(errors)
    print(
        f"{options.protocol}, {model.name}: {len(errors)} of {options.count} faces found; landmarks off by "
        f"{100 * table.mean():.2f} % (median {100 * table.median():.2f}, 95th percentile "
        f"{100 * table.quantile(0.95):.2f})"
    )


def landmark_error(photo: Sample, points: torch.Tensor) -> float:
    """Mean distance of the seen points from where they are, for the eyes' distance in the picture."""
    if len(photo.landmarks478):
        apart, seen = points - photo.landmarks478, photo.landmarks478_seen
    else:  # the points that mean the same in both sets
        rows = list(INNER_IN_IBUG68)
        apart = points[list(INNER_IN_DENSE478)] - photo.landmarks68[rows]
        seen = photo.landmarks68_seen[rows]
    return float(apart[seen].norm(dim=1).mean() / eye_distance(photo))


def eye_distance(photo: Sample) -> float:
    """90 mm at the head's depth, in pixels: turning a head does not shorten it."""
    at = photo.parameters
    corners = torch.tensor([[-45.0, 0.0, 0.0], [45.0, 0.0, 0.0]]) + at.pose.translation
    pixels = at.camera.project(corners[None])[0]
    return float((pixels[1] - pixels[0]).norm())


if __name__ == "__main__":
    main()
