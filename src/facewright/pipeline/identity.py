"""Who looks like whom: identity codes of photos by any method, compared by cosine and Euclidean distance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.assets import asset_path, read_manifest, sha256
from facewright.core.device import DeviceName, resolve_device
from facewright.core.errors import FacewrightError, HiddenFaceError, InputError, NoFaceError
from facewright.core.progress import ProgressBar
from facewright.data.datasets.record import FaceSet, PhotoPair
from facewright.data.datasets.youtube_faces import ClipPair
from facewright.evaluation.identity_metrics import Metric, Verification, pair_similarity, verify
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.image.io import Photograph, read_photo
from facewright.methods.base import IdentityMethod, Method
from facewright.models.base import BASE_HEAD
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import SphereModel, open_sphere
from facewright.pipeline.finder import Finder, ShippedFinder, find_faces
from facewright.pipeline.inputs import expand_inputs
from facewright.pipeline.methods import basis_for, load_method


@dataclass(frozen=True)
class Threshold:
    """From which similarity on two photos are taken for one person, and how often that is right.

    Attributes:
        cosine: of the codes.
        accuracy: per cent of the pairs it was measured on.
        pairs: how many.
    """

    cosine: float
    accuracy: float
    pairs: int


# Measured by scripts/evaluate_identity.py; docs/identity.md.
THRESHOLDS: dict[str, Threshold] = {
    "fit": Threshold(0.416, 68.2, 4322),
    "specular": Threshold(0.350, 65.5, 880),
    "sphere": Threshold(0.329, 88.3, 880),
}
SPHERE_MODEL = "sphere.safetensors"
SPHERE_THRESHOLDS = {"sphere": Threshold(0.330, 85.7, 880)}  # of directions of that model


def threshold_of(method: str, weights: Path | None, model: Path | None) -> Threshold | None:
    """The threshold of what ships, or None where weights or model are others.

    Raises:
        AssetError: the model file is missing.
    """
    if weights is not None:
        return None
    if model is None:
        return THRESHOLDS.get(method)
    shipped = sha256(model) == read_manifest()[SPHERE_MODEL]["sha256"]
    return SPHERE_THRESHOLDS.get(method) if shipped else None


@runtime_checkable
class CodeReader(Protocol):
    """What turns a photo into a code."""

    def code(self, photo: Photograph) -> Float[ndarray, " D"]:
        """The code of the main face of a photo."""
        ...

    def distance(self, first: Float[ndarray, " D"], second: Float[ndarray, " D"]) -> float:
        """Root mean square distance (mm) of the neutral faces of two codes."""
        ...


@dataclass(frozen=True)
class IdentityReader:
    """Loaded models that turn photos into identity codes.

    Attributes:
        model: whose identities the method finds.
        sphere: whose directions codes are: that of the model's file, or the same faces over orthonormal axes.
            Lengths are mm times the root of the face's vertices.
        finder: of faces and landmarks.
        basis: of the landmarks.
        method: None for the fit to landmarks.
    """

    model: FaceModel
    sphere: SphereModel
    finder: Finder
    basis: LandmarkBasis
    method: Method | None

    @classmethod
    def load(
        cls,
        method: str,
        weights: Path | None = None,
        device: DeviceName = "auto",
        finder: Finder | None = None,
        model_file: Path | None = None,
    ) -> "IdentityReader":
        """Load a method and the shipped head, or another model of its topology, such as a Sphere Face Model.

        Raises:
            InputError: there is no such method, or its weights are of another head.
            AssetError: weights are missing or damaged.
            UnavailableError: the device is not there.
        """
        target = resolve_device(device)
        model, sphere = open_sphere(model_file or asset_path(BASE_HEAD))
        model, sphere = model.to(target), sphere.to(target)
        basis = basis_for(method, model, by_another=finder is not None)
        loaded = load_method(method, model, basis, weights)
        return cls(model, sphere, finder or ShippedFinder.load(target), basis, loaded)

    def faces(self, codes: Float[ndarray, "B D"]) -> Float[ndarray, "B D"]:
        """Numbers as far apart as the neutral faces of codes: root mean square over the face, mm."""
        return self.sphere.faces(torch.from_numpy(codes).to(self.sphere.region.device)).cpu().numpy()

    def distance(self, first: Float[ndarray, " D"], second: Float[ndarray, " D"]) -> float:
        """Root mean square distance (mm) over the face of the neutral faces of two codes."""
        faces = self.faces(np.stack([first, second]))
        return float(np.linalg.norm(faces[0] - faces[1]))

    def code(self, photo: Photograph) -> Float[ndarray, " D"]:
        """The code of the main face of a photo.

        Raises:
            NoFaceError: there is none.
        """
        face = find_faces(self.finder, photo)[0]
        return self.codes([photo.pixels.to(self.model.device)], face.points[None].to(self.model.device))[0]

    def codes(
        self, photos: Sequence[Float[Tensor, "3 _ _"]], landmarks: Float[Tensor, "B 478 2"]
    ) -> Float[ndarray, "B D"]:
        """Codes (scale times direction) of faces whose landmarks are known, each for itself."""
        if isinstance(self.method, IdentityMethod):
            identity = self.method.identities(photos, landmarks)
        elif self.method is not None:
            identity = self.method.reconstruct(photos, landmarks).parameters.identity
        else:
            sizes = [(photo.shape[-2], photo.shape[-1]) for photo in photos]
            identity = fit_landmarks(self.model, landmarks, sizes, basis=self.basis).parameters.identity
        codes = self.sphere.codes(self.sphere.own_coefficients(identity))
        return codes.double().cpu().numpy()


@dataclass(frozen=True)
class Likeness:
    """How alike two faces are.

    Attributes:
        cosine: of the codes.
        distance: root mean square between the neutral faces, mm.
    """

    cosine: float
    distance: float


def likeness(first: Float[ndarray, " D"], second: Float[ndarray, " D"], reader: CodeReader) -> Likeness:
    """Compare two codes of a reader."""
    cosine = pair_similarity(first[None], second[None], "cosine")[0]
    return Likeness(float(cosine), reader.distance(first, second))


@dataclass(frozen=True)
class Ranked:
    """A photo of a gallery, compared with a probe.

    Attributes:
        photo: its path.
        likeness: None if it could not be read.
        problem: why, or None.
    """

    photo: Path
    likeness: Likeness | None
    problem: str | None = None


def rank_photos(probe: Path, gallery: Sequence[Path], reader: CodeReader) -> list[Ranked]:
    """Compare the main face of one photo with those of others, the most alike first.

    Args:
        probe: a photo.
        gallery: photos and folders; the probe itself is left out.
        reader: of a method.

    Raises:
        FacewrightError: the probe cannot be read or shows no face.
        InputError: the gallery holds no photo.
    """
    code = reader.code(read_photo(probe))
    found, failed = [], []
    own = probe.resolve()
    others = [each for each in expand_inputs(list(gallery)) if each.problem or each.path.resolve() != own]
    if not others:
        raise InputError(
            f"expected photos to compare {probe} with, found none in {', '.join(map(str, gallery))}."
        )
    with ProgressBar(len(others)) as bar:
        for each in others:
            bar.name(each.path.name)
            try:
                if each.problem is not None:
                    raise each.problem
                other = reader.code(read_photo(each.path))
                found.append(Ranked(each.path, likeness(code, other, reader)))
            except FacewrightError as error:
                failed.append(Ranked(each.path, None, str(error)))
            bar.advance()
    return sorted(found, key=lambda row: -(row.likeness.cosine if row.likeness else 0)) + failed


@dataclass(frozen=True)
class PairResult:
    """Verification of the pairs of a set.

    Attributes:
        cosine: by the cosine of codes.
        euclidean: by their distance.
        pairs: that were asked.
        missed: of them, those with a side in which no face was found: taken for two people.
    """

    cosine: Verification
    euclidean: Verification
    pairs: int
    missed: int


def verify_set(
    photos: FaceSet,
    pairs: Sequence[PhotoPair] | Sequence[ClipPair],
    encode: Callable[[Photograph], Float[ndarray, " D"]],
) -> PairResult:
    """Ten-fold verification on a set: the threshold of each fold is chosen on the others.

    The code of a clip is the mean of its frames' codes. Photos are read once each.

    Args:
        photos: of the set.
        pairs: of photos (LFW, CFP) or of clips (YouTube Faces).
        encode: a photo's code; it may raise a ``NoFaceError`` or ``HiddenFaceError`` where there is no face.

    Raises:
        InputError: there are too few pairs or folds.
        FacewrightError: a photo cannot be read, or a code not be made.

    **Source:** the protocol of Labeled Faces in the Wild, view 2; for clips Sphere Face Model, section 5.2.
    """
    sides = [(_rows(pair.first), _rows(pair.second)) for pair in pairs]
    codes: dict[int, ndarray] = {}
    for row in sorted({row for both in sides for side in both for row in side}):
        try:
            codes[row] = encode(photos[row].image.read())
        except (NoFaceError, HiddenFaceError):
            continue  # counted below, by the pairs that lack it
    means = [tuple(_mean([codes[row] for row in side if row in codes]) for side in both) for both in sides]
    known = np.array([first is not None and second is not None for first, second in means])
    whole = [(first, second) for first, second in means if first is not None and second is not None]
    if not whole:
        raise InputError(f"no pair of {photos.name} has a face on both sides: nothing can be measured.")
    first, second = np.stack([a for a, _ in whole]), np.stack([b for _, b in whole])
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs], dtype=np.int64)

    def measured(metric: Metric) -> Verification:
        found = pair_similarity(first, second, metric)
        similarity = np.full(len(pairs), found.min() - 1.0)
        similarity[known] = found
        return verify(similarity, same, folds)

    return PairResult(measured("cosine"), measured("euclidean"), len(pairs), int((~known).sum()))


def _rows(side: int | tuple[int, ...]) -> tuple[int, ...]:
    return side if isinstance(side, tuple) else (side,)


def _mean(codes: list[ndarray]) -> ndarray | None:
    return np.mean(codes, axis=0) if codes else None
