"""The trained encoder on photos: one identity for all photos of a person, then heads that show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import InputError
from facewright.detection.aligned_crop import aligned_crops, five_points
from facewright.detection.crop import luma
from facewright.fitting.landmark import fit_landmarks, refit_known
from facewright.fitting.landmark_basis import LandmarkBasis, basis_of_found
from facewright.fitting.multi_image import person_mean
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.point_light import PointLightPrior
from facewright.fitting.records import FaceFit
from facewright.methods.sphere.encoder import (
    Decoder,
    EncoderOutputs,
    SphereEncoder,
    SphereHead,
    mean_outputs,
)
from facewright.methods.sphere.head_encoder import load_head_encoder
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import FACE, nearest_identities
from facewright.models.told_head import is_of

WEIGHTS = "sphere_encoder.safetensors"


@dataclass(frozen=True)
class SphereMethod:
    """The Sphere Face Model's encoder, loaded.

    Attributes:
        model: whose coefficients the results have: the head that the encoder was trained for, or another.
        decoder: of the head and the sphere's axes that the encoder was trained with.
        to_model: from identity coefficients along these axes to the model's.
        shift: the model's coefficients of the head's mean face.
        basis: of the model's landmarks.
        network: in evaluation mode.
    """

    model: FaceModel
    decoder: Decoder
    to_model: Float[Tensor, "D K"]
    shift: Float[Tensor, " K"]
    basis: LandmarkBasis
    network: SphereEncoder
    name: str = "sphere"

    @classmethod
    def load(
        cls,
        model: FaceModel | None = None,
        *,
        weights: Path | None = None,
        basis: LandmarkBasis | None = None,
    ) -> "SphereMethod":
        """Load the shipped weights, or others.

        Of a model that the weights were not trained for, but whose vertices are the shipped head's, the faces
        are those that are nearest to the encoder's over the region ``face``.

        Args:
            model: the shipped head if None; the method computes where it is.
            weights: written by ``scripts/ship_network.py``.
            basis: ``landmark_basis`` of the model, if at hand.

        Raises:
            AssetError: the weights are missing, damaged, or of another version.
            InputError: the weights are of another head, or the model's identities are not independent.
        """
        model = model or load_base_model()
        path = weights or asset_path(WEIGHTS)
        head = _head_of(path, model)
        network = load_head_encoder(path, head).eval()
        axes = network.axes
        decoder = Decoder.of(head, axes.deviations, float(axes.scale))
        to_model, shift = axes.to_head, axes.to_head.new_zeros(head.identity_count)
        if head is not model:
            to_model, shift = _carried(head, model, to_model)
        basis = basis or basis_of_found(model)
        return cls(model, decoder, to_model, shift, basis, network.encoder)

    def encode(
        self,
        photos: Sequence[Float[Tensor, "3 _ _"]],
        landmarks: Float[Tensor, "B 478 2"],
        groups: Int64[Tensor, " B"] | None = None,
    ) -> SphereHead:
        """What the encoder finds in photos, seen by the cameras of its crops.

        Args:
            photos: sRGB in [0, 1], one for each face.
            landmarks: the 478 points, pixels of their photo.
            groups: photos of one number show one person, who gets one identity.

        Raises:
            InputError: photos and landmarks do not belong together.
        """
        if len(photos) != len(landmarks):
            raise InputError(f"expected one photo for each of {len(landmarks)} faces, got {len(photos)}.")
        points = five_points(landmarks.float())
        crops = [
            aligned_crops(luma(photo.float())[None, None], points[row : row + 1])
            for row, photo in enumerate(photos)
        ]
        with torch.no_grad():
            return self.encode_crops(torch.cat(crops), groups)

    def encode_crops(
        self, crops: Float[Tensor, "B 1 112 112"], groups: Int64[Tensor, " B"] | None = None
    ) -> SphereHead:
        """Likewise, of aligned crops; the identity is that of a crop and its mirror image together."""
        outputs, other = self.network(crops), self.network(crops.flip(3))
        outputs = mean_outputs(outputs, other)
        if groups is not None:
            outputs = _shared(outputs, groups)
        return self.decoder.decode(outputs, self.network.settings, self.network.mixing)

    def identities(
        self,
        photos: Sequence[Float[Tensor, "3 _ _"]],
        landmarks: Float[Tensor, "B 478 2"],
        groups: Int64[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B K"]:
        """Identity coefficients of the model."""
        return self.encode(photos, landmarks, groups).parameters.identity @ self.to_model + self.shift

    def reconstruct(
        self,
        photos: Sequence[Float[Tensor, "3 _ _"]],
        landmarks: Float[Tensor, "B 478 2"],
        *,
        focal: Float[Tensor, " B"] | None = None,
        groups: Int64[Tensor, " B"] | None = None,
    ) -> FaceFit:
        """Heads of faces whose landmarks were found; see ``Method``.

        The identity is the encoder's. Pose, expression and camera are fitted to the landmarks with this
        identity, albedo and light to the pixels.

        Raises:
            InputError: photos and landmarks do not belong together.
            HiddenFaceError: a face does not lie in its photo.

        **Differs:** the encoder's own pose, expression, albedo and light serve training; it sees grey crops
        through an orthographic camera, and the fit of landmarks and pixels is more exact and has colour.
        """
        identity = self.identities(photos, landmarks, groups)
        sizes = [(photo.shape[-2], photo.shape[-1]) for photo in photos]
        fit = fit_landmarks(
            self.model, landmarks.float(), sizes, focal=focal, groups=groups, basis=self.basis
        )
        fit = refit_known(self.model, fit, identity, basis=self.basis)
        how = PhotometricFitSettings(point_light=PointLightPrior(), shape=None)
        return refine_photometric(self.model, photos, fit, groups=groups, basis=self.basis, settings=how)


def _shared(outputs: EncoderOutputs, groups: Tensor) -> EncoderOutputs:
    """Identity and scale averaged over each person's photos."""
    scale = person_mean(outputs.rest[:, :1], groups)
    return EncoderOutputs(person_mean(outputs.code, groups), torch.cat([scale, outputs.rest[:, 1:]], 1))


def _head_of(path: Path, model: FaceModel) -> FaceModel:
    """The head that weights are of: the model, or, where that has its vertices, the shipped one."""
    header = read_safetensors(path)[1]
    if is_of(path, header, model):
        return model
    head = load_base_model().to(model.device)
    alike = model.name != head.name and torch.equal(model.topology.faces, head.topology.faces)
    return head if alike and is_of(path, header, head) else model


def _carried(
    head: FaceModel, model: FaceModel, to_head: Float[Tensor, "D H"]
) -> tuple[Float[Tensor, "D K"], Float[Tensor, " K"]]:
    """From coefficients along axes of a head to those of the nearest faces of a model, and the shift."""
    faces = torch.cat([head.mean[None], head.mean + head.identity_basis])
    found = nearest_identities(model, faces, head.regions[FACE])
    return to_head @ (found[1:] - found[0]), found[0]
