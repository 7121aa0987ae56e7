"""The Basel Face Models of 2017 and 2019: statismo files with shape, colour and expression."""

from pathlib import Path

import numpy as np

from facewright.models.importers.encoded_colours import linear_colours
from facewright.models.importers.raw import RawModel
from facewright.models.importers.statismo import open_statismo, read_anchors, read_part, read_triangles

# Vertices of model2017-1_bfm_nomouth (53,149) at points of iBUG, where the file carries no landmarks itself.
# fmt: off
ANCHORS_2017 = {
    8: 47846, 30: 8156, 36: 2602, 39: 5830, 42: 10390, 45: 13481, 48: 5522, 51: 8181, 54: 10857, 57: 8199,
    62: 8190, 66: 8191,
}
# fmt: on
VERTICES_2017 = 53_149
LICENCE = (
    "Basel Face Model licence (University of Basel, faces.dmi.unibas.ch): research only, not to be passed on"
)


def read_basel_hdf5(path: Path, *, year: int, anchors: dict[int, int] | None = None) -> RawModel:
    """Read ``model2017-1_*.h5`` or ``model2019_*.h5``.

    Args:
        path: the file.
        year: 2017 or 2019; both have one layout.
        anchors: vertices at points of iBUG; those that the file names if None.

    Raises:
        AssetError: the file is missing, damaged, or no such model.
        UnavailableError: the package h5py is not there.

    **Source:** Gerig et al. 2018; eos' ``convert-bfm2017-to-eos.py`` (variances, ``cells`` (3,F) from 0) and
    ``ibug_to_bfm2017-1_bfm_nomouth.txt``; millimetres: the makers in basel-face-model-viewer, issue 20.
    **Differs:** the mean of the expression part is not zero; it becomes an expression of its own, since the
    neutral head is the shape part alone. Colours are taken as sRGB and brought to linear light, the basis to
    first order at the mean.
    """
    with open_statismo(path) as stored:
        shape, colour = read_part(stored, "shape", path), read_part(stored, "color", path)
        faces = read_triangles(stored, "shape")
        expression, names = np.zeros((0, *shape.mean.shape), dtype=np.float32), ()
        if "expression" in stored:
            part = read_part(stored, "expression", path)
            expression = np.concatenate([part.mean[None].astype(np.float32), part.basis])
            names = ("mean_expression", *(f"expression{number:03d}" for number in range(len(part.basis))))
        if anchors is None:
            anchors = read_anchors(stored, shape.mean)
            if not anchors and len(shape.mean) == VERTICES_2017:
                anchors = ANCHORS_2017
    return RawModel(
        name=f"bfm{year}",
        version=str(year),
        licence=LICENCE,
        mean=shape.mean,
        faces=faces,
        identity=shape.basis,
        expression=expression,
        expression_names=names,
        diffuse=linear_colours(colour.mean, colour.basis),
        anchors=anchors,
        notes=("expressions are in standard deviations of both signs",) if names else (),
    )
