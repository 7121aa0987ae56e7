"""The trained regressor on photos: from landmarks and pixels to heads that every stage takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.assets import asset_path
from facewright.core.errors import AssetError, InputError
from facewright.detection.crop import cut_color_crops, frames_from_landmarks
from facewright.fitting.face_probe import FaceProbe
from facewright.fitting.landmark import fit_landmarks, with_parameters
from facewright.fitting.landmark_basis import LandmarkBasis, basis_of_found
from facewright.fitting.multi_image import person_mean
from facewright.fitting.records import FaceFit
from facewright.methods.specular.frames import (
    crop_from_photo_px,
    head_in_crop,
    head_in_photo,
)
from facewright.methods.specular.model import (
    SpecularNetwork,
    decode,
    geometry_of,
    mean_start,
    output_sizes,
)
from facewright.methods.specular.settings import CameraKind, NetworkSettings
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.told_head import check_head
from facewright.networks.blocks import channels_last, fold_batch_norm
from facewright.scene.parameters import HeadParameters
from facewright.training.checkpoint import trained_network

WEIGHTS = "specular.safetensors"
CAMERA = "specular.render.camera"  # in the settings of a training
LEAST_LAMP = 0.02  # intensity below which a photo has no point light
PERSON = ("identity", "diffuse", "specular", "shininess")  # outputs that photos of one person share


@dataclass(frozen=True)
class SpecularMethod:
    """The specular method, loaded.

    Attributes:
        model: the head that the weights belong to.
        basis: of its landmarks.
        probe: of its landmarks.
        network: in evaluation mode.
        camera: as it was trained.
    """

    model: FaceModel
    basis: LandmarkBasis
    probe: FaceProbe
    network: torch.nn.Module
    sizes: NetworkSettings
    camera: CameraKind = "perspective"
    name: str = "specular"

    @classmethod
    def load(
        cls,
        model: FaceModel | None = None,
        *,
        weights: Path | None = None,
        basis: LandmarkBasis | None = None,
    ) -> "SpecularMethod":
        """Load the shipped weights, or others.

        Args:
            model: the shipped head if None; the method computes where it is.
            weights: ``best.safetensors`` of a training, or what ``scripts/ship_network.py`` wrote of it.
            basis: ``landmark_basis`` of the model, if at hand.

        Raises:
            AssetError: the weights are missing, damaged, or of another version.
            InputError: the weights are of another head.
        """
        model = model or load_base_model()
        path = weights or asset_path(WEIGHTS)
        network, header = trained_network(path, "specular", SpecularNetwork, NetworkSettings)
        camera = _camera_of(path, header)
        check_head(path, header, model, "specular")
        return cls.of(model, network, basis=basis, camera=camera)

    @classmethod
    def of(
        cls,
        model: FaceModel,
        network: SpecularNetwork,
        *,
        basis: LandmarkBasis | None = None,
        camera: CameraKind = "perspective",
    ) -> "SpecularMethod":
        """A network that was just trained, and the camera of its training.

        Raises:
            InputError: it is of another head.
        """
        sizes = network.settings
        own = (model.identity_count, model.expression_count, model.diffuse_count, model.specular_count)
        wanted = (sizes.identity, sizes.expression, sizes.diffuse, sizes.specular)
        if own != wanted:
            raise InputError(
                f"the specular method was trained for a head with {wanted} coefficients (identity, "
                f"expression, diffuse, specular), got one with {own}: use the shipped head."
            )
        folded = channels_last(fold_batch_norm(network)).to(model.device).eval()
        basis = basis or basis_of_found(model, about_mean=True)
        return cls(model, basis, FaceProbe.of(model), folded, sizes, camera)

    def reconstruct(
        self,
        photos: Sequence[Float[Tensor, "3 _ _"]],
        landmarks: Float[Tensor, "B 478 2"],
        *,
        focal: Float[Tensor, " B"] | None = None,
        groups: Int64[Tensor, " B"] | None = None,
    ) -> FaceFit:
        """Heads of faces whose landmarks were found; see ``Method``.

        Raises:
            InputError: photos and landmarks do not belong together.
        """
        if len(photos) != len(landmarks):
            raise InputError(f"expected one photo for each of {len(landmarks)} faces, got {len(photos)}.")
        sizes = [(photo.shape[-2], photo.shape[-1]) for photo in photos]
        landmarks = landmarks.float()
        fit = fit_landmarks(self.model, landmarks, sizes, focal=focal, groups=groups, basis=self.basis)
        crops, start, here, frames = self.seen(photos, landmarks, fit)
        found = self.regress(crops, start, here, groups)
        whole = head_in_photo(found, frames, fit.parameters.camera.size)
        return with_parameters(self.model, _settled(whole), landmarks, fit)

    def seen(
        self, photos: Sequence[Float[Tensor, "3 _ _"]], landmarks: Float[Tensor, "B 478 2"], fit: FaceFit
    ) -> tuple[Float[Tensor, "B 3 S S"], HeadParameters, Float[Tensor, "B 478 2"], Float[Tensor, "B 4"]]:
        """What the network looks at: crops, fit and landmarks as the crops' cameras see them, and frames."""
        side = self.sizes.input_size
        framed = frames_from_landmarks(landmarks.double().cpu().numpy())
        frames = torch.from_numpy(framed).to(landmarks)
        crops = [
            cut_color_crops(photo.float(), frame[None], side)
            for photo, frame in zip(photos, framed, strict=True)
        ]
        start = head_in_crop(fit.parameters, frames, side)
        return torch.cat(crops), start, crop_from_photo_px(landmarks, frames, side), frames

    def regress(
        self,
        crops: Float[Tensor, "B 3 S S"],
        start: HeadParameters,
        landmarks: Float[Tensor, "B 478 2"],
        groups: Int64[Tensor, " B"] | None = None,
    ) -> HeadParameters:
        """Heads of crops, seen by the crops' camera.

        Args:
            crops: sRGB in [0, 1].
            start: the fit to the landmarks, seen by the crops' camera.
            landmarks: as detected, pixels of the crop.
            groups: photos of one number show one person.
        """
        with torch.no_grad():
            geometry = None
            if self.sizes.guided:
                fitted = start.camera.project(self.probe.landmarks(start)[0])[..., :2]
                geometry = geometry_of(start, landmarks, fitted)
            else:
                start = mean_start(self.model, len(crops), self.sizes.input_size)
            raw = self.network(crops.contiguous(memory_format=torch.channels_last), geometry)
            if groups is not None:
                raw = _shared(raw, groups, self.sizes)
            return decode(raw, start, self.sizes, self.camera)


def _camera_of(path: Path, header: Mapping[str, str]) -> CameraKind:
    """Which camera a network was trained with; files that do not tell are of before there was a choice."""
    try:
        told = json.loads(header.get("training", header["settings"])).get(CAMERA, "perspective")
    except (LookupError, ValueError, AttributeError):
        told = None
    if told not in get_args(CameraKind):
        raise AssetError(f"{path}: expected a camera of {', '.join(get_args(CameraKind))}, found {told}.")
    return cast(CameraKind, told)


def _shared(raw: Tensor, groups: Tensor, sizes: NetworkSettings) -> Tensor:
    """Outputs that belong to a person, averaged over the person's photos."""
    kept = torch.cat(
        [torch.full((size,), name in PERSON, device=raw.device) for name, size in output_sizes(sizes).items()]
    )
    return torch.where(kept, person_mean(raw, groups), raw)


def _settled(head: HeadParameters) -> HeadParameters:
    """A lamp that gives hardly any light gives none."""
    lamp = head.point_light
    if lamp is None:
        return head
    shines = (lamp.intensity.amax(1, keepdim=True) > LEAST_LAMP).to(lamp.intensity)
    return replace(head, point_light=replace(lamp, intensity=lamp.intensity * shines))
