"""Measure the registration of depth pictures where the truth is known.

    python scripts/evaluate_rgbd.py known [--count 20] [--field 1.0]

known: random heads with a smooth deformation of their own, drawn as depth with 1 mm noise and as colour. Each
is registered by depth alone (landmarks give the pose to start from, then ICP and non-rigid ICP), and with
what the picture says; landmarks are detected on the colour. "mean" draws the mean head, placed rigidly, as
the paper does; "model" the fit of the face model, which depth alone makes or depth and landmarks.
The target is for "mean". Semantic: mean distance to the same vertex of the true head over the tight face,
camera frame.
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
import torch
from numpy import ndarray

from facewright.core.errors import FacewrightError
from facewright.data.depth_camera import FrameSettings, KnownFrame, known_frame
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.pipeline.finder import ShippedFinder
from facewright.registration.records import Registration
from facewright.registration.rgbd import RgbdSettings, register_seen, see_frame

WEIGHTS = ("edges", "others", "contour", "across")
HELD = 10.0
TARGET = 0.70  # of the error of depth alone


def main() -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("known",))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first head")
    parser.add_argument("--field", type=float, default=1.0, help="mm of deformation beyond the model")
    for name in WEIGHTS:
        parser.add_argument(f"--{name}", type=float, help="in place of what the start has")
    parser.add_argument("--starts", default="mean,model")
    parser.add_argument(
        "--ways", default="landmarks + contour", help="also: as seen, edges, edges + contour, landmarks"
    )
    options = parser.parse_args()
    return known(options)


def known(options: argparse.Namespace) -> int:
    """Heads whose every vertex is known."""
    model, finder = load_base_model(), ShippedFinder.load(torch.device("cpu"))
    weights = {name: value for name in WEIGHTS if (value := getattr(options, name)) is not None}
    every = {"mean": rigid_only(model), "model": model}
    full = {
        "mean": replace(RgbdSettings().led_by_picture(), **weights),
        "model": replace(RgbdSettings(), **weights),
    }
    ways = ("depth alone", *options.ways.split(","))
    table: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in range(options.first, options.first + options.count):
        frame = known_frame(model, FrameSettings(field=options.field), seed)
        told = []
        for way in ways:
            for start in options.starts.split(","):
                settings = way_of(full[start], way)
                try:
                    # The landmarker's error is taken off by the face model, whatever is drawn afterwards.
                    seen = see_frame(frame.image, model, finder, settings)
                    chosen = held_by_landmarks(settings) if start == "mean" else settings
                    result = register_seen(seen, every[start], chosen).registration
                except FacewrightError as error:
                    print(f"head {seed}: {start}, {way}: failed: {error}", flush=True)
                    continue
                errors = judged(model, frame, result)
                table.setdefault((start, way), []).append(errors[1:])
                told.append(f"{start} {errors[0]:.2f} > {way} {errors[1]:.2f}")
        print(f"head {seed}: {'; '.join(told)}", flush=True)
    return tell(table, options.count)


def way_of(full: RgbdSettings, way: str) -> RgbdSettings:
    """Depth alone, or the terms that a name stands for."""
    ways = {
        "depth alone": full.depth_alone(),
        "as seen": replace(full, drawn=False),
        "edges": replace(full, others=0.0, contour=0.0),
        "edges + contour": replace(full, others=0.0),
        "landmarks": replace(full, contour=0.0),
        "landmarks + contour": full,
    }
    return ways[way]


def judged(model: FaceModel, frame: KnownFrame, result: Registration) -> tuple[float, float, float]:
    """Semantic error before and after the deformation, and distance to the true surface, mm."""
    tight = model.regions["face_tight"].numpy()
    placed = result.transform.scan_from_head(result.vertices)
    fitted = result.transform.scan_from_head(result.fit.vertices)
    true = index_surface(frame.truth, model.topology.faces.numpy())
    surface = closest_points(true, placed[tight]).distance.mean()
    return _apart(fitted, frame.truth, tight), _apart(placed, frame.truth, tight), float(surface)


def _apart(vertices: ndarray, truth: ndarray, chosen: ndarray) -> float:
    return float(np.linalg.norm(vertices - truth, axis=1)[chosen].mean())


def rigid_only(model: FaceModel) -> FaceModel:
    """The same head without any shape of its own: a fit of it finds the pose alone."""
    return replace(
        model, identity_basis=0 * model.identity_basis, expression_basis=0 * model.expression_basis
    )


def held_by_landmarks(settings: RgbdSettings) -> RgbdSettings:
    """Rigid ICP of a head that is not this one slides: its landmarks hold it, with depth alone too."""
    fit = replace(settings.registration.fit, landmark_weight=HELD)
    return replace(settings, registration=replace(settings.registration, fit=fit))


def tell(table: dict[tuple[str, str], list[tuple[float, float]]], count: int) -> int:
    """Means and their spread over the heads; 1 if a head failed or the target is missed for "mean"."""
    missed = any(len(rows) < count for rows in table.values())
    for start in dict.fromkeys(key[0] for key in table):
        errors = {way: np.array(rows) for (own, way), rows in table.items() if own == start}
        alone = errors["depth alone"][:, 0]
        for way, rows in errors.items():
            ratio, (semantic, surface), spread = rows[:, 0].mean() / alone.mean(), rows.mean(0), rows.std(0)
            each = f", worst head {(rows[:, 0] / alone).max():.3f}" if len(rows) == len(alone) else ""
            print(
                f"from {start}: {way}: semantic {semantic:.3f} +- {spread[0]:.3f} mm, ratio {ratio:.3f} "
                f"(target {TARGET}{each}), surface {surface:.3f} mm, {len(rows)} of {count} heads"
            )
            missed |= (start, way) == ("mean", "landmarks + contour") and ratio > TARGET
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
