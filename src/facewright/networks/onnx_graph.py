"""Write a computation graph in the ONNX format, as far as the shipped networks need it.

The format is protocol buffers (onnx.proto of ONNX 1.12, opset 17); the field numbers below are its own.
"""

import struct
from collections.abc import Sequence

import numpy as np
from torch import nn

OPSET = 17
IR_VERSION = 8
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types

Attribute = int | float | str | Sequence[int]


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _attribute(name: str, value: Attribute) -> bytes:
    """AttributeProto."""
    if isinstance(value, float):
        return _field(1, name) + _field(2, value) + _field(20, 1)
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    if isinstance(value, str):
        return _field(1, name) + _field(4, value) + _field(20, 3)
    return _field(1, name) + b"".join(_field(8, item) for item in value) + _field(20, 7)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """ValueInfoProto of a float tensor; named sizes are free."""
    sizes = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, sizes)))


class OnnxGraph:
    """A graph under construction; its values are named by strings."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def node(self, kind: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """Add an operation with one output and return the output's name; an empty input is left out."""
        name = f"value{len(self._nodes)}"
        parts = [_field(1, value) for value in inputs] + [_field(2, name), _field(4, kind)]
        parts += [_field(5, _attribute(key, value)) for key, value in attributes.items()]
        self._nodes.append(b"".join(parts))
        return name

    def constant(self, values: np.ndarray) -> str:
        """Add a tensor, stored as float32 or, where whole numbers are given, int64."""
        whole = np.issubdtype(values.dtype, np.integer)
        array = np.ascontiguousarray(values, "<i8" if whole else "<f4")
        name = f"constant{len(self._constants)}"
        parts = [_field(1, size) for size in array.shape]
        parts += [_field(2, _INT64 if whole else _FLOAT), _field(8, name), _field(9, array.tobytes())]
        self._constants.append(b"".join(parts))
        return name

    def convolution(self, value: str, layer: nn.Conv2d) -> str:
        """A convolution with the padding, stride and weights of ``layer``."""
        inputs = [value, self.constant(layer.weight.detach().numpy())]
        if layer.bias is not None:
            inputs.append(self.constant(layer.bias.detach().numpy()))
        before = [int(size) for size in layer.padding]
        return self.node("Conv", inputs, strides=[int(s) for s in layer.stride], pads=before + before)

    def linear(self, value: str, layer: nn.Linear) -> str:
        """A fully connected layer on (N, inputs)."""
        inputs = [value, self.constant(layer.weight.detach().numpy())]
        if layer.bias is not None:
            inputs.append(self.constant(layer.bias.detach().numpy()))
        return self.node("Gemm", inputs, transB=1)

    def model(self, input_shape: Sequence[int | str], outputs: Sequence[str]) -> bytes:
        """The bytes of a model with one input, "image"."""
        graph = [_field(1, node) for node in self._nodes] + [_field(2, "network")]
        graph += [_field(5, constant) for constant in self._constants]
        graph += [_field(11, _value("image", input_shape))]
        graph += [_field(12, _value(name, ())) for name in outputs]
        opset = _field(8, _field(1, "") + _field(2, OPSET))
        return _field(1, IR_VERSION) + opset + _field(7, b"".join(graph))
