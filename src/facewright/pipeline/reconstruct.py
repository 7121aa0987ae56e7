"""From photos to reconstructions: the stages in their order, over models that are loaded once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.device import DeviceName, resolve_device
from facewright.core.errors import FacewrightError, HiddenFaceError
from facewright.core.progress import StageClock
from facewright.detection import Landmarks
from facewright.detection.landmark_errors import load_landmark_errors
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, landmark_basis
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.photometric_shape import ShapeSettings
from facewright.fitting.point_light import PointLightPrior
from facewright.fitting.records import FaceFit
from facewright.image.io import Photograph, photograph_from_array, read_photo
from facewright.methods.base import Method
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model
from facewright.pipeline.doubts import doubts
from facewright.pipeline.finder import Finder, ShippedFinder, find_faces
from facewright.pipeline.methods import load_method
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import ReconstructionSettings
from facewright.uv.head_chart import HeadChart
from facewright.uv.head_texture import TextureSettings, head_texture


@dataclass(frozen=True)
class Reconstructor:
    """Loaded models and settings; make one and use it for many photos.

    Attributes:
        model: the face model that is fitted.
        finder: finds the faces of a photo and their 478 landmarks.
        basis: the part of the model that the landmark fit needs.
        chart: the layout of the model's texture map.
        settings: what the user chose.
        device: where everything is computed.
        method: that finds heads in place of the fit, or None.
    """

    model: FaceModel
    finder: Finder
    basis: LandmarkBasis
    chart: HeadChart
    settings: ReconstructionSettings
    device: torch.device
    method: Method | None = None

    @classmethod
    def load(
        cls,
        settings: ReconstructionSettings | None = None,
        device: torch.device | DeviceName = "auto",
        *,
        finder: Finder | None = None,
    ) -> "Reconstructor":
        """Load the shipped models.

        Args:
            settings: choices about the reconstruction.
            device: where to compute.
            finder: in place of the shipped detector and landmarker, such as a ``MediaPipeLandmarker``.

        Raises:
            AssetError: a model or weight file is missing or damaged.
            InputError: the model of the settings has no dense landmarks, or there is no such method.
            UnavailableError: the device is not there.
        """
        settings = settings or ReconstructionSettings()
        target = device if isinstance(device, torch.device) else resolve_device(device)
        model = (load_face_model(Path(settings.model)) if settings.model else load_base_model()).to(target)
        errors = load_landmark_errors()
        basis = landmark_basis(model, errors if finder is None else errors.of_another_landmarker())
        weights = Path(settings.weights) if settings.weights else None
        method = load_method(settings.method, model, basis, weights)
        chart = HeadChart.of(model, settings.texture_size)
        return cls(model, finder or ShippedFinder.load(target), basis, chart, settings, target, method)

    def reconstruct(self, photo: Photograph, *, all_faces: bool = False) -> list[Reconstruction]:
        """Heads of one photo, the main face first.

        Args:
            photo: from ``read_photo`` or ``photograph_from_array``.
            all_faces: every face; otherwise only the main one. Of several, one that cannot be fitted is left
                out, and the first of the others has a warning of it.

        Raises:
            NoFaceError: no face was found.
            HiddenFaceError: too little of each face lies in the photo.
        """
        clock = StageClock()
        photo = replace(photo, pixels=photo.pixels.to(self.device))
        with clock.stage("detection"):
            faces = find_faces(self.finder, photo)
        chosen = faces if all_faces else faces[:1]
        share = {name: value / len(chosen) for name, value in clock.seconds.items()}
        results = [self._fitted([photo], [face], [share])[0] for face in chosen]
        heads = [result for result in results if isinstance(result, Reconstruction)]
        hidden = [result for result in results if not isinstance(result, Reconstruction)]
        if not heads:
            raise hidden[0]
        left_out = (f"another face is left out: {error}" for error in hidden)
        return [replace(heads[0], warnings=(*heads[0].warnings, *left_out)), *heads[1:]]

    def reconstruct_together(self, photos: Sequence[Photograph]) -> list[Reconstruction | Exception]:
        """Heads of one person in several photos: one identity and albedo, an own expression and pose each.

        Returns:
            For each photo its head, or the reason why there is none; whatever a finder raises for one photo
            is no reason to leave out the others.
        """
        results: dict[int, Reconstruction | Exception] = {}
        seen: dict[int, tuple[Photograph, Landmarks, dict[str, float]]] = {}
        for index, photo in enumerate(photos):
            clock = StageClock()
            moved = replace(photo, pixels=photo.pixels.to(self.device))
            try:
                with clock.stage("detection"):
                    face = find_faces(self.finder, moved)[0]
                seen[index] = (moved, face, clock.seconds)
            except Exception as error:
                results[index] = error
        if seen:
            found, faces, seconds = (list(column) for column in zip(*seen.values(), strict=True))
            results.update(zip(seen, self._fitted(found, faces, seconds), strict=True))
        return [results[index] for index in range(len(photos))]

    def _fitted(
        self, photos: list[Photograph], faces: list[Landmarks], seconds: list[dict[str, float]]
    ) -> list[Reconstruction | FacewrightError]:
        """One person in one or more photos; a face that hardly lies in its photo is left out of the fit."""
        results: dict[int, Reconstruction | FacewrightError] = {}
        left = list(range(len(photos)))
        clock = StageClock()
        while left:
            try:
                fits, albedo = self._fit_one_person(
                    [photos[i] for i in left], [faces[i] for i in left], clock
                )
            except HiddenFaceError as error:
                for index in [left[row] for row in error.faces]:
                    told = (
                        f"too little of the face lies in {photos[index].name}: expected a face that is "
                        "mostly in the photo; --no-photometric makes a rougher head of it."
                    )
                    results[index] = HiddenFaceError(told, [index])
                    left.remove(index)
                continue
            share = {name: value / len(left) for name, value in clock.seconds.items()}
            for index, fit in zip(left, fits, strict=True):
                spent = {**seconds[index], **share}
                results[index] = self._head(photos[index], faces[index], fit, albedo, spent)
            break
        return [results[index] for index in range(len(photos))]

    def _fit_one_person(
        self, photos: list[Photograph], faces: list[Landmarks], clock: StageClock
    ) -> tuple[list[FaceFit], Float[Tensor, "S S 3"]]:
        """The fit of each photo, and the albedo map of all."""
        points = torch.stack([face.points for face in faces]).to(self.device)
        sizes = [(photo.pixels.shape[-2], photo.pixels.shape[-1]) for photo in photos]
        groups = torch.zeros(len(photos), dtype=torch.int64, device=self.device)
        focal, texture = self._focal(photos), TextureSettings(size=self.settings.texture_size)
        if self.method is not None:
            with clock.stage(self.method.name):
                pixels = [photo.pixels for photo in photos]
                found = self.method.reconstruct(pixels, points, focal=focal, groups=groups)
            fit = found.fit
            if found.shininess is not None:  # one person, one texture
                texture = replace(texture, shininess=float(found.shininess.mean()))
        else:
            with clock.stage("landmark fit"):
                fit = fit_landmarks(self.model, points, sizes, focal=focal, groups=groups, basis=self.basis)
        if self.method is None and self.settings.photometric:
            with clock.stage("photometric fit"):
                pixels = [photo.pixels for photo in photos]
                light = PointLightPrior() if self.settings.point_light else None
                shape = ShapeSettings() if self.settings.refine_shape else None
                how = PhotometricFitSettings(point_light=light, shape=shape)
                fit = refine_photometric(
                    self.model, pixels, fit, groups=groups, basis=self.basis, settings=how
                )
        singles = [fit.select(index) for index in range(len(photos))]
        with clock.stage("texture"):
            parameters = [single.parameters for single in singles]
            albedo = head_texture(
                self.model,
                [photo.pixels for photo in photos],
                parameters,
                chart=self.chart,
                settings=texture,
            )
        return singles, albedo

    def _focal(self, photos: list[Photograph]) -> Float[Tensor, " B"]:
        """Focal lengths in pixels, NaN where a photo does not tell."""
        known = [float("nan") if photo.focal is None else photo.focal for photo in photos]
        return torch.tensor(known, device=self.device)

    def _head(
        self, photo: Photograph, face: Landmarks, fit: FaceFit, albedo: Tensor, seconds: dict[str, float]
    ) -> Reconstruction:
        x0, y0, x1, y1 = (float(side) for side in face.box)
        clipped = 0.0 if fit.clipped is None else float(fit.clipped[0])
        return Reconstruction(
            photo=photo,
            model=self.model,
            parameters=fit.parameters,
            box=(x0, y0, x1, y1),
            detected_px=face.points,
            fitted_px=fit.landmarks_px[0],
            landmarks_head=fit.landmarks_head[0],
            albedo=albedo,
            residual=float(fit.residual[0]),
            seconds=seconds,
            settings=self.settings,
            warnings=(*photo.notes, *doubts(fit.parameters.pose, float(fit.residual[0]), clipped)),
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
        HiddenFaceError: too little of the face lies in the photo.
        AssetError: a model or weight file is missing or damaged.
        UnavailableError: the device is not there.
    """
    if isinstance(photo, np.ndarray):
        photo = photograph_from_array(photo)
    elif not isinstance(photo, Photograph):
        photo = read_photo(Path(photo))
    return Reconstructor.load(settings, device).reconstruct(photo)[0]
