"""The encoder with what its answers mean: the axes of its codes in the coefficients of a head.

Axes of a sphere are eigenvectors, whose signs and turns are arbitrary: an encoder belongs to the very ones it
was trained with, so that they are kept with its weights and never computed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facewright.core.assets import read_safetensors
from facewright.core.errors import InputError
from facewright.methods.sphere.encoder import EncoderSettings, SphereEncoder
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import SphereModel
from facewright.models.told_head import check_head
from facewright.networks.weights import shipped_network


@dataclass(frozen=True)
class HeadEncoderSettings(EncoderSettings):
    """Sizes of the encoder and of its head.

    Attributes:
        identity: identity coefficients of the head.
    """

    identity: int = 140


class HeadAxes(nn.Module):
    """The axes of codes: identity coefficients of a sphere times ``to_head`` are those of the head."""

    to_head: Float[Tensor, "D K"]
    deviations: Float[Tensor, " D"]
    scale: Float[Tensor, " 1"]

    def __init__(self, dimensions: int, identity: int) -> None:
        super().__init__()
        self.register_buffer("to_head", torch.eye(dimensions, identity))
        self.register_buffer("deviations", torch.ones(dimensions))
        self.register_buffer("scale", torch.ones(1))

    @classmethod
    def of(cls, sphere: SphereModel, scale: float) -> "HeadAxes":
        """Of a sphere, which is its own head where it was not made of another model's coefficients.

        Args:
            sphere: the frozen model.
            scale: that an output of 0 stands for.
        """
        turn = sphere.turn if sphere.turn is not None else torch.eye(sphere.dimensions)
        axes = cls(*turn.shape)
        axes.to_head.copy_(turn)
        axes.deviations.copy_(sphere.deviations)
        axes.scale.fill_(scale)
        return axes


class HeadEncoder(nn.Module):
    """What a weight file holds: the encoder and its axes."""

    def __init__(self, settings: HeadEncoderSettings = HeadEncoderSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = SphereEncoder(settings)
        self.axes = HeadAxes(settings.dimensions, settings.identity)


def load_head_encoder(path: Path, model: FaceModel) -> HeadEncoder:
    """The encoder of a weight file, on the model's device.

    Raises:
        AssetError: the file is missing, damaged, or of another kind.
        InputError: it was trained for another head than the model.
    """
    tensors, header = read_safetensors(path)
    network = shipped_network(path, tensors, header, HeadEncoder, HeadEncoderSettings)
    check_head(path, header, model)
    count = network.settings.identity
    if model.identity_count != count:
        raise InputError(
            f"{path} was trained for the head with {count} identity coefficients, got "
            f"{model.identity_count}: use that head."
        )
    return network.to(model.device)


def check_axes(found: Mapping[str, Tensor], axes: HeadAxes, prefix: str = "axes.") -> None:
    """Refuse networks of an earlier run whose codes mean something else.

    Raises:
        InputError: they were trained on another head, or on axes that are not kept.
    """
    for name, own in axes.state_dict().items():
        other = found.get(prefix + name)
        if other is None or other.shape != own.shape or not torch.allclose(other, own, rtol=1e-4, atol=1e-5):
            raise InputError(
                "the earlier run was trained on another head or sphere, or on other axes of it: give one of "
                "the same, or train from the recognition network."
            )
