"""The best step in a few directions, under the exact curvature of the energy.

The grouped curvature of a landmark fit is stiff where the exact one is not: a larger head further away gives
the same image, so only the prior tells its size, and errors of the grouping weigh more than the prior. Each
Gauss-Newton step is therefore the first of three directions, with the change of size and the step before, and
the exact quadratic energy is minimised over all three.

**Source:** the conjugate direction idea as in LOBPCG (Knyazev 2001): new step, last step, one solve of 3 x 3.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.linearization import Linearized, moved_residual, quadratic_form
from facewright.fitting.multi_image import group_sum
from facewright.fitting.observed import Observed
from facewright.fitting.priors import expression_prior_along
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.start import State
from facewright.geometry.rotation import rotation_from_axis_angle


@dataclass(frozen=True)
class Step:
    """A change of a state.

    Attributes:
        own: turn (axis-angle, camera frame), shift (mm), expression of each photo.
        shared: identity of each person.
    """

    own: Float[Tensor, "B O"]
    shared: Float[Tensor, "P S"]

    def scaled(self, factor: Float[Tensor, " P"], person: Int64[Tensor, " B"]) -> "Step":
        """The step times a factor for each person."""
        return Step(self.own * factor[person, None], self.shared * factor[:, None])

    def plus(self, other: "Step") -> "Step":
        """The sum of two steps."""
        return Step(self.own + other.own, self.shared + other.shared)

    def applied(self, state: State) -> State:
        """The state after the step; expressions stop at rest and at full."""
        return State(
            rotation=rotation_from_axis_angle(self.own[:, :3]) @ state.rotation,
            translation=state.translation + self.own[:, 3:6],
            identity=state.identity + self.shared,
            expression=(state.expression + self.own[:, 6:]).clamp(0, 1),
        )


def resizing(basis: LandmarkBasis, state: State) -> Step:
    """The direction in which heads grow and move away, so that the image stays."""
    offset = (state.rotation @ basis.size_offset) + state.translation
    zero = torch.zeros_like(offset)
    own = torch.cat([zero, offset, torch.zeros_like(state.expression)], 1)
    return Step(own, basis.size_direction.expand(len(state.identity), -1))


def best_combination(
    basis: LandmarkBasis,
    observed: Observed,
    state: State,
    linear: Linearized,
    directions: list[Step],
    settings: LandmarkFitSettings,
) -> Step:
    """The combination of directions at which the exact quadratic energy is least.

    Args:
        basis: of the model.
        observed: what was seen.
        state: where the energy was linearised.
        linear: the energy there.
        directions: few; they may be alike or zero.
        settings: strengths of the priors.
    """
    person, persons = observed.person, len(state.identity)
    motions = [moved_residual(basis, state, linear, (d.own, d.shared[person])) for d in directions]
    # (B, D, D) and (B, D) of the photos' own energies, then those of each person's identity.
    expressions = torch.stack([direction.own[:, 6:] for direction in directions], 1)
    matrix, right = expression_prior_along(
        observed.expressions, settings.expression_strength, state.expression, expressions
    )
    matrix = matrix + quadratic_form(basis, observed, linear, motions)
    right = right + torch.stack([(motion * linear.pull).sum((1, 2)) for motion in motions], 1)
    identity = torch.stack([direction.shared for direction in directions], 1)
    matrix = group_sum(matrix, person, persons) + settings.identity_strength * identity @ identity.mT
    right = group_sum(right, person, persons)
    away = state.identity - basis.centre
    right = right - settings.identity_strength * (identity @ away[..., None])[..., 0]
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    scale = diagonal.clamp_min(1e-12).rsqrt()
    matrix = matrix * scale[:, :, None] * scale[:, None]
    matrix = matrix + 1e-4 * torch.eye(len(directions)).to(matrix)
    factor = torch.linalg.solve(matrix, right * scale) * scale
    best = directions[0].scaled(factor[:, 0], person)
    for number, direction in enumerate(directions[1:], 1):
        best = best.plus(direction.scaled(factor[:, number], person))
    return best
