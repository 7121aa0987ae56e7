"""300W-LP and AFLW2000-3D: photos at any yaw with 68 landmarks and a fitted face model, as MATLAB files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy import ndarray

from facewright.core.matlab import Shapes, read_matlab_numbers
from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, LabelledPoints, StoredImage

LICENCE_PAGE = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
PARTS = ("AFW", "HELEN", "IBUG", "LFPW")
MAX_MATLAB = 4 << 20  # bytes; the files have some 10 KB
FIRST = 1.0  # number of the first pixel in MATLAB, whose centre is at 0.5 of ours
# Variables with their sizes; the model is the BFM of 2009 with the expressions of FaceWarehouse.
POSE = {"Pose_Para": 7}
COEFFICIENTS = {"Shape_Para": 199, "Exp_Para": 29}
NAME_300W, NAME_AFLW = "300W-LP", "AFLW2000-3D"
LAYOUT_300W = (
    "AFW/NAME.jpg and AFW/NAME.mat, likewise HELEN, IBUG, LFPW and the same with _Flip; for the points of "
    "Bulat and Tzimiropoulos landmarks/AFW/NAME_pts.mat"
)
REANNOTATED = "AFLW2000-3D-Reannotated.pts68.npy"
LAYOUT_AFLW = f"image00002.jpg and image00002.mat ...; for the second annotation {REANNOTATED}"
Annotation = Literal["pt2d", "pts_2d", "pts_3d"]


def read_300w_lp(folder: Path, annotation: Annotation = "pt2d", *, flipped: bool = False) -> FaceSet:
    """Open 300W-LP: faces of 300W turned to large yaws.

    ``pose`` is pitch, yaw, roll of ``Pose_Para``; ``coefficients`` are ``Pose_Para`` (then shift and scale),
    ``Shape_Para`` and ``Exp_Para`` of the set's model. Pixels of MATLAB count from 1: 0.5 is taken off.

    Args:
        folder: with AFW, HELEN, IBUG and LFPW.
        annotation: ``pt2d`` of the photo's own file, or ``pts_2d`` (the visible outline) or ``pts_3d`` (the
            projected outline of the head) of the folder ``landmarks``, which has none of flipped photos.
        flipped: also the mirrored photos (folders _Flip).

    Raises:
        DatasetError: something is missing; the first ten missing paths are named. A damaged file of one photo
            raises when that photo is asked for.

    **Source:** Zhu et al., "Face Alignment Across Large Poses", 2016. **Differs:** ``pts_2d`` and ``pts_3d``
    were not seen on the real files: (68, 2) and (68, 3) are both taken, the first two columns of them.
    """
    place = SetPlace(NAME_300W, folder, LICENCE_PAGE, LAYOUT_300W)
    parts = [*PARTS, *(f"{part}_Flip" for part in PARTS)] if flipped and annotation == "pt2d" else [*PARTS]
    place.require(parts if annotation == "pt2d" else [*parts, "landmarks"])
    names = [f"{part}/{stem}" for part in parts for stem in _stems(folder / part)]
    wanted = [f"{name}.mat" for name in names] or [f"{part}/NAME.jpg" for part in parts]
    if annotation != "pt2d":
        wanted += [f"landmarks/{name}_pts.mat" for name in names]
    place.require(wanted)

    def load(index: int) -> FacePhoto:
        name = names[index]
        path = folder / f"{name}.mat"
        points = {"pt2d": ((2, 68),)} if annotation == "pt2d" else {}
        found = _numbers(place, path, points | _columns(POSE | COEFFICIENTS))
        if annotation == "pt2d":
            pixels = found["pt2d"].T
        else:
            path = folder / "landmarks" / f"{name}_pts.mat"
            pixels = _numbers(place, path, {annotation: ((68, 2), (68, 3))})[annotation][:, :2]
        landmarks = LabelledPoints("ibug68", _ours(pixels), source=f"{annotation} of {NAME_300W}")
        return _record(NAME_300W, folder / f"{name}.jpg", f"{name}.jpg", landmarks, found)

    notes = (
        ("flipped photos have no such points and are left out",) if flipped and annotation != "pt2d" else ()
    )
    return FaceSet(NAME_300W, LICENCE_PAGE, folder, [f"{name}.jpg" for name in names], load, notes)


def read_aflw2000(folder: Path, annotation: Literal["original", "reannotated"] = "original") -> FaceSet:
    """Open AFLW2000-3D: 2,000 photos with fitted heads; points of a head also where it hides them.

    ``pose`` and ``coefficients`` as in ``read_300w_lp``, by the same fit in both annotations.

    Args:
        folder: with the photos and their files.
        annotation: ``original`` is ``pt3d_68`` of the photos' files, with depth; ``reannotated`` are the
            points of Bulat and Tzimiropoulos 2017, as 3DDFA has them in test.configs: one row a photo by
            name. Figures on the two differ by much, so that one must say which was used.

    Raises:
        DatasetError: something is missing; the first ten missing paths are named.

    **Source:** pixels count from 1: the set's own code draws ``pt3d_68`` with MATLAB's plot.
    **Differs:** that the second annotation counts alike, and its rows (2 or 3, 68), were not seen on the real
    files; nor that ``pt3d_68`` grows towards the camera in depth, as the fitted model does.
    """
    place = SetPlace(NAME_AFLW, folder, LICENCE_PAGE, LAYOUT_AFLW)
    names = _stems(folder)
    wanted = [f"{name}.mat" for name in names] or ["image00002.jpg"]
    place.require(wanted if annotation == "original" else [*wanted, REANNOTATED])
    again = None if annotation == "original" else _reannotated(place, len(names))

    def load(index: int) -> FacePhoto:
        path = folder / f"{names[index]}.mat"
        found = _numbers(place, path, {"pt3d_68": ((3, 68),)} | _columns(POSE | COEFFICIENTS))
        if again is None:
            depth = torch.from_numpy(-found["pt3d_68"][2].astype(np.float32))
            pixels = found["pt3d_68"][:2].T
        else:
            pixels, depth = np.asarray(again[index][:2]).T, None
        landmarks = LabelledPoints("ibug68", _ours(pixels), depth, source=f"{annotation} of {NAME_AFLW}")
        return _record(NAME_AFLW, folder / f"{names[index]}.jpg", f"{names[index]}.jpg", landmarks, found)

    return FaceSet(NAME_AFLW, LICENCE_PAGE, folder, [f"{name}.jpg" for name in names], load)


def _record(
    set_name: str, path: Path, name: str, landmarks: LabelledPoints, found: Mapping[str, ndarray]
) -> FacePhoto:
    kept = {key: torch.from_numpy(found[key].ravel().astype(np.float32)) for key in (*POSE, *COEFFICIENTS)}
    return FacePhoto(
        set_name,
        name,
        StoredImage(path, name),
        landmarks=landmarks,
        pose=kept["Pose_Para"][:3],
        coefficients=kept,
    )


def _columns(sizes: Mapping[str, int]) -> dict[str, tuple[tuple[int, ...], ...]]:
    return {name: ((size, 1), (1, size)) for name, size in sizes.items()}


def _ours(pixels: ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)) - (FIRST - 0.5)


def _numbers(
    place: SetPlace, path: Path, allowed: Mapping[str, tuple[tuple[int, ...], ...]]
) -> dict[str, ndarray]:
    def check(shapes: Shapes) -> None:
        for name, shape in shapes.items():
            if tuple(shape) not in allowed[name]:
                raise ValueError(f"{name} has shape {tuple(shape)}, expected {allowed[name][0]}")

    try:
        if path.stat().st_size > MAX_MATLAB:
            raise ValueError(f"it has more than {MAX_MATLAB >> 20} MB")
        found = read_matlab_numbers(path, tuple(allowed), check)
        if not all(np.isfinite(values).all() for values in found.values()):
            raise ValueError("not all numbers are finite")
    except (ValueError, OSError) as error:
        raise place.damaged(path, str(error)) from error
    return found


def _stems(folder: Path) -> list[str]:
    """Names of the photos of a folder without their suffix, sorted; none if there is no such folder."""
    try:
        listed = os.listdir(folder)  # noqa: PTH208 (names alone, of up to 60,000 files)
    except OSError:
        return []
    return sorted(name[: -len(".jpg")] for name in listed if name.endswith(".jpg"))


def _reannotated(place: SetPlace, count: int) -> ndarray:
    path = place.folder / REANNOTATED
    try:
        points = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise place.damaged(path, str(error)) from error
    shapes = [(count, rows, 68) for rows in (2, 3)]
    if points.dtype.kind != "f" or points.shape not in shapes or not np.isfinite(points).all():
        raise place.damaged(
            path, f"it holds {points.dtype} {points.shape}, expected {shapes[0]} for the photos"
        )
    return points
