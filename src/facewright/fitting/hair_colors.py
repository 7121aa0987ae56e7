"""What colours tell of hair, skin and background, by those of one photo that are sure."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import KDTree

# A share, 0 to 1, for each colour (sRGB, N x 3).
ColorTest = Callable[[Float[ndarray, "N 3"]], Float[ndarray, " N"]]

DARK = 0.05  # added to sRGB values before the logarithm
# Deviations (log) from the colour of the hair on the scalp; what hangs lies in the shade.
BRIGHTER, DARKER, OTHER_HUE = (0.4, 0.8), (1.3, 2.0), (0.3, 0.6)
# Colours that hair is compared by, the part of the distance to others that theirs may be, and a step of the
# logarithm that is no difference.
ALIKE, RATHER, ALIKE_STEP, HUE_COUNTS = 4, 1.0, 0.05, 3.0
SOME = 2  # places: one that stands for them
SKIN_SEEN = 0.6  # how well skin must be seen that is asked for its colour
# Deviations (log) from the colour of skin: a crown shines, and hair is darker or of another hue.
SKIN_BRIGHTER, SKIN_DARKER, SKIN_HUE = (0.5, 0.8), (0.1, 0.25), (0.04, 0.1)


def like_skin(color: Float[ndarray, "N 3"], skin: Float[ndarray, " N"]) -> ColorTest:
    """How far other colours are those of skin (weights) in any light: a bald crown is taken for hair."""
    if skin.max() < SKIN_SEEN:
        return lambda colors: np.zeros(len(colors))
    typical = _typical(color, skin)

    def test(colors: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        tone, hue = _away_from(colors, typical)
        return (1 - ramp(tone, SKIN_BRIGHTER)) * (1 - ramp(-tone, SKIN_DARKER)) * (1 - ramp(hue, SKIN_HUE))

    return test


def like(color: Float[ndarray, "N 3"], hair: Float[ndarray, " N"]) -> ColorTest:
    """How far other colours can be those of the hair (weights): what hangs beside a face may be a wall."""
    typical = _typical(color, hair)

    def test(colors: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        tone, hue = _away_from(colors, typical)
        odd = np.maximum(ramp(tone, BRIGHTER), ramp(-tone, DARKER))
        return (1 - odd) * (1 - ramp(hue, OTHER_HUE))

    return test


def rather(
    color: Float[ndarray, "N 3"],
    hair: Float[ndarray, " N"],
    skin: Float[ndarray, " N"],
    background: Float[ndarray, "B 3"],
) -> ColorTest:
    """Whether other colours are nearer to the hair's (weights) than to the skin's and the background's."""
    own, others = (np.log(each + DARK) for each in (_strongest(color, hair), background))
    if skin.max() > SKIN_SEEN:
        others = np.concatenate([others, np.log(_strongest(color, skin) + DARK)])
    if not len(others):
        return lambda colors: np.ones(len(colors))
    trees = [KDTree(_toned(each)) for each in (own, others)]

    def test(colors: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        places = _toned(np.log(colors + DARK))
        near, far = (
            tree.query(places, k=min(ALIKE, tree.n))[0].reshape(len(places), -1)[:, -1] for tree in trees
        )
        return (near < RATHER * (far + ALIKE_STEP)).astype(float)

    return test


def _strongest(color: Float[ndarray, "N 3"], weight: Float[ndarray, " N"]) -> Float[ndarray, "M 3"]:
    return color[weight > 0.5 * weight.max()][::SOME]


def _toned(logs: Float[ndarray, "N 3"]) -> Float[ndarray, "N 4"]:
    """Logarithms of colours with a hue that counts more than the tone."""
    tone = logs.mean(1, keepdims=True)
    return np.concatenate([tone, HUE_COUNTS * (logs - tone)], axis=1)


def _typical(color: Float[ndarray, "N 3"], weight: Float[ndarray, " N"]) -> Float[ndarray, "3"]:
    """Median logarithm of the colours with the largest weights."""
    return np.median(np.log(color + DARK)[weight > 0.5 * weight.max()], axis=0)


def _away_from(
    color: Float[ndarray, "N 3"], typical: Float[ndarray, "3"]
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Deviations (log) of tone and of hue from a typical colour's logarithm."""
    away = np.log(color + DARK) - typical
    tone = away.mean(1)
    return tone, np.abs(away - tone[:, None]).max(1)


def ramp(values: Float[ndarray, " N"], edges: tuple[float, float]) -> Float[ndarray, " N"]:
    """0 below the first edge, 1 above the second, smooth between."""
    share = ((values - edges[0]) / (edges[1] - edges[0])).clip(0, 1)
    return share * share * (3 - 2 * share)
