"""A Sphere Face Model of registered scans of labelled people (``facewright model sphere``)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.core.progress import ProgressBar
from facewright.data.registered_scans import face_vertices
from facewright.evaluation.identity_metrics import silhouette
from facewright.geometry.alignment import align_points
from facewright.geometry.scan_io import read_scan
from facewright.methods.sphere.codes import closed_codes
from facewright.methods.sphere.head import sphere_head
from facewright.methods.sphere.settings import ModelName, Stage1Settings
from facewright.methods.sphere.space import in_space, scan_space
from facewright.methods.sphere.stack import write_stack
from facewright.methods.sphere.stage1 import learn_basis
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import SphereModel
from facewright.models.storage import ModelOrigin
from facewright.pipeline.model_sources import REGISTERED, head_files, head_name, named_heads, read_people

BLOCK = 64  # scans in memory
STEPS = 8  # of an epoch at least, with few scans
SIZE = (0.7, 1.4)  # of a scan's face, over the base head's


@dataclass(frozen=True)
class SphereBuildSettings:
    """Choices about a Sphere Face Model that is learned from scans.

    Attributes:
        name: of the model.
        licence: of the scans, and so of the model.
        people: table ``scan,person``; None: the folder that a scan lies in names its person.
        dimensions: of a code.
        kind: SFM, or one of the models that the paper compares it with.
        orthonormal: keep the basis orthonormal: codes are then as far apart as meshes.
        epochs: through all scans.
        seed: of the training.
    """

    name: str = "sphere"
    licence: str = "not stated: that of the scans"
    people: Path | None = None
    dimensions: int = 199
    kind: ModelName = "SFM"
    orthonormal: bool = False
    epochs: int = 60
    seed: int = 0


@dataclass(frozen=True)
class BuiltSphere:
    """A model and how it was made.

    Attributes:
        sphere: of the whole head.
        origin: with what the training said.
    """

    sphere: SphereModel
    origin: ModelOrigin


def build_sphere(places: Sequence[Path], settings: SphereBuildSettings, work: Path) -> BuiltSphere:
    """Learn a Sphere Face Model from scans in the base head's topology, some in memory at a time.

    Args:
        places: meshes in mm, folders with a registered head, or folders of such.
        settings: choices.
        work: folder of the aligned scans and of the training; a training that was stopped goes on.

    Raises:
        InputError: labels are missing or do not tell people apart, a scan is in another topology or unit, or
            there are too few scans.
        ScanError: a scan cannot be read.
        FacewrightError: as ``facewright.training.loop.train``.
    """
    paths = head_files(places)
    people, names = people_of(paths, settings.people)
    stage = stage_of(settings, len(paths))
    base = load_base_model()
    vertex = face_vertices(base)
    with ProgressBar(len(paths), unit="scan") as bar:
        blocks = _aligned_blocks(paths, base, vertex, bar)
        stack = write_stack(work / "scans", blocks, people, vertex, {"name": settings.name})
    space = scan_space(stack, stage.rank)
    scans = in_space(space, stack)
    learned = learn_basis(scans, stack.people, stage, work / "training", seed=settings.seed)
    sphere = sphere_head(learned.basis, space, scans, vertex, base)
    sphere = replace(sphere, face_model=replace(sphere.face_model, name=settings.name))
    told = {}
    for name, basis in (("", learned.basis), (" of PCA", torch.eye(stage.rank, stage.dimensions))):
        told[name] = silhouette(closed_codes(basis, scans.coordinates).numpy(), stack.people, "cosine")
    counts = np.bincount(people)
    alone = [f"{int((counts == 1).sum())} people have one scan only"] if (counts == 1).any() else []
    notes = (
        f"{settings.kind}: {scans.coordinates.shape[0]} scans are met to {learned.figures['rmse']:.2f} mm",
        f"people apart (cosine silhouette): {told['']:.3f}, {told[' of PCA']:.3f} by components alone",
        f"largest entry of A^T A - I: {learned.figures['orthonormality']:.2f}",
        "expressions and albedo are the base head's",
        *alone,
    )
    source = f"{len(paths)} scans of {len(names)} people"
    return BuiltSphere(sphere, ModelOrigin(settings.licence, source, "facewright model sphere", notes))


def people_of(paths: Sequence[Path], table: Path | None) -> tuple[Int64[ndarray, " N"], list[str]]:
    """Number of each scan's person, and what the people are called.

    Raises:
        InputError: labels are missing, all scans are of one person, or nobody was scanned twice.
    """
    if table is not None:
        people = read_people(table, list(named_heads(paths)))
        labels = [people[head_name(path)] for path in paths]
    else:
        scans = [path.resolve().parent if path.name in REGISTERED else path.resolve() for path in paths]
        labels = [str(scan.parent) for scan in scans]
    names, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        found = f"all {len(paths)} are of one person" if len(names) < 2 else "every person has one scan only"
        raise InputError(
            f"a Sphere Face Model needs to know whose scan is whose: {found}. Expected folders of people, "
            "PERSON/SCAN, with several scans each, or a table with --people CSV (rows scan,person)."
        )
    return numbers.astype(np.int64), [Path(name).name for name in names.tolist()]


def stage_of(settings: SphereBuildSettings, scans: int) -> Stage1Settings:
    """How to train on so many scans.

    Raises:
        InputError: there are not more scans than dimensions.
    """
    if scans <= settings.dimensions:
        raise InputError(
            f"{scans} scans cannot tell {settings.dimensions} dimensions: give more scans, or choose "
            f"--dimensions of {max(scans - 1, 1)} at most (a third of the scans or fewer serves best)."
        )
    usual = Stage1Settings()
    stage = replace(
        usual,
        dimensions=settings.dimensions,
        rank=max(min(usual.rank, scans - 1), settings.dimensions),
        retract=settings.orthonormal,
        epochs=settings.epochs,
        batch=max(1, min(usual.batch, scans // STEPS)),
    )
    return stage.of_model(settings.kind)


def _aligned_blocks(
    paths: Sequence[Path], base: FaceModel, vertex: Int64[ndarray, " C"], bar: ProgressBar
) -> Iterator[Float[ndarray, "N C 3"]]:
    """The face of each scan, laid rigidly onto the base head, some scans at a time."""
    faces, target = base.topology.faces.numpy(), base.mean[vertex].double()[None]
    size = float((target - target.mean(1)).norm())
    for first in range(0, len(paths), BLOCK):
        block = []
        for path in paths[first : first + BLOCK]:
            bar.name(head_name(path))
            scan = read_scan(path)
            whole = np.array_equal(scan.file_vertex, np.arange(len(base.mean)))
            if not whole or not np.array_equal(scan.faces, faces):
                raise InputError(
                    f"{path} has {len(scan.vertices)} vertices and {len(scan.faces)} triangles that are not "
                    f"those of facewright's head ({len(base.mean)} and {len(faces)}): bring it into this "
                    "topology with `facewright register`."
                )
            source = torch.from_numpy(scan.vertices[vertex].astype(np.float64))[None]
            ratio = float((source - source.mean(1)).norm()) / size
            if not SIZE[0] < ratio < SIZE[1]:
                raise InputError(
                    f"the face of {path} is {ratio:.3g} times as large as a head's: expected mm."
                )
            block.append(align_points(source, target).apply(source)[0].float().numpy())
            bar.advance()
        yield np.stack(block)
