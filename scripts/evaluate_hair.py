"""Print how well shells of hair follow the hair of synthetic photos.

    python scripts/evaluate_hair.py [--count 60] [--seed 11] [--size 320]

Heads of `facewright synthesize` with hair but without clothes, glasses and hands, so that the mask of what
lies before or beside the head is that of its hair; one in four is bald. Each is reconstructed as a user
would, without the photometric fit, and its shell is drawn into the photo by the fitted camera.

Found: heads with hair that get a shell; false: bald heads that do. Cover: intersection over union of drawn
hair and the photo's, down to where the drawn head ends, of the heads that got a shell. Outline: mean distance
of the outline of head and hair above the brows, as a part of the distance of the outer eye corners.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from facewright.core.errors import FacewrightError
from facewright.data.records import Sample
from facewright.data.sampling import OccluderSettings, SamplingSettings
from facewright.data.synthesis import open_studio, samples
from facewright.image.color import luminance
from facewright.image.io import read_photo_bytes
from facewright.models.base import load_base_model
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import ReconstructionSettings
from facewright.pipeline.views import drawn_hair
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.texture import texture
from facewright.scene.camera import PerspectiveCamera

BALD = 4  # one in so many
MARGIN = (1.9, 2.6)  # sides of the picture for one of the landmarks' box: hair is seen whole
YAWS = (0.0, 15.0, 30.0, 90.0)  # degrees between which photos are gathered
FAIR = 0.4  # mean luma (sRGB) of hair that is called fair or grey
NOTHING = OccluderSettings(hair=1.0, glasses=0.0, hand=0.0, thing=0.0, clothes=0.0)
EYES = (33, 263)  # landmarks of the outer eye corners


@dataclass(frozen=True)
class Measured:
    """One photo: degrees from the front, luma of its hair (NaN: bald), whether it has a shell, and errors."""

    yaw: float
    tone: float
    found: bool
    cover: float
    outline: float


def drawn_masks(head: Reconstruction) -> list[Bool[ndarray, "H W"]]:
    """Pixels of the photo with hair of the shell, with the head or hair, and those above the brows."""
    own, model, vertices = head.parameters, head.model, head.vertices
    perspective = isinstance(own.camera, PerspectiveCamera)

    def drawn(points: Float[Tensor, "V 3"], faces: Int64[Tensor, "F 3"]) -> Fragments:
        pixels = own.camera.project(own.pose.camera_from_head(points[None]))
        return rasterize(pixels, faces, own.camera.size, perspective=perspective)

    skin = drawn(vertices, model.topology.faces)
    hair = torch.zeros_like(skin.covered[0])
    if head.hair is not None:
        shell = drawn_hair(head.hair, vertices)
        over = drawn(shell.vertices, shell.topology.faces)
        uv = interpolate(over, shell.topology.uv_faces, shell.topology.uv[None])
        cover = texture(uv, shell.colors[None], fragments=over)[0, ..., 3] > 0.5
        hair = over.covered[0] & cover & (~skin.covered[0] | (over.depth[0] < skin.depth[0]))
    brows = vertices[model.regions["brow_left"] | model.regions["brow_right"]].mean(0)
    ends = torch.stack([brows, brows + torch.tensor([0.0, 10.0, 0.0])])
    (x, y), (x1, y1) = own.camera.project(own.pose.camera_from_head(ends[None]))[0, :, :2].tolist()
    height, width = own.camera.size
    rows, columns = np.mgrid[:height, :width] + 0.5
    above = (columns - x) * (x1 - x) + (rows - y) * (y1 - y) > 0
    return [hair.numpy(), (hair | skin.covered[0]).numpy(), above]


def outline_error(
    one: Bool[ndarray, "H W"], other: Bool[ndarray, "H W"], where: Bool[ndarray, "H W"]
) -> float:
    """Mean distance (px) of the outlines of two masks, from each to the other; NaN where one has none."""
    rims = [mask & ~np.asarray(binary_erosion(mask, border_value=1), dtype=bool) for mask in (one, other)]
    if not all((rim & where).any() for rim in rims):
        return float("nan")
    to_one, to_other = (np.asarray(distance_transform_edt(~rim)) for rim in rims)
    return float(0.5 * (to_other[rims[0] & where].mean() + to_one[rims[1] & where].mean()))


def measured(reconstructor: Reconstructor, truth: Sample, bald: bool) -> Measured | None:
    """Reconstruct one photo and compare; None if no face was found."""
    photo = read_photo_bytes(truth.image_file, f"{truth.index}")
    try:
        head = reconstructor.reconstruct(photo)[0]
    except FacewrightError:
        return None
    yaw = float(np.degrees(truth.parameters.pose.away()[0].item()))
    hair, silhouette, above = drawn_masks(head)
    own, skull = truth.masks.occluder.numpy(), (truth.masks.occluder | truth.masks.head).numpy()
    tone = float("nan") if bald else float(luminance(photo.pixels.permute(1, 2, 0)).numpy()[own].mean())
    # Long hair reaches further down than any shell.
    low = np.nonzero(silhouette)[0].max() + 1
    cover = (hair & own)[:low].sum() / max((hair | own)[:low].sum(), 1)
    eyes = float((head.detected_px[EYES[0]] - head.detected_px[EYES[1]]).norm())
    return Measured(
        yaw, tone, head.hair is not None, float(cover), outline_error(skull, silhouette, above) / eyes
    )


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--size", type=int, default=320)
    options = parser.parse_args()
    settings = ReconstructionSettings(photometric=False, texture_size=64)
    reconstructor = Reconstructor.load(settings, "cpu")
    found: list[Measured] = []
    for bald in (False, True):
        things = replace(NOTHING, hair=0.0) if bald else NOTHING
        how = SamplingSettings(size=options.size, margin=MARGIN, occluders=things)
        studio = open_studio(load_base_model(), how)
        for index in range(options.count // BALD if bald else options.count - options.count // BALD):
            result = measured(reconstructor, samples(studio, options.seed, [index])[0], bald)
            if result is not None:
                found.append(result)
    _print(found)


def _print(found: list[Measured]) -> None:
    bald, haired = ([each for each in found if np.isnan(each.tone) == kind] for kind in (True, False))
    fair = [each for each in haired if each.tone > FAIR]
    print(
        f"{len(haired)} heads with hair: {_share(haired)} found; fair or grey: {_share(fair)} of {len(fair)}"
    )
    print(f"{len(bald)} bald heads: {_share(bald)} have a shell")
    for low, high in pairwise(YAWS):
        own = [each for each in haired if low <= each.yaw < high]
        if own:
            cover = np.median([each.cover for each in own if each.found])
            outline = np.nanmedian([each.outline for each in own])
            print(
                f"{low:.0f} to {high:.0f} degrees: {len(own)} heads, cover {cover:.2f}, "
                f"outline {100 * outline:.1f} % of the eye distance"
            )


def _share(found: list[Measured]) -> str:
    return f"{100 * np.mean([each.found for each in found]):.0f} %" if found else "none"


if __name__ == "__main__":
    main()
