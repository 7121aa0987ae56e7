"""Measure every gate of the base head and draw its contact sheets.

Usage: python scripts/check_base_model.py [--shared ../shared] [--sheets DIR] [--heads 1000]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parent))

from base_model import gates
from base_model.picture import sheet, take
from base_model.scan_statistics import read_scan_model
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel

SEED = 7
EYES_FORWARD, LIP_RAISED = 3.0, 2.0  # mm: what the gates must notice
LIP_OVERLAP = 0.3  # mm: lips that meet give way
JAW_PARTED = 0.05  # of jawOpen: likewise, 1 to 2 mm between the lips
DARK_TONE = -2.0  # standard deviations
FACE_SHIFT = np.array([0.0, 14.0, 0.0])  # mm: puts the face, not the head, in the middle


def main() -> None:
    """Print one line a gate; exit 1 if one is missed."""
    arguments = _arguments()
    load_base_model(arguments.model)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        model = load_base_model(arguments.model)
        seconds.append(time.process_time() - start)
    lines = [("load, best of 3, CPU seconds", min(seconds), 0.3)]
    lines += _mean_gates(model)
    lines += _random_gates(model, arguments.heads)
    lines += _blink_gates(model)
    lines.append(("300 dark heads, a spot of pure red, share", _saturated(model), 0.01))
    scans = arguments.shared / "data" / "ict_facekit.npz"
    if scans.exists():
        fits = gates.scan_fit(model, read_scan_model(scans), 6, SEED)
        lines.append(("scan identities, worst median, mm", float(fits[:, 0].max()), 0.6))
        lines.append(("scan identities, worst mean, mm", float(fits[:, 1].max()), 1.0))
    missed = 0
    for name, value, limit in lines:
        good = value <= limit
        missed += not good
        print(f"{'ok  ' if good else 'MISS'} {name:58s} {value:8.3f}  (at most {limit:g})")
    if arguments.sheets:
        _draw(model, arguments.sheets)
    sys.exit(1 if missed else 0)


def _mean_gates(model: FaceModel) -> list[tuple[str, float, float]]:
    reach = gates.expression_reach(model)
    return [
        ("outer eye corners, distance from 90 mm", abs(gates.outer_eye_distance(model) - 90.0), 5.0),
        ("lips' margins at jawOpen 1, distance from 42 mm", abs(gates.mouth_opening(model, 1.0) - 42.0), 5.0),
        ("lips of the mean, widest gap, mm", gates.seam_width(model), 0.1),
        (
            "inside of the mean's closed mouth that is seen, mm2",
            _inside_seen(model, [model.mean.numpy()]),
            1.0,
        ),
        ("foremost vertex to the nose tip, mm", gates.nose_lead(model), 5.0),
        ("face triangles that point inward (nostrils do), share", 1.0 - gates.outward_share(model), 0.1),
        ("expressions that move less than 1 mm, count", sum(r[0] < 1.0 for r in reach.values()), 0),
        ("one-sided expressions mostly on the wrong side, count", sum(r[1] < 0.6 for r in reach.values()), 0),
        ("mean head against its mirror image, mm", _asymmetry(model), 1e-3),
    ]


def _saturated(model: FaceModel) -> float:
    return float(gates.saturated_skin(model, DARK_TONE, 300, SEED).mean())


def _asymmetry(model: FaceModel) -> float:
    mirrored = model.mean[model.mirror] * torch.tensor([-1.0, 1.0, 1.0])
    return float((mirrored - model.mean).norm(dim=1).max())


def _random_gates(model: FaceModel, heads: int) -> list[tuple[str, float, float]]:
    lips, lids, raised, pushed = [], [], [], []
    for batch in gates.random_heads(model, heads, SEED):
        lips.append(gates.lip_crossing(model, batch))
        lids.append(gates.lid_margin_penetration(model, batch))
        raised.append(lips[-1] + LIP_RAISED - LIP_OVERLAP)
        pushed.append(gates.lid_margin_penetration(model, batch[::10], EYES_FORWARD))

    mouths = list(next(gates.random_heads(model, 20, SEED)))

    def share(depths: list[np.ndarray]) -> float:
        return float((np.concatenate(depths) > 0.0).mean())

    return [
        (
            f"{heads} random neutrals, lips {LIP_OVERLAP:g} mm in one another, share",
            share([depth - LIP_OVERLAP for depth in lips]),
            0.03,
        ),
        (f"{heads} random neutrals, lid margin in the eyeball, share", share(lids), 0.01),
        ("20 random neutrals, inside of the mouth seen, worst, mm2", _inside_seen(model, mouths), 10.0),
        (f"control: jaw {JAW_PARTED:g} open and unnoticed, share", _unnoticed(model, mouths[:5]), 0.05),
        (f"control: lower lip {LIP_RAISED:g} mm up and unnoticed, share", 1.0 - share(raised), 0.05),
        (f"control: eyeballs {EYES_FORWARD:g} mm forward and unnoticed, share", 1.0 - share(pushed), 0.05),
    ]


def _inside_seen(model: FaceModel, heads: list[np.ndarray]) -> float:
    return max(gates.mouth_inside_seen(model, head) for head in heads)


def _unnoticed(model: FaceModel, heads: list[np.ndarray]) -> float:
    return float(np.mean([gates.mouth_inside_seen(model, head, JAW_PARTED) <= 10.0 for head in heads]))


def _blink_gates(model: FaceModel) -> list[tuple[str, float, float]]:
    heads = next(gates.random_heads(model, 5, SEED))
    names = list(model.expression_names)
    blink = (
        model.expression_basis[names.index("eyeBlinkLeft")]
        + model.expression_basis[names.index("eyeBlinkRight")]
    )
    closed = heads + blink.numpy()
    left = [
        gates.visible_eye(model, c) / gates.visible_eye(model, h) for c, h in zip(closed, heads, strict=True)
    ]
    return [
        (
            "blink on five heads, worst lid in the eyeball, mm",
            float(gates.lid_penetration(model, closed).max()),
            0.3,
        ),
        ("blink on five heads, worst share of the eye still seen", max(left), 0.02),
    ]


def _draw(model: FaceModel, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    faces = model.topology.faces.numpy()
    generator = torch.Generator().manual_seed(SEED)
    heads = model.vertices(torch.randn(20, model.identity_count, generator=generator)).numpy()
    colours = model.diffuse_albedo(torch.randn(20, model.diffuse_count, generator=generator)).numpy()
    pairs = [
        take(head, faces, colour, size=224, span=290, yaw=yaw).image
        for head, colour in zip(heads, colours, strict=True)
        for yaw in (0.0, 0.9)
    ]
    Image.fromarray(sheet(pairs, 8)).save(folder / "random_heads.png")
    for number in range(5):
        shots = []
        for index, name in enumerate(model.expression_names):
            move = model.expression_basis[index]
            if name == "mouthClose":  # meant to close an open jaw's lips
                move = move + model.expression_basis[list(model.expression_names).index("jawOpen")]
            shot = take(
                heads[number] + move.numpy() + FACE_SHIFT,
                faces,
                colours[number],
                size=192,
                span=200,
                yaw=0.3,
            )
            image = Image.fromarray(shot.image)
            ImageDraw.Draw(image).text((3, 3), name, fill="yellow")
            shots.append(np.asarray(image))
        Image.fromarray(sheet(shots, 9)).save(folder / f"expressions_{number}.png")


def _arguments() -> argparse.Namespace:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="another file than the packaged one")
    parser.add_argument("--shared", type=Path, default=root.parent / "shared", help="folder with data/")
    parser.add_argument(
        "--sheets", type=Path, help="folder for the contact sheets; none are drawn without it"
    )
    parser.add_argument("--heads", type=int, default=1000, help="random heads to look for self-intersections")
    return parser.parse_args()


if __name__ == "__main__":
    main()
