"""Measure the shipped face detector and landmarker and print the detection rows of the README's table.

Example: ``python scripts/evaluate_detection.py --data ../shared/data --sheet build/kept_out.png``.
With ``--teacher ../shared/models/face_landmarker.task`` (needs the package mediapipe) the teacher's own error
against the hand-placed points is measured beside.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from evaluation_data.hand_points import HandFace, load_hand_faces
from evaluation_data.scenes import backdrop, build_scene
from facewright.detection import FaceDetector, FaceLandmarker, Landmarks, detect
from facewright.detection.mediapipe import MediaPipeLandmarker
from facewright.detection.points import OUTER_EYES
from facewright.detection.turned import find_turned
from facewright.pipeline.finder import ShippedFinder
from training_data.canvases import load_textures
from training_data.photos import PhotoSet, load_photos

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
PARTS = {
    "eyes": [33, 133, 159, 145, 160, 158, 153, 144, 362, 263, 386, 374, 385, 387, 373, 380],
    "irises": list(range(468, 478)),
    "lips": [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87],
    "contour": list(OVAL),
}


def photo_tensor(grey: np.ndarray) -> torch.Tensor:
    """Grey (H, W), uint8 or in [0, 1], as an RGB photo."""
    scaled = grey.astype(np.float32) / (255.0 if grey.dtype == np.uint8 else 1.0)
    return torch.from_numpy(scaled)[None].repeat(3, 1, 1)


def matches(box: np.ndarray, face: np.ndarray) -> bool:
    """Whether a found box lies on a face (centre x, y, extent): near its centre, of about its size."""
    x, y, extent = face[:3]
    distance = np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y)
    size = max(box[2] - box[0], box[3] - box[1])
    return distance < 0.35 * extent and 0.6 < size / extent < 1.7


def pair(boxes: list[np.ndarray], faces: np.ndarray) -> np.ndarray:
    """Number of the box on each face, or -1: each box counts for one face at most, a second one is false."""
    fits = np.array([[matches(box, face) for box in boxes] for face in faces], bool)
    if not fits.size:
        return np.full(len(faces), -1)
    return maximum_bipartite_matching(csr_array(fits), perm_type="column")


def evaluate_scenes(
    photos: PhotoSet, detector: FaceDetector, landmarker: FaceLandmarker, count: int
) -> dict[str, float]:
    """Recall and false finds in large scenes of the detector alone and of the whole search."""
    rng, textures = np.random.default_rng(20), load_textures()
    bins = {"30-60": (30, 60), "60-150": (60, 150), "150-600": (150, 600)}
    hits = {name: [0, 0] for name in bins}
    total, found, false, alone_found, alone_false = 0, 0, 0, 0, 0
    for _ in range(count):
        scene = build_scene(photos, textures, rng)
        photo = photo_tensor(scene.image)
        boxes = [f.box.numpy() for f in detect(photo, detector=detector, landmarker=landmarker)]
        alone = [f.box.numpy() for f in detector(photo)]
        hit, alone_hit = (pair(finds, scene.faces) >= 0 for finds in (boxes, alone))
        total, found, alone_found = total + len(hit), found + hit.sum(), alone_found + alone_hit.sum()
        false, alone_false = false + len(boxes) - hit.sum(), alone_false + len(alone) - alone_hit.sum()
        for name, (low, high) in bins.items():
            inside = np.array([low <= face[2] < high for face in scene.faces], bool)
            hits[name][0] += int(hit[inside].sum())
            hits[name][1] += int(inside.sum())
    result = {
        "scenes": count, "faces": total, "recall": found / total, "false_per_image": false / count,
        "detector_alone_recall": alone_found / total, "detector_alone_false_per_image": alone_false / count,
    }  # fmt: skip
    return result | {f"recall_{name}_px": hit / max(n, 1) for name, (hit, n) in hits.items()}


def evaluate_faceless(photos: PhotoSet, finder: ShippedFinder, count: int) -> dict[str, float]:
    """Scenes without any face: in how many one is seen upright, and else after the three quarter turns."""
    rng, textures = np.random.default_rng(21), load_textures()
    upright, turned = 0, 0
    for _ in range(count):
        photo = photo_tensor(backdrop(photos, textures, rng))
        if finder(photo):
            upright += 1
        elif find_turned(finder, photo):
            turned += 1
    return {"scenes": count, "upright_share": upright / count, "turned_share": turned / count}


def nearest_face(
    found: list[Landmarks], truth: np.ndarray, scale: float, at: np.ndarray
) -> np.ndarray | None:
    """Points of the face whose landmarks ``at`` lie nearest to ``truth``; none beyond one eye distance."""
    best, best_error = None, scale
    for face in found:
        points = face.points.numpy().astype(np.float64)
        error = np.linalg.norm(points[at] - truth, axis=-1).mean()
        if error < best_error:
            best, best_error = points, error
    return best


def evaluate_kept_out(
    photos: PhotoSet, detector: FaceDetector, landmarker: FaceLandmarker, limit: int
) -> tuple[dict[str, float], list[tuple[float, int, np.ndarray | None]]]:
    """Error against the teacher on kept-out identities, through the real detect and crop path."""
    errors, parts, missed, rows = [], {name: [] for name in PARTS}, 0, []
    picks = np.random.default_rng(1).permutation(len(photos))[:limit]
    everywhere = np.arange(478)
    for index in picks:
        truth = photos.landmarks[index, :, :2].astype(np.float64)
        scale = float(np.linalg.norm(truth[OUTER_EYES[0]] - truth[OUTER_EYES[1]]))
        found = detect(photo_tensor(photos.image(index)), detector=detector, landmarker=landmarker)
        points = nearest_face(found, truth, scale, everywhere)
        if points is None:
            missed += 1
            rows.append((np.inf, int(index), None))
            continue
        distance = 100 * np.linalg.norm(points - truth, axis=-1) / scale
        errors.append(distance.mean())
        rows.append((float(distance.mean()), int(index), points))
        for name, at in PARTS.items():
            parts[name].append(distance[at].mean())
    measured = np.array(errors)
    under = float((measured < 8).sum() / len(picks))
    result = {
        "photos": len(picks), "missed": missed, "mean_percent": float(measured.mean()),
        "median_percent": float(np.median(measured)), "p99_percent": float(np.percentile(measured, 99)),
        "share_under_8_percent": under,
    }  # fmt: skip
    return result | {f"{name}_percent": float(np.mean(values)) for name, values in parts.items()}, rows


def look_closer(photo: torch.Tensor, face: HandFace, teacher: MediaPipeLandmarker) -> list[Landmarks]:
    """What the teacher finds in a square of five eye distances around a face."""
    x, y = face.points.mean(0)
    reach = 2.5 * face.eye_distance
    left, top = max(int(x - reach), 0), max(int(y - reach), 0)
    part = photo[:, top : int(y + reach), left : int(x + reach)]
    offset = torch.tensor([left, top], dtype=torch.float32)
    return [Landmarks(found.points + offset, 1.0, found.box + offset.repeat(2)) for found in teacher(part)]


def evaluate_hand(
    faces: list[HandFace],
    detector: FaceDetector,
    landmarker: FaceLandmarker,
    teacher: MediaPipeLandmarker | None,
) -> dict[str, float]:
    """Error against hand-placed points; with a teacher both are compared on the faces that both found."""
    ours, theirs, found_ours, found_theirs = [], [], 0, 0
    for path in sorted({face.photo for face in faces}):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255.0
        photo = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        whole = [detect(photo, detector=detector, landmarker=landmarker), teacher(photo) if teacher else []]
        for face in (face for face in faces if face.photo == path):
            # The teacher's detector misses most faces of group photos: it may look again at the face cut out.
            sets = [whole[0], whole[1] + (look_closer(photo, face, teacher) if teacher else [])]
            pair = [nearest_face(found, face.points, face.eye_distance, face.landmarks) for found in sets]
            found_ours, found_theirs = (
                found_ours + (pair[0] is not None),
                found_theirs + (pair[1] is not None),
            )
            if pair[0] is None or (teacher and pair[1] is None):
                continue
            for points, errors in zip(pair, (ours, theirs), strict=True):
                if points is not None:
                    distance = np.linalg.norm(points[face.landmarks] - face.points, axis=-1)
                    errors.append(100 * distance.mean() / face.eye_distance)
    result = {"faces": len(faces), "found": found_ours, "compared": len(ours), "mean_percent": np.mean(ours)}
    result["median_percent"] = np.median(ours)
    if teacher:
        result |= {"teacher_found": found_theirs, "teacher_mean_percent": np.mean(theirs)}
        result |= {"teacher_median_percent": np.median(theirs), "ratio": np.mean(ours) / np.mean(theirs)}
    return result


def draw_sheet(photos: PhotoSet, rows: list[tuple[float, int, np.ndarray | None]], path: Path) -> None:
    """A sheet of kept-out faces with our landmarks: 20 of all, then the 20 worst."""
    tile = 280
    worst = sorted(rows, key=lambda row: -row[0])[:20]
    chosen = rows[:20] + worst
    sheet = Image.new("RGB", (8 * tile, (len(chosen) + 7) // 8 * tile))
    for place, (error, index, points) in enumerate(chosen):
        grey = Image.fromarray(photos.image(index)).convert("RGB")
        scale = tile / max(grey.size)
        picture = grey.resize((round(grey.width * scale), round(grey.height * scale)))
        pen = ImageDraw.Draw(picture)
        for number, (x, y) in enumerate(points if points is not None else []):
            colour = (255, 60, 60) if number >= 468 else (60, 255, 60)
            pen.point((float(x * scale), float(y * scale)), fill=colour)
        pen.text((4, 4), f"{error:.1f} %", fill=(255, 255, 0))
        sheet.paste(picture, (place % 8 * tile, place // 8 * tile))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--photos", type=int, default=5000, help="kept-out photos at most")
    parser.add_argument("--teacher", type=Path, help="MediaPipe face_landmarker.task")
    parser.add_argument("--detector", type=Path, help="weights other than the shipped ones")
    parser.add_argument("--first", type=Path, help="landmarker weights other than the shipped ones")
    parser.add_argument("--second", type=Path, help="landmarker weights other than the shipped ones")
    parser.add_argument("--sheet", type=Path, help="draw kept-out faces here (PNG)")
    options = parser.parse_args()
    detector = FaceDetector.load(path=options.detector)
    landmarker = FaceLandmarker.load(first=options.first, second=options.second)
    teacher = MediaPipeLandmarker.load(options.teacher) if options.teacher else None
    photos = load_photos(options.data)
    kept_out = photos.select(photos.kept_out)
    report: dict[str, dict[str, float]] = {}
    report["hand_points"] = evaluate_hand(
        load_hand_faces(options.data / "photos"), detector, landmarker, teacher
    )
    print(json.dumps({"hand_points": _rounded(report["hand_points"])}), flush=True)
    if options.scenes:
        report["scenes"] = evaluate_scenes(kept_out, detector, landmarker, options.scenes)
        print(json.dumps({"scenes": _rounded(report["scenes"])}), flush=True)
        finder = ShippedFinder(detector, landmarker)
        report["faceless"] = evaluate_faceless(kept_out, finder, options.scenes)
        print(json.dumps({"faceless": _rounded(report["faceless"])}), flush=True)
    report["kept_out"], rows = evaluate_kept_out(kept_out, detector, landmarker, options.photos)
    print(json.dumps({"kept_out": _rounded(report["kept_out"])}), flush=True)
    if options.sheet:
        draw_sheet(kept_out, rows, options.sheet)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
