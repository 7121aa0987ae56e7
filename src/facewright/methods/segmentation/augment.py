"""What happens to a crop before the network sees it: another view, something before it, another camera."""

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from facewright.core.ranges import check_range
from facewright.image.color import LUMA_WEIGHTS
from facewright.methods.segmentation.crops import ROOM
from facewright.methods.segmentation.labels import ANY, BIT


@dataclass(frozen=True)
class AugmentSettings:
    """How far crops are changed; probabilities are for each crop.

    Attributes:
        roll: radians, standard deviation.
        scale: of the natural logarithm, standard deviation.
        shift: of the crop's side, standard deviation.
        patch: probability of something flat before the face.
        grey: probability of a grey picture.
        gain: of the logarithm of the brightness, standard deviation.
        tint: of the logarithm of the channels' gains, standard deviation.
        gamma: of the logarithm of the exponent, standard deviation.
        soft: probability of a lower resolution.
        coarsest: lowest resolution, as a share of the crop's.
        noise: standard deviation, at most.
        jpeg: probability of a JPEG file on the way.
    """

    roll: float = 0.12
    scale: float = 0.1
    shift: float = 0.04
    patch: float = 0.25
    grey: float = 0.5
    gain: float = 0.25
    tint: float = 0.12
    gamma: float = 0.25
    soft: float = 0.5
    coarsest: float = 0.25
    noise: float = 0.06
    jpeg: float = 0.3

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, "roll", "scale", "shift", "gain", "tint", "gamma", "noise")
        check_range(self, 0, 1, "patch", "grey", "soft", "jpeg", "coarsest")


def viewed(
    images: Float[Tensor, "B 3 s s"],
    labels: UInt8[Tensor, "B s s"],
    size: int,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, "B 3 S S"], UInt8[Tensor, "B S S"]]:
    """The network's crops out of stored ones: shifted, rolled, scaled and mirrored at random."""
    count = len(images)
    roll = settings.roll * rng.normal(size=count)
    scale = np.exp(settings.scale * rng.normal(size=count)) / ROOM
    mirror = rng.choice([-1.0, 1.0], count)
    shift = 2 * settings.shift * rng.normal(size=(count, 2))
    theta = np.stack(
        [
            np.stack([scale * mirror * np.cos(roll), -scale * np.sin(roll), shift[:, 0]], 1),
            np.stack([scale * mirror * np.sin(roll), scale * np.cos(roll), shift[:, 1]], 1),
        ],
        1,
    )
    return _read(images, labels, torch.from_numpy(theta.astype(np.float32)), size)


def unchanged(
    images: Float[Tensor, "B 3 s s"], labels: UInt8[Tensor, "B s s"], size: int
) -> tuple[Float[Tensor, "B 3 S S"], UInt8[Tensor, "B S S"]]:
    """The network's crops as they are cut from photos."""
    theta = torch.tensor([[1 / ROOM, 0.0, 0.0], [0.0, 1 / ROOM, 0.0]]).expand(len(images), 2, 3)
    return _read(images, labels, theta, size)


def _read(images: Tensor, labels: Tensor, theta: Tensor, size: int) -> tuple[Tensor, Tensor]:
    grid = functional.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    seen = functional.grid_sample(images, grid, "bilinear", "border", align_corners=False)
    known = functional.grid_sample(labels[:, None].float(), grid, "nearest", "zeros", align_corners=False)
    read = known[:, 0].round().to(torch.uint8)
    return seen, torch.where(read == 0, ANY, read).to(torch.uint8)


def covered(
    images: Float[Tensor, "B 3 S S"],
    labels: UInt8[Tensor, "B S S"],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, "B 3 S S"], UInt8[Tensor, "B S S"]]:
    """Something flat before some crops: of one colour, or of what another crop shows upside down."""
    size = images.shape[-1]
    axis = (np.arange(size) + 0.5) / size
    images, labels = images.clone(), labels.clone()
    others = rng.permutation(len(images))
    for number in np.flatnonzero(rng.random(len(images)) < settings.patch):
        x, y = rng.uniform(0.1, 0.9, 2)
        long, short = rng.uniform(0.08, 0.4), rng.uniform(0.04, 0.2)
        angle, power = rng.uniform(0, math.pi), rng.choice([2.0, 8.0])
        u = (axis - x) * math.cos(angle) + (axis[:, None] - y) * math.sin(angle)
        v = (axis[:, None] - y) * math.cos(angle) - (axis - x) * math.sin(angle)
        inside = torch.from_numpy(np.abs(u / long) ** power + np.abs(v / short) ** power < 1)
        if rng.random() < 0.5:
            light = torch.from_numpy(1 + rng.uniform(-0.5, 0.5) * u / long).float()
            color = torch.from_numpy(rng.uniform(0, 1, 3)).float()[:, None, None]
            paint = (color * light).clamp(0, 1)
        else:
            paint = images[others[number]].flip(1).roll(int(rng.integers(size)), 2)
        images[number] = torch.where(inside, paint, images[number])
        labels[number][inside] = BIT["occluder"]
    return images, labels


def photographed(
    images: Float[Tensor, "B 3 H W"], settings: AugmentSettings, rng: np.random.Generator
) -> Float[Tensor, "B 3 H W"]:
    """The same crops through other cameras."""
    count, _, height, width = images.shape

    def column(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).reshape(count, -1, 1, 1)

    gamma = column(np.exp(settings.gamma * rng.normal(size=count)))
    gain = column(
        np.exp(settings.gain * rng.normal(size=(count, 1)) + settings.tint * rng.normal(size=(count, 3)))
    )
    level = column(rng.uniform(-0.1, 0.1, count))
    images = (images.clamp(1e-4, 1).pow(gamma) * gain + level).clamp(0, 1)
    grey = (images * torch.tensor(LUMA_WEIGHTS)[:, None, None]).sum(1, keepdim=True)
    images = torch.where(column(rng.random(count) < settings.grey) > 0, grey, images)
    for number in np.flatnonzero(rng.random(count) < settings.soft):
        share = math.exp(rng.uniform(math.log(settings.coarsest), 0))
        small = round(height * share), round(width * share)
        lower = functional.interpolate(images[number : number + 1], small, mode="area")
        images[number] = functional.interpolate(lower, (height, width), mode="bilinear")[0]
    noise = torch.from_numpy(rng.normal(size=(count, 3, height, width)).astype(np.float32))
    noise = torch.where(column(rng.random(count) < settings.grey) > 0, noise[:, :1], noise)
    images = (images + noise * column(rng.uniform(0, settings.noise, count))).clamp(0, 1)
    for number in np.flatnonzero(rng.random(count) < settings.jpeg):
        images[number] = _through_jpeg(images[number], int(rng.integers(15, 80)))
    return images


def _through_jpeg(image: Float[Tensor, "3 H W"], quality: int) -> Float[Tensor, "3 H W"]:
    pixels = (image.permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    stream.seek(0)
    with Image.open(stream) as picture:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
