"""How stiff the template is at each stage of non-rigid ICP, and what is believed of the scan there."""

from dataclasses import dataclass

from facewright.registration.solver import SolverName


@dataclass(frozen=True)
class Stage:
    """One level of stiffness.

    Attributes:
        stiffness: alpha of Amberg et al. 2007: weight of differences between neighbouring maps.
        landmarks: beta: weight of the landmarks.
        iterations: at most so many; fewer if nothing moves any more.
        max_distance: mm; matches that are further away are not believed.
        min_cosine: matches whose surface is turned further away are not believed.
        normal_power: matches count by the cosine of the turn to this power.
        back: weight of the scan's points that draw the template (0: only the template's points search).
    """

    stiffness: float
    landmarks: float = 0.0
    iterations: int = 4
    max_distance: float = 20.0
    min_cosine: float = 0.5
    normal_power: float = 0.0
    back: float = 0.0


@dataclass(frozen=True)
class NonRigidSettings:
    """How a template is drawn onto a scan.

    Attributes:
        stages: from stiff to supple.
        unit: mm in which the energy measures lengths; stiffness and gamma refer to it.
        gamma: weight of the maps' translation against their linear part.
        by_length: short edges are stiffer (by one over the squared length), as in trimesh's implementation.
        least_motion: mm; a stage ends when vertices move less than this on average.
        solver: which sparse solver.
    """

    stages: tuple[Stage, ...]
    unit: float = 100.0
    gamma: float = 1.0
    by_length: bool = True
    least_motion: float = 0.01
    solver: SolverName = "multigrid"


# After the face model was fitted, what is left is small: a few supple stages suffice.
FROM_FACE_FIT = NonRigidSettings(
    stages=(
        Stage(stiffness=0.5, landmarks=0.1, iterations=2, max_distance=6.0, min_cosine=0.6, back=0.3),
        Stage(stiffness=0.15, landmarks=0.1, iterations=2, max_distance=4.0, min_cosine=0.6, back=0.3),
        Stage(stiffness=0.06, landmarks=0.05, iterations=2, max_distance=3.0, min_cosine=0.6, back=0.3),
        Stage(stiffness=0.03, iterations=2, max_distance=2.5, min_cosine=0.6, back=0.3),
    )
)
