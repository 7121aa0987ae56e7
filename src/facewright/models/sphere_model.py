"""A face model whose identity is a direction on a hypersphere and a scale: its distance from the mean."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from facewright.core.assets import read_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.core.row_file import joined_digest, rows_digest
from facewright.models.face_model import FaceModel
from facewright.models.storage import ModelOrigin, load_face_model, save_face_model

HEADER, FORMAT_VERSION = "sphere", 2
BASIS = ("mean", "identity_basis")  # of the tensors of a file
FACE = "face"  # region of the shipped head over which its identities are compared and made orthonormal
NEAR = 1e-6  # radians between directions whose arc has no length, or from where it has no middle
ORTHONORMAL = 1e-5  # largest entry of A^T A - I that is rounding
RANK = 1e-6  # of the greatest singular value: smaller ones are none


@dataclass(frozen=True)
class SphereModel:
    """A face model and how its identity coefficients become a scale and a direction.

    ``vertices = mean + scale * A direction / |A direction|``, ``A[k] = identity_basis[k] / deviations[k]``;
    lengths are measured over the region, in mm times the root of its number of vertices: a mesh is ``scale``
    away from the mean. Where the rows of ``A`` are orthonormal (``orthonormality`` tells) the divisor is 1,
    and the distance of two codes is the distance of their meshes.

    **Source:** Jiang et al. 2021, Sphere Face Model, eq. 4 and 5.
    **Differs:** the divisor, without which a basis that the paper's soft penalty leaves far from orthonormal
    would give meshes at another distance than the scale. The basis is rotated so that its coefficients do not
    correlate over the training scans, most varying first; this changes no distance, angle or mesh, and lets
    all that expects independent standard deviations run on the face model unchanged.

    Attributes:
        face_model: in mm; its identity basis is the displacement of one standard deviation.
        deviations: standard deviation of each coordinate of a code, mm times root of vertices.
        region: vertices over which lengths are measured.
        scale_mean: of the scans or the distribution that the model was made of.
        scale_std: of the same.
        gram: ``A^T A`` over the region; None where that is the identity.
        turn: identity coefficients times it are those of the model that this was made of; None where this is
            no other model's.
        digest: of the basis in the file that this was read from; "" where it was not read. It tells apart
            what name and version do not, such as axes of other signs.
    """

    face_model: FaceModel
    deviations: Float[Tensor, " D"]
    region: Bool[Tensor, " V"]
    scale_mean: float
    scale_std: float
    gram: Float[Tensor, "D D"] | None = None
    turn: Float[Tensor, "D K"] | None = None
    digest: str = ""

    @property
    def dimensions(self) -> int:
        """Of a code."""
        return len(self.deviations)

    @property
    def basis(self) -> Float[Tensor, "D V 3"]:
        """A: what a code of length 1 along each axis moves, on the whole head."""
        return self.face_model.identity_basis / self.deviations[:, None, None]

    @property
    def orthonormality(self) -> float:
        """Largest entry of ``A^T A - I`` over the region: 0 where codes are as far apart as meshes."""
        rows = self._region_basis()
        return _apart(rows @ rows.T)

    def codes(self, coefficients: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Codes (scale times direction) of identity coefficients; 0 for the mean face."""
        along = coefficients * self.deviations
        if self.gram is None:
            return along
        length = along.norm(dim=1, keepdim=True)
        return along * (self._stretch(along / length.clamp(min=1e-30))[:, None])

    def codes_from_scale_direction(
        self, scale: Float[Tensor, " B"], direction: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B D"]:
        """Identity coefficients of the face model.

        Args:
            scale: above 0.
            direction: of any length but 0; it is divided by it.

        Raises:
            InputError: a direction has no length.
        """
        along = unit(direction)
        return (scale / self._stretch(along))[:, None] * along / self.deviations

    def scale_direction(
        self, coefficients: Float[Tensor, "B D"]
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "B D"]]:
        """Scale and unit direction of identity coefficients.

        Raises:
            InputError: a face is the mean face, which has no direction.
        """
        codes = self.codes(coefficients)
        return codes.norm(dim=1), unit(codes)

    def interpolate(
        self, first: Float[Tensor, "1 D"], last: Float[Tensor, "1 D"], shares: Float[Tensor, " T"]
    ) -> Float[Tensor, "T D"]:
        """Identity coefficients on the way from one face to another: the arc's direction, a linear scale.

        Raises:
            InputError: a face is the mean face, or the two are opposite.
        """
        scales, directions = self.scale_direction(torch.cat([first, last]))
        between = scales[0] + (scales[1] - scales[0]) * shares
        return self.codes_from_scale_direction(between, slerp(directions[:1], directions[1:], shares))

    def coefficients_of(self, vertices: Float[Tensor, "B V 3"]) -> Float[Tensor, "B D"]:
        """Identity coefficients of the nearest meshes over the region (least squares, no prior)."""
        return nearest_identities(self.face_model, vertices, self.region)

    def own_coefficients(self, identity: Float[Tensor, "B K"]) -> Float[Tensor, "B D"]:
        """Coefficients along the axes of those of the model that this was made of, if it was made of one."""
        return identity if self.turn is None else identity @ self.turn.to(identity).T

    def faces(self, codes: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Numbers as far apart as the neutral faces of codes: root mean square over the region, mm.

        Raises:
            InputError: a code has no length.
        """
        along = codes
        if self.gram is not None:
            along = codes / self._stretch(unit(codes))[:, None]
            along = along @ torch.linalg.cholesky(self.gram.double()).to(codes)
        return along / float(self.region.sum()) ** 0.5

    def _stretch(self, direction: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """How long the mesh of a unit direction is."""
        if self.gram is None:
            return torch.ones_like(direction[:, 0])
        return (direction @ self.gram.to(direction) * direction).sum(1).clamp(min=0).sqrt()

    def to(self, device: torch.device | str) -> "SphereModel":
        """Return the same model on another device."""
        return replace(
            self,
            face_model=self.face_model.to(device),
            deviations=self.deviations.to(device),
            region=self.region.to(device),
            gram=self.gram.to(device) if self.gram is not None else None,
            turn=self.turn.to(device) if self.turn is not None else None,
        )

    def _region_basis(self) -> Float[Tensor, "D C"]:
        return self.basis[:, self.region].flatten(1).double()


def nearest_identities(
    model: FaceModel, vertices: Float[Tensor, "B V 3"], region: Bool[Tensor, " V"]
) -> Float[Tensor, "B K"]:
    """Identity coefficients of a model's nearest meshes over a region (least squares, no prior).

    Raises:
        InputError: the model's identities are not independent over the region.
    """
    rows = model.identity_basis[:, region].flatten(1).double()
    offset = (vertices - model.mean)[:, region].flatten(1).to(rows.dtype)
    gram = rows @ rows.T
    sizes = torch.linalg.eigvalsh(gram)
    if not bool(sizes[0] > RANK**2 * sizes[-1]):
        raise InputError(
            f"identities of model {model.name!r} are not independent over the face: none is nearest."
        )
    return torch.linalg.solve(gram, rows @ offset.T).T.to(vertices.dtype)


def unit(codes: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Directions of codes.

    Raises:
        InputError: a code has no length, or no finite one.
    """
    length = codes.norm(dim=1, keepdim=True)
    good = (length > 0) & length.isfinite()
    if not bool(good.all()):
        number = int((~good).flatten().nonzero()[0])
        raise InputError(
            f"code {number} has the length {float(length[number]):g}: the mean face (0) and what is not "
            "finite have no direction."
        )
    return codes / length


def slerp(
    first: Float[Tensor, "B D"], last: Float[Tensor, "B D"], shares: Float[Tensor, " T"]
) -> Float[Tensor, "B*T D"]:
    """Unit directions on the great circle from one direction to another, the shares of each pair in turn.

    Raises:
        InputError: a direction has no length, or two are opposite: every great circle joins those.
    """
    a, b = unit(first)[:, None], unit(last)[:, None]
    angle = 2 * torch.atan2((a - b).norm(dim=2), (a + b).norm(dim=2))[..., None]
    if bool((angle > torch.pi - NEAR).any()):
        raise InputError("the two faces lie in opposite directions: there is no shortest way between them.")
    t = shares.to(a.dtype)[None, :, None]
    near = angle < NEAR
    safe = torch.where(near, torch.ones_like(angle), angle)
    arc = (torch.sin((1 - t) * safe) * a + torch.sin(t * safe) * b) / torch.sin(safe)
    return unit(torch.where(near, (1 - t) * a + t * b, arc).flatten(0, 1))


def sphere_model(
    face_model: FaceModel, region: Bool[Tensor, " V"] | None = None, dimensions: int | None = None
) -> SphereModel:
    """Any face model as a Sphere Face Model: the same distribution of faces over orthonormal axes.

    Args:
        face_model: whose identity coefficients are standard deviations of independent numbers.
        region: where the axes are orthonormal; the whole mesh if None.
        dimensions: at most so many, most varying first; as many as are independent over the region if None.

    Raises:
        InputError: nothing varies over the region.
    """
    if region is None:
        region = torch.ones(len(face_model.mean), dtype=torch.bool, device=face_model.device)
    basis = face_model.identity_basis.double()
    rows = basis[:, region].flatten(1)
    variance, mixture = torch.linalg.eigh(rows @ rows.T)
    variance, mixture = variance.flip(0).clamp(min=0), mixture.flip(1)
    count = int((variance > RANK**2 * variance[0]).sum()) if len(variance) and variance[0] > 0 else 0
    count = min(count, dimensions) if dimensions is not None else count
    if count < 1:
        raise InputError(f"model {face_model.name!r} has no identities that differ over the region.")
    variance = variance[:count]
    mixture = mixture[:, :count]
    # A sign is arbitrary, and drivers differ; the largest share is made positive.
    largest = mixture.abs().argmax(0)
    mixture = mixture * mixture[largest, torch.arange(count, device=mixture.device)].sign()
    turned = torch.einsum("ik,ivc->kvc", mixture, basis)
    sphere = replace(face_model, identity_basis=turned.to(face_model.identity_basis.dtype))
    # Of the length of normal codes: the mean to second order, the standard deviation to first.
    squared = float(variance.sum())
    spread = float((variance**2).sum().sqrt()) / (2 * squared) ** 0.5
    mean = (squared - spread**2) ** 0.5
    turn = mixture.T.to(sphere.mean.dtype)
    return SphereModel(sphere, variance.sqrt().to(sphere.mean.dtype), region, mean, spread, turn=turn)


def measured(model: SphereModel) -> SphereModel:
    """The same model with its ``gram`` measured; a basis that is orthonormal to rounding needs none."""
    rows = model._region_basis()
    gram = rows @ rows.T
    if _apart(gram) < ORTHONORMAL:
        return replace(model, gram=None)
    return replace(model, gram=gram.to(model.deviations.dtype))


def _apart(gram: Float[Tensor, "D D"]) -> float:
    """Largest entry of the difference from the unit matrix."""
    return float((gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).abs().max())


def save_sphere_model(path: Path, model: SphereModel, origin: ModelOrigin) -> None:
    """Write a model file that ``load_face_model`` reads like any other, with what makes it a sphere.

    Raises:
        InputError: the model is not whole; nothing was written.
        OutputError: the file cannot be written.
    """
    face = model.face_model
    held = {"mean": face.mean.float(), "identity_basis": face.identity_basis.float()}
    tensors, header = sphere_parts(model, held)
    save_face_model(path, model.face_model, origin, tensors=tensors, header=header)


def sphere_parts(model: SphereModel, held: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header by which a file tells of a sphere beside its face model.

    Args:
        model: the sphere.
        held: mean and basis as the file holds them.
    """
    tensors = {"sphere.deviations": model.deviations, "sphere.region": model.region.byte()}
    told = {"version": FORMAT_VERSION, "scale_mean": model.scale_mean, "scale_std": model.scale_std}
    return tensors, {HEADER: json.dumps({**told, "digest": _digest({**held, **tensors})})}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Of what makes codes mean what they mean: the tensors of a file, as they are stored."""
    names = (*BASIS, "sphere.deviations", "sphere.region")
    return joined_digest({name: rows_digest(tensors[name].cpu().contiguous().numpy()) for name in names})


def load_sphere_model(path: Path) -> SphereModel:
    """Read a model file that ``save_sphere_model`` wrote (float32, CPU).

    Raises:
        AssetError: the file is missing, damaged, or of a model without scale and direction.
    """
    face_model = load_face_model(path)
    tensors, header = read_safetensors(path)
    if HEADER not in header:
        raise AssetError(
            f"{path} holds a face model without scale and direction: expected one of "
            "scripts/build_sphere_model.py, such as the shipped sphere.safetensors, or take "
            "`sphere_model(load_face_model(path))`."
        )
    return described_sphere(face_model, tensors, header, path)


def open_sphere(path: Path) -> tuple[FaceModel, SphereModel]:
    """The face model of a file, and its sphere: the file's own, or its identities over axes of the face.

    Raises:
        AssetError: the file is missing, damaged, or no face model.
        InputError: nothing varies over the face.
    """
    if HEADER in read_safetensors(path)[1]:
        sphere = load_sphere_model(path)
        return sphere.face_model, sphere
    model = load_face_model(path)
    return model, sphere_model(model, model.regions.get(FACE))


def described_sphere(
    face_model: FaceModel, tensors: Mapping[str, Tensor], header: Mapping[str, str], path: Path
) -> SphereModel:
    """The sphere that a file tells of beside its face model.

    Raises:
        AssetError: what it tells is damaged or does not fit the model.
    """
    try:
        told = json.loads(header[HEADER])
        if told["version"] != FORMAT_VERSION:
            raise ValueError(f"version {told['version']}, expected {FORMAT_VERSION}")
        mean, std = float(told["scale_mean"]), float(told["scale_std"])
        deviations, region = tensors["sphere.deviations"].float(), tensors["sphere.region"].bool()
        if deviations.shape != (face_model.identity_count,) or region.shape != (len(face_model.mean),):
            raise ValueError(f"{tuple(deviations.shape)} deviations and a region of {tuple(region.shape)}")
        if not (bool((deviations > 0).all()) and bool(deviations.isfinite().all()) and bool(region.any())):
            raise ValueError("a deviation is not above 0, or the region is empty")
        if not (0 < mean < float("inf") and 0 <= std < float("inf")):
            raise ValueError(f"scales of {mean} ± {std}")
        digest = _digest(tensors)
        if digest != told["digest"]:
            raise ValueError(f"its basis has the digest {digest}, the header says {told['digest']}")
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise AssetError(
            f"{path} is no whole Sphere Face Model ({error}): make or fetch it again."
        ) from error
    return measured(SphereModel(face_model, deviations, region, mean, std, digest=digest))
