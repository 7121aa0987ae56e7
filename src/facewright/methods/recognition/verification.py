"""How well features tell people apart on the verification pairs, beside two baselines."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.tensor_records import device_of
from facewright.data.aligned_faces import CropSet
from facewright.evaluation.identity_metrics import true_accepts, verify
from facewright.networks.recognition import FaceRecogniser, RecognitionNetwork

CHUNK = 256
RATES = (0.001, 0.01, 0.1)  # false accepts at which true accepts are told


def features_of(recogniser: FaceRecogniser, crops: CropSet, chosen: Sequence[int]) -> Float[ndarray, "B D"]:
    """Unit features of some crops, mean of the crop and its mirror image."""
    device = torch.device("cpu")
    if isinstance(recogniser, torch.nn.Module):
        was_training, device = recogniser.training, device_of(recogniser)
        recogniser.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(chosen), CHUNK):
            images = crops.plain(chosen[start : start + CHUNK]).to(device).expand(-1, 3, -1, -1)
            both = recogniser(images) + recogniser(images.flip(3))
            parts.append(torch.nn.functional.normalize(both, dim=1).cpu().numpy())
    if isinstance(recogniser, torch.nn.Module):
        recogniser.train(was_training)
    return np.concatenate(parts).astype(np.float64)


def verify_pairs(
    recogniser: FaceRecogniser, crops: CropSet, folds: Sequence[int] = tuple(range(10))
) -> dict[str, float]:
    """Accuracy (the threshold of a fold is chosen on the others), error rates, true accepts, in per cent.

    Args:
        recogniser: what is measured.
        crops: with the pairs.
        folds: of the pairs that are asked; of fewer than ten, those must be people the network never saw.

    Raises:
        InputError: no pairs are in those folds, or only one fold is.
    """
    pairs = [pair for pair in crops.pairs if pair.fold in set(folds)]
    if not pairs:
        raise InputError(f"there are no pairs in the folds {tuple(folds)}.")
    rows = sorted({number for pair in pairs for number in (pair.first, pair.second)})
    place = {row: index for index, row in enumerate(rows)}
    features = features_of(recogniser, crops, rows)
    first = features[[place[pair.first] for pair in pairs]]
    second = features[[place[pair.second] for pair in pairs]]
    similarity, same = (first * second).sum(1), np.array([pair.same for pair in pairs])
    # Fewer than five folds would choose the threshold on little: then ten groups in the order of the list.
    numbers = np.array([pair.fold for pair in pairs], dtype=np.int64)
    found = verify(similarity, same, numbers if len(set(folds)) >= 5 else _mixed(len(pairs)))
    told = {name: 100 * value for name, value in asdict(found).items()}
    accepts = {f"true_accepts_at_{rate:g}": 100 * true_accepts(similarity, same, rate) for rate in RATES}
    return {**told, **accepts, "pairs": float(len(pairs)), "pairs_of_one_person": float(same.sum())}


def baselines(seed: int = 0) -> dict[str, Callable[[Tensor], Tensor]]:
    """What a network must be better than: one that learnt nothing, and the pixels themselves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = RecognitionNetwork().eval()
    return {"untrained network": untrained, "pixels": pixel_features}


def pixel_features(crops: Float[Tensor, "B 3 112 112"]) -> Float[Tensor, "B D"]:
    """The inner part of the crop at 24 px, without its mean, as a unit vector."""
    inner = torch.nn.functional.avg_pool2d(crops.mean(1, keepdim=True)[:, :, 14:110, 8:104], 4).flatten(1)
    return torch.nn.functional.normalize(inner - inner.mean(1, keepdim=True), dim=1)


def _mixed(count: int) -> ndarray:
    """Ten folds that go round, so that each has pairs of both kinds."""
    return np.arange(count, dtype=np.int64) % 10
