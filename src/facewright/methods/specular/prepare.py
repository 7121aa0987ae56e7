"""From photos, synthetic or real, to training examples: what inference does before the network, once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.log import logger
from facewright.data.records import Sample
from facewright.data.shard_reader import ShardSet, StoredPhoto
from facewright.detection.crop import cut_color_crops, frames_from_landmarks, luma
from facewright.detection.landmarker import FaceLandmarker
from facewright.detection.segmentation import CLASSES, FaceSegmenter
from facewright.detection.skin import SkinModel
from facewright.fitting.face_probe import JAW
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, basis_of_found
from facewright.image.color import lacks_color, linear_from_srgb, luminance
from facewright.methods.specular.examples import FACE, MOUTH, Example
from facewright.methods.specular.frames import crop_from_photo_px, head_in_crop
from facewright.methods.specular.losses import MouthPatch, mouth_target
from facewright.models.face_model import FaceModel
from facewright.render.rasterize import rasterize
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters

LEAST_PRESENCE = 0.5
BATCH = 64  # landmarks that are fitted together
LEAST_PIXELS = 200  # of skin, to tell how bright a photo shows its light
LEAST_LIGHT = 0.02
# The rest of the outline, from the left ear over the forehead to the right one.
FOREHEAD = (389, 251, 284, 332, 297, 338, 10, 109, 67, 103, 54, 21, 162)


@dataclass(frozen=True)
class SourcePhoto:
    """A photo before it is prepared.

    Attributes:
        image: sRGB in [0, 1].
        landmarks: 478 points, pixels; they say where the landmarker shall look.
        face: probability that a pixel shows the face with nothing before it.
        skin: probability that it shows skin.
        mouth: probability that it shows the inside of the mouth.
        truth: the head, seen by the photo's camera, its light as bright as the photo shows it.
        kept_out: never to be trained on.
    """

    image: Float[Tensor, "3 H W"]
    landmarks: Float[Tensor, "478 2"]
    face: Float[Tensor, "H W"]
    skin: Float[Tensor, "H W"]
    mouth: Float[Tensor, "H W"]
    truth: HeadParameters | None
    kept_out: bool


@dataclass(frozen=True)
class Preparer:
    """What finds landmarks and fits the model to them.

    Attributes:
        model: the head.
        basis: of its landmarks.
        landmarker: the shipped one, as at inference.
        size: side of the crops, px.
    """

    model: FaceModel
    basis: LandmarkBasis
    landmarker: FaceLandmarker
    size: int

    @classmethod
    def of(cls, model: FaceModel, size: int) -> "Preparer":
        """With the shipped landmarker and what is known of its errors."""
        return cls(model, basis_of_found(model, about_mean=True), FaceLandmarker.load(), size)

    def examples(self, photos: Iterable[SourcePhoto]) -> Iterator[Example]:
        """Examples of photos; those in which the landmarker sees no face are left out with a word."""
        waiting: list[tuple[SourcePhoto, Tensor]] = []
        missed = total = 0
        for photo in photos:
            total += 1
            points = self.located(photo)
            if points is None:
                missed += 1
                continue
            waiting.append((photo, points))
            if len(waiting) == BATCH:
                yield from self.prepared(waiting)
                waiting = []
        yield from self.prepared(waiting)
        if missed:
            logger("specular").info("%d of %d photos left out: no face was seen", missed, total)

    def located(self, photo: SourcePhoto) -> Float[Tensor, "478 2"] | None:
        """Landmarks in pixels of the photo; None if no face is seen."""
        frames = frames_from_landmarks(photo.landmarks[None].double().numpy())
        points, presence = self.landmarker.looks[-1](luma(photo.image), frames)
        if presence[0] < LEAST_PRESENCE or not np.isfinite(points).all():
            return None
        return torch.from_numpy(points[0]).float()

    def prepared(self, waiting: list[tuple[SourcePhoto, Tensor]]) -> Iterator[Example]:
        """Examples of photos and the points that were ``located`` in them."""
        if not waiting:
            return
        points = torch.stack([found for _, found in waiting])
        sizes = [(photo.image.shape[-2], photo.image.shape[-1]) for photo, _ in waiting]
        fit = fit_landmarks(self.model, points, sizes, basis=self.basis)
        for row, (photo, found) in enumerate(waiting):
            yield self._example(photo, found, fit.select(row).parameters)

    def _example(self, photo: SourcePhoto, points: Tensor, start: HeadParameters) -> Example:
        frame = frames_from_landmarks(points[None].double().numpy())
        frames = torch.from_numpy(frame).float()
        crop = cut_color_crops(photo.image, frame, self.size)[0]
        masks = torch.stack([photo.face, photo.skin, photo.mouth]).float()
        face, skin, mouth = cut_color_crops(masks, frame, self.size)[0]
        bits = FACE * (face > 0.5).to(torch.uint8) + MOUTH * (mouth > 0.5).to(torch.uint8)
        here = crop_from_photo_px(torch.stack([points, photo.landmarks]), frames.expand(2, -1), self.size)
        truth = None if photo.truth is None else head_in_crop(photo.truth, frames, self.size)
        return Example(
            crop=_bytes(crop.permute(1, 2, 0)),
            mask=bits.numpy(),
            skin=_bytes(skin),
            landmarks=here[0],
            start=head_in_crop(start, frames, self.size),
            truth=truth,
            true_landmarks=here[0] if truth is None else here[1],
            kept_out=photo.kept_out,
            grey=_is_grey(crop, skin),
        )


def synthetic_photos(shards: ShardSet, kept_out: int, model: FaceModel) -> Iterator[SourcePhoto]:
    """Photos of ``facewright synthesize``; the last ``kept_out`` of them are kept out.

    Raises:
        InputError: they show another head than the model.
    """
    for number in range(len(shards)):
        photo = shards.photo(number)
        photo.check_head(model)
        points = photo.points("landmarks478")[0]
        yield _source(photo, points, grey=photo.grey, kept_out=number >= len(shards) - kept_out)


def streamed_photo(photo: Sample, *, kept_out: bool) -> SourcePhoto:
    """A photo of ``facewright.data.synthesis`` that was never a file."""
    points = photo.landmarks478.double().round(decimals=3).float()  # as it would be read from its file
    return _source(photo, points, grey=photo.sensor.grey, kept_out=kept_out)


def _source(photo: StoredPhoto | Sample, points: Tensor, *, grey: bool, kept_out: bool) -> SourcePhoto:
    masks = photo.masks
    return SourcePhoto(
        image=photo.image,
        landmarks=points,
        face=(masks.face | masks.inner_mouth).float(),
        skin=masks.skin.float(),
        mouth=masks.inner_mouth.float(),
        truth=_as_bright(photo, grey=grey),
        kept_out=kept_out,
    )


def real_photos(
    photos: Iterable[tuple[Float[Tensor, "3 H W"], Float[Tensor, "478 2"], bool]],
    skin_model: SkinModel,
    segmenter: FaceSegmenter | None = None,
) -> Iterator[SourcePhoto]:
    """Photographs with landmarks and whether they are kept out.

    Skin is told by its colour, where there is any. Without a segmenter the face is what the outline of the
    landmarks encloses, and the mouth what lies between the lips.
    """
    patch = MouthPatch.make()
    for image, landmarks, kept_out in photos:
        height, width = image.shape[-2:]
        if segmenter is None:
            face = outlined_face(landmarks, (height, width))
            mouth = mouth_target(patch, landmarks[None], max(height, width))[0, :height, :width]
        else:
            parts = segmenter([image], [landmarks]).in_photo((height, width))[0]
            of = {name: parts[number] for number, name in enumerate(CLASSES)}
            face, mouth = of["face"] + of["eyes"] + of["inner_mouth"], of["inner_mouth"]
        skin = face * (1 - mouth)
        if not _is_grey(image, skin):
            skin = skin * skin_model.probability(image[None])[0]
        yield SourcePhoto(image, landmarks, face, skin, mouth, None, kept_out)


def outlined_face(landmarks: Float[Tensor, "478 2"], size: tuple[int, int]) -> Float[Tensor, "H W"]:
    """1 within the outline of the 478 points."""
    ring = landmarks[[*JAW, *FOREHEAD]]
    points = torch.cat([ring, ring.mean(0, keepdim=True)])
    flat = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
    count = len(ring)
    index = torch.arange(count)
    faces = torch.stack([index, (index + 1) % count, torch.full_like(index, count)], dim=1)
    return rasterize(flat[None], faces, size, perspective=False).covered[0].float()


def _as_bright(photo: StoredPhoto | Sample, *, grey: bool) -> HeadParameters:
    """The truth with its light as bright, channel by channel, as the camera's exposure shows it."""
    shown = linear_from_srgb(photo.image).permute(1, 2, 0)
    light = photo.diffuse + photo.specular
    skin = photo.masks.face & (luminance(light) > LEAST_LIGHT) & (shown.amax(-1) < 0.98)
    at = photo.parameters
    if int(skin.sum()) < LEAST_PIXELS:
        return at
    if grey:
        gain = (luminance(shown)[skin] / luminance(light)[skin]).median().expand(3)
    else:
        gain = shown[skin].sum(0) / light[skin].sum(0).clamp_min(1e-3)
    lamp = at.point_light
    return replace(
        at,
        light=SphericalHarmonicsLight(at.light.coefficients * gain),
        point_light=None if lamp is None else PointLight(lamp.position, lamp.intensity * gain),
    )


def _is_grey(image: Float[Tensor, "3 H W"], skin: Float[Tensor, "H W"]) -> bool:
    """Whether a photo (sRGB) shows skin without colour."""
    return lacks_color(linear_from_srgb(image[:, skin > 0.5].T))


def _bytes(values: Tensor) -> ndarray:
    return (values.clamp(0, 1) * 255 + 0.5).to(torch.uint8).contiguous().numpy()
