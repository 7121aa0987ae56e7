"""Fit the two colour mixtures of the skin model to labelled pixels and ship them.

Example: ``python scripts/fit_skin_model.py --crops build/crops``. Skin: the face of synthetic photos, and
of real ones what lies within the landmarks below the eyes. Other: what surely is not the head. Faces of dark
and light skin count alike.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from facewright.core.assets import assets_folder, record_asset
from facewright.detection.skin import FILE, GaussianMixture, SkinModel, ycbcr
from facewright.methods.segmentation.crops import KEPT_OUT, SYNTHETIC, CropStore
from facewright.methods.segmentation.labels import BIT

COMPONENTS = 4
FLOOR = 4.0  # least variance of a component, in steps of a byte squared
TONES = 5  # classes of lightness that count alike
ROUNDS = 80  # of expectation and maximisation
PIXELS = 60  # of each kind from one crop
GREY = 3.0  # mean distance of Cb and Cr from 128 below which a crop says nothing of colours
LICENCE = (
    "Apache-2.0; a statistic of colours of synthetic photos and of research images (LFW and YouTube Faces "
    "families), of which none is contained"
)
SKIN = (BIT["face"], BIT["skin"])
OTHER = (BIT["background"], BIT["occluder"], BIT["background"] | BIT["occluder"])


def pixels_of(store: CropStore, rng: np.random.Generator, most: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Y, Cb, Cr of some skin and some other pixels of each crop that has colours."""
    found = []
    for number in rng.permutation(len(store))[:most]:
        images, labels = store.read(np.array([number]))
        picture = ycbcr(images)[0]
        if (picture[1:] - 128).abs().mean() < GREY:
            continue
        values, label = picture.flatten(1).T.numpy(), labels[0].flatten().numpy()
        rows = [np.flatnonzero(np.isin(label, kinds)) for kinds in (SKIN, OTHER)]
        if min(map(len, rows)) >= PIXELS:
            skin, other = (values[rng.choice(row, PIXELS, replace=False)] for row in rows)
            found.append((skin, other))
    return found


def tone_weights(crops: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Weights of crops by which each class of skin's lightness counts alike."""
    light = np.array([np.median(skin[:, 0]) for skin, _ in crops])
    edges = np.linspace(np.quantile(light, 0.02), np.quantile(light, 0.98), TONES + 1)[1:-1]
    tone = np.digitize(light, edges)
    weights = 1.0 / np.bincount(tone, minlength=TONES)[tone]
    return weights / weights.mean()


def fit(values: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> GaussianMixture:
    """Expectation maximisation of weighted values (N, 3); starts from random values far apart."""
    means = [values[rng.integers(len(values))]]
    for _ in range(COMPONENTS - 1):
        far = np.min([((values - mean) ** 2).sum(1) for mean in means], 0) * weights
        means.append(values[rng.choice(len(values), p=far / far.sum())])
    spread = np.cov(values.T, aweights=weights) / COMPONENTS
    mixture = GaussianMixture(
        torch.full((COMPONENTS,), 1 / COMPONENTS, dtype=torch.float64),
        torch.from_numpy(np.array(means, np.float64)),
        torch.from_numpy(spread).expand(COMPONENTS, 3, 3),
    )
    x, w = torch.from_numpy(values.astype(np.float64)), torch.from_numpy(weights.astype(np.float64))
    for _ in range(ROUNDS):
        each = torch.stack([component(mixture, k).log_density(x) for k in range(COMPONENTS)], 1)
        share = (each + mixture.weights.log()).softmax(1) * w[:, None]
        total = share.sum(0)
        means = share.T @ x / total[:, None]
        away = x[:, None] - means
        spread = torch.einsum("nk,nka,nkb->kab", share, away, away) / total[:, None, None]
        mixture = GaussianMixture(total / total.sum(), means, spread + FLOOR * torch.eye(3))
    return mixture


def component(mixture: GaussianMixture, number: int) -> GaussianMixture:
    """One of the Gaussians alone."""
    one = mixture.weights.new_ones(1)
    return GaussianMixture(one, mixture.means[number, None], mixture.covariances[number, None])


def figures(model: SkinModel, crops: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Shares of pixels that are told right at a probability of a half, and the area under the curve."""
    light = np.array([np.median(skin[:, 0]) for skin, _ in crops])
    skin, other = (torch.from_numpy(np.stack([pair[kind] for pair in crops])) for kind in (0, 1))
    shares = [_probability(model, values) for values in (skin, other)]
    told = {"skin": float((shares[0] > 0.5).float().mean()), "other": float((shares[1] < 0.5).float().mean())}
    for name, chosen in zip(("dark", "middle", "light"), np.array_split(np.argsort(light), 3), strict=True):
        told[f"skin_{name}"] = float((shares[0][chosen] > 0.5).float().mean())
    a, b = np.sort(shares[0].flatten().numpy()), shares[1].flatten().numpy()
    told["auc"] = float(1 - np.searchsorted(a, b).mean() / len(a))
    return {name: round(value, 4) for name, value in told.items()}


def _probability(model: SkinModel, values: torch.Tensor) -> torch.Tensor:
    points = values.float()
    odds = np.log(model.prior / (1 - model.prior))
    return torch.sigmoid(model.skin.log_density(points) - model.other.log_density(points) + odds)


def main() -> None:
    """Read the options and fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=Path, default=Path("build/crops"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=600, help="crops of each set")
    parser.add_argument("--real", type=float, default=0.7, help="share of real photos in the fit")
    parser.add_argument("--out", type=Path, help="write here instead of into the package")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.crops.is_dir():
        parser.error(f"expected a folder of scripts/cut_segmentation_crops.py, found none at {options.crops}")
    rng = np.random.default_rng(options.seed)
    names = sorted(path.name for path in options.crops.iterdir() if not path.name.startswith("."))
    seen = [name for name in names if not name.endswith(KEPT_OUT)]
    groups: dict[bool, list[tuple[np.ndarray, np.ndarray]]] = {True: [], False: []}
    for name in seen:
        found = pixels_of(CropStore(options.crops / name), rng, options.most)
        groups[name.startswith(SYNTHETIC)] += found
        print(f"{name}: {len(found)} crops with colours", flush=True)
    weights = []
    for made, share in ((True, 1 - options.real), (False, options.real)):
        weights.append(tone_weights(groups[made]) * share / len(groups[made]))
    crops, weight = groups[True] + groups[False], np.repeat(np.concatenate(weights), PIXELS)
    mixtures = [fit(np.concatenate([pair[kind] for pair in crops]), weight, rng) for kind in (0, 1)]
    skin, other = (
        GaussianMixture(m.weights.float(), m.means.float(), m.covariances.float()) for m in mixtures
    )
    model = SkinModel(skin, other)
    measured = {}
    for name in names:
        found = (
            pixels_of(CropStore(options.crops / name), rng, options.most) if name.endswith(KEPT_OUT) else []
        )
        if found:
            measured[name.removesuffix(KEPT_OUT)] = figures(model, found)
    print(json.dumps(measured, indent=1))
    told = {name: getattr(options, name) for name in ("crops", "seed", "most", "real")}
    command = " ".join(["python scripts/fit_skin_model.py", *(f"--{name} {told[name]}" for name in told)])
    notes = {"licence": LICENCE, "command": command, "metrics": json.dumps(measured)}
    path = options.out or assets_folder() / FILE
    model.save(path, {**notes, "grey_below": str(GREY)})
    if options.out is None:
        record_asset(FILE, licence=LICENCE, built_by=command)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
