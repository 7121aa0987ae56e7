from pathlib import Path

import numpy as np
import pytest
import torch

from facewright.core.errors import AssetError, InputError
from facewright.networks.onnx_graph import OnnxGraph
from facewright.networks.onnx_recognition import OnnxInput, OnnxRecogniser
from facewright.networks.recognition import MarginSoftmax, RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import read_weights, write_weights

TINY = RecognitionNetworkSettings((8, 16), (0,), 2, 12)


def test_features_have_unit_length_and_take_no_notice_of_colour_and_exposure() -> None:
    network = RecognitionNetwork(TINY).eval()
    crops = 0.2 + 0.5 * torch.rand(3, 1, 112, 112).expand(-1, 3, -1, -1)
    features = network(crops)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(network(1.3 * crops - 0.05), features, atol=0.02, rtol=0)
    assert (features[0] - features[1]).abs().max() > 0.02
    tinted = crops + torch.tensor([0.114, 0.0, -0.299])[:, None, None] * 0.5  # the same luma
    torch.testing.assert_close(network(tinted), features, atol=1e-4, rtol=0)


def test_a_loss_on_features_moves_the_picture() -> None:
    network = RecognitionNetwork(TINY).eval().requires_grad_(False)
    crops = torch.rand(2, 3, 112, 112, requires_grad=True)
    (1 - network(crops)[0] @ network(torch.rand(1, 3, 112, 112))[0]).backward()
    assert crops.grad is not None
    assert crops.grad[0].abs().sum() > 0
    assert crops.grad[1].abs().sum() == 0


def test_weights_travel_by_file(tmp_path: Path) -> None:
    network = RecognitionNetwork(TINY).eval()
    write_weights(tmp_path / "own.safetensors", network, {})
    again = read_weights(tmp_path / "own.safetensors", RecognitionNetwork, RecognitionNetworkSettings)
    crops = torch.rand(2, 3, 112, 112)
    torch.testing.assert_close(again(crops), network(crops), atol=5e-3, rtol=0)


@pytest.mark.parametrize("margin", [{"cosine": 0.0}, {"cosine": 0.3}, {"angle": 0.4, "cosine": 0.0}])
def test_margin_softmax_is_that_of_the_papers(margin: dict[str, float]) -> None:
    head = MarginSoftmax(5, 4, scale=10.0, **margin)
    features = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    classes = torch.tensor([4, 0, 2])
    directions = torch.nn.functional.normalize(head.directions, dim=1)
    expected = []
    for feature, own in zip(features, classes.tolist(), strict=True):
        angles = torch.acos((directions @ feature).clamp(-1, 1))
        logits = 10.0 * torch.cos(angles)
        logits[own] = 10.0 * (torch.cos(angles[own] + head.angle) - head.cosine)
        expected.append(-torch.log_softmax(logits, 0)[own])
    loss, right = head(features, classes)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    assert 0.0 <= float(right) <= 1.0
    assert torch.equal(head(features, classes, 0.0)[0], MarginLess(head)(features, classes))


class MarginLess:
    def __init__(self, head: MarginSoftmax) -> None:
        self.head = MarginSoftmax(5, 4, scale=10.0, cosine=0.0)
        self.head.load_state_dict(head.state_dict())

    def __call__(self, features: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return self.head(features, classes)[0]


def plug_in(path: Path, weight: np.ndarray, shape: tuple[int | str, ...] = ("B", 3, 112, 112)) -> Path:
    """An ONNX network whose features are products of the mean colours of the crop."""
    graph = OnnxGraph()
    axes = [2, 3] if shape[1] == 3 else [1, 2]
    mean = graph.node("ReduceMean", ["image"], axes=axes, keepdims=0)
    features = graph.node("MatMul", [mean, graph.constant(weight.astype(np.float32))])
    path.write_bytes(graph.model(shape, [features]))
    return path


WEIGHT = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("B", 3, 112, 112), OnnxInput()),
        ((1, 3, 112, 112), OnnxInput(order="bgr", mean=100.0, scale=0.1)),
        (("B", 160, 160, 3), OnnxInput(160, "nhwc", mean=0.0, scale=1.0)),
    ],
)
def test_a_plug_in_gets_what_its_settings_say(tmp_path: Path, shape, expected: OnnxInput) -> None:
    recognise = OnnxRecogniser(plug_in(tmp_path / "own.onnx", WEIGHT, shape), expected)
    colors = torch.tensor([[0.1, 0.5, 0.9], [0.8, 0.2, 0.3]])
    crops = colors[:, :, None, None].expand(-1, -1, 112, 112)
    prepared = (255 * colors - expected.mean) * expected.scale
    prepared = prepared.flip(1) if expected.order == "bgr" else prepared
    wanted = torch.nn.functional.normalize(prepared @ torch.from_numpy(WEIGHT).float(), dim=1)
    torch.testing.assert_close(recognise(crops), wanted, atol=1e-4, rtol=1e-4)


def test_a_plug_in_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = plug_in(tmp_path / "own.onnx", WEIGHT)
    with pytest.raises(AssetError, match="found nothing"):
        OnnxRecogniser(tmp_path / "other.onnx")
    with pytest.raises(AssetError, match=r"expected a network that takes \(B, 3, 160, 160\)"):
        OnnxRecogniser(path, OnnxInput(160))
    with pytest.raises(AssetError, match="set size and layout"):
        OnnxRecogniser(path, OnnxInput(layout="nhwc"))
    with pytest.raises(AssetError, match="not finite"):
        OnnxRecogniser(plug_in(tmp_path / "nan.onnx", WEIGHT * np.nan))(torch.rand(1, 3, 112, 112))
    with pytest.raises(InputError, match="no gradients"):
        OnnxRecogniser(path)(torch.rand(1, 3, 112, 112, requires_grad=True))
    damaged = tmp_path / "damaged.onnx"
    for content in (b"", b"no network", path.read_bytes()[:80]):
        damaged.write_bytes(content)
        with pytest.raises(AssetError, match=r"is no ONNX network|expected a network"):
            OnnxRecogniser(damaged)
