"""Draw figures 1, 5 and 8 of the Sphere Face Model with our own data.

    python scripts/draw_sphere.py RUN --out DIR [--people 20]

figure1.png: directions in the plane of the first two axes, one a row, at growing distances from the mean
face: the direction says who it is, the scale how much. figure5.png: the codes of some people's scans by PCA
and by the SFM, laid out by t-SNE (cosine distance, which needs scikit-learn), one colour a person.
figure8.png: the neutral heads that photos of one synthetic person give, by the fit to landmarks and by the
sphere's encoder, coloured by how far each lies from their mean. RUN is a folder of ``facewright reproduce
sphere``. Figure 4 is what ``facewright interpolate`` draws.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.data.synthesis import open_studio, photos_of_one
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.image.ramp import ramp_colors
from facewright.methods.sphere.codes import closed_codes
from facewright.methods.sphere.space import ScanSpace, in_space
from facewright.methods.sphere.stack import ScanStack, open_stack
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import FACE, load_sphere_model
from facewright.pipeline.identity import IdentityReader
from facewright.pipeline.reproduce_sphere import OTHER, SPACE, TRAINED_ON
from facewright.pipeline.views import Finish, clay_with_eyes, turned_views
from facewright.render.ambient import light_reaching

mpl.use("Agg")
from matplotlib import pyplot as plt

SHARES = (0.0, 0.35, 0.7, 1.0, 1.3)  # of the mean scale
DIRECTIONS, SIDE, PAPER = 4, 220, (0.85, 0.85, 0.83)
PERSONS, PHOTOS, TRIED, MOST = (0, 40), 5, 12, 3.0  # of figure 8: seeds' indices, photos, mm


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", type=int, default=20)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    figure1(options.out / "figure1.png")
    figure5(options.run, options.out / "figure5.png", options.people)
    figure8(options.out / "figure8.png")


def figure1(path: Path) -> None:
    """Faces by direction and scale."""
    sphere = load_sphere_model(asset_path("sphere.safetensors"))
    model, clay = sphere.face_model, clay_with_eyes(sphere.face_model)
    directions = torch.zeros(DIRECTIONS, sphere.dimensions)
    angles = torch.arange(DIRECTIONS) * (2 * torch.pi / DIRECTIONS)
    directions[:, 0], directions[:, 1] = angles.cos(), angles.sin()
    axes = plt.subplots(DIRECTIONS, len(SHARES), figsize=(10, 8.6))[1]
    for number, (row, direction) in enumerate(zip(axes, directions, strict=True)):
        for axis, share in zip(row, SHARES, strict=True):
            scale = torch.tensor([max(share, 1e-6) * sphere.scale_mean])
            vertices = model.vertices(sphere.codes_from_scale_direction(scale, direction[None]))[0]
            picture = _drawn(model, vertices, 0.45, clay)
            axis.imshow(srgb_from_linear(picture).clamp(0, 1).numpy())
            axis.set_axis_off()
            if number == 0:
                axis.set_title("mean face" if share == 0 else f"{share:g} x mean scale", fontsize=9)
    plt.tight_layout(pad=0.3)
    plt.savefig(path, dpi=110)
    plt.close()


def _drawn(model: FaceModel, vertices: Tensor, yaw: float, clay: Tensor) -> Tensor:
    """A head in clay (V, 3), linear RGB."""
    flat, finish = torch.full((8, 8, 3), 0.5), Finish(clay, light_reaching(vertices, model.topology))
    return turned_views(vertices, model.topology, flat, (yaw,), SIDE, PAPER, finish=finish)[0][0]


def figure5(run: Path, path: Path, people: int) -> None:
    """Codes of each set by PCA and by the SFM."""
    from sklearn.manifold import TSNE

    tensors, _ = read_safetensors(run / SPACE)
    space = ScanSpace(tensors["mean"].numpy(), tensors["axes"].numpy())
    basis = read_safetensors(run / "runs" / "SFM" / "seed-0" / "best.safetensors")[0]["basis"]
    names = [name for name in (TRAINED_ON, OTHER) if (run / name).is_dir()]
    axes = plt.subplots(len(names), 2, figsize=(9, 4.5 * len(names)), squeeze=False)[1]
    for row, name in zip(axes, names, strict=True):
        stack = open_stack(run / name)
        chosen = np.flatnonzero(stack.people < people)
        part = ScanStack(stack.scans[chosen], stack.people[chosen], stack.vertex, {})
        scans = in_space(space, part).coordinates
        for axis, told, used in ((row[0], "PCA", torch.eye(*basis.shape)), (row[1], "SFM", basis)):
            codes = closed_codes(used, scans).numpy()
            placed = TSNE(metric="cosine", init="random", perplexity=10, random_state=0).fit_transform(codes)
            axis.scatter(placed[:, 0], placed[:, 1], c=part.people, cmap="tab20", s=9)
            axis.set_title(f"{told}, synthetic-{name}: {people} people, {len(chosen)} scans", fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    plt.tight_layout()
    plt.savefig(path, dpi=110)
    plt.close()


def figure8(path: Path) -> None:
    """Neutral heads of photos of one synthetic person, by the fit and by the encoder."""
    model = load_base_model()
    studio, face = open_studio(model), model.regions[FACE]
    clay = clay_with_eyes(model)
    readers = {method: IdentityReader.load(method) for method in ("fit", "sphere")}
    axes = plt.subplots(2 * len(PERSONS), 1 + PHOTOS, figsize=(9, 7))[1]
    for place, first in enumerate(PERSONS):
        photos = [sample.image for sample in photos_of_one(studio, 8, range(first, first + TRIED))]
        seen = [(photo, faces[0].points) for photo in photos if (faces := readers["fit"].finder(photo))]
        chosen = seen[:PHOTOS]
        for row, (method, reader) in enumerate(readers.items()):
            points = torch.stack([points for _, points in chosen])
            codes = torch.from_numpy(reader.codes([photo for photo, _ in chosen], points)).float()
            neutral = reader.sphere.face_model.vertices(codes / reader.sphere.deviations)
            off = (neutral - neutral.mean(0)).norm(dim=2)
            spread = float((off[:, face].square().mean() * PHOTOS / (PHOTOS - 1)).sqrt())
            axes[2 * place + row, 0].text(0.5, 0.5, f"{method}\n{spread:.2f} mm", ha="center", va="center")
            for number in range(PHOTOS):
                colours = torch.from_numpy(ramp_colors(off[number].numpy() / MOST)).float()
                tint = torch.where(face[:, None], linear_from_srgb(colours), clay)
                axis = axes[2 * place + row, 1 + number]
                drawn = _drawn(model, neutral[number], 0.0, tint)
                axis.imshow(srgb_from_linear(drawn).clamp(0, 1).numpy())
                inset = axis.inset_axes((0.68, 0.68, 0.32, 0.32))
                inset.imshow(chosen[number][0].permute(1, 2, 0).clamp(0, 1).numpy())
                inset.set_axis_off()
    for axis in axes.flat:
        axis.set_axis_off()
    plt.suptitle(f"one person's neutral heads, colour: distance to their mean, 0 to {MOST:g} mm", fontsize=9)
    plt.tight_layout(pad=0.3)
    plt.savefig(path, dpi=100)
    plt.close()


if __name__ == "__main__":
    main()
