"""What a camera makes of light: exposure, white balance, blur, noise, tone, grey, JPEG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from facewright.data.grain import grain, normal_table
from facewright.data.resizing import by_matrices, resize_matrix
from facewright.image.color import luminance, srgb_from_linear
from facewright.image.tones import STEPS, curve_bytes, toned

MIDDLE_GREY = 0.18  # linear luminance that automatic exposure brings a picture towards
LEAST_SIDE = 16  # px of the sensor


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
    return jpeg_file(developed(linear[None], [sensor])[0].cpu(), sensor)


def developed(linear: Float[Tensor, "B 3 H H"], sensors: Sequence[SensorDraw]) -> UInt8[Tensor, "B H H 3"]:
    """Pictures as cameras see them, before they are written.

    On the CPU they are computed one by one, to the same bits in any batch; on a device all at once.

    Args:
        linear: light, RGB, not bounded above.
        sensors: one camera for each.
    """
    if linear.device.type == "cpu" and len(sensors) > 1:
        return torch.cat([developed(linear[k : k + 1], [sensor]) for k, sensor in enumerate(sensors)])
    brightness = luminance(linear.movedim(1, -1)).flatten(1).mean(1).clamp_min(1e-3)
    automatic = linear.new_tensor([sensor.auto_exposure for sensor in sensors])
    gain = linear.new_tensor([sensor.gain for sensor in sensors])
    exposure = (MIDDLE_GREY / brightness) ** automatic
    light = linear * (exposure[:, None] * gain)[:, :, None, None]
    curves = [_curve(sensor.gamma) for sensor in sensors]
    seen = _seen(light[0], sensors[0])[None] if linear.device.type == "cpu" else _all_seen(light, sensors)
    pictures = zip(seen.movedim(1, -1), curves, strict=True)
    return torch.stack([toned(picture, curve) for picture, curve in pictures])


def jpeg_file(pixels: UInt8[Tensor, "H W 3"], sensor: SensorDraw) -> bytes:
    """A picture as the camera writes it."""
    picture = Image.fromarray(pixels.numpy())
    stream = io.BytesIO()
    (picture.convert("L") if sensor.grey else picture).save(stream, "JPEG", quality=sensor.quality)
    return stream.getvalue()


def read_photograph(file: bytes) -> Float[Tensor, "3 H W"]:
    """The pixels of what ``photograph`` wrote, sRGB in [0, 1]."""
    with Image.open(io.BytesIO(file), formats=("JPEG",)) as picture:
        pixels = np.array(picture.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float() / 255


def add_grain(
    light: Float[Tensor, "3 H W"], seed: int, read: float, shot: float, stride: int
) -> Float[Tensor, "3 H W"]:
    """Light on the CPU with noise of the variance ``read^2 + shot * light`` by the numbers of ``grain``."""
    from facewright.data.sensor_kernels import add_noise

    noisy = torch.empty_like(light, memory_format=torch.contiguous_format)
    table = normal_table().numpy()
    add_noise(light.contiguous().numpy(), seed, read, shot, stride, table, noisy.numpy())
    return noisy


def _curve(gamma: float) -> UInt8[Tensor, " T"]:
    """Bytes of evenly spaced light."""
    return curve_bytes(srgb_from_linear(torch.linspace(0, 1, STEPS)).pow(gamma))


def _side(side: int, sensor: SensorDraw) -> int:
    """Pixels of the sensor for so many of the picture."""
    return max(LEAST_SIDE, round(side * sensor.detail))


def _weights(sigma: float) -> Float[Tensor, " K"]:
    """Of a pixel and its neighbours in a blur; 1 alone where there is none to speak of."""
    reach = int(np.ceil(2.5 * sigma)) if sigma >= 0.25 else 0
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    return weights / weights.sum()


def _seen(light: Float[Tensor, "3 H H"], sensor: SensorDraw) -> Float[Tensor, "3 H H"]:
    """Blur, resolution and noise on the CPU."""
    from facewright.data.sensor_kernels import blur

    side, weights = light.shape[-1], _weights(sensor.blur)
    if len(weights) > 1:
        softened = torch.empty_like(light)
        blur(light.contiguous().numpy(), weights.numpy(), softened.numpy())
        light = softened
    small = _side(side, sensor)
    if small == side:
        return add_grain(light, sensor.noise_seed, sensor.read_noise, sensor.shot_noise, side)
    light = _resized(light, small, shrink=True)
    light = add_grain(light, sensor.noise_seed, sensor.read_noise, sensor.shot_noise, side)
    return _resized(light, side, shrink=False)


def _resized(light: Tensor, side: int, *, shrink: bool) -> Tensor:
    return functional.interpolate(
        light[None], size=(side, side), mode="bilinear", align_corners=False, antialias=shrink
    )[0].clamp_min(0)


def _all_seen(light: Float[Tensor, "B 3 H H"], sensors: Sequence[SensorDraw]) -> Float[Tensor, "B 3 H H"]:
    """Blur, resolution and noise of a batch on a device: the same as ``_seen`` by products of matrices.

    Sensors differ in size; what lies beyond a smaller one is 0, and noise there is looked up by nobody.
    """
    side, device = light.shape[-1], light.device
    shrink, enlarge = light.new_zeros(2, len(sensors), side, side)
    for number, sensor in enumerate(sensors):
        small = _side(side, sensor)
        shrink[number, :small] = resize_matrix("antialiased", side, small, device)
        enlarge[number, :, :small] = resize_matrix("bilinear", small, side, device)
    blurred = by_matrices(light, _blur_matrices(side, sensors, device))
    small_light = by_matrices(blurred, shrink).clamp_min(0)
    read, shot = (
        light.new_tensor([getattr(sensor, name) for sensor in sensors])[:, None, None, None]
        for name in ("read_noise", "shot_noise")
    )
    seeds = torch.tensor([sensor.noise_seed for sensor in sensors], device=device)
    noisy = small_light + (read**2 + shot * small_light).sqrt() * grain(seeds, (side, side), side)
    return by_matrices(noisy, enlarge).clamp_min(0)


def _blur_matrices(side: int, sensors: Sequence[SensorDraw], device: torch.device) -> Float[Tensor, "B H H"]:
    """Blurs along a line whose border pixels are repeated."""
    weights = [_weights(sensor.blur) for sensor in sensors]
    longest = max(len(each) for each in weights)
    padded = [functional.pad(each, [(longest - len(each)) // 2] * 2) for each in weights]
    steps = torch.arange(longest, device=device)[:, None] - longest // 2
    column = (torch.arange(side, device=device) + steps).clamp(0, side - 1)
    shifts = functional.one_hot(column, side).to(torch.float32)
    return torch.einsum("bk,kij->bij", torch.stack(padded).to(device), shifts)
