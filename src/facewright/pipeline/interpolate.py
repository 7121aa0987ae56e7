"""``interpolate``: the faces between two, along the geodesic of the identity sphere."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.files import atomic_file, make_writable_folder, only_writer, write_json
from facewright.export.asset import HeadAsset
from facewright.export.gltf import write_glb
from facewright.export.maps import texture_from_linear
from facewright.models.sphere_model import FACE, SphereModel, open_sphere, sphere_model
from facewright.pipeline.overview import PANEL, draw_sheet
from facewright.pipeline.saved_hair import hair_between
from facewright.pipeline.saved_head import SavedHead, load_head
from facewright.pipeline.views import Finish, clay_with_eyes, drawn_hair, turned_views
from facewright.render.ambient import light_reaching

STRIP, WALK, TOLD = "strip.png", "walk.glb", "interpolation.json"
YAW = 0.45  # radians that the heads of the strip are turned: noses and foreheads show
BACKGROUND = (0.85, 0.85, 0.83)  # linear RGB
SECONDS = 4.0  # from one face to the other
MAX_STEPS = 25


@dataclass(frozen=True)
class Walk:
    """Faces between two.

    Attributes:
        shares: of the way, 0 to 1.
        vertices: of the heads, mm, head frame.
        scales: distance of each face to the mean face, mm times root of vertices.
        angle: between the two directions, radians.
        sphere: whose directions these are.
    """

    shares: Float[Tensor, " T"]
    vertices: Float[Tensor, "T V 3"]
    scales: Float[Tensor, " T"]
    angle: float
    sphere: SphereModel


def interpolate_into(
    first: Path, last: Path, out: Path, steps: int = 7, model_file: Path | None = None
) -> Walk:
    """Write the strip of faces between two results of ``reconstruct``, and a head that walks the way.

    Args:
        first: folder of a result.
        last: folder of another of the same model.
        out: gets strip.png, walk.glb and interpolation.json.
        steps: faces of the strip, with both ends.
        model_file: the face model of the results, if it is neither the shipped one nor where it was.

    Raises:
        InputError: a folder is no result, the results are of different models, or opposite.
        OutputError: the folder cannot be written.
    """
    if not 2 <= steps <= MAX_STEPS:
        raise InputError(f"expected 2 to {MAX_STEPS} steps, got {steps}.")
    heads = load_head(first, model_file), load_head(last, model_file)
    names = [(head.model.name, head.model.version) for head in heads]
    if names[0] != names[1]:
        raise InputError(
            f"{first} was made with the model {names[0][0]!r} version {names[0][1]}, {last} with "
            f"{names[1][0]!r} version {names[1][1]}: reconstruct both with one."
        )
    walk = walk_between(*heads, sphere_of(heads[0], model_file), steps)
    make_writable_folder(out)
    with only_writer(out):
        with atomic_file(out / STRIP) as partial:
            draw_strip(walk, heads).save(partial, format="PNG")
        write_glb(out / WALK, walk_asset(walk, heads))
        write_json(out / TOLD, _document(walk, heads))
    return walk


def sphere_of(head: SavedHead, model_file: Path | None = None) -> SphereModel:
    """The sphere of a result's model: its own, or its identities over orthonormal axes of the face."""
    settings = head.saved.notes.get("settings")
    noted = settings.get("model") if isinstance(settings, dict) else None
    path = model_file or (Path(noted) if isinstance(noted, str) else None)
    if path is not None:
        return open_sphere(path)[1]
    return sphere_model(head.model, head.model.regions.get(FACE))


def walk_between(first: SavedHead, last: SavedHead, sphere: SphereModel, steps: int) -> Walk:
    """Heads along the geodesic; expressions and scales change evenly.

    Raises:
        InputError: a face is the mean face, or the two are opposite.
    """
    model, shares = sphere.face_model, torch.linspace(0, 1, steps)
    ends = []
    for head in (first, last):
        own = head.saved.parameters.identity.to(head.model.device)
        ends.append(sphere.coefficients_of(head.model.vertices(own)))
    identity = sphere.interpolate(ends[0], ends[1], shares)
    expressions = [head.saved.parameters.expression for head in (first, last)]
    expression = torch.lerp(expressions[0], expressions[1], shares[:, None])
    scales, directions = sphere.scale_direction(identity)
    cosine = float((directions[0] * directions[-1]).sum().clamp(-1, 1))
    return Walk(shares, model.vertices(identity, expression), scales, float(np.arccos(cosine)), sphere)


def draw_strip(walk: Walk, heads: tuple[SavedHead, SavedHead]) -> Image.Image:
    """The strip of figure 4: every face as clay and with its colours."""
    model, clay = walk.sphere.face_model, clay_with_eyes(walk.sphere.face_model)
    shapes, faces = [], []
    for share, vertices in zip(walk.shares.tolist(), walk.vertices, strict=True):
        hair = hair_between(heads[0].hair, heads[1].hair, share)
        shell = None if hair is None else drawn_hair(hair, vertices)
        albedo = torch.lerp(heads[0].albedo, _like(heads[1].albedo, heads[0].albedo), share)
        light = light_reaching(vertices, model.topology)
        drawn = turned_views(
            vertices,
            model.topology,
            albedo,
            (YAW,),
            PANEL,
            BACKGROUND,
            finish=Finish(clay, light, hair=shell),
        )
        name = {0.0: heads[0].name, 1.0: heads[1].name}.get(share, f"{share:.2f}")
        shapes.append((name[:32], _image(drawn[0][0])))
        faces.append(("", _image(drawn[1][0])))
    told = f"{np.degrees(walk.angle):.0f} degrees between the two"
    return draw_sheet([shapes, faces], "from one face to another", told)


def walk_asset(walk: Walk, heads: tuple[SavedHead, SavedHead]) -> HeadAsset:
    """The first head with the others as targets, which are played one after the other and back."""
    model = walk.sphere.face_model
    count = len(walk.shares) - 1
    there = torch.cat([torch.zeros(1, count), torch.eye(count)])
    frames = torch.cat([there, there[:-1].flip(0)])
    albedo = 0.5 * (heads[0].albedo + _like(heads[1].albedo, heads[0].albedo))
    first = walk.vertices[0]
    hair = hair_between(heads[0].hair, heads[1].hair, 0.5)
    eyes = [first[model.parts[eye]].mean(0) for eye in ("left_eye", "right_eye")]
    return HeadAsset(
        name="walk",
        neutral=first,
        deltas=walk.vertices[1:] - first,
        expression_names=tuple(f"step{number}" for number in range(1, count + 1)),
        weights=torch.zeros(count),
        topology=model.topology,
        parts=model.parts,
        eye_centers=torch.stack(eyes),
        texture=texture_from_linear(albedo),
        frames=frames,
        seconds=2 * SECONDS,
        hair=None if hair is None else hair.asset(),
    )


def _document(walk: Walk, heads: tuple[SavedHead, SavedHead]) -> dict[str, object]:
    return {
        "from": heads[0].name,
        "to": heads[1].name,
        "model": walk.sphere.face_model.name,
        "angle_deg": float(np.degrees(walk.angle)),
        "orthonormality": walk.sphere.orthonormality,
        "shares": walk.shares.tolist(),
        "scales": walk.scales.tolist(),
        "rms_from_mean_mm": (walk.scales / float(walk.sphere.region.sum()) ** 0.5).tolist(),
    }


def _like(albedo: Float[Tensor, "S S 3"], other: Float[Tensor, "T T 3"]) -> Float[Tensor, "T T 3"]:
    if albedo.shape == other.shape:
        return albedo
    picture = albedo.permute(2, 0, 1)[None]
    size = (other.shape[0], other.shape[1])
    return torch.nn.functional.interpolate(picture, size=size, mode="bilinear")[0].permute(1, 2, 0)


def _image(linear: Float[Tensor, "S S 3"]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(texture_from_linear(linear).cpu().numpy()))
