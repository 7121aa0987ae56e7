"""What a landmark fit knows of pose and shape, as a Gaussian that further evidence is added to."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.linearization import linearize, observe
from facewright.fitting.multi_image import ArrowSystem
from facewright.fitting.observed import Observed
from facewright.fitting.records import FaceFit
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.start import State
from facewright.geometry.rotation import axis_angle_from_rotation
from facewright.scene.camera import PerspectiveCamera


@dataclass(frozen=True)
class LandmarkPrior:
    """What landmarks and priors tell of pose and shape: a Gaussian around the landmark fit.

    Attributes:
        system: its curvature, the identity prior included; no descent.
        centre: the landmark fit.
        observed: the landmarks.
    """

    system: ArrowSystem
    centre: State
    observed: Observed

    def around(self, state: State) -> tuple[ArrowSystem, Float[Tensor, " B"]]:
        """The Gaussian's normal equations and energy of each photo at another state."""
        system, (own, shared) = self.system, self._offset(state)
        pull = (system.own @ own + system.cross @ shared)[..., 0]
        shared_pull = (system.cross.mT @ own + system.shared @ shared)[..., 0]
        cost = (pull * own[..., 0]).sum(1) + (shared_pull * shared[..., 0]).sum(1)
        return replace(system, own_descent=-pull, shared_descent=-shared_pull), cost

    def cost(self, state: State) -> Float[Tensor, " B"]:
        """Energy of each photo."""
        return self.around(state)[1]

    def _offset(self, state: State) -> tuple[Float[Tensor, "B O 1"], Float[Tensor, "B S 1"]]:
        turn = axis_angle_from_rotation(state.rotation @ self.centre.rotation.mT)
        shift = state.translation - self.centre.translation
        own = torch.cat([turn, shift, state.expression - self.centre.expression], 1)
        return own[..., None], (state.identity - self.centre.identity)[self.observed.person, :, None]


def landmark_prior(
    basis: LandmarkBasis, fit: FaceFit, person: Int64[Tensor, " B"], weighing: LandmarkFitSettings
) -> LandmarkPrior:
    """The Gaussian around a fit whose curvature is that of landmarks and priors there.

    Args:
        basis: landmarks of the model.
        fit: identities alike in all photos of a person.
        person: which person each photo shows, 0 to P - 1.
        weighing: how landmarks are weighed.

    Raises:
        InputError: the camera is none with a perspective.
    """
    parameters, camera = fit.parameters, fit.parameters.camera
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected a fit with a perspective camera, got a weak-perspective one.")
    rays = (fit.detected_px - camera.principal[:, None]) / camera.focal[:, None, None]
    pose = parameters.pose
    first = torch.stack([(person == number).nonzero()[0, 0] for number in range(int(person.max()) + 1)])
    identity = parameters.identity[first, : basis.identity_count]
    state = State(pose.rotation, pose.translation, identity, parameters.expression)
    weights, distance = torch.ones_like(rays[..., 0]), pose.translation[:, 2].clone()
    observed = observe(basis, rays, weights, person, distance, weighing.common_errors)
    system = linearize(basis, observed, state, weighing).system
    photos = torch.bincount(person, minlength=len(identity)).to(identity)
    shared = system.shared.clone()
    shared.diagonal(dim1=1, dim2=2).add_((weighing.identity_strength / photos)[person, None])
    return LandmarkPrior(replace(system, shared=shared), state, observed)
