"""Where a head should not be trusted, said in one line each."""

import math

from facewright.scene.pose import Pose

# Beyond this the far eye, half of the mouth and the far cheek are hidden or seen along the skin.
TURNED_AWAY = math.radians(55)
# Of 1,922 faces of people whom no training saw, 95 in 100 fit to under 1.8 % and the worst to 3.2 %
# (scripts/evaluate_fit.py).
POOR_FIT = 0.03
# A quarter of the skin: one cheek, or the forehead, has no colour of its own then.
MUCH_CLIPPED = 0.25


def doubts(pose: Pose, residual: float, clipped: float = 0.0) -> tuple[str, ...]:
    """Reasons to look twice at a head, for the terminal and the report.

    Args:
        pose: of one head.
        residual: mean distance of fitted to detected landmarks over that of the outer eye corners.
        clipped: share of the face's skin that is over- or underexposed.
    """
    found = []
    away = float(pose.away()[0])
    if away > TURNED_AWAY:
        found.append(
            f"the face looks {math.degrees(away):.0f} degrees away from the camera: its far side is the "
            "model's guess; a photo from the front, or several with --together, will do better."
        )
    if residual > POOR_FIT:
        found.append(
            f"the head fits the face to {100 * residual:.1f} % of the eye distance only, expected under "
            f"{100 * POOR_FIT:.0f} %: the landmarks may be wrong or the expression beyond the model; "
            "see overview.png."
        )
    if clipped > MUCH_CLIPPED:
        found.append(
            f"{100 * clipped:.0f} % of the face's skin is over- or underexposed: its colour there is made up "
            "from the rest; a photo in softer light will do better."
        )
    return tuple(found)
