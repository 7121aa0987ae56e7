"""The one linear face model: identity, expression, albedo, landmarks, regions, symmetry.

The shipped head and every importer fill this record; fitting, rendering and export read nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.mesh import Topology


@dataclass(frozen=True)
class LandmarkSet:
    """Named points on the surface, as barycentric positions in triangles.

    Attributes:
        triangle: index of the triangle that carries each point.
        weights: barycentric weights of the triangle's corners, rows sum to 1.
        contour: True where the image point is an occluding contour, which slides over the surface.
    """

    triangle: Int64[Tensor, " L"]
    weights: Float[Tensor, "L 3"]
    contour: Bool[Tensor, " L"]

    def on(self, vertices: Float[Tensor, "*B V 3"], faces: Int64[Tensor, "F 3"]) -> Float[Tensor, "*B L 3"]:
        """Positions of the points on a mesh, in the mesh's frame."""
        corners = vertices[..., faces[self.triangle], :]
        return (corners * self.weights[..., None]).sum(-2)


@dataclass(frozen=True)
class ExpressionPrior:
    """How real faces use the expressions: a Gaussian over activations, clipped to [0, 1].

    Attributes:
        mean: activation of each expression in real photographs.
        std: its standard deviation.
        correlation: which expressions go together.
    """

    mean: Float[Tensor, " E"]
    std: Float[Tensor, " E"]
    correlation: Float[Tensor, "E E"]

    @classmethod
    def independent(cls, mean: Float[Tensor, " E"], std: Float[Tensor, " E"]) -> "ExpressionPrior":
        """A prior that knows of no expressions that go together."""
        return cls(mean, std, torch.eye(len(mean), dtype=mean.dtype, device=mean.device))


@dataclass(frozen=True)
class FaceModel:
    """A linear morphable head model in the head frame, mm.

    ``vertices = mean + identity @ identity_basis + expression @ expression_basis``, and likewise for albedo.
    Identity and albedo coefficients are in standard deviations; expressions are activations in [0, 1].

    Attributes:
        name: what the model is called in files ("base", "ict", ...).
        version: changes whenever coefficients change their meaning.
        topology: triangles and texture coordinates.
        mean: neutral mean head.
        identity_basis: displacement of one standard deviation, most varying first.
        expression_basis: displacement at activation 1.
        expression_names: one name an expression; ARKit names where the shapes are those.
        expression_prior: distribution of activations in real faces.
        diffuse_mean: linear RGB in [0, 1].
        diffuse_basis: change of one standard deviation.
        specular_mean: specular intensity in [0, 1].
        specular_basis: change of one standard deviation.
        mirror: index of each vertex's left-right counterpart.
        regions: vertex masks by name ("face", "nose", "lips", ...).
        parts: vertex masks of the connected parts by name ("skin", "left_eye", ...).
        landmarks: landmark sets by name ("dense478", "ibug68", "now7").
        eye_centers: centre of rotation of the left and right eyeball for the mean head.
    """

    name: str
    version: str
    topology: Topology
    mean: Float[Tensor, "V 3"]
    identity_basis: Float[Tensor, "K_identity V 3"]
    expression_basis: Float[Tensor, "K_expression V 3"]
    expression_names: tuple[str, ...]
    expression_prior: ExpressionPrior
    diffuse_mean: Float[Tensor, "V 3"]
    diffuse_basis: Float[Tensor, "K_diffuse V 3"]
    specular_mean: Float[Tensor, " V"]
    specular_basis: Float[Tensor, "K_specular V"]
    mirror: Int64[Tensor, " V"]
    regions: Mapping[str, Bool[Tensor, " V"]]
    parts: Mapping[str, Bool[Tensor, " V"]]
    landmarks: Mapping[str, LandmarkSet]
    eye_centers: Float[Tensor, "2 3"]

    @property
    def identity_count(self) -> int:
        """Number of identity coefficients."""
        return self.identity_basis.shape[0]

    @property
    def expression_count(self) -> int:
        """Number of expressions."""
        return self.expression_basis.shape[0]

    @property
    def diffuse_count(self) -> int:
        """Number of diffuse albedo coefficients."""
        return self.diffuse_basis.shape[0]

    @property
    def specular_count(self) -> int:
        """Number of specular albedo coefficients."""
        return self.specular_basis.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the model's arrays are."""
        return self.mean.device

    def vertices(
        self,
        identity: Float[Tensor, "B K_identity"] | None = None,
        expression: Float[Tensor, "B K_expression"] | None = None,
    ) -> Float[Tensor, "B V 3"]:
        """Vertices (mm, head frame) of heads.

        Args:
            identity: standard deviations; the mean person if None.
            expression: activations; neutral if None.

        Raises:
            InputError: a coefficient count is not the model's.
        """
        shape = self.mean[None]
        if identity is not None:
            shape = shape + _combine(identity, self.identity_basis, "identity")
        if expression is not None:
            shape = shape + _combine(expression, self.expression_basis, "expression")
        return shape

    def diffuse_albedo(self, coefficients: Float[Tensor, "B K_diffuse"]) -> Float[Tensor, "B V 3"]:
        """Diffuse albedo per vertex, linear RGB clipped to [0, 1].

        Raises:
            InputError: the coefficient count is not the model's.
        """
        return (self.diffuse_mean + _combine(coefficients, self.diffuse_basis, "diffuse")).clamp(0, 1)

    def specular_albedo(self, coefficients: Float[Tensor, "B K_specular"]) -> Float[Tensor, "B V"]:
        """Specular intensity per vertex, clipped to [0, 1].

        Raises:
            InputError: the coefficient count is not the model's.
        """
        return (self.specular_mean + _combine(coefficients, self.specular_basis, "specular")).clamp(0, 1)

    def landmark_points(self, vertices: Float[Tensor, "*B V 3"], name: str) -> Float[Tensor, "*B L 3"]:
        """Landmarks of a named set on given vertices, in the vertices' frame.

        Raises:
            InputError: the model has no such set.
        """
        if name not in self.landmarks:
            raise InputError(
                f"model {self.name!r} has the landmark sets {sorted(self.landmarks)}, not {name!r}."
            )
        return self.landmarks[name].on(vertices, self.topology.faces)

    def to(self, device: torch.device | str) -> "FaceModel":
        """Return the same model on another device."""
        moved = {f.name: _moved(getattr(self, f.name), device) for f in fields(self)}
        return replace(self, **moved)


def _combine(coefficients: Tensor, basis: Tensor, name: str) -> Tensor:
    if coefficients.shape[-1] != basis.shape[0]:
        raise InputError(
            f"{name} needs {basis.shape[0]} coefficients a head (shape (B, {basis.shape[0]})), "
            f"got shape {tuple(coefficients.shape)}."
        )
    return (coefficients @ basis.flatten(1)).unflatten(-1, basis.shape[1:])


def _moved(value: object, device: torch.device | str) -> object:
    if isinstance(value, Tensor | Topology):
        return value.to(device)
    if isinstance(value, LandmarkSet | ExpressionPrior):
        return replace(value, **{f.name: getattr(value, f.name).to(device) for f in fields(value)})
    if isinstance(value, Mapping):
        return {key: _moved(item, device) for key, item in value.items()}
    return value
