"""What a camera makes of light: exposure, white balance, blur, noise, tone, grey, JPEG."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from facewright.image.color import luminance, srgb_from_linear

MIDDLE_GREY = 0.18  # linear luminance that automatic exposure brings a picture towards


@dataclass(frozen=True)
class SensorSettings:
    """How cameras differ; pairs are ends of a uniform range.

    Attributes:
        auto_exposure: 0 leaves the brightness of the scene, 1 makes all pictures equally bright.
        exposure: standard deviation of the natural logarithm of the exposure beyond that.
        white_balance: standard deviation of the natural logarithm of the channels' gains.
        blur: px, standard deviation of the blur.
        detail: px of the sensor for one px of the picture; below 1 the picture was enlarged.
        read_noise: standard deviation at black, linear.
        shot_noise: variance for one unit of linear light.
        gamma: exponent on the sRGB values.
        grey: share of grey pictures.
        quality: of the JPEG.
    """

    auto_exposure: float = 0.6
    exposure: float = 0.2
    white_balance: float = 0.05
    blur: tuple[float, float] = (0.2, 1.2)
    detail: tuple[float, float] = (0.35, 1.6)
    read_noise: tuple[float, float] = (0.0, 0.008)
    shot_noise: tuple[float, float] = (0.0, 0.0012)
    gamma: tuple[float, float] = (0.8, 1.25)
    grey: float = 0.1
    quality: tuple[int, int] = (45, 96)


@dataclass(frozen=True)
class SensorDraw:
    """One camera.

    Attributes:
        auto_exposure: as in the settings.
        gain: of each channel.
        blur: px.
        detail: px of the sensor for one of the picture, at most 1.
        read_noise: linear.
        shot_noise: linear.
        gamma: exponent.
        grey: whether the picture is grey.
        quality: of the JPEG.
        noise_seed: of the noise.
    """

    auto_exposure: float
    gain: tuple[float, float, float]
    blur: float
    detail: float
    read_noise: float
    shot_noise: float
    gamma: float
    grey: bool
    quality: int
    noise_seed: int


def draw_sensor(settings: SensorSettings, rng: np.random.Generator) -> SensorDraw:
    """A camera at random."""
    exposure = settings.exposure * rng.normal()
    red, green, blue = np.exp(exposure + settings.white_balance * rng.normal(size=3))
    low, high = settings.gamma
    return SensorDraw(
        auto_exposure=settings.auto_exposure,
        gain=(float(red), float(green), float(blue)),
        blur=float(rng.uniform(*settings.blur)),
        detail=float(min(1.0, rng.uniform(*settings.detail))),
        read_noise=float(rng.uniform(*settings.read_noise)),
        shot_noise=float(rng.uniform(*settings.shot_noise)),
        gamma=float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        grey=bool(rng.random() < settings.grey),
        quality=int(rng.integers(settings.quality[0], settings.quality[1] + 1)),
        noise_seed=int(rng.integers(2**31)),
    )


def photograph(linear: Float[Tensor, "3 H W"], sensor: SensorDraw) -> bytes:
    """What a camera writes: the bytes of a JPEG file, of one channel if it is grey.

    Args:
        linear: light, RGB, not bounded above.
        sensor: the camera.
    """
    size = linear.shape[-2:]
    brightness = float(luminance(linear.permute(1, 2, 0)).mean())
    exposure = (MIDDLE_GREY / max(brightness, 1e-3)) ** sensor.auto_exposure
    light = linear * (exposure * torch.tensor(sensor.gain))[:, None, None]
    light = _blurred(light, sensor.blur)
    rows, columns = (max(16, round(side * sensor.detail)) for side in size)
    if (rows, columns) != tuple(size):
        light = _resized(light, (rows, columns), shrink=True)
    light = light + _noise(light, sensor)
    if (rows, columns) != tuple(size):
        light = _resized(light, (size[0], size[1]), shrink=False)
    encoded = srgb_from_linear(light).pow(sensor.gamma)
    pixels = (encoded * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels)
    stream = io.BytesIO()
    (picture.convert("L") if sensor.grey else picture).save(stream, "JPEG", quality=sensor.quality)
    return stream.getvalue()


def read_photograph(file: bytes) -> Float[Tensor, "3 H W"]:
    """The pixels of what ``photograph`` wrote, sRGB in [0, 1]."""
    with Image.open(io.BytesIO(file), formats=("JPEG",)) as picture:
        pixels = np.array(picture.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float() / 255


def _blurred(light: Tensor, sigma: float) -> Tensor:
    reach = int(np.ceil(2.5 * sigma))
    if reach < 1 or sigma < 0.25:
        return light
    offset = torch.arange(-reach, reach + 1, dtype=light.dtype)
    weight = torch.exp(-0.5 * (offset / sigma) ** 2)
    weight = weight / weight.sum()
    for axis in (1, 2):  # sums of shifted copies: a convolution's result depends on how its library splits it
        pad = (0, 0, reach, reach) if axis == 1 else (reach, reach, 0, 0)
        padded = functional.pad(light[None], pad, mode="replicate")[0]
        length = light.shape[axis]
        light = padded.narrow(axis, 0, length) * weight[0]
        for k in range(1, 2 * reach + 1):
            light.add_(padded.narrow(axis, k, length), alpha=float(weight[k]))
    return light


def _resized(light: Tensor, size: tuple[int, int], *, shrink: bool) -> Tensor:
    return functional.interpolate(
        light[None], size=size, mode="bilinear", align_corners=False, antialias=shrink
    )[0].clamp_min(0)


def _noise(light: Tensor, sensor: SensorDraw) -> Tensor:
    rng = np.random.default_rng(sensor.noise_seed)
    spread = (sensor.read_noise**2 + sensor.shot_noise * light.clamp_min(0)).sqrt()
    return spread * torch.from_numpy(rng.standard_normal(tuple(light.shape), dtype=np.float32))
