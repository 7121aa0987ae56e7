"""AlbedoMM: a statismo file with diffuse and specular albedo, which goes with the shape of the BFM 2017."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from facewright.core.errors import AssetError
from facewright.models.importers.basel_hdf5 import read_basel_hdf5
from facewright.models.importers.raw import RawAlbedo, RawModel
from facewright.models.importers.statismo import LinearPart, open_statismo, read_part, read_triangles

LICENCE = "AlbedoMM: academic research only (github.com/waps101/AlbedoMM); shape: "
ROUNDING = 0.02  # beyond [0, 1]


def read_albedo_mm(path: Path, *, shape: Path, anchors: dict[int, int] | None = None) -> RawModel:
    """Read ``albedoModel2020_bfm_albedoPart.h5`` (or ``face12``) with the BFM 2017 that it was made for.

    Args:
        path: the albedo.
        shape: ``model2017-1_bfm_nomouth.h5`` (or ``face12``), since the albedo's file has no real shape.
        anchors: vertices at points of iBUG; those that the shape's file names if None.

    Raises:
        AssetError: a file is missing or damaged, or the two do not share their triangles.
        UnavailableError: the package h5py is not there.

    **Source:** Smith et al. 2020; groups as in their AlbedoMoMoIO.scala, the placeholder in
    CombineModel.scala; their README: the model is built in linear sRGB.
    **Differs:** specular intensity is one number a vertex, the mean of the file's three.
    """
    model = read_basel_hdf5(shape, year=2017, anchors=anchors)
    with open_statismo(path) as stored:
        diffuse, specular = (read_part(stored, f"{kind}Albedo", path) for kind in ("diffuse", "specular"))
        faces = read_triangles(stored, "diffuseAlbedo")
    if not np.array_equal(faces, model.faces) or len(diffuse.mean) != len(model.mean):
        raise AssetError(
            f"{path} has {len(diffuse.mean)} vertices and {len(faces)} triangles, {shape} has "
            f"{len(model.mean)} and {len(model.faces)}: take the files of one crop (bfm or face12)."
        )
    return replace(
        model,
        name="albedo_mm",
        version="2020",
        licence=LICENCE + model.licence,
        diffuse=_albedo(diffuse),
        specular=_albedo(specular),
    )


def _albedo(part: LinearPart) -> RawAlbedo:
    mean = part.mean
    if -ROUNDING <= mean.min() <= mean.max() <= 1 + ROUNDING:
        mean = np.clip(mean, 0.0, 1.0)
    return RawAlbedo(mean, part.basis)
