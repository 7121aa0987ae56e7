"""What is behind heads: blurred shapes and colours, or pictures of a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.core.tensor_records import joined_rows, on_device
from facewright.data.draws import row
from facewright.data.resizing import by_matrices, resize_matrix
from facewright.image.color import linear_from_srgb
from facewright.image.io import PhotoLimits, read_photo

MAX_FILES = 100_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SIDE = 512  # px that a picture of a folder is read at
COARSE = 72  # px at which shapes are drawn, before they are enlarged
FOCUS = 14  # px of the strongest blur
MOST_SHAPES = 13
CLOUDS = ((3, 0.25), (9, 0.12), (27, 0.08))  # cells of a side, and how strong
DARKEST, BRIGHTEST = 0.002, 3.0
LEAST_LEVEL = 0.05


@dataclass(frozen=True)
class Shapes:
    """What is random of drawn backdrops; places and lengths in shares of the side.

    Attributes:
        ends: colours of the gradient.
        angle: its direction, radians.
        opaque: of each shape; 0 is no shape.
        color: linear.
        place: middle (x, y).
        half: half width, and height, of a box; the first alone makes a disc.
        box: 1 for a box, 0 for a disc.
        clouds: cells of ``CLOUDS``, each times its strength.
    """

    ends: Float[Tensor, "B 2 3"]
    angle: Float[Tensor, " B"]
    opaque: Float[Tensor, "B K"]
    color: Float[Tensor, "B K 3"]
    place: Float[Tensor, "B K 2"]
    half: Float[Tensor, "B K 2"]
    box: Float[Tensor, "B K"]
    clouds: tuple[Float[Tensor, "B 1 _ _"], ...]


@dataclass(frozen=True)
class BackdropDraw:
    """One backdrop: shapes and the px of their blur, or a picture of a folder (linear)."""

    shapes: Shapes | None
    focus: int
    picture: Float[Tensor, "3 H W"] | None


@dataclass(frozen=True)
class Backdrops:
    """Where backdrops come from.

    Attributes:
        files: pictures without faces, in a fixed order; shapes and colours are drawn if there are none.
    """

    files: tuple[Path, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path) -> "Backdrops":
        """All pictures of a folder and below.

        Raises:
            InputError: there is no such folder, or no picture in it.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: check --backgrounds.")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not 0 < len(files) <= MAX_FILES:
            raise InputError(
                f"{folder} has {len(files)} pictures ({', '.join(SUFFIXES)}): expected 1 to {MAX_FILES}."
            )
        return cls(tuple(files))

    def draw(self, size: int, rng: np.random.Generator) -> BackdropDraw:
        """A backdrop at random.

        Args:
            size: px, both sides.
            rng: of the drawing.

        Raises:
            ImageError: a picture cannot be read.
        """
        if self.files:
            return BackdropDraw(None, 0, self._cut(size, rng))
        shapes = _draw_shapes(rng)
        return BackdropDraw(shapes, int(rng.integers(FOCUS, COARSE)), None)

    def _cut(self, size: int, rng: np.random.Generator) -> Tensor:
        path = self.files[rng.integers(len(self.files))]
        picture = read_photo(path, PhotoLimits(working_side=SIDE)).pixels
        side = int(rng.uniform(0.4, 1.0) * min(picture.shape[1:]))
        top = int(rng.integers(picture.shape[1] - side + 1))
        left = int(rng.integers(picture.shape[2] - side + 1))
        cut = picture[:, top : top + side, left : left + side]
        if rng.random() < 0.5:
            cut = cut.flip(2)
        scaled = functional.interpolate(
            linear_from_srgb(cut)[None], size=(size, size), mode="bilinear", antialias=True
        )
        return scaled[0]


def backdrop_pictures(
    draws: Sequence[BackdropDraw], size: int, level: Float[Tensor, " B"]
) -> Float[Tensor, "B 3 H W"]:
    """Backdrops, linear.

    On the CPU they are computed one by one, to the same bits in any batch; on a device all at once.

    Args:
        draws: what is random, all shapes or all pictures.
        size: px, both sides.
        level: how bright light is.
    """
    if level.device.type == "cpu" and len(draws) > 1:
        return torch.cat([backdrop_pictures([draw], size, level[k : k + 1]) for k, draw in enumerate(draws)])
    bright = level.clamp_min(LEAST_LEVEL)[:, None, None, None]
    pictures = [draw.picture for draw in draws if draw.picture is not None]
    if pictures:
        return torch.stack(pictures).to(level.device) * bright
    shapes = joined_rows([draw.shapes for draw in draws if draw.shapes is not None])
    most = int((shapes.opaque > 0).sum(1).max())
    planes = _drawn(on_device(shapes, level.device), most)
    if level.device.type == "cpu":
        return _blurred(planes, draws[0].focus, size) * bright
    out_of_focus = [_through(draw.focus, size, level.device) for draw in draws]
    large = by_matrices(planes, torch.stack(out_of_focus))
    return large.clamp(DARKEST, BRIGHTEST) * bright


@lru_cache(maxsize=COARSE)
def _through(focus: int, size: int, device: torch.device) -> Float[Tensor, "T S"]:
    """What ``_blurred`` does to a line."""
    fewer = resize_matrix("antialiased", COARSE, focus, device)
    return resize_matrix("bicubic", focus, size, device) @ fewer


def _draw_shapes(rng: np.random.Generator) -> Shapes:
    palette = _palette(rng)
    angle = rng.uniform(0, 2 * np.pi)
    opaque, color = np.zeros(MOST_SHAPES), np.zeros((MOST_SHAPES, 3))
    place, half, box = np.zeros((MOST_SHAPES, 2)), np.ones((MOST_SHAPES, 2)), np.zeros(MOST_SHAPES)
    if rng.random() < 0.8:
        for k in range(rng.integers(1, MOST_SHAPES + 1)):
            color[k], opaque[k] = palette[rng.integers(len(palette))], rng.uniform(0.3, 1.0)
            place[k] = rng.uniform(-0.1, 1.1, 2)
            half[k] = rng.uniform(0.03, 0.35), rng.uniform(0.05, 0.9)
            box[k] = rng.random() < 0.6
            color[k] *= rng.uniform(0.6, 1.4)
    clouds = [weight * rng.normal(size=(1, cells, cells)) for cells, weight in CLOUDS]
    cloudy = rng.uniform(0, 1.2)
    numbers = (palette[:2], angle, opaque, color, place, half, box)
    return Shapes(*(row(number) for number in numbers), clouds=tuple(row(cloudy * cells) for cells in clouds))


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Five colours, most of them dull, linear."""
    bright = np.exp(rng.uniform(np.log(0.03), np.log(0.9), (5, 1)))
    tint = np.exp(rng.choice([0.03, 0.1, 0.3]) * rng.normal(size=(5, 3)))
    return bright * tint


def _drawn(shapes: Shapes, most: int) -> Float[Tensor, "B 3 Y X"]:
    """A gradient with boxes and discs of colour (at most so many) and clouds, small."""
    device = shapes.angle.device
    place = torch.arange(COARSE, device=device) / COARSE
    y, x = place[:, None], place
    cosine, sine = shapes.angle.cos()[:, None, None], shapes.angle.sin()[:, None, None]
    ramp = (0.5 + (cosine * (x - 0.5) + sine * (y - 0.5)))[:, None]
    first, last = (_color(shapes.ends[:, k]) for k in (0, 1))
    picture = first + ramp * (last - first)
    shade = _shades(shapes, most, place)
    for k in range(most):
        picture = torch.lerp(picture, _color(shapes.color[:, k]), shade[:, k, None])
    clouds = sum(
        functional.interpolate(cells, size=(COARSE, COARSE), mode="bicubic", align_corners=False)
        for cells in shapes.clouds
    )
    return picture * torch.as_tensor(clouds).exp()


def _shades(shapes: Shapes, most: int, place: Float[Tensor, " Y"]) -> Float[Tensor, "B K Y Y"]:
    """How much of each pixel each of the first shapes covers."""
    x, y = ((place - shapes.place[:, :most, axis, None]).abs() for axis in (0, 1))
    wide, tall = (shapes.half[:, :most, axis, None] for axis in (0, 1))
    boxed = (x < wide)[..., None, :] & (y < tall)[..., None]
    disc = x.square()[..., None, :] + y.square()[..., None] < (0.7 * wide).square()[..., None]
    inside = torch.where(shapes.box[:, :most, None, None] > 0, boxed, disc)
    return shapes.opaque[:, :most, None, None] * inside


def _color(values: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 1 1"]:
    return values[:, :, None, None]


def _blurred(planes: Tensor, focus: int, size: int) -> Tensor:
    """Enlarged through fewer pixels."""
    small = functional.interpolate(planes, size=(focus, focus), mode="bilinear", antialias=True)
    large = functional.interpolate(small, size=(size, size), mode="bicubic", align_corners=False)
    return large.clamp(DARKEST, BRIGHTEST)
