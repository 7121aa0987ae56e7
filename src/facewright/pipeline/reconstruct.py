"""From photos to reconstructions: the stages in their order, over models that are loaded once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.device import DeviceName, resolve_device
from facewright.core.errors import HiddenFaceError, InputError
from facewright.core.lazy import LazySequence
from facewright.core.progress import StageClock
from facewright.detection import Landmarks
from facewright.detection.segmentation import FaceSegmentation, FaceSegmenter
from facewright.fitting.closed_lids import close_lids
from facewright.fitting.closed_lips import close_lips
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.photometric_shape import ShapeSettings
from facewright.fitting.point_light import PointLightPrior
from facewright.fitting.records import FaceFit
from facewright.image.cover import Cover
from facewright.image.io import Photograph, photograph_of
from facewright.methods.base import Method
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.lip_seam import LipSeam, lip_seam
from facewright.models.storage import load_face_model
from facewright.pipeline.doubts import doubts
from facewright.pipeline.finder import Finder, ShippedFinder, find_faces
from facewright.pipeline.glasses import GlassesFinder, HeadGlasses, SeenGlasses, worn_by_person
from facewright.pipeline.hair import HairFinder, HeadHair, photo_of_hair
from facewright.pipeline.methods import basis_for, load_method
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import ReconstructionSettings
from facewright.scene.parameters import HeadParameters
from facewright.uv.head_chart import HeadChart
from facewright.uv.head_texture import TextureSettings, head_texture
from facewright.uv.relief import SkinRelief, skin_relief

NO_EARS = "the model does not tell where its eyes, ears and nose are: spectacles are painted on the head."
NO_SCALP = "the model does not tell where hair may grow: the head has none."


@dataclass(frozen=True)
class _Seen:
    """A face that was found, and what its photo says besides its pixels.

    Size is (height, width), focal in px; others: so many faces of the photo are left aside.
    """

    face: Landmarks
    name: str
    size: tuple[int, int]
    focal: float | None
    seconds: dict[str, float]
    others: int


@dataclass(frozen=True)
class _Looks:
    """What photos tell of one person beside the shape."""

    albedo: Float[Tensor, "S S 3"]
    relief: SkinRelief | None
    hair: HeadHair | None
    glasses: HeadGlasses | None


@dataclass(frozen=True)
class _Fitted:
    """A head that was fitted to a face."""

    seen: _Seen
    fit: FaceFit
    looks: _Looks
    seconds: dict[str, float]


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
        segmenter: finds what lies before a face, or None.
        hair: finds the hair of heads, or None.
        glasses: finds spectacles on heads, or None.
        seam: where the model's lips meet, if closed mouths are to be closed.
    """

    model: FaceModel
    finder: Finder
    basis: LandmarkBasis
    chart: HeadChart
    settings: ReconstructionSettings
    device: torch.device
    method: Method | None = None
    segmenter: FaceSegmenter | None = None
    hair: HairFinder | None = None
    glasses: GlassesFinder | None = None
    seam: LipSeam | None = None

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
            InputError: the model of the settings has no dense landmarks or no identity, or there is no such
                method.
            UnavailableError: the device is not there.
        """
        settings = settings or ReconstructionSettings()
        target = device if isinstance(device, torch.device) else resolve_device(device)
        model = (load_face_model(Path(settings.model)) if settings.model else load_base_model()).to(target)
        if not model.identity_count:
            raise InputError(
                f"expected a face model with identity components, got {model.name!r} without any: a fit "
                "could not tell people apart."
            )
        basis = basis_for(settings.method, model, by_another=finder is not None)
        weights = Path(settings.weights) if settings.weights else None
        method = load_method(settings.method, model, basis, weights)
        chart = HeadChart.of(model, settings.texture_size)
        segmenter = FaceSegmenter.load(target) if settings.uncover or settings.hair else None
        hair = HairFinder.of(model, segmenter) if segmenter is not None and settings.hair else None
        glasses = GlassesFinder.of(model) if settings.uncover and settings.glasses else None
        finder = finder or ShippedFinder.load(target)
        seam = lip_seam(model.to("cpu"))
        return cls(model, finder, basis, chart, settings, target, method, segmenter, hair, glasses, seam)

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
        photo = self._moved(photo)
        faces = self._seen(photo, None if all_faces else 1)
        results = [self._fitted([photo], [face])[0] for face in faces]
        heads = [result for result in results if isinstance(result, Reconstruction)]
        hidden = [result for result in results if not isinstance(result, Reconstruction)]
        if not heads:
            raise hidden[0]
        left_out = (f"another face is left out: {error}" for error in hidden)
        heads[0] = replace(heads[0], warnings=(*heads[0].warnings, *left_out))
        return [replace(head, number=number) for number, head in enumerate(heads, 1)]

    def reconstruct_together(self, photos: Sequence[Photograph]) -> Sequence[Reconstruction | Exception]:
        """Heads of one person in several photos: one identity and albedo, an own expression and pose each.

        Args:
            photos: each is asked for when it is needed, four or five times, and not kept in between: of a
                ``LazySequence`` few lie in memory at once.

        Returns:
            For each photo its head, made when it is asked for, or the reason why there is none; whatever a
            finder raises for one photo is no reason to leave out the others.
        """
        found: list[_Seen | Exception] = []
        for index in range(len(photos)):
            try:
                found.append(self._seen(self._moved(photos[index]), 1)[0])
            except Exception as error:
                found.append(error)
        return self._fitted(LazySequence(len(photos), lambda index: self._moved(photos[index])), found)

    def _moved(self, photo: Photograph) -> Photograph:
        return replace(photo, pixels=photo.pixels.to(self.device))

    def _seen(self, photo: Photograph, count: int | None) -> list[_Seen]:
        """The first faces of a photo."""
        clock = StageClock()
        with clock.stage("detection"):
            found = find_faces(self.finder, photo)
        faces = found[:count]
        share = {name: value / len(faces) for name, value in clock.seconds.items()}
        height, width = photo.pixels.shape[-2:]
        others = len(found) - len(faces)
        return [_Seen(face, photo.name, (height, width), photo.focal, share, others) for face in faces]

    def _fitted(
        self, photos: Sequence[Photograph], found: Sequence[_Seen | Exception]
    ) -> Sequence[Reconstruction | Exception]:
        """One person in one or more photos; a face that hardly lies in its photo is left out of the fit."""
        results: dict[int, _Fitted | Exception] = {
            index: face for index, face in enumerate(found) if isinstance(face, Exception)
        }
        faces = {index: face for index, face in enumerate(found) if isinstance(face, _Seen)}
        clock = StageClock()
        while faces:
            chosen = list(faces)
            try:
                fits, looks = self._fit_one_person(_pixels(photos, chosen), list(faces.values()), clock)
            except HiddenFaceError as error:
                for row in error.faces:
                    told = (
                        f"too little of the face lies in {faces[chosen[row]].name}: expected a face that is "
                        f"mostly in the photo{self._rougher()}."
                    )
                    results[chosen[row]] = HiddenFaceError(told, [chosen[row]])
                    del faces[chosen[row]]
                continue
            share = {name: value / len(faces) for name, value in clock.seconds.items()}
            for (index, face), fit in zip(faces.items(), fits, strict=True):
                results[index] = _Fitted(face, fit, looks, {**face.seconds, **share})
            break

        def head(index: int) -> Reconstruction | Exception:
            result = results[index]
            return self._head(photos[index], result) if isinstance(result, _Fitted) else result

        return LazySequence(len(found), head)

    def _rougher(self) -> str:
        """What makes a head where the pixels do not; methods of papers always look at them."""
        return "" if self.method else "; --no-photometric makes a rougher head of it"

    def _fit_one_person(
        self, pixels: Sequence[Tensor], faces: list[_Seen], clock: StageClock
    ) -> tuple[list[FaceFit], _Looks]:
        """The fit of each photo, and what all of them tell beside the shape."""
        points = torch.stack([seen.face.points for seen in faces]).to(self.device)
        sizes = [seen.size for seen in faces]
        looks: list[FaceSegmentation] = []
        if self.segmenter is not None:
            with clock.stage("segmentation"):
                look = self.segmenter  # one photo after the other: few lie in memory at once
                looks = [look([pixels[row]], [each]) for row, each in enumerate(points)]
        groups = torch.zeros(len(faces), dtype=torch.int64, device=self.device)
        focal, texture = self._focal(faces), TextureSettings(size=self.settings.texture_size)
        if self.method is not None:
            with clock.stage(self.method.name):
                fit = self.method.reconstruct(pixels, points, focal=focal, groups=groups)
        else:
            with clock.stage("landmark fit"):
                fit = fit_landmarks(self.model, points, sizes, focal=focal, groups=groups, basis=self.basis)
        worn = self._spectacles(pixels, fit, clock)
        covers = besides = None
        if looks and self.settings.uncover:
            looks = [_bare(*pair) for pair in zip(looks, worn, strict=True)]
            covers = [_cover(*pair) for pair in zip(looks, worn, strict=True)]
            besides = [look.besides()[0] for look in looks]
        if self.method is None and self.settings.photometric:
            with clock.stage("photometric fit"):
                light = PointLightPrior() if self.settings.point_light else None
                shape = ShapeSettings() if self.settings.refine_shape else None
                how = PhotometricFitSettings(point_light=light, shape=shape)
                fit = refine_photometric(
                    self.model, pixels, fit, groups=groups, basis=self.basis, settings=how, covers=covers
                )
        with clock.stage("lips and lids"):
            if self.seam is not None:
                fit = close_lips(self.model, self.seam, fit)
            fit = close_lids(self.model, self.basis, fit)
        singles = [fit.select(index) for index in range(len(faces))]
        with clock.stage("texture"):
            parameters = [single.parameters for single in singles]
            albedo = head_texture(
                self.model,
                pixels,
                parameters,
                chart=self.chart,
                settings=texture,
                covers=covers,
                besides=besides,
                detected=[single.detected_px[0] for single in singles],
            )
        relief = hair = None
        if self.settings.relief:
            with clock.stage("relief"):
                relief = skin_relief(self.chart, albedo)
        if self.hair is not None:
            with clock.stage("hair"):
                row = photo_of_hair(parameters, pixels, points)
                hair = self.hair.find(pixels[row], parameters[row], looks[row])
        glasses = self._worn(worn, parameters, clock)
        return singles, _Looks(albedo, relief, hair, glasses)

    def _spectacles(
        self, pixels: Sequence[Tensor], fit: FaceFit, clock: StageClock
    ) -> list[SeenGlasses | None]:
        """Spectacles in each photo."""
        if self.glasses is None:
            return [None] * len(fit.sizes)
        with clock.stage("glasses"):
            singles = [fit.select(row).parameters for row in range(len(fit.sizes))]
            return [self.glasses.see(pixels[row], single) for row, single in enumerate(singles)]

    def _worn(
        self,
        seen: Sequence[SeenGlasses | None],
        parameters: Sequence[HeadParameters],
        clock: StageClock,
    ) -> HeadGlasses | None:
        """The spectacles of a person, if most photos show some."""
        surest = worn_by_person(seen)
        if self.glasses is None or surest is None:
            return None
        with clock.stage("glasses"):
            return self.glasses.wear(surest[1], parameters[surest[0]])

    def _focal(self, faces: list[_Seen]) -> Float[Tensor, " B"]:
        """Focal lengths in pixels, NaN where a photo does not tell."""
        known = [float("nan") if seen.focal is None else seen.focal for seen in faces]
        return torch.tensor(known, device=self.device)

    def _head(self, photo: Photograph, fitted: _Fitted) -> Reconstruction:
        face, fit = fitted.seen.face, fitted.fit
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
            albedo=fitted.looks.albedo,
            hair=fitted.looks.hair,
            relief=fitted.looks.relief,
            glasses=fitted.looks.glasses,
            residual=float(fit.residual[0]),
            seconds=fitted.seconds,
            settings=self.settings,
            warnings=(
                *photo.notes,
                *self._missing(),
                *_others(fitted.seen.others),
                *doubts(fit.parameters.pose, float(fit.residual[0]), clipped),
            ),
        )

    def _missing(self) -> tuple[str, ...]:
        """What the model does not tell, so that heads go without."""
        asked = self.settings
        hair = (NO_SCALP,) if asked.hair and self.hair is None else ()
        return (*hair, NO_EARS) if asked.glasses and asked.uncover and self.glasses is None else hair


def _bare(look: FaceSegmentation, worn: SeenGlasses | None) -> FaceSegmentation:
    """A face without its spectacles."""
    return look if worn is None else worn.taken_off(look)


def _cover(look: FaceSegmentation, worn: SeenGlasses | None) -> Cover:
    """What lies before a face: what its segmentation says, and its spectacles."""
    return look.covers()[0] if worn is None else worn.cover(look.covers()[0])


def _others(count: int) -> tuple[str, ...]:
    """That the photo shows further faces, of which no head was asked for."""
    if not count:
        return ()
    return (
        f"the photo shows {count + 1} faces: this is the largest and surest one; --all-faces "
        "makes a head of each.",
    )


def _pixels(photos: Sequence[Photograph], chosen: Sequence[int]) -> Sequence[Float[Tensor, "3 _ _"]]:
    return LazySequence(len(chosen), lambda row: photos[chosen[row]].pixels)


def reconstruct(
    photo: Path | str | np.ndarray | Tensor | Photograph,
    *,
    settings: ReconstructionSettings | None = None,
    device: DeviceName = "auto",
) -> Reconstruction:
    """Reconstruct the main face of one photo; for many photos load a ``Reconstructor`` once.

    Args:
        photo: a file, an array, a tensor, or a photo that was read before (see ``photograph_of``).
        settings: choices about the reconstruction.
        device: where to compute.

    Raises:
        ImageError: the photo cannot be read.
        NoFaceError: no face was found.
        HiddenFaceError: too little of the face lies in the photo.
        AssetError: a model or weight file is missing or damaged.
        UnavailableError: the device is not there.
    """
    read = photograph_of(photo)
    return Reconstructor.load(settings, device).reconstruct(read)[0]
