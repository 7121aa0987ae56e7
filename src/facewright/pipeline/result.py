"""The result: a person's head in one photo, and how it is written to disk."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from facewright.core.progress import StageClock
from facewright.export import (
    HeadAsset,
    SavedParameters,
    asset_of_fit,
    normal_texture,
    write_glb,
    write_obj,
    write_parameters,
    write_unit_png,
)
from facewright.image.io import Photograph
from facewright.models.face_model import FaceModel
from facewright.pipeline.folders import HEAD
from facewright.pipeline.glasses import HeadGlasses
from facewright.pipeline.hair import HeadHair
from facewright.pipeline.overview import OverviewContent, draw_overview
from facewright.pipeline.settings import ReconstructionSettings
from facewright.pipeline.versions import computed_with
from facewright.scene.parameters import HeadParameters
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart
from facewright.uv.relief import SkinRelief

SPECULAR_SIZE = 512  # texels a side: gloss comes from a few smooth components


@dataclass(frozen=True)
class Reconstruction:
    """One head, fitted to one photo.

    Attributes:
        photo: the photo as it was worked on.
        model: the face model whose coefficients ``parameters`` holds.
        parameters: a batch of one; pixels are those of ``photo.pixels``.
        box: (x0, y0, x1, y1) of the face in pixels of ``photo.pixels``.
        detected_px: the 478 landmarks that were seen, pixels of ``photo.pixels``.
        fitted_px: the same points of the fitted head.
        landmarks_head: the same points on ``vertices``, mm, head frame.
        albedo: diffuse albedo map, linear RGB, row 0 is v = 1.
        residual: mean distance from fitted to detected landmarks, contour left out, as a fraction of the
            distance between the outer eye corners.
        seconds: time spent in each stage; what was done for several heads at once is divided among them.
        settings: what the user chose.
        warnings: reasons to look twice at this head, one line each.
        hair: over the head, or None.
        relief: of its skin, guessed from the albedo, or None.
        glasses: on the head, or None.
        number: of the face among those of its photo that became heads, the main one 1.
    """

    photo: Photograph
    model: FaceModel
    parameters: HeadParameters
    box: tuple[float, float, float, float]
    detected_px: Float[Tensor, "478 2"]
    fitted_px: Float[Tensor, "478 2"]
    landmarks_head: Float[Tensor, "478 3"]
    albedo: Float[Tensor, "H W 3"]
    residual: float
    seconds: Mapping[str, float]
    settings: ReconstructionSettings
    warnings: tuple[str, ...] = ()
    hair: HeadHair | None = None
    relief: SkinRelief | None = None
    glasses: HeadGlasses | None = None
    number: int = 1

    @property
    def title(self) -> str:
        """Which photo, and which of its faces unless it is the main one."""
        return f"face {self.number} of {self.photo.name}" if self.number > 1 else self.photo.name

    @property
    def neutral(self) -> Float[Tensor, "V 3"]:
        """The person without expression, mm, head frame."""
        return self.model.vertices(self.parameters.identity)[0]

    @property
    def vertices(self) -> Float[Tensor, "V 3"]:
        """The person with the photo's expression, mm, head frame."""
        return self.model.vertices(self.parameters.identity, self.parameters.expression)[0]

    def asset(self) -> HeadAsset:
        """The head as artists take it: neutral shape, morph targets, eyes, texture."""
        asset = asset_of_fit(self.model, self.parameters, self.albedo)
        if self.relief is not None:
            asset = replace(asset, normals=normal_texture(self.relief.slopes))
        hair = None if self.hair is None else self.hair.asset()
        return replace(asset, hair=hair, glasses=None if self.glasses is None else self.glasses.asset())

    def specular_map(self) -> Float[Tensor, "S S"]:
        """Specular intensity as a map, row 0 is v = 1; where no photo told, the model's mean."""
        intensity = self.model.specular_albedo(self.parameters.specular)[0]
        size = min(self.albedo.shape[0], SPECULAR_SIZE)
        return bake(UvChart.of(self.model.topology, size), intensity[:, None])[..., 0]

    def overview(self) -> Image.Image:
        """The picture that a person looks at first."""
        return draw_overview(
            OverviewContent(
                title=self.title,
                photo=self.photo,
                model=self.model,
                parameters=self.parameters,
                vertices=self.vertices,
                albedo=self.albedo,
                hair=self.hair,
                relief=self.relief,
                glasses=self.glasses,
                box=self.box,
                detected_px=self.detected_px,
                residual=self.residual,
            )
        )

    def save(self, folder: Path | str) -> None:
        """Write head.glb, head.obj, head.mtl, albedo.png, specular.png, overview.png and parameters.json.

        Where the skin has relief, there is normal.png as well. The folder appears when all of it is written;
        an earlier result that was there is replaced; files of others beside it stay.

        Raises:
            OutputError: the folder cannot be written, or it has files in it that are no earlier result;
                what was there is still there.
        """
        clock = StageClock()
        with HEAD.written(Path(folder)) as partial:
            with clock.stage("files"):
                head = self.asset()
                write_glb(partial / "head.glb", head)
                write_obj(
                    partial / "head.obj", head.posed, head.texture, normals=head.normals, parts=head.parts
                )
                write_unit_png(partial / "specular.png", self.specular_map())
            with clock.stage("overview"):
                self.overview().save(partial / "overview.png", compress_level=4)
            seconds = {**self.seconds, **clock.seconds}
            write_parameters(partial / "parameters.json", self.saved_parameters(seconds))

    def saved_parameters(self, seconds: Mapping[str, float]) -> SavedParameters:
        """The content of parameters.json: all pixels are those of the photo at its full size."""
        scale = self.photo.scale
        full = replace(self.parameters.camera.scaled(scale), size=self.photo.size)
        return SavedParameters(
            model_name=self.model.name,
            model_version=self.model.version,
            photo=self.photo.name,
            parameters=replace(self.parameters, camera=full),
            expression_names=self.model.expression_names,
            detected_landmarks_px=self.detected_px * scale,
            fitted_landmarks_px=self.fitted_px * scale,
            landmarks_mm=self.landmarks_head,
            seconds={name: round(value, 4) for name, value in seconds.items()},
            notes={
                "settings": asdict(self.settings),
                "computed_on": computed_with(self.model.device),
                "photo_sha256": self.photo.sha256,
                "landmark_residual": self.residual,
                "glasses": None if self.glasses is None else self.glasses.told(),
                "warnings": list(self.warnings),
                "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )
