"""What an importer reads, brought into our units and frame, and how it becomes a ``FaceModel``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from torch import Tensor

from facewright.core.errors import AssetError
from facewright.geometry.mesh import Topology, check_faces
from facewright.models.checks import MAX_COMPONENTS, MAX_VALUES, MAX_VERTICES, check_whole
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet
from facewright.models.importers.plausible import check_plausible

MAX_FILE_BYTES = 2 << 30
NOW7 = (36, 39, 42, 45, 33, 48, 54)  # of ibug68: eye corners right to left, nose base, mouth corners
INNER = range(17, 68)  # of ibug68: without the jaw line, which slides
MIRROR_TOLERANCE = 1.0  # mm
# From the middle between the corners of the left eye to the centre of the eyeball, on the base head's mean.
EYE_CENTER = (0.9, 3.7, -12.5)
GREY = 0.4  # albedo of a model that has none


@dataclass(frozen=True)
class RawAlbedo:
    """A linear model of colours, linear light.

    Attributes:
        mean: in [0, 1].
        basis: change of one standard deviation.
    """

    mean: Float[ndarray, "V C"]
    basis: Float[ndarray, "K V C"]


@dataclass(frozen=True)
class RawModel:
    """A foreign model in mm and in the head frame, before it is checked.

    Attributes:
        name: of the model.
        version: of the model, as its makers count.
        licence: what its makers allow.
        mean: neutral mean head.
        faces: counter-clockwise from outside.
        identity: displacement of one standard deviation.
        expression: displacement at activation 1 (blendshapes) or of one standard deviation.
        expression_names: one an expression.
        diffuse: colours, None if the model has none.
        specular: intensities, None if the model has none.
        uv: texture coordinates, None if the model has none.
        uv_faces: their indices.
        anchors: vertex of some of the 68 points of iBUG, counted from 0.
        landmarks: sets that the model carries as points on triangles.
        parts: vertex masks; all of it is skin where there are none.
        eye_centers: of the left and the right eyeball, None if they are not known.
        notes: what the user should know.
    """

    name: str
    version: str
    licence: str
    mean: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    identity: Float[ndarray, "K V 3"]
    expression: Float[ndarray, "E V 3"]
    expression_names: tuple[str, ...]
    diffuse: RawAlbedo | None = None
    specular: RawAlbedo | None = None
    uv: Float[ndarray, "T 2"] | None = None
    uv_faces: Int64[ndarray, "F 3"] | None = None
    anchors: Mapping[int, int] = field(default_factory=dict)
    landmarks: Mapping[str, LandmarkSet] = field(default_factory=dict)
    parts: Mapping[str, Bool[ndarray, " V"]] = field(default_factory=dict)
    eye_centers: Float[ndarray, "2 3"] | None = None
    notes: tuple[str, ...] = ()


def check_file(path: Path) -> None:
    """Refuse a file that is not there or is larger than any face model.

    Raises:
        AssetError: so it is.
    """
    if not path.is_file():
        raise AssetError(f"expected a model file, found nothing at {path}.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise AssetError(f"{path} is larger than {MAX_FILE_BYTES >> 30} GiB: no face model is.")


def check_counts(path: Path, vertices: int, components: int) -> None:
    """Refuse sizes that no face model has, before memory is taken for them.

    Raises:
        AssetError: there are too many vertices or components.
    """
    whole = 3 <= vertices <= MAX_VERTICES and 0 <= components <= MAX_COMPONENTS
    if not whole or 3 * vertices * components > MAX_VALUES:
        raise AssetError(f"{path} holds {vertices} vertices and {components} components: no face model does.")


def standard_deviations(
    basis: Float[ndarray, "N K"], deviations: Float[ndarray, " K"]
) -> Float[ndarray, "K V 3"]:
    """Columns of any length as displacements (K,V,3) of one standard deviation.

    Some files keep unit columns beside the deviations and some keep columns that are scaled already; a column
    is brought to unit length first, so that both come out alike.
    """
    length = np.linalg.norm(basis, axis=0)
    scaled = basis * (deviations / np.where(length > 0, length, 1.0))
    return np.ascontiguousarray(scaled.T.reshape(len(deviations), -1, 3), dtype=np.float32)


def face_model(raw: RawModel, path: Path) -> FaceModel:
    """Make a checked model of what an importer has read.

    Args:
        raw: in mm, head frame.
        path: where it was read, for messages.

    Raises:
        AssetError: the model is not whole, or not plausible as a head.
    """
    try:
        return _assembled(raw)
    except (LookupError, ValueError, TypeError, RuntimeError) as error:
        told = str(error).rstrip(".")
        raise AssetError(f"{path} is not a plausible {raw.name} model: {told}.") from error


def _assembled(raw: RawModel) -> FaceModel:
    count = len(raw.mean)
    mean, faces = torch.from_numpy(raw.mean).float(), torch.from_numpy(raw.faces)
    check_faces(faces, count)
    uv, uv_faces = raw.uv, raw.uv_faces
    if uv is None or uv_faces is None:
        uv, uv_faces = cylinder_coordinates(raw.mean, raw.faces)
    diffuse = raw.diffuse or RawAlbedo(np.full((count, 3), GREY), np.zeros((0, count, 3)))
    specular = raw.specular or RawAlbedo(np.zeros((count, 1)), np.zeros((0, count, 1)))
    expressions = len(raw.expression_names)
    skin = raw.parts.get("skin", np.ones(count, dtype=bool))
    parts = {"skin": skin, **raw.parts}
    model = FaceModel(
        name=raw.name,
        version=raw.version,
        topology=Topology(faces, torch.from_numpy(uv).float(), torch.from_numpy(uv_faces)),
        mean=mean,
        identity_basis=torch.from_numpy(raw.identity).float(),
        expression_basis=torch.from_numpy(raw.expression).float(),
        expression_names=raw.expression_names,
        # Standard deviations have this prior by definition; of blendshapes the files say nothing narrower.
        expression_prior=ExpressionPrior.independent(torch.zeros(expressions), torch.ones(expressions)),
        diffuse_mean=torch.from_numpy(diffuse.mean).float(),
        diffuse_basis=torch.from_numpy(diffuse.basis).float(),
        specular_mean=torch.from_numpy(specular.mean).float().mean(-1),
        specular_basis=torch.from_numpy(specular.basis).float().mean(-1),
        mirror=torch.from_numpy(mirrored_vertices(raw.mean)),
        regions={"skin": torch.from_numpy(skin)},
        parts={name: torch.from_numpy(mask) for name, mask in parts.items()},
        landmarks={**_landmark_sets(raw), **raw.landmarks},
        eye_centers=_eye_centers(raw),
    )
    check_whole(model)
    check_plausible(model, raw.anchors)
    return model


def _landmark_sets(raw: RawModel) -> dict[str, LandmarkSet]:
    """The complete sets among the known points."""
    wanted = {"now7": NOW7, "ibug51": tuple(INNER), "ibug68": tuple(range(68))}
    if raw.anchors and not 0 <= min(raw.anchors.values()) <= max(raw.anchors.values()) < len(raw.mean):
        raise ValueError(f"landmarks point outside of the {len(raw.mean)} vertices")
    return {
        name: _points_at([raw.anchors[number] for number in numbers], raw.faces, numbers)
        for name, numbers in wanted.items()
        if all(number in raw.anchors for number in numbers)
    }


def _points_at(vertices: list[int], faces: ndarray, numbers: tuple[int, ...]) -> LandmarkSet:
    carrier, corner = np.zeros(len(vertices), dtype=np.int64), np.zeros(len(vertices), dtype=np.int64)
    for row, vertex in enumerate(vertices):
        places = np.argwhere(faces == vertex)
        if not len(places):
            raise ValueError(f"the landmark at vertex {vertex} lies on no triangle")
        carrier[row], corner[row] = places[0]
    weights = np.eye(3, dtype=np.float32)[corner]
    contour = torch.tensor([number < INNER.start for number in numbers])
    return LandmarkSet(torch.from_numpy(carrier), torch.from_numpy(weights), contour)


def _eye_centers(raw: RawModel) -> Tensor:
    """Of the file, of its eyeballs, or behind the corners of the eyes."""
    if raw.eye_centers is not None:
        return torch.from_numpy(raw.eye_centers).float()
    centers = []
    for part, corners, side in (("left_eye", (42, 45), 1.0), ("right_eye", (36, 39), -1.0)):
        if part in raw.parts:
            low, high = raw.mean[raw.parts[part]].min(0), raw.mean[raw.parts[part]].max(0)
            centers.append((low + high) / 2)
        elif all(number in raw.anchors for number in corners):
            between = raw.mean[[raw.anchors[number] for number in corners]].mean(0)
            centers.append(between + np.array(EYE_CENTER) * (side, 1.0, 1.0))
        else:
            raise ValueError("neither eyeballs nor the corners of the eyes are known: give landmarks")
    return torch.from_numpy(np.stack(centers)).float()


def mirrored_vertices(mean: Float[ndarray, "V 3"]) -> Int64[ndarray, " V"]:
    """The left-right counterpart of each vertex; a vertex that has none is its own.

    Two vertices are partners if each is the nearest to the other's mirror image, within 1 mm. The plane is
    x = 0 or, where the model stands beside it, the plane through the middle of its width.
    """
    middle = 0.5 * (mean[:, 0].min() + mean[:, 0].max())
    flipped = mean * (-1.0, 1.0, 1.0) + (2 * middle, 0.0, 0.0)
    distance, partner = KDTree(mean).query(flipped)
    own = np.arange(len(mean))
    partner = np.asarray(partner)
    mutual = (distance < MIRROR_TOLERANCE) & (partner[partner] == own)
    return np.where(mutual, partner, own).astype(np.int64)


def cylinder_coordinates(
    mean: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]
) -> tuple[Float[ndarray, "T 2"], Int64[ndarray, "F 3"]]:
    """Texture coordinates of a model that has none: unrolled from an upright cylinder, cut at the back.

    Returns:
        uv and uv_faces; vertices of triangles that cross the cut have two coordinates.
    """
    low, high = mean.min(0), mean.max(0)
    middle = 0.5 * (low + high)
    angle = np.arctan2(mean[:, 0] - middle[0], mean[:, 2] - middle[2]) / (2 * np.pi) + 0.5
    uv = np.stack([angle, (mean[:, 1] - low[1]) / (high[1] - low[1])], axis=1)
    corners = angle[faces]
    crossing = corners.max(1) - corners.min(1) > 0.5
    wrapped = np.unique(faces[crossing][corners[crossing] < 0.5])
    second = np.full(len(mean), -1, dtype=np.int64)
    second[wrapped] = len(mean) + np.arange(len(wrapped))
    uv_faces = faces.copy()
    move = crossing[:, None] & (corners < 0.5)
    uv_faces[move] = second[faces[move]]
    uv = np.concatenate([uv, uv[wrapped] + (1.0, 0.0)])
    return uv / (max(1.0, uv[:, 0].max()), 1.0), uv_faces
