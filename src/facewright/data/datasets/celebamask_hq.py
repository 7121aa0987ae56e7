"""CelebAMask-HQ: 30,000 faces of CelebA at 1024 px with masks of 18 parts at 512 px."""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from facewright.core.errors import InputError
from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, StoredImage
from facewright.data.datasets.tables import read_table, rows_of

LICENCE_PAGE = "https://github.com/switchablenorms/CelebAMask-HQ"
LAYOUT = (
    "CelebA-HQ-img/0.jpg ..., CelebAMask-HQ-mask-anno/0/00000_skin.png ... (2,000 photos a folder, 0 to 14), "
    "CelebAMask-HQ-attribute-anno.txt, CelebAMask-HQ-pose-anno.txt, CelebA-HQ-to-CelebA-mapping.txt"
)
# In the order in which the set's own script g_mask.py lays them over each other.
# l_ and r_ are left and right in the picture.
PARTS = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip",
    "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
PHOTOS_A_FOLDER = 2000


def read_celebamask_hq(folder: Path) -> FaceSet:
    """Open CelebAMask-HQ.

    ``pose`` is pitch, yaw, roll with the signs of the set's file (degrees there, columns yaw, pitch, roll).
    ``coefficients["celeba"]`` is the number of the photo in CelebA, as in its name there.
    A photo has no mask of a part that it does not show, so that missing masks cannot be told from hidden
    parts: only the folders are asked for.

    Raises:
        DatasetError: something is missing or damaged; the first ten missing paths are named.
    """
    place = SetPlace("CelebAMask-HQ", folder, LICENCE_PAGE, LAYOUT)
    tables = {
        "attributes": ("CelebAMask-HQ-attribute-anno.txt", True),
        "poses": ("CelebAMask-HQ-pose-anno.txt", True),
    }
    mapping = "CelebA-HQ-to-CelebA-mapping.txt"
    place.require(
        [*(name for name, _ in tables.values()), mapping, "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"]
    )
    read = {
        key: read_table(place, folder / name, counted=headed, titled=headed)
        for key, (name, headed) in tables.items()
    }
    names, attributes, kinds = read["attributes"]
    pose_names, poses, _ = read["poses"]
    if poses.shape[1] != 3:
        raise place.damaged(folder / tables["poses"][0], f"it has {poses.shape[1]} columns, not 3")
    poses = poses[rows_of(place, folder / tables["poses"][0], pose_names, names)]
    originals = _originals(place, folder / mapping)
    numbers = [_number(place, name) for name in names]
    place.require([f"CelebA-HQ-img/{name}" for name in names])
    groups = sorted({number // PHOTOS_A_FOLDER for number in numbers})
    place.require([f"CelebAMask-HQ-mask-anno/{group}" for group in groups])

    def load(index: int) -> FacePhoto:
        name, number = names[index], numbers[index]
        yaw, pitch, roll = (math.radians(angle) for angle in poses[index].tolist())
        original = originals.get(number)
        return FacePhoto(
            "CelebAMask-HQ",
            name,
            StoredImage(folder / "CelebA-HQ-img" / name, name),
            attributes={
                kind: value > 0 for kind, value in zip(kinds, attributes[index].tolist(), strict=True)
            },
            masks=_masks(folder, number),
            pose=torch.tensor([pitch, yaw, roll]),
            coefficients=None if original is None else {"celeba": torch.tensor([original])},
        )

    return FaceSet("CelebAMask-HQ", LICENCE_PAGE, folder, names, load)


def part_map(photo: FacePhoto) -> UInt8[Tensor, "H W"]:
    """Number of the part in each pixel of the masks: 0 background, then 1 + its place in ``PARTS``.

    Raises:
        InputError: the photo has no masks, or they differ in size.
        ImageError: a mask cannot be read.

    **Source:** CelebAMask-HQ, face_parsing/Data_preprocessing/g_mask.py: a later part covers an earlier one.
    """
    if not photo.masks:
        raise InputError(f"{photo.name} of {photo.set_name} has no masks.")
    parts: np.ndarray | None = None
    for number, part in enumerate(PARTS, 1):
        if part not in photo.masks:
            continue
        shown = photo.masks[part].read().pixels[0].numpy() > 0.5
        if parts is None:
            parts = np.zeros(shown.shape, dtype=np.uint8)
        if shown.shape != parts.shape:
            raise InputError(f"the masks of {photo.name} have {shown.shape} and {parts.shape} px.")
        parts[shown] = number
    if parts is None:
        raise InputError(f"{photo.name} has masks of {', '.join(photo.masks)}, none of which is known.")
    return torch.from_numpy(parts)


def _masks(folder: Path, number: int) -> dict[str, StoredImage]:
    root = folder / "CelebAMask-HQ-mask-anno" / str(number // PHOTOS_A_FOLDER)
    paths = {part: root / f"{number:05d}_{part}.png" for part in PARTS}
    return {part: StoredImage(path, path.name) for part, path in paths.items() if path.is_file()}


def _number(place: SetPlace, name: str) -> int:
    stem = Path(name).stem
    if not stem.isdecimal():
        raise place.damaged(place.folder / "CelebAMask-HQ-attribute-anno.txt", f"{name!r} is no photo's name")
    return int(stem)


def _originals(place: SetPlace, path: Path) -> dict[int, int]:
    """Numbers of the photos in CelebA. Rows: idx, orig_idx, orig_file (000001.jpg, from 1)."""
    found = {}
    for row, line in enumerate(place.lines(path)):
        words = line.split()
        if row == 0 and not words[0].isdecimal():
            continue  # names of the columns
        if len(words) != 3 or not words[0].isdecimal() or not Path(words[2]).stem.isdecimal():
            raise place.damaged(path, f"row {row + 1} is {line[:60]!r}")
        found[int(words[0])] = int(Path(words[2]).stem)
    return found
