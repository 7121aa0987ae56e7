"""Colour of skin from what is in it: melanin over blood over scattering tissue, as linear sRGB.

**Source:** absorption of melanosomes, baseline and scattering: S. Jacques, "Skin Optics", Oregon Medical
Laser Center, 1998; haemoglobin extinction: S. Prahl, same place, 1999; diffuse reflectance of a half space:
Jensen et al., SIGGRAPH 2001, eq. 15; colour matching functions: Wyman, Sloan, Shirley, JCGT 2013, eq. 4.
"""

from __future__ import annotations

import numpy as np

WAVELENGTH = np.arange(400.0, 701.0, 10.0)  # nm
# Molar extinction (1/cm/M) of oxygenated and deoxygenated haemoglobin.
OXY = [266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933, 20035, 24202, 39957]
OXY += [53236, 43016, 32613, 44496, 50104, 14401, 3200, 1506, 942, 610, 442, 368, 320, 294, 278, 276, 290]
DEOXY = [
    223296,
    303956,
    407560,
    528600,
    413280,
    103292,
    23389,
    16156,
    14550,
    16684,
    20862,
    25774,
    31590,
    39036,
]
DEOXY += [
    46592,
    53412,
    53788,
    45072,
    37020,
    28324,
    14677,
    9444,
    6510,
    5149,
    4345,
    3750,
    3227,
    2795,
    2408,
    2052,
    1794,
]
D65 = [
    82.75,
    91.49,
    93.43,
    86.68,
    104.86,
    117.01,
    117.81,
    114.86,
    115.92,
    108.81,
    109.35,
    107.80,
    104.79,
    107.69,
]
D65 += [
    104.41,
    104.05,
    100.0,
    96.33,
    95.79,
    88.69,
    90.01,
    89.60,
    87.70,
    83.29,
    83.70,
    80.03,
    80.21,
    82.28,
    78.28,
]
D65 += [69.72, 71.61]
EPIDERMIS = 0.006  # cm
PATH_FACTOR = 1.25  # mean path of diffuse light through a thin layer, in thicknesses
BACKSCATTER = 0.03  # of the epidermis itself: dark skin is not black
OXYGENATION = 0.75
RGB_FROM_XYZ = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


def skin_rgb(melanin: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Linear RGB (...,3) for volume fractions of melanosomes in the epidermis and of blood in the dermis."""
    nm = WAVELENGTH
    base = 0.244 + 85.3 * np.exp(-(nm - 154.0) / 66.2)
    per_blood = 2.303 * 150.0 / 64500.0 * (OXYGENATION * np.array(OXY) + (1 - OXYGENATION) * np.array(DEOXY))
    f_melanin, f_blood = np.asarray(melanin)[..., None], np.asarray(blood)[..., None]
    epidermis = f_melanin * 6.6e11 * nm**-3.33 + (1.0 - f_melanin) * base
    dermis = f_blood * per_blood + (1.0 - f_blood) * base
    scattering = 2e5 * nm**-1.5 + 2e12 * nm**-4.0
    through = np.exp(-2.0 * PATH_FACTOR * EPIDERMIS * epidermis)
    return (BACKSCATTER + through * _half_space(dermis, scattering)) @ _rgb_weights()


def _half_space(absorption: np.ndarray, scattering: np.ndarray) -> np.ndarray:
    albedo = scattering / (absorption + scattering)
    root = np.sqrt(3.0 * (1.0 - albedo))
    eta = 1.4
    internal = -1.440 / eta**2 + 0.710 / eta + 0.668 + 0.0636 * eta
    boundary = (1.0 + internal) / (1.0 - internal)
    return 0.5 * albedo * (1.0 + np.exp(-4.0 / 3.0 * boundary * root)) * np.exp(-root)


def _rgb_weights() -> np.ndarray:
    """(31,3): linear RGB per unit reflectance in each band under D65; a perfect white gives (1, 1, 1)."""

    def lobe(centre: float, below: float, above: float) -> np.ndarray:
        scale = np.where(centre > WAVELENGTH, below, above)
        return np.exp(-0.5 * ((WAVELENGTH - centre) * scale) ** 2)

    x = (
        0.362 * lobe(442.0, 0.0624, 0.0374)
        + 1.056 * lobe(599.8, 0.0264, 0.0323)
        - 0.065 * lobe(501.1, 0.0490, 0.0382)
    )
    y = 0.821 * lobe(568.8, 0.0213, 0.0247) + 0.286 * lobe(530.9, 0.0613, 0.0322)
    z = 1.217 * lobe(437.0, 0.0845, 0.0278) + 0.681 * lobe(459.0, 0.0385, 0.0725)
    xyz = np.stack([x, y, z], axis=1) * np.array(D65)[:, None]
    weights = xyz / xyz[:, 1].sum() @ RGB_FROM_XYZ.T
    return weights / weights.sum(0)
