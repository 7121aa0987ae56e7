"""How a landmark fit weighs its evidence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LandmarkFitSettings:
    """How a landmark fit weighs its evidence.

    Attributes:
        iterations: Gauss-Newton steps.
        landmark_std: what one landmark is trusted to, mm at the head, besides what the landmarks' common
            errors explain. Larger than a landmark's own error, because neighbouring landmarks err together
            and no model has every shape.
        common_errors: how large the landmarks' common errors are taken to be, 1 as measured against the
            teacher (who errs too); 0 leaves them to landmark_std.
        identity_strength: factor on the identity prior (1 = the model's unit Gaussian).
        expression_strength: factor on the expression prior.
        robust_freedom: degrees of freedom of the Student weights; small = outliers count less.
        robust_scale: residual (mm at the head) from which Student weights fall, at least.
        contour_weight: weight of a contour landmark (only across the contour) against the others.
        hidden_weight: weight of a landmark on the side of the head that looks away from the camera.
        default_distance: mm from camera to head where the photo does not tell its focal length.
        least_focal: the default focal length is at least this fraction of the photo's longer side.
        damping: initial Levenberg-Marquardt factor.
    """

    iterations: int = 3
    landmark_std: float = 2.0
    common_errors: float = 0.7
    identity_strength: float = 1.0
    expression_strength: float = 1.0
    robust_freedom: float = 4.0
    robust_scale: float = 1.5
    contour_weight: float = 0.3
    hidden_weight: float = 0.15
    default_distance: float = 1000.0
    least_focal: float = 0.9
    damping: float = 1e-3
