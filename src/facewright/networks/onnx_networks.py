"""The shipped networks as ONNX graphs; what ``forward`` of each computes, operation by operation."""

import numpy as np
from torch import nn

from facewright.core.errors import InputError

from .backbones import ResidualPyramid
from .blocks import ResidualBlock
from .heads import LANDMARKS, EyeNetwork, FaceNetwork, LandmarkNetwork, Spots
from .onnx_graph import OnnxGraph
from .segmentation import SegmentationNetwork


def onnx_model(network: nn.Module) -> bytes:
    """The ONNX model of a network whose batch normalisation is folded (``fold_batch_norm``).

    Raises:
        InputError: it is none of the shipped networks.
    """
    if isinstance(network, LandmarkNetwork):
        return _landmark_network(network)
    if isinstance(network, EyeNetwork):
        return _eye_network(network)
    if isinstance(network, FaceNetwork):
        return _face_network(network)
    if isinstance(network, SegmentationNetwork):
        return _segmentation_network(network)
    known = "an EyeNetwork, a FaceNetwork, a LandmarkNetwork or a SegmentationNetwork"
    raise InputError(f"expected {known}, got {type(network).__name__}.")


def _landmark_network(network: LandmarkNetwork) -> bytes:
    graph, size = OnnxGraph(), network.settings.input_size
    normal = _normalised(graph, [2, 3], size**2)
    features = _pyramid(graph, normal, network.backbone)[1:]
    lateral = graph.node("Relu", [graph.convolution(features[-2], network.lateral)])
    flat = [graph.node("Flatten", [value]) for value in (features[-1], lateral)]
    hidden = graph.node("Relu", [graph.linear(graph.node("Concat", flat, axis=1), network.hidden)])
    modes = graph.linear(hidden, network.modes)
    if network.settings.spots:
        cells = size // 8  # of the second stage's map
        spots = _spots(graph, features[1], network.spots, cells)
        modes = graph.node("Add", [modes, graph.linear(spots, network.shift)])
        points = graph.node("Add", [graph.linear(modes, network.points), graph.linear(spots, network.place)])
    else:
        points = graph.linear(modes, network.points)
    points = graph.node("Reshape", [points, graph.constant(np.array([-1, LANDMARKS, 3]))])
    presence = graph.node("Reshape", [graph.linear(hidden, network.presence), graph.constant(np.array([-1]))])
    return graph.model(("crops", 1, size, size), [points, presence])


def _eye_network(network: EyeNetwork) -> bytes:
    graph, size = OnnxGraph(), network.settings.input_size
    fine, coarse = _pyramid(graph, _normalised(graph, [2, 3], size**2), network.backbone)[-2:]
    fine = graph.node("AveragePool", [fine], kernel_shape=[2, 2], strides=[2, 2])
    flat = [graph.node("Flatten", [value]) for value in (coarse, fine)]
    points = graph.linear(graph.node("Concat", flat, axis=1), network.points)
    points = graph.node("Reshape", [points, graph.constant(np.array([-1, network.settings.points, 2]))])
    return graph.model(("crops", 1, size, size), [points])


def _spots(graph: OnnxGraph, value: str, layer: Spots, cells: int) -> str:
    count = layer.filters.out_channels
    maps = graph.convolution(value, layer.filters)
    flat = graph.node("Reshape", [maps, graph.constant(np.array([-1, count, cells**2]))])
    share = graph.node("Softmax", [flat], axis=-1)
    centres = (2 * np.arange(cells) + 1) / cells - 1
    grid = np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2).astype(np.float32)  # x, y of each cell
    places = graph.node("MatMul", [share, graph.constant(grid)])
    return graph.node("Flatten", [graph.node("Transpose", [places], perm=[0, 2, 1])])


def _face_network(network: FaceNetwork) -> bytes:
    graph = OnnxGraph()
    level, gain = (graph.constant(np.array([value], np.float32)) for value in (0.5, 4.0))
    image = graph.node("Mul", [graph.node("Sub", ["image", level]), gain])
    features = _pyramid(graph, image, network.backbone)[-3:]
    doubled = graph.constant(np.array([1, 1, 2, 2], np.float32))
    maps: list[str] = []
    above = ""
    for index in (2, 1, 0):
        value = graph.convolution(features[index], _conv(network.laterals[index]))
        if above:
            larger = graph.node(
                "Resize", [above, "", doubled],
                mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            )  # fmt: skip
            value = graph.node("Add", [value, larger])
        above = graph.node("Relu", [value])
        smooth = _block(graph, above, network.smooth[index])
        maps.insert(0, graph.convolution(smooth, _conv(network.outputs[index])))
    return graph.model((1, 1, "height", "width"), maps)


def _segmentation_network(network: SegmentationNetwork) -> bytes:
    graph, width = OnnxGraph(), network.settings.input_size
    height = width // network.settings.ratio
    doubled = graph.constant(np.array([1, 1, 2, 2], np.float32))
    features = _pyramid(graph, _normalised(graph, [1, 2, 3], 3 * width * height), network.backbone)
    value = features[-1]
    for block, skip in zip(network.decoder, features[-2::-1], strict=True):
        larger = graph.node(
            "Resize", [value, "", doubled],
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip
        value = _block(graph, graph.node("Concat", [larger, skip], axis=1), block)
    logits = graph.convolution(value, network.classes)
    full = graph.node(
        "Resize", [logits, "", doubled], mode="linear", coordinate_transformation_mode="half_pixel"
    )
    return graph.model(("crops", 3, height, width), [full])


def _normalised(graph: OnnxGraph, axes: list[int], count: int) -> str:
    """The image without its mean, over its contrast."""
    mean = graph.node("ReduceMean", ["image"], axes=axes)
    centred = graph.node("Sub", ["image", mean])
    squares = graph.node("ReduceMean", [graph.node("Mul", [centred, centred])], axes=axes)
    # Of a sample, as torch's: over one less than the number of values.
    sample = graph.constant(np.array([count / (count - 1)], np.float32))
    contrast = graph.node("Sqrt", [graph.node("Mul", [squares, sample])])
    contrast = graph.node("Add", [contrast, graph.constant(np.array([0.05], np.float32))])
    return graph.node("Div", [centred, contrast])


def _pyramid(graph: OnnxGraph, value: str, backbone: ResidualPyramid) -> list[str]:
    """Features of the stem and of each stage."""
    value = _block(graph, value, backbone.stem)
    features = [value]
    for stage in backbone.stages:
        for block in stage.children():
            value = _block(graph, value, block)
        features.append(value)
    return features


def _block(graph: OnnxGraph, value: str, block: nn.Module) -> str:
    """A ``ConvBlock`` or a ``ResidualBlock``."""
    if not isinstance(block, ResidualBlock):
        return graph.node("Relu", [graph.convolution(value, _conv(block.get_submodule("0")))])
    inner = graph.convolution(_block(graph, value, block.first), _conv(block.second[0]))
    return graph.node("Relu", [graph.node("Add", [value, inner])])


def _conv(layer: nn.Module) -> nn.Conv2d:
    if not isinstance(layer, nn.Conv2d):
        raise InputError(f"expected a convolution, got {type(layer).__name__}.")
    return layer
