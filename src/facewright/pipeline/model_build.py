"""From heads in one topology to a face model: aligned, averaged, taken apart into components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import AssetError, InputError
from facewright.geometry.alignment import align_points
from facewright.models.base import load_base_model
from facewright.models.checks import MAX_COMPONENTS, MAX_VALUES
from facewright.models.face_model import ExpressionPrior, FaceModel
from facewright.models.importers.plausible import check_shapes
from facewright.models.importers.raw import RawModel, face_model
from facewright.models.statistics import (
    Components,
    ModelCurves,
    model_curves,
    principal_components,
    procrustes,
)
from facewright.models.storage import ModelOrigin
from facewright.pipeline.model_import import read_landmark_vertices
from facewright.pipeline.model_sources import (
    HeadSet,
    expression_pairs,
    find_heads,
    read_heads,
    read_weights,
)

LEAST_HEADS = 3


@dataclass(frozen=True)
class BuildSettings:
    """Choices about a model that is built.

    Attributes:
        name: of the model.
        licence: of the heads, and so of the model.
        components: identity components at most; as many as a model file can hold if None.
        variance_share: as many as carry this share of the variance; all if None.
        with_scale: take differences of size away (similarity); otherwise they are identity (rigid).
        weights: table ``name,weight``; expressions have none, and 0 leaves a head out.
        expressions: table ``neutral,expression,label``; None: the names tell.
        expression_basis: "labels": the mean offset of each label; "pca": components of all offsets.
        landmarks: JSON of iBUG points to vertices; needed where the topology is not ours.
        curves: also compute compactness, generalisation and specificity.
    """

    name: str = "built"
    licence: str = "not stated: that of the heads"
    components: int | None = None
    variance_share: float | None = None
    with_scale: bool = False
    weights: Path | None = None
    expressions: Path | None = None
    expression_basis: Literal["labels", "pca"] = "labels"
    landmarks: Path | None = None
    curves: bool = True


@dataclass(frozen=True)
class BuiltModel:
    """A model and what is to be told about it.

    Attributes:
        model: in mm, head frame.
        origin: how it was made.
        curves: None if they were not asked for.
    """

    model: FaceModel
    origin: ModelOrigin
    curves: ModelCurves | None


def build_model(places: Sequence[Path], settings: BuildSettings | None = None) -> BuiltModel:
    """Build a model of the heads in files and folders.

    Args:
        places: meshes, registered heads, or folders of them; mm, all in one topology.
        settings: choices.

    Raises:
        InputError: there are too few heads, they do not share a topology, or a table does not fit them.
        ScanError: a head cannot be read.
        AssetError: what was built is no plausible head (units, frame).
    """
    settings = settings or BuildSettings()
    heads = read_heads(find_heads(places))
    pairs = expression_pairs(heads.names, settings.expressions)
    shown = {expression for _, expression, _ in pairs}
    weights = _weights(heads, shown, settings)
    identities = [row for row in range(len(heads.names)) if row not in shown and weights[row] > 0]
    if len(identities) < LEAST_HEADS:
        raise InputError(f"a model needs {LEAST_HEADS} neutral heads at least, got {len(identities)}.")
    weights = weights[identities]
    most = _most_components(heads, settings.components)
    base = load_base_model()
    ours = _is_ours(heads, base)
    chosen = np.flatnonzero(base.regions["face"].numpy()) if ours else np.arange(heads.vertices.shape[1])
    samples = procrustes(heads.vertices[identities], chosen, weights, with_scale=settings.with_scale)
    if ours:
        samples = _into_head_frame(samples, weights, base, chosen)
    identity = principal_components(samples, weights, count=most, share=settings.variance_share)
    expression = _expressions(heads, pairs, chosen, settings.expression_basis)
    notes = _notes(heads, identities, identity, expression, ours)
    if ours:
        model = _checked(_in_ours(base, identity, expression), settings.name)
    else:
        model = _in_theirs(heads, identity, expression, settings)
    model = replace(model, name=settings.name, version="1")
    origin = ModelOrigin(
        settings.licence,
        f"{len(identities)} heads, {len(pairs)} expressions",
        "facewright model build",
        notes,
    )
    curves = model_curves(samples, weights) if settings.curves else None
    return BuiltModel(model, origin, curves)


def _weights(heads: HeadSet, shown: set[int], settings: BuildSettings) -> Float[ndarray, " N"]:
    """How much each head counts.

    Raises:
        InputError: the table does not fit the heads, or names an expression.
    """
    if settings.weights is None:
        return np.ones(len(heads.names))
    listed = read_weights(settings.weights, heads.names)
    expressions = [heads.names[row] for row in sorted(shown) if heads.names[row] in listed]
    if expressions:
        raise InputError(
            f"{settings.weights} names {expressions[0]!r}, which is an expression: only neutral heads have "
            "weights; take it out of the table."
        )
    return np.array([listed.get(name, 1.0) for name in heads.names])


def _most_components(heads: HeadSet, asked: int | None) -> int:
    """As many as are asked for and a model file can hold.

    Raises:
        InputError: more are asked for than it can hold.
    """
    most = min(MAX_COMPONENTS, MAX_VALUES // max(3 * heads.vertices.shape[1], 1))
    if asked is not None and asked > most:
        raise InputError(
            f"a model of {heads.vertices.shape[1]} vertices holds {most} components at most, got "
            f"--components {asked}."
        )
    return most if asked is None else asked


def _is_ours(heads: HeadSet, base: FaceModel) -> bool:
    same = heads.vertices.shape[1] == len(base.mean)
    return same and np.array_equal(heads.faces, base.topology.faces.numpy())


def _into_head_frame(
    samples: Float[ndarray, "N V 3"],
    weights: Float[ndarray, " N"],
    base: FaceModel,
    chosen: Int64[ndarray, " S"],
) -> Float[ndarray, "N V 3"]:
    """All heads moved as one, so that their mean lies where the base head's mean does."""
    mean = torch.from_numpy(np.average(samples, axis=0, weights=weights))[None]
    alignment = align_points(mean[:, chosen], base.mean[chosen].double()[None])
    rotation, translation = alignment.rotation[0].numpy(), alignment.translation[0].numpy()
    return (samples @ rotation.T.astype(np.float32) + translation.astype(np.float32)).astype(np.float32)


def _expressions(
    heads: HeadSet, pairs: list[tuple[int, int, str]], chosen: ndarray, kind: str
) -> dict[str, ndarray]:
    """Displacements (V,3) by name; each expression is first laid rigidly onto its neutral head."""
    offsets: dict[str, list[ndarray]] = {}
    for neutral, expression, label in pairs:
        source, target = (
            torch.from_numpy(heads.vertices[row].astype(np.float64))[None] for row in (expression, neutral)
        )
        moved = align_points(source[:, chosen], target[:, chosen]).apply(source)
        offsets.setdefault(label, []).append((moved - target)[0].numpy().astype(np.float32))
    if kind == "labels" or not offsets:
        return {label: np.mean(moves, axis=0) for label, moves in sorted(offsets.items())}
    together = np.stack([move for moves in offsets.values() for move in moves])
    parts = principal_components(together, count=_most_components(heads, None) - 1)
    named = {f"expression{number:03d}": move for number, move in enumerate(parts.basis)}
    return {"mean_expression": parts.mean.astype(np.float32), **named}


def _in_ours(base: FaceModel, identity: Components, expression: Mapping[str, ndarray]) -> FaceModel:
    """The base head's topology, landmarks, regions and albedo with other statistics of shape."""
    mean = torch.from_numpy(identity.mean).float()
    moved = torch.stack(
        [
            (mean - base.mean)[base.parts[part]].mean(0) if part in base.parts else torch.zeros(3)
            for part in ("left_eye", "right_eye")
        ]
    )
    model = replace(
        base,
        mean=mean,
        identity_basis=torch.from_numpy(identity.basis),
        eye_centers=base.eye_centers + moved,
    )
    if not expression:
        return model
    count = len(expression)
    return replace(
        model,
        expression_basis=torch.from_numpy(np.stack(list(expression.values()))),
        expression_names=tuple(expression),
        expression_prior=ExpressionPrior.independent(torch.zeros(count), torch.ones(count)),
    )


def _checked(model: FaceModel, name: str) -> FaceModel:
    """A model in our topology, whose shapes are looked at as those of others: centimetres share it too.

    Raises:
        AssetError: it is not plausible as a head.
    """
    points = model.landmark_points(model.mean[None], "ibug68")[0]
    try:
        check_shapes(model, dict(enumerate(points)))
    except ValueError as error:
        raise AssetError(f"the heads do not make a plausible model {name!r}: {error}.") from error
    return model


def _in_theirs(
    heads: HeadSet, identity: Components, expression: Mapping[str, ndarray], settings: BuildSettings
) -> FaceModel:
    """A topology of which nothing is known but some landmarks; it is checked like an imported model."""
    if settings.landmarks is None:
        raise InputError(
            "the heads are not in facewright's topology: give --landmarks, JSON as "
            '{"36": vertex, "45": vertex, "30": vertex, ...} of iBUG points counted from 0.'
        )
    shape = (0, *identity.mean.shape)
    raw = RawModel(
        name=settings.name,
        version="1",
        licence=settings.licence,
        mean=identity.mean,
        faces=heads.faces,
        identity=identity.basis,
        expression=np.stack(list(expression.values())) if expression else np.zeros(shape, dtype=np.float32),
        expression_names=tuple(expression),
        uv=heads.uv,
        uv_faces=heads.uv_faces,
        anchors=read_landmark_vertices(settings.landmarks),
    )
    return face_model(raw, Path(settings.name))


def _notes(
    heads: HeadSet,
    identities: list[int],
    identity: Components,
    expression: Mapping[str, ndarray],
    ours: bool,
) -> tuple[str, ...]:
    kept = float((identity.basis.astype(np.float64) ** 2).sum() / max(identity.variance.sum(), 1e-300))
    notes = [f"{len(identity.basis)} of {len(identity.variance)} components, {kept:.1%} of the variance"]
    if ours and not expression:
        notes.append("expressions and albedo are the base head's")
    elif ours:
        notes.append("albedo is the base head's")
    if len(identities) < 20:
        notes.append(f"only {len(identities)} of {len(heads.names)} heads are identities: a rough model")
    return tuple(notes)
