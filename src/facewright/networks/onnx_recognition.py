"""A user's own recognition network (ArcFace, FaceNet, ...) from an ONNX file, by onnxruntime on the CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import AssetError, InputError
from facewright.core.threads import thread_count
from facewright.networks.onnx_session import onnx_session

MAX_BYTES = 2 << 30  # more fits into no ONNX file
MAX_FEATURES = 8192


@dataclass(frozen=True)
class OnnxInput:
    """What the network expects; nothing of it is guessed.

    The defaults are those of insightface's ArcFace networks; FaceNet (facenet-pytorch) wants ``size=160,
    mean=127.5, scale=1 / 128``, its TensorFlow form ``layout="nhwc"`` as well.

    Attributes:
        size: of the square crop in px.
        layout: order of the axes.
        order: of the colours.
        mean: taken from sRGB values of 0 to 255.
        scale: by which they are then multiplied.
    """

    size: int = 112
    layout: Literal["nchw", "nhwc"] = "nchw"
    order: Literal["rgb", "bgr"] = "rgb"
    mean: float = 127.5
    scale: float = 1.0 / 127.5


class OnnxRecogniser:
    """A ``FaceRecogniser`` of an ONNX file. It has no gradients: it can judge, not train.

    Raises:
        AssetError: the file is missing or damaged, or its network takes or gives something else.
    """

    def __init__(self, path: Path, expected: OnnxInput = OnnxInput()) -> None:
        if not path.is_file():
            raise AssetError(f"expected an ONNX file, found nothing at {path}.")
        if path.stat().st_size > MAX_BYTES:
            raise AssetError(f"{path} is larger than {MAX_BYTES >> 30} GiB: no ONNX file is.")
        try:
            # Of the bytes, so that the file cannot point to others for its weights.
            session = onnx_session(path.read_bytes(), thread_count())
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise AssetError(f"{path} is no ONNX network that can be run ({_line(error)}).") from error
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise AssetError(f"{path}: expected a network of one input, it has {len(inputs)}.")
        self.path, self.expected = path, expected
        self.session, self.input, self.output = session, inputs[0].name, session.get_outputs()[0].name
        self.alone = inputs[0].shape[:1] == [1]  # some files are made for one face at a time
        self._check(inputs[0].shape)

    def __call__(self, crops: Float[Tensor, "B 3 112 112"]) -> Float[Tensor, "B D"]:
        """Unit features of aligned crops (sRGB in [0, 1]).

        Raises:
            InputError: gradients are asked for.
            AssetError: the network cannot take the crops, or gives no finite features.
        """
        if torch.is_grad_enabled() and crops.requires_grad:
            raise InputError(f"{self.path.name} has no gradients: use the shipped network in a loss.")
        images = self._prepared(crops)
        parts = images.split(1) if self.alone else [images]
        features = torch.cat([self._run(part) for part in parts]) if len(images) else crops.new_zeros(0, 1)
        return functional.normalize(features, dim=1).to(crops)

    def _prepared(self, crops: Tensor) -> Tensor:
        expected = self.expected
        images = crops.detach().cpu().float()
        if expected.size != images.shape[-1]:
            side = (expected.size, expected.size)
            images = functional.interpolate(images, size=side, mode="bilinear", antialias=True)
        images = (images * 255.0 - expected.mean) * expected.scale
        images = images.flip(1) if expected.order == "bgr" else images
        return images if expected.layout == "nchw" else images.permute(0, 2, 3, 1)

    def _run(self, images: Tensor) -> Tensor:
        try:
            (found,) = self.session.run([self.output], {self.input: images.contiguous().numpy()})
        except Exception as error:  # as above
            raise AssetError(
                f"{self.path} cannot take faces of shape {tuple(images.shape)} ({_line(error)}): "
                "check size and layout."
            ) from error
        features = torch.as_tensor(found)
        if features.ndim != 2 or len(features) != len(images) or not 1 < features.shape[1] <= MAX_FEATURES:
            raise AssetError(
                f"{self.path}: expected features ({len(images)}, D), it gave {tuple(features.shape)}."
            )
        if not bool(features.isfinite().all()):
            raise AssetError(f"{self.path}: its features are not finite: check mean and scale.")
        return features.float()

    def _check(self, shape: list[object]) -> None:
        size, layout = self.expected.size, self.expected.layout
        wanted = [3, size, size] if layout == "nchw" else [size, size, 3]
        if len(shape) != 4 or any(
            isinstance(own, int) and own != want for own, want in zip(shape[1:], wanted, strict=True)
        ):
            raise AssetError(
                f"{self.path}: expected a network that takes (B, {', '.join(map(str, wanted))}), it takes "
                f"{shape}: set size and layout."
            )


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
