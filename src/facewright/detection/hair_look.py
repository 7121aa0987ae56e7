"""Where a photo shows hair, and where the head with its hair ends: segmentation, sharpened by colour.

The segmentation learnt on squares around the face, which cut the crown off, and takes much behind a head for
something beside it. What it is sure of tells the colours of this photo's hair and background; those tell the
rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.ndimage import label
from scipy.spatial import ConvexHull, Delaunay, KDTree, QhullError
from torch import Tensor

from facewright.image.sample import sample_bilinear

from .crop import crop_from_photo, cut_color_crops, photo_from_crop
from .segmentation import CLASSES, FaceSegmentation, FaceSegmenter

SIZE = 96  # cells along a side of the map
WIDER, RAISED = 1.6, 0.17  # its square, in sides of the segmentation's: side and shift towards the crown
SECOND = (1.15, 0.22)  # that of a second look, at the crown
SECOND_TRUST = 0.05  # in it, relative to the first: it learnt on no such squares
SOFT = 0.08  # width of the soft border of a look, in its sides
SURE = 0.75  # probability of hair or background whose colour is learnt
LEAST_SEEDS = 40  # cells of each
NEIGHBOURS = 6  # cells of like colour close by that are compared
# Differences that count alike: of brightness, of colour, of place (sides of the map).
LUMA_STEP, CHROMA_STEP, PLACE_STEP = 0.12, 0.05, 0.12
NOISE = 0.15  # of such steps: nearer is no nearer
STEEP, MOST = 3.0, 4.0  # weight and largest size of what colour adds to the log odds of the background
BEYOND_TRUST = 0.25  # weight of the segmentation's log odds where only the second look was
# Where no hair lies: above the head and beside its upper half, as fractions of the map.
RING_TOP, RING_ASIDE, RING_LOW = 0.1, 0.07, 0.45
# Differences from the hair's colours, as such and over that from the ring's, below which there may be hair.
NEAR, NEARER = 1.0, 0.6
DISTINCT = 0.6  # least share of the sure hair that is so near to itself
FACE = 0.6  # probability of skin, eyes and mouth that no colour overrules
CLOTHES = 0.6  # of the map's height, below which they may be seen
EVERY = 5  # cells: one that stands for them where colours alone are compared
LEAST_HEAD = 0.2  # probability of the head that shares of hair are related to
NEVER_SEEN = (0.5, 0.0, 0.0, 0.0, 0.0, 0.5)
BACKGROUND, OCCLUDER = CLASSES.index("background"), CLASSES.index("occluder")


@dataclass(frozen=True)
class HairLook:
    """What one photo shows around one head.

    Attributes:
        shares: probability that nothing of the head and its hair is seen, and that hair (or a hat, or a
            hand: whatever lies before the skin) is; whether the photo shows the place at all.
        colors: sRGB.
        frame: where the map lies in the photo (centre x, centre y, side in px, roll in radians).
    """

    shares: Float[Tensor, "3 S S"]
    colors: Float[Tensor, "3 S S"]
    frame: Float[ndarray, "4"]

    def at(
        self, pixels: Float[ndarray, "N 2"]
    ) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"], Bool[ndarray, " N"]]:
        """Probabilities of nothing and of hair at pixels of the photo, and whether they are known there."""
        beyond, hair, known = self._read(self.shares, pixels).T
        return beyond, hair, known > 0.9

    def color(self, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N 3"]:
        """Colours (sRGB) at pixels of the photo, of a cell's width."""
        return self._read(self.colors, pixels)

    def without(self, other: Callable[[Float[ndarray, "N 3"]], Float[ndarray, " N"]]) -> "HairLook":
        """The same, where colours (sRGB) are no hair as far (0 to 1) as a test says."""
        colors = self.colors.flatten(1).T.double().numpy()
        kept = torch.from_numpy(1 - other(colors)).float().view(self.shares.shape[1:])
        return replace(
            self, shares=self.shares * torch.stack([torch.ones_like(kept), kept, torch.ones_like(kept)])
        )

    def background(self) -> Float[ndarray, "N 3"]:
        """Colours (sRGB) where nothing of the head is seen, above the clothes."""
        rows = int(CLOTHES * SIZE)
        beyond, _, known = self.shares[:, :rows].flatten(1)
        chosen = (beyond > SURE) & (known > 0.9)
        return self.colors[:, :rows].flatten(1).T[chosen][::EVERY].double().numpy()

    def _read(self, planes: Tensor, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N C"]:
        cells = torch.from_numpy(crop_from_photo(pixels[None], self.frame[None])[0] * planes.shape[-1])
        read = sample_bilinear(planes[None], cells.to(planes)[None], outside="zeros")[0]
        return read.double().numpy()

    def hair(self, pixels: Float[Tensor, "N 2"]) -> Float[Tensor, " N"]:
        """Probability of hair at pixels where the head is: what is no background there."""
        beyond, hair, _ = self.at(pixels.detach().cpu().double().numpy())
        return torch.from_numpy(of_the_head(hair, beyond)).to(pixels)


def of_the_head(hair: Float[ndarray, " N"], beyond: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """Share of hair in what is no background."""
    return hair / (1 - beyond).clip(LEAST_HEAD)


def connected_pieces(mask: Bool[ndarray, "H W"]) -> tuple[Int64[ndarray, "H W"], int]:
    """The number of the piece that each cell of a mask hangs together with (0: none), and of all pieces."""
    found = np.zeros(mask.shape, dtype=np.int64)
    return found, int(label(mask, output=found))  # type: ignore[arg-type]


def look_for_hair(
    segmenter: FaceSegmenter,
    photo: Float[Tensor, "3 H W"],
    first: FaceSegmentation,
    dome: Float[ndarray, "N 2"],
) -> HairLook:
    """Look at the hair of one face.

    Args:
        segmenter: looks a second time, higher.
        photo: sRGB.
        first: the face's segmentation.
        dome: px, where a head's hair may be expected; its convex hull counts.
    """
    frame = _moved(first.frames[0], WIDER, RAISED)
    middles = (np.stack(np.meshgrid(*(np.arange(SIZE),) * 2), -1).reshape(-1, 2) + 0.5) / SIZE
    pixels = photo_from_crop(middles[None], frame[None])[0]
    second = segmenter.in_frames([photo], _moved(first.frames[0], *SECOND)[None])
    near, shares = _looks(first, second, pixels)
    height, width = photo.shape[1:]
    inside = ((pixels > 1) & (pixels < [width - 1, height - 1])).all(1)
    crop = cut_color_crops(photo.float(), frame[None], SIZE)[0].cpu()
    features = _features(crop, middles)
    head = (shares[:, 1:OCCLUDER].sum(1) > FACE) & near
    hair = (shares[:, OCCLUDER] > SURE) & near & inside & _within(dome, pixels)
    empty = (shares[:, BACKGROUND] > SURE) & near & inside
    beyond = shares[:, BACKGROUND]
    flowing = _flowing(features, hair, inside & ~head, middles) & (beyond > 0.5)
    if (empty & ~flowing).sum() < LEAST_SEEDS:  # then colour does not tell them apart
        flowing &= False
    empty &= ~flowing
    if min(hair.sum(), empty.sum()) >= LEAST_SEEDS:
        odds = np.log(beyond.clip(0.02, 0.98) / (1 - beyond.clip(0.02, 0.98)))
        odds = np.where(near & ~flowing, odds, BEYOND_TRUST * odds) + _told_by_color(features, hair, empty)
        judged = 1 / (1 + np.exp(-odds))
        beyond = np.where(head, np.minimum(judged, beyond), judged)
    # Above the first look's square no skin is expected: what is no background is hair.
    share = np.where(near & ~flowing, shares[:, OCCLUDER] / (1 - shares[:, BACKGROUND]).clip(1e-3), 1.0)
    planes = np.stack([beyond, share * (1 - beyond), inside]).reshape(3, SIZE, SIZE)
    return HairLook(torch.from_numpy(planes).float(), crop, frame)


def _moved(frame: Float[ndarray, "4"], wider: float, raised: float) -> Float[ndarray, "4"]:
    x, y, side, roll = frame
    up = raised * side
    return np.array([x + up * np.sin(roll), y - up * np.cos(roll), wider * side, roll])


def _looks(
    first: FaceSegmentation, second: FaceSegmentation, pixels: Float[ndarray, "N 2"]
) -> tuple[Bool[ndarray, " N"], Float[ndarray, "N K"]]:
    """Which places the first look saw well, and the classes' probabilities of both."""
    total, weight, near = np.zeros((len(pixels), len(CLASSES))), np.zeros(len(pixels)), None
    for look, trust in ((first, 1.0), (second, SECOND_TRUST)):
        unit = crop_from_photo(pixels[None], look.frames)[0]
        share = (np.minimum(unit, 1 - unit).min(1) / SOFT).clip(0, 1)
        near = share > 0.5 if near is None else near
        places = torch.from_numpy(pixels)[None, None]
        total += (trust * share)[:, None] * look.at(places)[0, :, 0].T.cpu().double().numpy()
        weight += trust * share
    unseen = weight < 1e-6
    shares = np.where(unseen[:, None], NEVER_SEEN, total / weight.clip(1e-6)[:, None])
    return (np.zeros(len(pixels), dtype=bool) if near is None else near), shares


def _features(crop: Float[Tensor, "3 S S"], middles: Float[ndarray, "N 2"]) -> Float[ndarray, "N 6"]:
    color = crop.flatten(1).T.double().numpy()
    luma = color.mean(1, keepdims=True)
    return np.concatenate(
        [luma / LUMA_STEP, (color - luma) / CHROMA_STEP, (middles - 0.5) / PLACE_STEP], axis=1
    )


def _flowing(
    features: Float[ndarray, "N 6"],
    hair: Bool[ndarray, " N"],
    outside: Bool[ndarray, " N"],
    middles: Float[ndarray, "N 2"],
) -> Bool[ndarray, " N"]:
    """Cells taken for background that are more likely long hair: of its colour, and going on from it.

    Nothing where the background above and beside the head has the hair's colours, too.
    """
    x, y = middles.T
    ring = (y < RING_TOP) | ((np.minimum(x, 1 - x) < RING_ASIDE) & (y < RING_LOW))
    ring &= outside & ~hair
    if min(ring.sum(), hair.sum()) < LEAST_SEEDS:
        return np.zeros(len(x), dtype=bool)
    color = features[:, :4]
    to_hair, to_ring = (
        KDTree(color[seeds]).query(color, k=NEIGHBOURS + 1, workers=-1)[0][:, 1:].mean(1)
        for seeds in (hair, ring)
    )
    like = (to_hair < NEAR) & (to_hair + NOISE < NEARER * (to_ring + NOISE))
    if like[hair].mean() < DISTINCT:
        return np.zeros(len(x), dtype=bool)
    pieces, count = connected_pieces((hair | (like & outside)).reshape(SIZE, SIZE))
    with_hair = np.bincount(pieces.ravel()[hair], minlength=count + 1) > 0
    return like & outside & ~ring & with_hair[pieces.ravel()]


def _told_by_color(
    features: Float[ndarray, "N 6"], hair: Bool[ndarray, " N"], empty: Bool[ndarray, " N"]
) -> Float[ndarray, " N"]:
    """What is added to the log odds of the background: how much nearer its colours are than hair's."""
    to_hair, to_empty = (
        KDTree(features[seeds]).query(features, k=NEIGHBOURS, workers=-1)[0].mean(1)
        for seeds in (hair, empty)
    )
    return (STEEP * (np.log(to_hair + NOISE) - np.log(to_empty + NOISE))).clip(-MOST, MOST)


def _within(points: Float[ndarray, "N 2"], pixels: Float[ndarray, "M 2"]) -> Bool[ndarray, " M"]:
    """Which pixels lie in the convex hull of points; none if they have no hull."""
    if len(points) < 3:
        return np.zeros(len(pixels), dtype=bool)
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        return np.zeros(len(pixels), dtype=bool)
    return Delaunay(hull).find_simplex(pixels) >= 0
