"""The paper's ablations as data: tables 1 and 2 of Deng et al. 2022 (MM'22), and what its figures claim.

Beside the paper's figures stand what the uniform loss is for, which the paper shows in pictures alone, and
what explains a row.

A variant's ``changes`` may hold ``without``: the loss that is left out.
"""

import math

from facewright.evaluation.ablation import AblationTable, Claim, Expectation, Figure, PaperNumber, Variant

SOURCE = (
    "Deng, Le, Jin, Deng: End-to-End 3D Face Reconstruction with Expressions and Specular Albedos, MM 2022"
)
# Row, loss that is left out, table 1 (pixel error, mean and std over CelebA), table 2 (mm over FaceScape).
_ROWS: tuple[tuple[str, str | None, tuple[float, float], tuple[float, float] | None], ...] = (
    ("full", None, (0.115, 0.169), (2.05, 0.79)),
    ("without L_id", "identity", (0.118, 0.172), (2.39, 1.13)),
    ("without L_photo", "photo", (0.228, 0.247), (2.27, 1.09)),
    ("without L_lmk", "landmark", (math.nan, math.nan), None),
    ("without L_mouth", "mouth", (0.117, 0.170), (2.15, 0.87)),
    ("without L_reg", "regularisation", (0.148, 0.192), (9.89, 5.81)),
    ("without L_uniform", "uniform", (0.123, 0.179), (2.16, 0.77)),
)
_TWIN = (
    "photos are synthetic (made by our own renderer), and the errors are on kept-out ones of them",
    "the head model is facewright's, not BFM-2017 with AlbedoMM",
)
# Figures of the same runs that explain a row.
_ALSO = {
    "pixel": "kept-out photos, mean absolute difference over the face, black without a head, sRGB",
    "pixel_trained": "the same on photos that were trained on",
    "shape": "mm, neutral face up to shift and size",
    "coefficients": "root mean square of the identity coefficients; of true heads about 1",
    "landmarks": "68 points, of the side of the crop",
    "mouth": "the 8 of these on the inner lips",
    "mouth_area": "between the found and the true inner mouth, share of the picture",
    "expression": "mean absolute difference of activations",
    "albedo": "mean absolute difference of diffuse albedo, linear",
    "lit_variance": "of lit diffuse colours over the skin, linear",
    "highlights": "correlation with the true ones over the skin, photos with a lamp",
    "gloss": "specular map over the face, mean absolute difference",
    "start_gloss": "the same of the mean head's map",
    "start_gloss_correlation": "of the mean head's specular map with the true one over the face",
}
_VARIANTS = tuple(Variant(name, {} if loss is None else {"without": loss}) for name, loss, *_ in _ROWS)
_UNIFORM = {"without L_uniform": Claim(expected="worse")}
_OF_UNIFORM = (
    Figure(
        "gloss_correlation", "specular map against the truth", "correlation over the face", False, _UNIFORM
    ),
    Figure(
        "highlights", "drawn highlights against the true ones", "correlation over the skin", False, _UNIFORM
    ),
    Figure("lit_variance", "spread of lit diffuse colours", "squared linear light", True, _UNIFORM),
)


def _claims(table: int) -> dict[str, Claim]:
    claims = {}
    for name, loss, pixel, shape in _ROWS:
        number = pixel if table == 1 else shape
        paper = PaperNumber(*number) if number is not None else PaperNumber()
        expected: Expectation | None = None
        if loss is not None and number is not None:
            expected = "diverges" if math.isnan(number[0]) else "worse"
        claims[name] = Claim(paper, expected)
    return claims


def _table(name: str, title: str, figures: tuple[Figure, ...], *differs: str) -> AblationTable:
    judged = {figure.metric for figure in figures}
    beside = tuple(Figure(metric, told) for metric, told in _ALSO.items() if metric not in judged)
    source = f"{SOURCE}, table {name}"
    return AblationTable(name, title, source, _VARIANTS, (*figures, *beside), (*_TWIN, *differs))


TABLES = {
    "1": _table(
        "1",
        "pixel error without each loss",
        (Figure("pixel", "pixel error", "sRGB in [0, 1]", claims=_claims(1)), *_OF_UNIFORM),
    ),
    "2": _table(
        "2",
        "shape error without each loss",
        (Figure("shape", "shape error", "mm", claims=_claims(2)), *_OF_UNIFORM),
        "the distance is between corresponding points of the neutral face up to shift and size, of single "
        "photos, not point-to-plane after ICP of the mean of 40 views",
    ),
}
