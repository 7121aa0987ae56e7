"""From photos to reconstructions: the stages in their order, over models that are loaded once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import FacewrightError, NoFaceError
from facewright.core.progress import StageClock
from facewright.detection import FaceDetector, FaceLandmarker, Landmarks, detect
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, landmark_basis
from facewright.fitting.photometric import refine_photometric
from facewright.fitting.records import FaceFit
from facewright.image.io import Photograph, photograph_from_array, read_photo
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.pipeline.device import resolve_device
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import DeviceName, ReconstructionSettings
from facewright.uv.head_texture import HeadChart, TextureSettings, head_texture


@dataclass(frozen=True)
class Reconstructor:
    """Loaded models and settings; make one and use it for many photos.

    Attributes:
        model: the face model that is fitted.
        detector: finds faces.
        landmarker: finds the 478 points of a face.
        basis: the part of the model that the landmark fit needs.
        chart: the layout of the model's texture map.
        settings: what the user chose.
        device: where everything is computed.
    """

    model: FaceModel
    detector: FaceDetector
    landmarker: FaceLandmarker
    basis: LandmarkBasis
    chart: HeadChart
    settings: ReconstructionSettings
    device: torch.device

    @classmethod
    def load(
        cls, settings: ReconstructionSettings | None = None, device: torch.device | DeviceName = "auto"
    ) -> "Reconstructor":
        """Load the shipped models.

        Raises:
            AssetError: a model or weight file is missing or damaged.
            UnavailableError: the device is not there.
        """
        settings = settings or ReconstructionSettings()
        target = device if isinstance(device, torch.device) else resolve_device(device)
        model = load_base_model().to(target)
        return cls(
            model,
            FaceDetector.load(target),
            FaceLandmarker.load(target),
            landmark_basis(model),
            HeadChart.of(model, settings.texture_size),
            settings,
            target,
        )

    def reconstruct(self, photo: Photograph, *, all_faces: bool = False) -> list[Reconstruction]:
        """Heads of one photo, the main face first.

        Args:
            photo: from ``read_photo`` or ``photograph_from_array``.
            all_faces: every face; otherwise only the main one.

        Raises:
            NoFaceError: no face was found.
        """
        clock = StageClock()
        photo = replace(photo, pixels=photo.pixels.to(self.device))
        with clock.stage("detection"):
            faces = self._faces(photo)
        chosen = faces if all_faces else faces[:1]
        return [self._fitted([photo], [face], clock)[0] for face in chosen]

    def reconstruct_together(self, photos: Sequence[Photograph]) -> list[Reconstruction | FacewrightError]:
        """Heads of one person in several photos: one identity and albedo, an own expression and pose each.

        Returns:
            For each photo its head, or the reason why there is none.
        """
        clock = StageClock()
        results: dict[int, Reconstruction | FacewrightError] = {}
        seen: dict[int, tuple[Photograph, Landmarks]] = {}
        for index, photo in enumerate(photos):
            moved = replace(photo, pixels=photo.pixels.to(self.device))
            try:
                with clock.stage("detection"):
                    seen[index] = (moved, self._faces(moved)[0])
            except FacewrightError as error:
                results[index] = error
        if seen:
            pairs = list(seen.values())
            heads = self._fitted([photo for photo, _ in pairs], [face for _, face in pairs], clock)
            results.update(zip(seen, heads, strict=True))
        return [results[index] for index in range(len(photos))]

    def _faces(self, photo: Photograph) -> list[Landmarks]:
        faces = detect(photo.pixels, detector=self.detector, landmarker=self.landmarker)
        if not faces:
            raise NoFaceError(
                f"no face was found in {photo.name}: expected a face that is at least about 30 pixels wide "
                "and looks not too far away from the camera."
            )
        return faces

    def _fitted(
        self, photos: list[Photograph], faces: list[Landmarks], clock: StageClock
    ) -> list[Reconstruction]:
        """One person in one or more photos."""
        points = torch.stack([face.points for face in faces]).to(self.device)
        sizes = [(photo.pixels.shape[-2], photo.pixels.shape[-1]) for photo in photos]
        groups = torch.zeros(len(photos), dtype=torch.int64, device=self.device)
        with clock.stage("landmark fit"):
            focal = self._focal(photos)
            fit = fit_landmarks(self.model, points, sizes, focal=focal, groups=groups, basis=self.basis)
        if self.settings.photometric:
            with clock.stage("photometric fit"):
                fit = refine_photometric(self.model, [photo.pixels for photo in photos], fit, groups=groups)
        singles = [fit.select(index) for index in range(len(photos))]
        with clock.stage("texture"):
            parameters = [single.parameters for single in singles]
            albedo = head_texture(
                self.model,
                [photo.pixels for photo in photos],
                parameters,
                chart=self.chart,
                settings=TextureSettings(size=self.settings.texture_size),
            )
        return [
            self._head(photo, face, single, albedo, clock)
            for photo, face, single in zip(photos, faces, singles, strict=True)
        ]

    def _focal(self, photos: list[Photograph]) -> Float[Tensor, " B"] | None:
        """Focal lengths in pixels if every photo tells its own."""
        known = [photo.focal for photo in photos if photo.focal is not None]
        return torch.tensor(known, device=self.device) if len(known) == len(photos) else None

    def _head(
        self, photo: Photograph, face: Landmarks, fit: FaceFit, albedo: Tensor, clock: StageClock
    ) -> Reconstruction:
        x0, y0, x1, y1 = (float(side) for side in face.box)
        return Reconstruction(
            photo=photo,
            model=self.model,
            parameters=fit.parameters,
            box=(x0, y0, x1, y1),
            detected_px=face.points,
            fitted_px=fit.landmarks_px[0],
            landmarks_head=fit.landmarks_head[0],
            albedo=albedo,
            seconds=dict(clock.seconds),
            settings=self.settings,
        )


def reconstruct(
    photo: Path | str | np.ndarray | Photograph,
    *,
    settings: ReconstructionSettings | None = None,
    device: DeviceName = "auto",
) -> Reconstruction:
    """Reconstruct the main face of one photo; for many photos load a ``Reconstructor`` once.

    Args:
        photo: a file, an array (see ``photograph_from_array``), or a photo that was read before.
        settings: choices about the reconstruction.
        device: where to compute.

    Raises:
        ImageError: the photo cannot be read.
        NoFaceError: no face was found.
        AssetError: a model or weight file is missing or damaged.
        UnavailableError: the device is not there.
    """
    if isinstance(photo, np.ndarray):
        photo = photograph_from_array(photo)
    elif not isinstance(photo, Photograph):
        photo = read_photo(Path(photo))
    return Reconstructor.load(settings, device).reconstruct(photo)[0]
