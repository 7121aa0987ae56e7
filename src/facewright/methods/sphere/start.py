"""Where stage 2 starts: people that recognition can already tell apart lie apart on the sphere."""

import torch
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import normalize

from facewright.data.aligned_faces import plain_crops
from facewright.methods.sphere.encoder import SphereEncoder

CHUNK = 256  # crops that are looked at together
SHRINKAGE = 0.3  # of the covariance within people, towards that of a ball
LENGTH = 20.0  # mm times root of vertices of each independent number
NORM = 0.6  # of the people's directions, which are learnt at any length


def discriminants(
    features: Float[Tensor, "N F"], people: Int64[Tensor, " N"], count: int
) -> Float[Tensor, "C F"]:
    """Directions in which people differ most for how much their photos do, of unit spread within people.

    Args:
        features: of photos.
        people: number of each one's person, from 0; at least one has two photos.
        count: of the directions.

    **Source:** Fisher's linear discriminants, with the covariance within people shrunk.
    """
    values = features.double()
    sizes = torch.bincount(people).to(values)
    means = values.new_zeros(len(sizes), values.shape[1]).index_add_(0, people, values) / sizes[:, None]
    apart = values - means[people]
    within = apart.T @ apart / (len(values) - len(sizes))
    ball = torch.eye(len(within), dtype=within.dtype) * within.diagonal().mean()
    whitening = torch.linalg.inv(torch.linalg.cholesky(within + SHRINKAGE * ball))
    white = (values - values.mean(0)) @ whitening.T
    axes = torch.linalg.eigh(white.T @ white).eigenvectors.flip(1)[:, :count]
    return (axes.T @ whitening).to(features.dtype)


def start_from_people(
    encoder: SphereEncoder,
    features: Float[Tensor, "N F"],
    people: Int64[Tensor, " N"],
    deviations: Float[Tensor, " D"],
) -> Float[Tensor, "P D"]:
    """Let the first axes of the sphere be the discriminants; returns the people's mean directions.

    Args:
        encoder: changed in place.
        features: of the trunk, of photos that are trained on.
        people: number of each one's person.
        deviations: of the sphere's axes.
    """
    sizes = encoder.settings
    with torch.no_grad():
        axes = discriminants(features, people, sizes.bottleneck)
        encoder.code.weight.copy_(axes)
        encoder.spread.weight.zero_()
        rows = torch.arange(min(sizes.bottleneck, sizes.dimensions))
        encoder.spread.weight[rows, rows] = LENGTH / deviations[rows]
        encoder.spread.bias.copy_(-(encoder.spread.weight @ (axes @ features.mean(0))))
        directions = normalize(encoder.spread(encoder.code(features)) * deviations, dim=1)
        count = int(people.max()) + 1
        return normalize(
            directions.new_zeros(count, sizes.dimensions).index_add_(0, people, directions), dim=1
        )


def seen_in(
    encoder: SphereEncoder, pixels: UInt8[ndarray, "N S S"], rows: Int64[ndarray, " P"], flipped: bool
) -> tuple[Float[Tensor, "P F"], Float[Tensor, "P H"]]:
    """Features and hidden units of some crops or their mirror images; some seconds for each 1,000."""
    encoder.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(rows), CHUNK):
            crops = plain_crops(pixels, rows[first : first + CHUNK])
            found.append(encoder.look(crops.flip(3) if flipped else crops))
    encoder.train()
    features, hidden = zip(*found, strict=True)
    return torch.cat(features), torch.cat(hidden)
