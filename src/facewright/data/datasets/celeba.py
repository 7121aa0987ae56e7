"""CelebA: 202,599 photos of 10,177 celebrities with five landmarks and forty attributes."""

from pathlib import Path
from typing import Literal

import torch

from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, LabelledPoints, StoredImage
from facewright.data.datasets.tables import read_table, rows_of

LICENCE_PAGE = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
LAYOUT = (
    "img_align_celeba/000001.jpg ... (or img_celeba/), identity_CelebA.txt, list_attr_celeba.txt, "
    "list_landmarks_align_celeba.txt (or list_landmarks_celeba.txt and list_bbox_celeba.txt), "
    "list_eval_partition.txt, side by side or in Img/, Anno/ and Eval/ as they come"
)
FOLDERS = ("", "Img/", "Anno/", "Eval/")
SPLITS: tuple[Literal["train", "valid", "test"], ...] = ("train", "valid", "test")
CENTRE = 0.5  # added to the labels: they are taken as numbers of pixels from 0


def read_celeba(folder: Path, pictures: Literal["aligned", "in_the_wild"] = "aligned") -> FaceSet:
    """Open CelebA; ``landmarks`` are eyes, nose tip and corners of the mouth (``celeba5``).

    Args:
        folder: see ``LAYOUT``.
        pictures: those that were aligned by their eyes (178 x 218 px), or the photos as they were found.

    Raises:
        DatasetError: something is missing or damaged; the first ten missing paths are named.

    **Differs:** whether the labels count pixels from 0 or from 1 is written nowhere and was not seen on the
    real files; they are taken to count from 0, so that 0.5 is added to come to our pixels.
    """
    place = SetPlace("CelebA", folder, LICENCE_PAGE, LAYOUT)
    aligned = pictures == "aligned"
    photos = "img_align_celeba" if aligned else "img_celeba"
    points_name = f"list_landmarks_{'align_' if aligned else ''}celeba.txt"
    wanted = ["identity_CelebA.txt", "list_attr_celeba.txt", points_name, "list_eval_partition.txt"]
    wanted += [] if aligned else ["list_bbox_celeba.txt"]
    found = place.first_of(*([prefix + name for prefix in FOLDERS] for name in [*wanted, photos]))
    paths, root = dict(zip(wanted, found, strict=False)), found[-1]
    split_names, splits, _ = read_table(place, paths["list_eval_partition.txt"])
    place.require([(root.relative_to(folder) / name).as_posix() for name in split_names])

    def table(name: str, *, headed: bool, width: int) -> tuple[torch.Tensor, tuple[str, ...]]:
        names, values, titles = read_table(place, paths[name], counted=headed, titled=headed)
        if values.shape[1] != width:
            raise place.damaged(paths[name], f"it has {values.shape[1]} columns, not {width}")
        return torch.from_numpy(values[rows_of(place, paths[name], names, split_names)]), titles

    points, _ = table(points_name, headed=True, width=10)
    people, _ = table("identity_CelebA.txt", headed=False, width=1)
    attributes, kinds = table("list_attr_celeba.txt", headed=True, width=40)
    boxes = None if aligned else table("list_bbox_celeba.txt", headed=True, width=4)[0]
    if splits.shape[1] != 1 or not set(splits[:, 0].tolist()) <= {0.0, 1.0, 2.0}:
        raise place.damaged(paths["list_eval_partition.txt"], "its splits are not 0, 1 and 2")

    def load(index: int) -> FacePhoto:
        name = split_names[index]
        box = None if boxes is None else boxes[index]  # from the corner of its first pixel
        if box is not None:
            box = torch.cat([box[:2], box[:2] + box[2:]])
        return FacePhoto(
            "CelebA",
            name,
            StoredImage(root / name, name),
            identity=str(int(people[index, 0])),
            landmarks=LabelledPoints("celeba5", points[index].reshape(5, 2) + CENTRE, source="by hand"),
            box=box,
            attributes={
                kind: value > 0 for kind, value in zip(kinds, attributes[index].tolist(), strict=True)
            },
            split=SPLITS[int(splits[index, 0])],
        )

    return FaceSet("CelebA", LICENCE_PAGE, folder, split_names, load)
