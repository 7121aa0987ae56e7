"""Print the distance of raw scans from heads fitted to their photographs, alone and together.

    python scripts/evaluate_scan.py [--scans FOLDER ...] [--landmarks labels.npz] [--photometric]

"command" are the heads of `facewright reconstruct` with all its stages, alone and with --together; the rows
above it are the fit to the landmarks by itself.

Protocol: ``metric`` of facewright.evaluation, on the skin of the head with the photo's expression: scan
points within 90 mm of the nose tip; alignment by the seven landmarks, then ICP (points further than 10 mm do
not pull); distance of every scan point to the head. "rigid" keeps the fitted head's size, "similarity" also
lets the scale free; distances are in the scan's mm. The focal length is unknown unless --focal says it.
Scans without photos are drawn from three sides with their texture; one with neither is left out.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from facewright.evaluation.geometry_metrics import kept_faces
from facewright.evaluation.inputs import read_sample
from facewright.evaluation.landmarks import landmarks_from_rows
from facewright.evaluation.protocols import PROTOCOLS
from facewright.evaluation.records import FaceSample
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, basis_of_found
from facewright.fitting.photometric import refine_photometric
from facewright.fitting.records import FaceFit
from facewright.image.io import photograph_of
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.pipeline.reconstruct import Reconstructor
from fit_evaluation.scan_photos import photos_of

Found = tuple[float, float]  # mean rigid and similarity distance, mm


def detected(photos: dict[str, torch.Tensor], labels: Path | None, folder: Path) -> torch.Tensor:
    """Landmarks of each photo: from a file of labels (names, landmarks in px), else from our own detector."""
    if labels is not None:
        stored = np.load(labels)
        names = [Path(str(name)) for name in stored["names"]]
        places = [(name.parent.name, name.stem) for name in names]
        rows = [places.index((folder.name, photo)) for photo in photos]
        return torch.from_numpy(stored["landmarks"][rows][..., :2].astype(np.float32))
    from facewright.detection import detect

    return torch.stack([detect(photo)[0].points for photo in photos.values()])


def measured(name: str, model: FaceModel, vertices: torch.Tensor, scan: FaceSample) -> Found:
    """Measure a head and print its line of the table."""
    marks = model.landmark_points(vertices, "dense478").double().numpy()
    faces = kept_faces(model.topology.faces.numpy(), model.parts["skin"].numpy())
    sample = FaceSample(name, vertices.double().numpy(), faces, landmarks_from_rows(marks, name))
    found = PROTOCOLS["metric"](sample, scan)
    rigid, free = (found.parts[part].summary for part in ("rigid", "similarity"))
    print(
        f"{name:32s} | rigid: mean {rigid.mean:.2f} median {rigid.median:.2f} rms {rigid.rms:.2f} "
        f"p95 {rigid.p95:.2f} | similarity: mean {free.mean:.2f} median {free.median:.2f} rms {free.rms:.2f} "
        f"scale {found.values['similarity_scale']:.3f}",
        flush=True,
    )
    return rigid.mean, free.mean


def head(model: FaceModel, fit: FaceFit, row: int) -> torch.Tensor:
    """Vertices (V, 3) of one fitted head with its expression."""
    parameters = fit.parameters
    return model.vertices(parameters.identity[row : row + 1], parameters.expression[row : row + 1])[0]


def evaluate(folder: Path, model: FaceModel, basis: LandmarkBasis, arguments: argparse.Namespace) -> dict:
    """Lists of distances by kind of head: the mean head, fits alone and together; empty without photos."""
    photos = photos_of(folder)
    print(f"{folder.name}: {', '.join(photos) or 'neither photos nor a texture'}")
    if not photos:
        return {}
    points, scan = detected(photos, arguments.landmarks, folder), read_sample(folder, None, "mm")
    sizes = [(photo.shape[1], photo.shape[2]) for photo in photos.values()]
    focal = None if arguments.focal is None else torch.full((len(photos),), arguments.focal)
    found: dict[str, list[Found]] = {"mean head": [measured("mean head", model, model.mean, scan)]}
    for name, groups in (("alone", None), ("together", torch.zeros(len(photos), dtype=torch.int64))):
        fit = fit_landmarks(model, points, sizes, focal=focal, groups=groups, basis=basis)
        rows = [
            measured(f"landmarks, {name}, {p}", model, head(model, fit, i), scan)
            for i, p in enumerate(photos)
        ]
        found[f"landmarks, {name}"] = rows
        if not arguments.photometric:
            continue
        fit = refine_photometric(model, list(photos.values()), fit, groups=groups, basis=basis)
        rows = [
            measured(f"photometric, {name}, {p}", model, head(model, fit, i), scan)
            for i, p in enumerate(photos)
        ]
        found[f"photometric, {name}"] = rows
    if arguments.landmarks is None and arguments.focal is None:
        for name, heads in commanded(list(photos.values())).items():
            found[f"command, {name}"] = [
                measured(f"command, {name}, {p}", model, each, scan)
                for p, each in zip(photos, heads, strict=True)
            ]
    return found


def commanded(photos: list[torch.Tensor]) -> dict[str, list[torch.Tensor]]:
    """Vertices (V, 3) of the heads that the command makes of photos, alone and together."""
    maker, read = Reconstructor.load(), [photograph_of(photo) for photo in photos]
    together = []
    for result in maker.reconstruct_together(read):
        if isinstance(result, Exception):
            raise result
        together.append(result)
    alone = [maker.reconstruct(photo)[0] for photo in read]
    made = {"alone": alone, "together": together}
    return {name: [one.vertices for one in heads] for name, heads in made.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=Path, nargs="*", help="scan folders; default: all of the data folder")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--landmarks", type=Path, help="npz with names and landmarks; default: our own detector"
    )
    parser.add_argument("--focal", type=float, help="focal length of the photos in pixels")
    parser.add_argument("--photometric", action="store_true", help="also let the shape follow the shading")
    arguments = parser.parse_args()
    model = load_base_model()
    basis = basis_of_found(model)
    folders = arguments.scans or sorted(path.parent for path in (arguments.data / "scans").glob("*/scan.*"))
    folders = [folder for folder in dict.fromkeys(folders) if folder.suffix == ""]
    results = [found for folder in folders if (found := evaluate(folder, model, basis, arguments))]
    for name in results[0] if results else ():
        means = np.array([np.mean(found[name], axis=0) for found in results]).mean(0)
        print(f"mean of {len(results)} people, {name}: rigid {means[0]:.2f}, similarity {means[1]:.2f}")


if __name__ == "__main__":
    main()
