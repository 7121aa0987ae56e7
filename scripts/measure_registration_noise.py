"""Measure how far registered vertices are from where they belong, for ``data/registered_scans.py``.

    python scripts/measure_registration_noise.py [--people 6] [--scans 3] [--seed 0]

Scans of synthetic-frgc are made as ``facewright synthesize`` makes them and registered without a hand; errors
are to the same vertex of the true head, over the tight face, after both are laid onto the mean head rigidly.
Printed: root mean square along and across the surface of the mean head; the share of the variance along it
that all scans of a person have in common; and over which distance the error along it is alike (where its
correlation falls to a half), beside the same figures of the noise model.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from numpy import ndarray

from facewright.core.errors import FacewrightError
from facewright.data.protocols import SCAN_PROTOCOLS
from facewright.data.registered_scans import RegistrationNoise, ScanPopulation
from facewright.data.scans import scan_sample
from facewright.data.synthesis import open_studio
from facewright.detection import FaceDetector, FaceLandmarker
from facewright.geometry.alignment import align_points
from facewright.geometry.normals import vertex_normals
from facewright.geometry.scan import Scan
from facewright.models.base import load_base_model
from facewright.pipeline.finder import ShippedFinder
from facewright.registration.head import register_scan
from facewright.registration.scan_landmarks import plaster_bias
from facewright.registration.surface import surface_of_scan

BINS = np.arange(0.0, 82.0, 4.0)  # mm between two vertices
PAIRS = 200_000


def main() -> None:
    """Register scans and tell how far off they are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--scans", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_base_model()
    finder = ShippedFinder(FaceDetector.load(), FaceLandmarker.load())
    studio, bias = open_studio(model), plaster_bias(model, finder)
    protocol = replace(SCAN_PROTOCOLS["synthetic-frgc"], subjects=options.people, scans=options.scans)
    chosen = np.flatnonzero(model.regions["face_tight"].numpy())
    normals = vertex_normals(model.mean[None], model.topology.faces)[0].double().numpy()[chosen]
    mean = model.mean.numpy()[chosen]
    errors, people = [], []
    for index in range(protocol.count):
        sample = scan_sample(studio, protocol, options.seed, index)
        scan = Scan(f"scan {index}", sample.vertices, sample.faces, np.arange(len(sample.vertices)))
        try:
            found = register_scan(surface_of_scan(scan), model, finder, bias=bias)
        except FacewrightError as error:
            print(f"scan {index}: failed: {error}", flush=True)
            continue
        errors.append(_laid(found.vertices[chosen], sample.truth[chosen], mean.astype(np.float64)))
        people.append(sample.subject)
        print(f"scan {index} of person {sample.subject}: {_rms(errors[-1]):.2f} mm", flush=True)
    _tell("registered", np.stack(errors), np.array(people), normals, mean)
    population = ScanPopulation(model, protocol, chosen, options.seed)
    _tell("noise model", _noise_alone(population), population.people, normals, mean)


def _laid(found: ndarray, truth: ndarray, mean: ndarray) -> ndarray:
    """Error in the head's frame, both heads laid onto the mean head as a population's scans are."""
    target = torch.from_numpy(mean)[None]
    moved = [align_points(points, target).apply(points)[0].numpy() for points in map(_batch, (found, truth))]
    return moved[0] - moved[1]


def _batch(points: ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64))[None]


def _noise_alone(population: ScanPopulation) -> ndarray:
    """What the noise model adds: scans with it less the same scans without."""
    silent = replace(population, noise=RegistrationNoise(along=0.0, across=0.0, sensor=0.0))
    return np.concatenate([a - b for a, b in zip(population.blocks(), silent.blocks(), strict=True)])


def _rms(error: ndarray) -> float:
    return float(np.sqrt((error**2).sum(-1).mean()))


def _tell(name: str, errors: ndarray, people: ndarray, normals: ndarray, mean: ndarray) -> None:
    across = (errors * normals).sum(2, keepdims=True)
    along = errors - across * normals
    common, own = 0.0, 0.0
    for person in np.unique(people):
        rows = along[people == person]
        if len(rows) > 1:
            own += rows.var(0, ddof=1).sum()
            common += (rows.mean(0) ** 2 - rows.var(0, ddof=1) / len(rows)).sum()
    rng = np.random.default_rng(0)
    first, second = rng.integers(len(mean), size=(2, PAIRS))
    apart = np.linalg.norm(mean[first] - mean[second], axis=1)
    product = (along[:, first] * along[:, second]).sum(2).mean(0)
    number = np.digitize(apart, BINS)
    curve = np.array([product[number == k].mean() for k in range(1, len(BINS))]) / (along**2).sum(2).mean()
    below = np.flatnonzero(curve < 0.5)
    half = BINS[below[0]] if len(below) else float("inf")
    told = " ".join(f"{value:.2f}" for value in curve[::2])
    print(
        f"{name}: along {_rms(along):.3f} mm, across {_rms(across):.3f} mm, common to a person "
        f"{common / (common + own):.2f} of the variance along, half of the correlation at {half:.0f} mm "
        f"({told})"
    )


if __name__ == "__main__":
    main()
