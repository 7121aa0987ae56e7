"""Print how near heads fitted to landmarks come to people of another model: shape, with the truth known.

    python scripts/evaluate_shape.py --points out/base_model/scan_points.npz --errors errors.npz

People: random identities of the ICT Face Model Light, another mesh with other modes, seen from random sides
and distances with an unknown focal length. Their landmarks are projected exactly, and again with errors that
the shipped landmarker made on real people whom no training saw (``measure_landmark_errors.py --keep``).
``--points`` is a stage that ``python scripts/build_base_model.py --work out/base_model`` keeps; ``--errors``
comes from ``python scripts/measure_landmark_errors.py --keep errors.npz``. Distance: points of the true face
to the plane of the nearest vertex of the fitted head, after ICP without and with scale, mm.
Last come rendered photographs of such people with landmarks that err so: what shading adds to them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree

from facewright.detection.landmark_errors import load_landmark_errors, upright_frames
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, landmark_basis
from facewright.fitting.photometric import refine_photometric
from facewright.fitting.settings import LandmarkFitSettings
from facewright.geometry.alignment import align_points
from facewright.geometry.normals import vertex_normals
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from fit_evaluation.ict_heads import SIZE, IctHeads, photograph
from fit_evaluation.ict_photos import HeadPhoto, photograph_head, skin_of_base

SEVEN = [33, 133, 362, 263, 1, 61, 291]
STEPS = 8
TRIM = 10.0  # mm
REACH = 125.0  # mm from the nose tip: the part of the fitted head that is compared


def distances(
    model: FaceModel, heads: torch.Tensor, truth: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Mean distance (N, 2) of each true face from its fitted head: rigid, with scale."""
    normals = vertex_normals(heads, model.topology.faces).double().numpy()
    marks = model.landmark_points(heads, "dense478").double()
    skin = model.parts["skin"].numpy()
    near = skin & (
        (model.mean - model.landmark_points(model.mean, "dense478")[1]).norm(dim=-1).numpy() < REACH
    )
    found = []
    for row, (face, own) in enumerate(truth):
        vertices, normal = heads[row].double().numpy()[near], normals[row][near]
        tree, points = KDTree(vertices), torch.from_numpy(face)[None]
        for with_scale in (False, True):
            start = torch.from_numpy(own[SEVEN])[None], marks[row, SEVEN][None]
            alignment = align_points(*start, with_scale=with_scale)
            for step in range(STEPS + 1):
                moved = alignment.apply(points)[0].numpy()
                index = tree.query(moved)[1]
                height = ((moved - vertices[index]) * normal[index]).sum(1)
                if step < STEPS:
                    target = torch.from_numpy(moved - height[:, None] * normal[index])[None]
                    weights = torch.from_numpy((np.abs(height) < TRIM).astype(float))[None]
                    alignment = align_points(points, target, weights, with_scale=with_scale)
            found.append(np.abs(height).mean() / float(alignment.scale[0]))
    return np.array(found).reshape(-1, 2)


def with_errors(pixels: torch.Tensor, errors: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
    """Landmarks disturbed by errors (N, 478, 2) that were measured in upright frames."""
    drawn = torch.from_numpy(errors[generator.permutation(len(errors))[: len(pixels)]])
    turn, radius = upright_frames(pixels.double())
    return pixels + ((drawn @ turn.mT) * radius[:, None, None]).float()


def report(
    name: str,
    model: FaceModel,
    basis: LandmarkBasis,
    seen: tuple[torch.Tensor, list],
    settings: LandmarkFitSettings,
) -> None:
    """Fit, measure, and print a line."""
    pixels, truth = seen
    fit = fit_landmarks(model, pixels, SIZE, basis=basis, settings=settings)
    heads = model.vertices(fit.parameters.identity, fit.parameters.expression)
    rigid, free = distances(model, heads, truth).mean(0)
    print(
        f"{name:52s} rigid {rigid:.3f}  similarity {free:.3f}  fitted to {fit.residual.mean():.2%}",
        flush=True,
    )


def report_photos(
    model: FaceModel, basis: LandmarkBasis, photos: list[HeadPhoto], points: torch.Tensor
) -> None:
    """Fit to landmarks, follow the shading, and print both."""
    before, after = [], []
    for photo, seen in zip(photos, points, strict=True):
        fit = fit_landmarks(model, seen[None], (photo.photo.shape[1], photo.photo.shape[2]), basis=basis)
        before.append(fit.parameters)
        after.append(refine_photometric(model, [photo.photo], fit, basis=basis).parameters)
    truth, found = [photo.truth for photo in photos], []
    for name, parameters in (("landmarks", before), ("landmarks and shading", after)):
        heads = [model.vertices(each.identity, each.expression) for each in parameters]
        found.append(distances(model, torch.cat(heads), truth))
        rigid, free = found[-1].mean(0)
        print(f"{f'photographs, {name}':52s} rigid {rigid:.3f}  similarity {free:.3f}", flush=True)
    change = found[1] - found[0]
    better, worst = (change[:, 1] < 0).sum(), change.max(0)
    print(f"shading helps {better} of {len(photos)}; at worst it adds {worst[0]:.2f}, {worst[1]:.2f} mm")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ict", type=Path, default=Path("../shared/data/ict_facekit.npz"))
    parser.add_argument("--points", type=Path, required=True)
    parser.add_argument("--errors", type=Path, required=True)
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--photos", type=int, default=24)
    options = parser.parse_args()
    generator = np.random.default_rng(5)
    heads = IctHeads.read(options.ict, options.points)
    people = [heads.draw(generator) for _ in range(options.people)]
    exact = photograph(np.stack([landmarks for _, landmarks in people]), generator)
    with np.load(options.errors, allow_pickle=False) as stored:
        drawn = stored["unseen"]
    noisy = with_errors(exact, drawn, generator)
    model, errors = load_base_model(), load_landmark_errors()
    aware = landmark_basis(model, errors)
    mean = distances(model, model.mean.expand(len(people), -1, -1), people).mean(0)
    print(f"{'mean head':52s} rigid {mean[0]:.3f}  similarity {mean[1]:.3f}")
    report("exact landmarks", model, aware, (exact, people), LandmarkFitSettings())
    for std in (1.5, LandmarkFitSettings().landmark_std, 3.0):
        for common in (0.0, 0.35, LandmarkFitSettings().common_errors, 0.7, 1.0):
            settings = LandmarkFitSettings(landmark_std=std, common_errors=common)
            name = f"landmarks with errors, std {std}, common errors {common}"
            report(name, model, aware, (noisy, people), settings)
    if options.photos > 0:
        skin = skin_of_base(heads, model)
        photos = [photograph_head(heads, model, skin, generator) for _ in range(options.photos)]
        seen = with_errors(torch.stack([photo.landmarks for photo in photos]), drawn, generator)
        report_photos(model, aware, photos, seen)


if __name__ == "__main__":
    main()
