"""All switches of the specular method: its camera, gamma, network and losses."""

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

from facewright.core.errors import InputError
from facewright.core.ranges import check_range

CameraKind = Literal["perspective", "scaled", "weak"]
GammaKind = Literal["srgb", "display", "albedo"]
UniformKind = Literal["lit", "albedo"]
LEAST_PROBABILITY = 1e-3
LARGEST = 4096  # px of a picture
LOSSES = ("identity", "photo", "landmark", "mouth", "regularisation", "uniform")


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss; 0 leaves it out.

    **Source:** the sum after eq. 12 of the paper.

    Attributes:
        identity: cosine of recognition features, eq. 7.
        photo: skin-weighted pixels of the diffuse and of the whole picture, eq. 8.
        landmark: 68 points, eq. 10.
        mouth: area of the opened mouth, eq. 11.
        regularisation: of the coefficients, eq. 12.
        uniform: of lit diffuse colours and of the light's colour, eq. 13.
    """

    identity: float = 0.2
    photo: float = 1.92
    landmark: float = 1.8e-3
    mouth: float = 1.3e-3
    regularisation: float = 5.0e-4
    uniform: float = 5.0

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, *(one.name for one in fields(self)))

    def without(self, name: str) -> "LossWeights":
        """The same weights without one loss: an ablation of tables 1 and 2.

        Raises:
            InputError: no loss has this name.
        """
        if name not in LOSSES:
            raise InputError(f"expected one of the losses {', '.join(LOSSES)}, got {name!r}.")
        return replace(self, **{name: 0.0})


@dataclass(frozen=True)
class LossSettings:
    """How the losses are computed.

    Attributes:
        weights: of the losses.
        eta: weight of the whole picture beside the diffuse one in eq. 8; the paper gives none.
        skin_threshold: skin probability from which a pixel counts fully, eq. 9.
        strong_landmarks: weight of brows (17-26) and outer lips (48-59); of the others it is 1.
        landmark_power: 1 as in eq. 10, 2 as in the code of Deng et al. 2019.
        mouth_start: step from which the mouth loss counts.
        uniform_on: whether colours of eq. 13 are lit (as the paper says) or albedo (as Deng et al. 2019).
        uniform_power: 2; eq. 13 as printed has no power, so that its sums vanish. 1: absolute values.
        reference_size: side in px of the paper's photos, at which distances and areas in px are measured.
    """

    weights: LossWeights = LossWeights()
    eta: float = 1.0
    skin_threshold: float = 0.5
    strong_landmarks: float = 20.0
    landmark_power: Literal[1, 2] = 1
    mouth_start: int = 50_000
    uniform_on: UniformKind = "lit"
    uniform_power: Literal[1, 2] = 2
    reference_size: int = 224

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, "eta", "strong_landmarks", "mouth_start")
        check_range(self, LEAST_PROBABILITY, 1, "skin_threshold")
        check_range(self, 1, math.inf, "reference_size")


@dataclass(frozen=True)
class RenderSettings:
    """How a head becomes a picture.

    Attributes:
        size: side in px of the pictures that the losses compare.
        camera: "perspective": the start's focal length; "scaled": a free factor on it; "weak": scaled
            orthographic.
        gamma: "srgb": shade linear light, encode as sRGB like all pictures here; "display": likewise, by the
            power 1/2.2; "albedo": albedo to the power 1/2.2 before it is shaded (eq. 2 as printed).
        lamp_diffuse: whether the point light also lights the skin diffusely, as facewright's renderer has it;
            in the paper it makes highlights only.
    """

    size: int = 96
    camera: CameraKind = "perspective"
    gamma: GammaKind = "srgb"
    lamp_diffuse: bool = True

    def __post_init__(self) -> None:
        check_range(self, 1, LARGEST, "size")

    @classmethod
    def of_paper(cls) -> "RenderSettings":
        """As the paper has it, where it says."""
        return cls(size=224, gamma="display", lamp_diffuse=False)


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes of the regressor (numbers only: they are stored with its weights).

    Attributes:
        input_size: side of the crop in px.
        widths: channels of the stem and the stages of the small backbone; empty for a ResNet-50.
        hidden: units between features and heads; 0 for heads on the pooled features, as in the paper.
        geometry: units that read landmarks and the fit to them; 0: the photo alone, as in the paper.
        identity: number of coefficients, likewise the next three.
        expression: activations.
        diffuse: albedo coefficients.
        specular: albedo coefficients.
    """

    input_size: int = 112
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    hidden: int = 320
    geometry: int = 192
    identity: int = 140
    expression: int = 52
    diffuse: int = 28
    specular: int = 3

    @classmethod
    def of_paper(cls) -> "NetworkSettings":
        """ResNet-50 on 224 px, heads on the pooled features, nothing but the photo."""
        return cls(input_size=224, widths=(), hidden=0, geometry=0)

    @property
    def guided(self) -> bool:
        """Whether the network starts from a fit to landmarks instead of the mean head."""
        return self.geometry > 0


@dataclass(frozen=True)
class SupervisionWeights:
    """Weights of the terms on synthetic photos, whose truth is known; not in the paper. 0 leaves one out.

    Attributes:
        shape: mm, neutral shape of the face up to shift and size.
        expression: mm, displacement by expression.
        activations: absolute difference of activations.
        rotation: sine of half the angle between the poses.
        landmark: 68 points, part of the crop's side.
        albedo: difference of the square roots of diffuse albedo.
        specular: difference of specular intensity.
        light: difference of shading by soft light over the visible directions.
        lamp: difference of the point light's vectors (towards it, as long as it is bright).
        shininess: squared difference of its logarithm, where a lamp shines.
    """

    shape: float = 1.0
    expression: float = 0.6
    activations: float = 1.0
    rotation: float = 10.0
    landmark: float = 25.0
    albedo: float = 12.0
    specular: float = 6.0
    light: float = 1.0
    lamp: float = 0.5
    shininess: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, *(one.name for one in fields(self)))

    @classmethod
    def none(cls) -> "SupervisionWeights":
        """No term at all, to which some can be added."""
        return cls(**{one.name: 0.0 for one in fields(cls)})

    def used(self) -> dict[str, float]:
        """Weights that are not 0."""
        return {f.name: w for f in fields(self) if (w := float(getattr(self, f.name))) > 0}
