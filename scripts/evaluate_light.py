"""How much of a photo's light stays in the skin: asymmetry of the unwrapped albedo, with and without bulb.

Example: ``python scripts/evaluate_light.py --data ../shared/data --count 40``. Faces are nearly symmetric,
light seldom is: the median difference (log) between the luminance of a texel and that of its mirror image,
over skin that the photo shows on both sides, is mostly light that was not divided out.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from draw_kept_out_heads import kept_out_photos
from facewright.core.errors import FacewrightError
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.point_light import PointLightPrior
from facewright.fitting.records import FaceFit
from facewright.image.color import luminance
from facewright.image.io import Photograph, photograph_from_array, read_photo
from facewright.models.face_model import FaceModel
from facewright.pipeline.finder import find_faces
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.settings import ReconstructionSettings
from facewright.uv import HeadChart, TextureSettings, UvSamples, unwrap_photo

SIZE = 256
SEEN = 0.3  # confidence on both sides
LEAST = 300  # texels seen on both sides that make a median
DARK = 0.02


def asymmetry(chart: HeadChart, samples: UvSamples) -> float:
    """Median left-right difference of the log luminance; NaN where hardly any skin is seen twice."""
    value = (luminance(samples.color) + DARK).log().flatten()
    seen = (samples.confidence * chart.face).flatten() > SEEN
    own, other = chart.chart.texel, chart.mirror
    both = (other >= 0) & seen[own] & seen[other.clamp_min(0)]
    if int(both.sum()) < LEAST:
        return float("nan")
    return float((value[own[both]] - value[other[both]]).abs().median())


def measured(
    model: FaceModel, chart: HeadChart, photo: Tensor, fit: FaceFit, settings: PhotometricFitSettings
) -> tuple[float, float, bool]:
    """Asymmetry, seconds of the fit, and whether a point light was found."""
    start = time.perf_counter()
    found = refine_photometric(model, [photo], fit, settings=settings).select(0).parameters
    seconds = time.perf_counter() - start
    samples = unwrap_photo(model, chart.chart, photo, found, settings=TextureSettings(size=SIZE))
    return asymmetry(chart, samples), seconds, found.point_light is not None


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--photos", type=Path, nargs="*", help="these photos instead of kept-out people")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.photos:
        photos: list[Photograph] = [read_photo(path) for path in options.photos]
    else:
        arrays = kept_out_photos(options.data, options.count, options.seed)
        photos = [photograph_from_array(pixels, f"photo {number}") for number, pixels in enumerate(arrays)]
    engine = Reconstructor.load(ReconstructionSettings(texture_size=SIZE))
    model, chart = engine.model, engine.chart
    soft = PhotometricFitSettings(shape=None)
    both = replace(soft, point_light=PointLightPrior())
    rows = []
    for photo in photos:
        size = (int(photo.pixels.shape[-2]), int(photo.pixels.shape[-1]))
        try:
            face = find_faces(engine.finder, photo)[0]
            fit = fit_landmarks(model, face.points[None], [size], basis=engine.basis)
            rows.append([measured(model, chart, photo.pixels, fit, each) for each in (soft, both)])
        except FacewrightError as error:
            print(f"{photo.name}: {error}")
    values = np.array(rows, dtype=float)  # (photos, soft or both, asymmetry seconds found)
    kept = values[np.isfinite(values[:, :, 0]).all(1)]
    found = kept[kept[:, 1, 2] > 0]
    print(f"{len(kept)} photos with skin seen on both sides; a point light is found in {len(found)}")
    for name, part in (("all", kept), ("with a point light", found)):
        means = part[:, :, 0].mean(0) if len(part) else (np.nan, np.nan)
        better = float((part[:, 1, 0] < part[:, 0, 0]).mean()) if len(part) else np.nan
        print(
            f"{name}: left-right difference {means[0]:.3f} under soft light alone, {means[1]:.3f} with a "
            f"point light; smaller in {100 * better:.0f} % of the photos"
        )
    print(f"seconds a photo: {np.median(values[:, 0, 1]):.2f} and {np.median(values[:, 1, 1]):.2f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
