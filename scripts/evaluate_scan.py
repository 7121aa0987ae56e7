"""Print the distance of a raw scan from heads fitted to its two photographs, alone and together.

    python scripts/evaluate_scan.py [--scan ../shared/data/scans/james_3dmd] [--landmarks labels.npz]

Protocol: ``metric`` of facewright.evaluation, on the skin of the head with the photo's expression: scan
points within 90 mm of the nose tip; alignment by the seven landmarks, then ICP (points further than 10 mm do
not pull); distance of every scan point to the head. "rigid" keeps the fitted head's size, "similarity" also
lets the scale free; distances are in the scan's mm. The focal length is unknown unless --focal says it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facewright.evaluation.geometry_metrics import kept_faces
from facewright.evaluation.inputs import read_sample
from facewright.evaluation.landmarks import landmarks_from_rows
from facewright.evaluation.protocols import PROTOCOLS
from facewright.evaluation.records import FaceSample
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.records import FaceFit
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel

PHOTOS = ("photo_0.jpg", "photo_1.jpg")


def read_photo(path: Path) -> torch.Tensor:
    """(3, H, W) sRGB in [0, 1]."""
    pixels = np.array(Image.open(path).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def detected(photos: list[torch.Tensor], labels: Path | None, folder: Path) -> torch.Tensor:
    """Landmarks of each photo: from a file of labels (names, landmarks in px), else from our own detector."""
    if labels is not None:
        stored = np.load(labels)
        names = [str(name) for name in stored["names"]]
        rows = [
            next(i for i, name in enumerate(names) if name.endswith(f"{folder.name}/{p}")) for p in PHOTOS
        ]
        return torch.from_numpy(stored["landmarks"][rows][..., :2].astype(np.float32))
    from facewright.detection import detect

    return torch.stack([detect(photo)[0].points for photo in photos])


def print_row(name: str, model: FaceModel, vertices: torch.Tensor, scan: FaceSample) -> None:
    """One line of the table."""
    marks = model.landmark_points(vertices, "dense478").double().numpy()
    faces = kept_faces(model.topology.faces.numpy(), model.parts["skin"].numpy())
    sample = FaceSample(name, vertices.double().numpy(), faces, landmarks_from_rows(marks, name))
    measured = PROTOCOLS["metric"](sample, scan)
    rigid, free = (measured.parts[part].summary for part in ("rigid", "similarity"))
    print(
        f"{name:28s} | rigid: mean {rigid.mean:.2f} median {rigid.median:.2f} rms {rigid.rms:.2f} "
        f"p95 {rigid.p95:.2f} | similarity: mean {free.mean:.2f} median {free.median:.2f} rms {free.rms:.2f} "
        f"scale {measured.values['similarity_scale']:.3f}",
        flush=True,
    )


def head(model: FaceModel, fit: FaceFit, row: int) -> torch.Tensor:
    """Vertices (V, 3) of one fitted head with its expression."""
    parameters = fit.parameters
    return model.vertices(parameters.identity[row : row + 1], parameters.expression[row : row + 1])[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path, default=Path("../shared/data/scans/james_3dmd"))
    parser.add_argument(
        "--landmarks", type=Path, help="npz with names and landmarks; default: our own detector"
    )
    parser.add_argument("--focal", type=float, help="focal length of the photos in pixels")
    parser.add_argument("--no-photometric", action="store_true")
    parser.add_argument("--shape-iterations", type=int, default=0, help="let the shape follow the shading")
    parser.add_argument("--shape-precision", type=float, help="independent pixels of 100 %% error")
    arguments = parser.parse_args()
    settings = PhotometricFitSettings(shape_iterations=arguments.shape_iterations)
    if arguments.shape_precision is not None:
        settings = replace(settings, shape_precision=arguments.shape_precision)
    model, scan = load_base_model(), read_sample(arguments.scan, None, "mm")
    photos = [read_photo(arguments.scan / name) for name in PHOTOS]
    points = detected(photos, arguments.landmarks, arguments.scan)
    sizes = [(photo.shape[1], photo.shape[2]) for photo in photos]
    focal = None if arguments.focal is None else torch.full((len(photos),), arguments.focal)
    print(f"{len(scan.vertices)} scan points")
    print_row("mean head", model, model.mean, scan)
    for name, groups in (("alone", None), ("together", torch.zeros(len(photos), dtype=torch.int64))):
        fit = fit_landmarks(model, points, sizes, focal=focal, groups=groups)
        for row in range(len(photos)):
            print_row(f"landmarks, {name}, photo {row}", model, head(model, fit, row), scan)
        if arguments.no_photometric:
            continue
        fit = refine_photometric(model, photos, fit, groups=groups, settings=settings)
        for row in range(len(photos)):
            print_row(f"photometric, {name}, photo {row}", model, head(model, fit, row), scan)


if __name__ == "__main__":
    main()
