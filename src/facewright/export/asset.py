"""A head as artists take it: neutral shape, morph targets, eyes, texture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from facewright.core.errors import InputError
from facewright.export.maps import texture_from_linear
from facewright.geometry.mesh import Mesh, Topology, check_faces
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters

EYE_PARTS = ("left_eye", "right_eye")


@dataclass(frozen=True)
class AssetLamp:
    """A small lamp beside a head.

    Attributes:
        place: mm, head frame.
        light: linear RGB, shading of a surface at the head that faces it.
    """

    place: Float[Tensor, "3"]
    light: Float[Tensor, "3"]


@dataclass(frozen=True)
class AssetHair:
    """A shell of hair over a head.

    Attributes:
        skin: rows of the head whose mean lies below each vertex of the shell.
        offset: mm, head frame, from there to the shell, with any expression.
        topology: the shell's triangles and texture coordinates.
        texture: sRGB and cover, row 0 is v = 1.
    """

    skin: Int64[Tensor, "M P"]
    offset: Float[Tensor, "M 3"]
    topology: Topology
    texture: UInt8[Tensor, "S S 4"]


@dataclass(frozen=True)
class AssetGlasses:
    """Spectacles on a head.

    Attributes:
        vertices: mm, head frame.
        faces: triangles; those of the frame come first, then those of the lenses.
        colors: albedo of each vertex, linear RGB.
        frame: so many triangles are the frame's.
        lens_opacity: of the lenses.
    """

    vertices: Float[Tensor, "V 3"]
    faces: Int64[Tensor, "F 3"]
    colors: Float[Tensor, "V 3"]
    frame: int
    lens_opacity: float


@dataclass(frozen=True)
class HeadAsset:
    """One person's head with its expressions, in the head frame, mm.

    Attributes:
        name: what the head is called in files.
        neutral: the person without expression.
        deltas: displacement of each expression at activation 1.
        expression_names: one name an expression.
        weights: activations of the photo.
        topology: triangles and texture coordinates.
        parts: vertex masks by name; "left_eye" and "right_eye" become nodes of their own.
        eye_centers: centres of rotation of the left and right eyeball of this person.
        texture: sRGB, row 0 is v = 1.
        normals: of the skin's relief in the frame of tangents, row 0 is v = 1 (``normal_texture``); None: the
            skin is as smooth as the mesh.
        gloss: specular intensity of each vertex over the mean of the model's facial skin, or None where no
            photo told.
        shininess: Blinn-Phong exponent of the skin, or None where no photo told.
        frames: weights of an animation, one row a key, evenly spaced in time; None plays nothing.
        seconds: that the animation takes.
        lamp: that shines on it, or None.
        hair: over it, or None.
        glasses: on it, or None.
    """

    name: str
    neutral: Float[Tensor, "V 3"]
    deltas: Float[Tensor, "E V 3"]
    expression_names: tuple[str, ...]
    weights: Float[Tensor, " E"]
    topology: Topology
    parts: Mapping[str, Bool[Tensor, " V"]]
    eye_centers: Float[Tensor, "2 3"]
    texture: UInt8[Tensor, "H W 3"]
    normals: UInt8[Tensor, "R R 3"] | None = None
    gloss: Float[Tensor, " V"] | None = None
    shininess: float | None = None
    frames: Float[Tensor, "T E"] | None = None
    seconds: float = 1.0
    lamp: AssetLamp | None = None
    hair: AssetHair | None = None
    glasses: AssetGlasses | None = None

    @property
    def posed(self) -> Mesh:
        """The head with the photo's expression applied."""
        moved = (self.weights @ self.deltas.flatten(1)).unflatten(-1, (-1, 3))
        return Mesh(self.neutral + moved, self.topology)

    def around(self, posed: Float[Tensor, "V 3"]) -> "HeadAsset":
        """The head whose expression of the photo gives these vertices; the eyes move along."""
        moved = posed - self.posed.vertices
        masks = [self.parts[part] for part in EYE_PARTS if part in self.parts]
        shift = [moved[mask].mean(0) for mask in masks]
        centers = self.eye_centers + torch.stack(shift) if len(shift) == len(EYE_PARTS) else self.eye_centers
        return replace(self, neutral=self.neutral + moved, eye_centers=centers)


def head_asset(
    model: FaceModel,
    identity: Float[Tensor, " K_identity"],
    expression: Float[Tensor, " K_expression"],
    texture: UInt8[Tensor, "H W 3"],
    *,
    name: str = "facewright",
    specular: Float[Tensor, " K_specular"] | None = None,
) -> HeadAsset:
    """Gather what the files of one head need from a model and its coefficients.

    ``specular`` is given where a photo told the gloss of the skin.

    Raises:
        InputError: a coefficient count is not the model's.
    """
    neutral = model.vertices(identity[None])[0]
    return HeadAsset(
        name=name,
        neutral=neutral,
        deltas=model.expression_basis,
        expression_names=model.expression_names,
        weights=expression,
        topology=model.topology,
        parts=model.parts,
        eye_centers=_eye_centers(model, neutral),
        texture=texture,
        gloss=None if specular is None else _gloss(model, specular),
    )


def asset_of_fit(model: FaceModel, parameters: HeadParameters, albedo: Float[Tensor, "H W 3"]) -> HeadAsset:
    """The head of a fit (B = 1) with its albedo map (linear RGB); its own gloss where a lamp told of it.

    Without highlights nothing in the photo told how wide they are, either.
    """
    own, lit = parameters, parameters.point_light is not None
    texture = texture_from_linear(albedo)
    specular = own.specular[0] if lit else None
    asset = head_asset(model, own.identity[0], own.expression[0], texture, specular=specular)
    return replace(asset, shininess=float(own.shininess)) if lit and own.shininess is not None else asset


def check_head(head: HeadAsset) -> None:
    """Refuse heads that no viewer could show.

    Raises:
        InputError: counts differ, a position is not finite, or an index points outside.
    """
    if len(head.expression_names) != head.deltas.shape[0]:
        raise InputError(
            f"expected one name for each of the {head.deltas.shape[0]} expressions, "
            f"got {len(head.expression_names)}."
        )
    told = [("neutral", head.neutral), ("deltas", head.deltas), ("weights", head.weights)]
    if head.lamp is not None:
        told += [("place of the lamp", head.lamp.place), ("light of the lamp", head.lamp.light)]
    if head.hair is not None:
        told.append(("offset of the hair", head.hair.offset))
        check_faces(head.hair.topology.faces, len(head.hair.offset))
        check_faces(head.hair.topology.uv_faces, len(head.hair.topology.uv))
        check_faces(head.hair.skin, len(head.neutral))
    if head.glasses is not None:
        told += [
            ("places of the glasses", head.glasses.vertices),
            ("colours of the glasses", head.glasses.colors),
        ]
        check_faces(head.glasses.faces, len(head.glasses.vertices))
    for label, values in told:
        if not bool(torch.isfinite(values).all()):
            raise InputError(f"{label} of the head hold values that are not finite: nothing was written.")
    check_faces(head.topology.faces, head.neutral.shape[0])
    check_faces(head.topology.uv_faces, head.topology.uv.shape[0])


def _gloss(model: FaceModel, specular: Tensor) -> Tensor:
    """Specular intensity of the vertices over the mean of the model's facial skin."""
    skin = model.parts.get("skin", torch.ones_like(model.mirror, dtype=torch.bool))
    skin = skin & model.regions.get("face", skin)
    return model.specular_albedo(specular[None])[0] / model.specular_mean[skin].mean()


def _eye_centers(model: FaceModel, neutral: Tensor) -> Tensor:
    """The model's eye centres, moved as far as the identity moved the middle of each eyeball."""
    centers = model.eye_centers.clone()
    for row, part in enumerate(EYE_PARTS):
        if part in model.parts and bool(model.parts[part].any()):
            mask = model.parts[part]
            centers[row] += neutral[mask].mean(0) - model.mean[mask].mean(0)
    return centers
