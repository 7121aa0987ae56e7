"""Print how near the specular method and two fits come to known heads of another generator.

    python scripts/evaluate_specular.py --weights FILE --shards DIR --shard-model FILE [--count 200]

The fits: that to landmarks, whose albedo is the mean head's; and, of ``--photometric`` of the photos, evenly
spread, what ``facewright reconstruct`` makes of them, the fit to landmarks and pixels.

``--shards``: of ``facewright synthesize synthetic-celeba --model FILE``, whose mesh and statistics
the shipped head does not share. Faces are found and their landmarks located by the shipped networks.

Shape: protocol "now" of ``facewright evaluate`` (neutral heads; landmarks, then the best rigid motion and
scale; median and mean distance of the true face's vertices to the found surface, mm). Albedo: mean absolute
difference of linear RGB over the seen pixels of the face; and the same after each head's mean is made that of
the truth. Specular map, where the true one varies (ICT-FaceKit has none): correlation over these pixels. In
photos with a lamp: correlation of highlights with those that were drawn, and the absolute difference of the
exponents' logarithms.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path, sha256
from facewright.core.errors import FacewrightError, InputError
from facewright.core.files import atomic_file
from facewright.data.dressing import dressed
from facewright.data.shard_reader import ShardSet, StoredPhoto
from facewright.evaluation.landmarks import FaceLandmarks, landmarks_from_rows
from facewright.evaluation.protocols.now import NowSettings, measure_now
from facewright.evaluation.records import FaceSample
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import basis_of_found
from facewright.image.io import photograph_from_array
from facewright.methods.specular.infer import WEIGHTS, SpecularMethod
from facewright.methods.specular.rendering import Rendering, render
from facewright.methods.specular.settings import RenderSettings
from facewright.models.base import BASE_HEAD, load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model
from facewright.pipeline.finder import ShippedFinder
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.settings import ReconstructionSettings
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.scene.parameters import HeadParameters

NEAR = 0.15  # of the photo's side: a find whose landmarks are further off on average is another face
LEAST_PIXELS = 300
LEAST_SPREAD = 1e-3  # of a specular map that is one
BATCH = 32  # photos that are fitted together
TEXELS = 64  # of texture maps, which nobody looks at
LANDMARKS, PIXELS, METHOD = "landmark fit", "photometric fit", "specular"
Errors = dict[str, dict[str, float]]  # of each way to a head that was gone, by its name; {}: no face


@dataclass(frozen=True)
class TrueFace:
    """What is compared: neutral face in mm, and buffers of the photo."""

    scan: FaceSample
    albedo: Float[Tensor, "H W 3"]
    gloss: Float[Tensor, "H W"]
    highlights: Float[Tensor, "H W 3"]
    face: Tensor


def neutral(model: FaceModel, identity: Tensor, name: str, step: int = 1) -> FaceSample:
    """A head without expression as the protocol takes it; every so many vertices if it is no prediction."""
    vertices = model.vertices(identity)[0]
    marks = model.landmark_points(vertices, "ibug68").double().numpy()
    named: FaceLandmarks = landmarks_from_rows(marks, name)
    if step > 1:
        skin = torch.nonzero(model.parts["skin"])[:, 0][::step]
        return FaceSample(name, vertices[skin].double().numpy(), np.zeros((0, 3), np.int64), named)
    return FaceSample(name, vertices.double().numpy(), model.topology.faces.numpy(), named)


def true_face(photo: StoredPhoto, model: FaceModel, step: int) -> TrueFace:
    """The truth of a photo of a shard."""
    photo.check_head(model)
    at = photo.parameters
    points = at.pose.camera_from_head(photo.vertices[None])
    pixels = at.camera.project(points)
    faces = model.topology.faces
    fragments = rasterize(pixels, faces, at.camera.size, perspective=True, cull_back_faces=True)
    # Not the stored maps: parts of a model may share places of the texture.
    colors = [model.diffuse_albedo(at.diffuse), model.specular_albedo(at.specular)[..., None]]
    both = interpolate(fragments, faces, torch.cat(colors, dim=-1))[0]
    scan = neutral(model, at.identity, photo.key, step)
    return TrueFace(scan, both[..., :3], both[..., 3], photo.specular, photo.masks.face)


def correlation(one: Tensor, other: Tensor) -> float:
    """0 where one of both does not vary."""
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1].nan_to_num(0.0))


def picture_errors(
    found: Rendering, gloss: Float[Tensor, "H W"], truth: TrueFace, lamp: bool
) -> dict[str, float]:
    """Albedo, specular map and highlights over the pixels of the face that both show."""
    seen = truth.face & found.skin[0]
    if int(seen.sum()) < LEAST_PIXELS:
        return {}
    albedo, known = found.albedo[0][seen], truth.albedo[seen]
    scaled = albedo * (known.mean() / albedo.mean().clamp_min(1e-6))
    errors = {
        "albedo": float((albedo - known).abs().mean()),
        "albedo, mean removed": float((scaled - known).abs().mean()),
        "lit variance": float(found.lit[0][seen].var(0).sum()),
    }
    if float(truth.gloss[seen].std()) > LEAST_SPREAD:
        errors["specular map correlation"] = correlation(gloss[seen], truth.gloss[seen])
    if lamp:
        drawn, true = found.gloss[0][seen].mean(-1), truth.highlights[seen].mean(-1)
        errors["highlight correlation"] = correlation(drawn, true)
    return errors


def errors_of(model: FaceModel, at: HeadParameters, photo: StoredPhoto, truth: TrueFace) -> dict[str, float]:
    """All errors of one head."""
    known = photo.parameters
    lamp = known.point_light is not None
    drawn = render(model, at, RenderSettings(size=photo.image.shape[-1]))
    gloss = model.specular_albedo(at.specular)[..., None]
    errors = picture_errors(
        drawn, interpolate(drawn.fragments, model.topology.faces, gloss)[0, ..., 0], truth, lamp
    )
    if lamp:
        errors["exponent, logarithm"] = float((at.exponent / known.exponent).log().abs())
    try:
        shape = measure_now(neutral(model, at.identity, "found"), truth.scan, NowSettings())
    except FacewrightError as error:
        print(f"{photo.key}: {error}")
        return {}
    summary = shape.parts["face"].summary
    return errors | {"shape median, mm": summary.median, "shape mean, mm": summary.mean}


def seen_faces(
    finder: ShippedFinder, photos: dict[int, StoredPhoto]
) -> tuple[dict[int, StoredPhoto], Tensor]:
    """The photos whose face is found, and its landmarks."""
    kept, points = {}, []
    for row, photo in photos.items():
        known = photo.points("landmarks68")[0].mean(0)
        far = NEAR * photo.image.shape[-1]
        faces = [f for f in finder(photo.image) if float((f.points.mean(0) - known).norm()) < far]
        if faces:
            kept[row] = photo
            points.append(faces[0].points)
    return kept, torch.stack(points) if points else torch.zeros(0, 478, 2)


@dataclass(frozen=True)
class Measurement:
    """What is compared with what.

    Attributes:
        method: with the weights that are measured.
        engine: as ``facewright reconstruct`` has it.
        other: model of the photos' heads.
        fitted: numbers of the photos of which the engine makes heads.
        step: every so many-th true vertex is measured.
    """

    method: SpecularMethod
    engine: Reconstructor
    other: FaceModel
    fitted: frozenset[int]
    step: int


def reconstructed(engine: Reconstructor, photo: StoredPhoto) -> HeadParameters | None:
    """The head that ``facewright reconstruct`` finds; None, with a word, if it makes none."""
    pixels = (photo.image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    try:
        return engine.reconstruct(photograph_from_array(pixels, photo.key))[0].parameters
    except FacewrightError as error:
        print(f"{photo.key}: {error}")
        return None


def errors_of_photos(
    measurement: Measurement, photos: dict[int, StoredPhoto], points: Tensor
) -> dict[int, Errors]:
    """All errors of both fits and of the method, of each photo by its number."""
    method = measurement.method
    sizes = [(photo.image.shape[-2], photo.image.shape[-1]) for photo in photos.values()]
    fit = fit_landmarks(method.model, points, sizes, basis=method.basis)
    result = method.reconstruct([photo.image for photo in photos.values()], points)
    found: dict[int, Errors] = {}
    for number, (row, photo) in enumerate(photos.items()):
        truth = true_face(photo, measurement.other, measurement.step)
        heads = {
            LANDMARKS: replace(fit.select(number).parameters, point_light=None),
            METHOD: result.select(number).parameters,
        }
        fitted = reconstructed(measurement.engine, photo) if row in measurement.fitted else None
        if fitted is not None:
            heads[PIXELS] = fitted
        found[row] = {name: errors_of(method.model, head, photo, truth) for name, head in heads.items()}
    return found


def kept_errors(path: Path | None, asked: dict[str, str]) -> dict[int, Errors]:
    """What a run that was stopped has measured; its first line says what was asked.

    A last line that the run did not end is taken off the file.

    Raises:
        InputError: the file is of another run.
    """
    if path is None:
        return {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1] or json.dumps(asked) + "\n"
    if whole != text:
        with atomic_file(path) as partial:
            partial.write_text(whole, encoding="utf-8")
    first, *lines = whole.splitlines()
    try:
        told = json.loads(first)
        measured = dict(json.loads(line) for line in lines)
    except ValueError as error:
        raise InputError(f"{path} is no file of --keep ({error}): give another one.") from None
    if told != asked:
        raise InputError(f"{path} is of a run with {first}: expected {json.dumps(asked)}; give another file.")
    return measured


def told(measured: dict[int, Errors]) -> None:
    """Print the means so far, beside each fit over the photos of which it made a head."""
    found = [errors for errors in measured.values() if errors]
    for key in dict.fromkeys(key for errors in found for key in errors[METHOD]):
        for fit in (LANDMARKS, PIXELS):
            pairs = [
                (errors[fit][key], errors[METHOD][key])
                for errors in found
                if key in errors.get(fit, {}) and key in errors[METHOD]
            ]
            if pairs:
                other, own = np.mean(pairs, axis=0)
                change = f" ({own / other - 1:+.1%})" if other > 0 else ""
                print(
                    f"{key:25s} {fit} {other:.4f}, specular {own:.4f}{change}, n = {len(pairs)}", flush=True
                )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument(
        "--shard-model", type=Path, help="of the photos' heads; the shipped head if not given"
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--scan-step", type=int, default=12, help="every so many-th true vertex is measured")
    parser.add_argument(
        "--photometric", type=int, default=200, help="photos that are fitted as `facewright reconstruct` does"
    )
    parser.add_argument("--keep", type=Path, help="file of what was measured; a stopped run goes on from it")
    parser.add_argument("--verbose", action="store_true", help="the means so far after every batch")
    options = parser.parse_args()
    try:
        measure(options)
    except FacewrightError as error:
        raise SystemExit(f"evaluate_specular: {error}") from None


def spread(rows: list[int], count: int) -> list[int]:
    """So many of them, evenly spread, or all."""
    return [rows[k] for k in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def measure(options: argparse.Namespace) -> None:
    """Measure what is not measured yet."""
    torch.set_num_threads(1)
    model = load_base_model()
    other = dressed(load_face_model(options.shard_model), model) if options.shard_model else model
    basis = basis_of_found(model, about_mean=True)  # as the network learned; the fit is compared alike
    finder = ShippedFinder.load(torch.device("cpu"))
    method = SpecularMethod.load(model, weights=options.weights, basis=basis)
    shards = ShardSet.open(options.shards)
    rows = spread(list(range(len(shards))), options.count)
    measurement = Measurement(
        method,
        Reconstructor.load(ReconstructionSettings(texture_size=TEXELS), torch.device("cpu")),
        other,
        frozenset(spread(rows, options.photometric)),
        options.scan_step,
    )
    asked = {name: str(getattr(options, name)) for name in ("shards", "count", "scan_step", "photometric")}
    files = {
        "weights": options.weights or asset_path(WEIGHTS),
        "shard_model": options.shard_model or asset_path(BASE_HEAD),
    }
    measured = kept_errors(options.keep, asked | {name: sha256(path) for name, path in files.items()})
    missing = [row for row in rows if row not in measured]
    for first in range(0, len(missing), BATCH):
        numbers = missing[first : first + BATCH]
        photos, points = seen_faces(finder, {row: shards.photo(row) for row in numbers})
        new: dict[int, Errors] = {row: {} for row in numbers}
        if photos:
            new |= errors_of_photos(measurement, photos, points)
        measured |= new
        if options.keep is not None:
            with options.keep.open("a", encoding="utf-8") as file:
                file.writelines(f"{json.dumps([row, errors])}\n" for row, errors in new.items())
        if options.verbose:
            print(f"{len(measured)} of {len(rows)}", flush=True)
            told(measured)
    print(f"{sum(map(bool, measured.values()))} of {len(rows)} faces found")
    told(measured)


if __name__ == "__main__":
    main()
