"""The folder of a result, read back: parameters, model, texture and the photo that it was made from."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.tensor_records import on_device
from facewright.export.asset import HeadAsset, asset_of_fit
from facewright.export.parameters import SavedParameters, read_parameters
from facewright.image.color import linear_from_srgb
from facewright.image.io import Photograph, PhotoLimits, read_photo
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model
from facewright.pipeline.folders import MARKER, NORMALS
from facewright.pipeline.hair import HeadHair
from facewright.pipeline.inputs import content_digest
from facewright.pipeline.report import REPORT, read_report
from facewright.pipeline.saved_hair import read_hair
from facewright.scene.camera import Camera
from facewright.scene.parameters import HeadParameters

ALBEDO, MESH = "albedo.png", "head.glb"


@dataclass(frozen=True)
class SavedHead:
    """One result of ``reconstruct``.

    Attributes:
        name: of its folder.
        saved: the content of its parameters.json.
        model: the face model whose coefficients those are.
        albedo: map, linear RGB, row 0 is v = 1.
        hair: over the head, or None.
        normals: of its skin's relief, row 0 is v = 1 (``normal_texture``), or None.
    """

    name: str
    saved: SavedParameters
    model: FaceModel
    albedo: Float[Tensor, "S S 3"]
    hair: HeadHair | None = None
    normals: UInt8[Tensor, "R R 3"] | None = None

    @property
    def photo_sha256(self) -> str:
        """Of the photo's file, "" if the result does not know it."""
        digest = self.saved.notes.get("photo_sha256", "")
        return digest if isinstance(digest, str) else ""

    def parameters(self, camera: Camera | None = None) -> HeadParameters:
        """Its parameters on the model's device; pixels are those of the full photo or of another camera."""
        own = self.saved.parameters
        return on_device(replace(own, camera=camera or own.camera), self.model.device)

    def asset(self) -> HeadAsset:
        """The head as artists take it: what ``reconstruct`` wrote, without its spectacles."""
        asset = asset_of_fit(self.model, self.parameters(), self.albedo)
        return replace(asset, normals=self.normals, hair=None if self.hair is None else self.hair.asset())

    def camera_of(self, photo: Photograph) -> Camera:
        """The camera in pixels of the photo as it was read, which may have been reduced."""
        size = (photo.pixels.shape[-2], photo.pixels.shape[-1])
        return replace(self.saved.parameters.camera.scaled(1 / photo.scale), size=size)


def result_folders(paths: list[Path]) -> list[Path]:
    """Folders of results: those given, and those in the report of a folder of results.

    Raises:
        InputError: one is neither.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if (path / MARKER).is_file():
            found[path] = None
        elif (path / REPORT).is_file():
            listed = [path / name for entry in read_report(path).values() for name in entry.folders]
            if not listed:
                raise InputError(f"{path} holds no results: its {REPORT} lists none.")
            found.update(dict.fromkeys(listed))
        else:
            raise InputError(
                f"expected a folder made by facewright reconstruct (with {MARKER} or {REPORT} in it), "
                f"got {path}: {'it has neither' if path.is_dir() else 'there is no such folder'}."
            )
    return list(found)


def load_head(folder: Path, model_file: Path | None = None, device: torch.device | str = "cpu") -> SavedHead:
    """Read a result back; every file is checked as if someone else had written it.

    Args:
        folder: made by ``reconstruct``.
        model_file: the face model that was used, if it is neither the shipped one nor where it was then.
        device: where the model and the map go.

    Raises:
        InputError: the folder is not a result of this version, or of another model.
        ImageError: one of its maps cannot be read.
        AssetError: the face model cannot be read.
    """
    if not (folder / MARKER).is_file():
        raise InputError(f"{folder} is no result of facewright reconstruct: it has no {MARKER}.")
    saved = read_parameters(folder / MARKER)
    model = _model(folder, saved, model_file)
    if not (folder / ALBEDO).is_file():
        raise InputError(f"{folder} has no {ALBEDO}: reconstruct the photo again with --force.")
    albedo = linear_from_srgb(_map(folder / ALBEDO))
    normals = (_map(folder / NORMALS) * 255 + 0.5).to(torch.uint8) if (folder / NORMALS).is_file() else None
    if not (folder / MESH).is_file():
        raise InputError(f"{folder} has no {MESH}: reconstruct the photo again with --force.")
    model = model.to(device)
    neutral = model.vertices(saved.parameters.identity.to(device))[0]
    hair = read_hair(folder / MESH, model, neutral)
    return SavedHead(folder.resolve().name, saved, model, albedo.to(device), hair, normals)


def _map(path: Path) -> Float[Tensor, "S S 3"]:
    """A square map, as its file has it in [0, 1]."""
    picture = read_photo(path).pixels
    if picture.shape[-1] != picture.shape[-2]:
        height, width = picture.shape[-2:]
        raise InputError(f"{path}: expected a square texture map, got {width} x {height} pixels.")
    return picture.permute(1, 2, 0).contiguous()


def photo_of(head: SavedHead, folder: Path, given: Path | None = None) -> Photograph:
    """The photo that a result was made from.

    Args:
        head: the result.
        folder: where it is; the report beside it tells where its photo was.
        given: the photo, or a folder that has it by its name; as in the report if None.

    Raises:
        InputError: it is not there, or it is another photo.
        ImageError: it cannot be read.
    """
    path = _photo_path(head, folder, given)
    if not path.is_file():
        raise InputError(
            f"the photo of {folder} is not at {path}: give it with --photo, or leave it out with --no-photo."
        )
    digest = content_digest(path, PhotoLimits().max_bytes)
    if head.photo_sha256 and digest != head.photo_sha256:
        raise InputError(
            f"{path} is not the photo of {folder} (its SHA-256 is another): give that with --photo, or leave "
            "it out with --no-photo."
        )
    photo = read_photo(path)
    if photo.size != head.saved.parameters.camera.size:
        expected, got = head.saved.parameters.camera.size, photo.size
        raise InputError(
            f"{path} has {got[1]} x {got[0]} pixels, the photo of {folder} {expected[1]} x {expected[0]}: "
            "give the right one with --photo."
        )
    return replace(photo, sha256=digest)


def _photo_path(head: SavedHead, folder: Path, given: Path | None) -> Path:
    name = Path(head.saved.photo).name  # never a path: the file may have been written by someone else
    if given is not None:
        return given / name if given.is_dir() else given
    place = folder.resolve()
    for entry in read_report(place.parent).values():
        if place.name in entry.folders:
            return Path(entry.path)
    return place.parent / name


def _model(folder: Path, saved: SavedParameters, model_file: Path | None) -> FaceModel:
    """The face model of a result.

    Raises:
        InputError: it is another one, or another version of it.
    """
    if model_file is None:
        settings = saved.notes.get("settings")
        noted = settings.get("model") if isinstance(settings, dict) else None
        model_file = Path(noted) if isinstance(noted, str) else None
    model = load_face_model(model_file) if model_file else load_base_model()
    if (model.name, model.version) != (saved.model_name, saved.model_version):
        raise InputError(
            f"{folder} was made with the model {saved.model_name!r} version {saved.model_version}, at hand "
            f"is {model.name!r} version {model.version}: give its file with --model, or reconstruct again."
        )
    if model.expression_names != saved.expression_names:
        raise InputError(f"{folder / MARKER}: its expressions are not those of the model {model.name!r}.")
    own = saved.parameters
    counts = tuple(c.shape[1] for c in (own.identity, own.expression, own.diffuse, own.specular))
    wanted = (model.identity_count, model.expression_count, model.diffuse_count, model.specular_count)
    if counts != wanted:
        raise InputError(
            f"{folder / MARKER}: expected {wanted} coefficients of identity, expression, diffuse and "
            f"specular albedo, got {counts}."
        )
    return model
