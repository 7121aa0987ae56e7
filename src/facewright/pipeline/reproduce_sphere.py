"""The Sphere Face Model's tables on the synthetic twins of its scans, and on photographs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors, sha256, write_safetensors
from facewright.core.errors import InputError, UnavailableError
from facewright.core.files import read_marker, write_json
from facewright.data.protocols import SCAN_PROTOCOLS, ScanProtocol
from facewright.data.registered_scans import RegistrationNoise, ScanPopulation, face_vertices
from facewright.evaluation.ablation import AblationTable, Variant
from facewright.evaluation.identity_metrics import calinski_harabasz, silhouette
from facewright.geometry.normals import vertex_normals
from facewright.methods.sphere.codes import closed_codes
from facewright.methods.sphere.head import sphere_head
from facewright.methods.sphere.settings import ModelName, Stage1Settings
from facewright.methods.sphere.space import ScanSpace, SpaceScans, in_space, scan_space
from facewright.methods.sphere.stack import ScanStack, open_stack, write_stack
from facewright.methods.sphere.stage1 import decorrelated, learn_basis
from facewright.methods.sphere.tables import TABLES
from facewright.models.base import BASE_HEAD, load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model
from facewright.pipeline.reproduce import first_difference
from facewright.pipeline.reproduce_sphere_photos import CROPS, PhotoRuns
from facewright.training.recipe import Scale

TRAINED_ON, OTHER = "frgc", "bosphorus"
SPACE = "space.safetensors"
SEED = 0  # of both
# People and scans of each at a scale; None: all of the protocol.
SIZES: dict[str, dict[Scale, tuple[int, int] | None]] = {
    TRAINED_ON: {"mini": (60, 5), "small": None, "full": None},
    OTHER: {"mini": (20, 8), "small": None, "full": None},
}
MINI = Stage1Settings(dimensions=40, rank=120, batch=128, epochs=45)
PHOTOS = "photos.json"
NOT_THERE = "needs photographs: give the folder of faces_in_the_wild and faces_in_colour with --examples."


@dataclass
class SphereStudy:
    """Trains models on scans of one generator and scores them on both, and tunes them on photographs.

    Attributes:
        scale: "mini" takes seconds a run; "small" and "full" are the twins of the paper's sets, d = 199.
        other: file of the other generator's model in the shipped head's topology; tables 2 and 3 need it.
        photos: folder of the labelled photos; table 4 and the rows SFM* need it.
    """

    scale: Scale
    other: Path | None = None
    photos: Path | None = None
    name: str = "sphere"
    _held: dict[Path, "_Material"] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, scale: str, examples: Sequence[Path]) -> "SphereStudy":
        """Check what is asked for.

        Raises:
            InputError: there is no such scale, or more than one other model is given.
        """
        if scale not in get_args(Scale):
            raise InputError(f"expected a scale of {', '.join(get_args(Scale))}, got {scale!r}.")
        files, folders = ([p for p in examples if p.is_dir() is kind] for kind in (False, True))
        if len(files) > 1 or len(folders) > 1 or not all(path.is_file() for path in files):
            raise InputError(
                "expected --examples FILE, one head model of another generator, made by `facewright model "
                "import ict FOLDER --to-base --expressions own --out FILE`, and a folder of labelled photos."
            )
        for folder in folders:
            PhotoRuns.told(folder, cast(Scale, scale))
        return cls(cast(Scale, scale), next(iter(files), None), next(iter(folders), None))

    @property
    def tables(self) -> Mapping[str, AblationTable]:
        """Table 1, where there is another generator 2 and 3, and where there are photos 4."""
        given = {"1": True, "2": self.other is not None, "3": self.other is not None}
        given["4"] = self.photos is not None
        return {name: TABLES[name] for name, there in given.items() if there}

    def settings(self) -> Mapping[str, object]:
        """Scale, stage 1, and what the scans are."""
        told = {
            "scale": self.scale,
            "stage1": asdict(self.stage1),
            "scans": {name: self.told(name) for name in self._sets()},
        }
        return json.loads(json.dumps(told))

    def told(self, name: str) -> dict[str, object]:
        """What the scans of a set were drawn with, as JSON values: kept with them, and compared."""
        head = asset_path(BASE_HEAD)
        drawn = {
            "protocol": asdict(self._protocol(name)),
            "scale": self.scale,
            "seed": SEED,
            "noise": asdict(RegistrationNoise()),
            "base_head": sha256(head),
        }
        if name == OTHER and self.other is not None:
            drawn["other"] = sha256(self.other)
        return json.loads(json.dumps(drawn))

    def prepare(self, folder: Path) -> None:
        """Draw the scans and reduce them, unless they are there.

        Raises:
            UnavailableError: the extra ``train`` is not installed.
            InputError: the other model is in another topology, or the folder holds other scans.
        """
        if find_spec("lightning_fabric") is None:
            raise UnavailableError("training needs the extra train: pip install 'facewright[train]'.")
        base = load_base_model()
        vertex = face_vertices(base)
        for name in self._sets():
            if not (folder / name / "stack.json").is_file():
                model = base if name == TRAINED_ON else self._other(base)
                people = ScanPopulation(model, self._protocol(name), vertex, SEED)
                write_stack(folder / name, people.blocks(), people.people, vertex, self.told(name))
            _refuse_others(open_stack(folder / name).told, self.told(name), folder / name)
        if not (folder / SPACE).is_file():
            space = scan_space(open_stack(folder / TRAINED_ON), self.stage1.rank)
            tensors = {"mean": torch.from_numpy(space.mean), "axes": torch.from_numpy(space.axes)}
            write_safetensors(folder / SPACE, tensors, {"told": json.dumps(self._space_told())})
        read_space(folder, self._space_told())
        if self.photos is not None:
            told, marker = PhotoRuns.told(self.photos, self.scale), folder / PHOTOS
            if not marker.is_file():
                write_json(marker, told)
            _refuse_others(read_marker(marker, 1 << 20) or {}, told, marker)

    def run(self, variant: Variant, seed: int, folder: Path) -> Mapping[str, float]:
        """Train a model and score it on each set.

        Raises:
            UnavailableError: the variant needs photographs.
            NotFiniteError: the training diverged.
        """
        material = self._material(folder.parents[2])
        kind = str(variant.changes["model"])
        if kind == "shipped head":
            return self._scored_head(material)
        photos = kind == "SFM*"
        if photos and material.photos is None:
            raise UnavailableError(f"{variant.name} {NOT_THERE}")
        settings = self.stage1.of_model("SFM" if photos else cast(ModelName, kind))
        settings = replace(settings, retract=bool(variant.changes.get("retract", False)))
        # What is tuned on photos is the basis of the table's SFM, trained once for each seed.
        place = folder.parents[1] / "SFM" / folder.name if photos else folder
        scans, people = material.scans[TRAINED_ON], material.stacks[TRAINED_ON].people
        found = learn_basis(scans, people, settings, place, seed=seed, progress=False)
        basis, metrics = found.basis, {"orthonormality": found.figures["orthonormality"]}
        if photos and material.photos is not None:
            stack = material.stacks[TRAINED_ON]
            sphere = sphere_head(basis, material.space, scans, stack.vertex, material.base)
            tuned = material.photos.run(sphere, variant.changes, self.scale, seed, folder)
            turned = decorrelated(basis, scans)[0]
            basis = turned + turned @ tuned.mixing.T
            metrics = tuned.figures
        axes = material.space.axes @ basis.numpy()
        for name, scans in material.scans.items():
            codes = closed_codes(basis, scans.coordinates)
            metrics[f"{name}_rmse"] = scans.rmse(codes @ basis.T)
            metrics |= separability(name, codes, material.stacks[name].people)
            if name == OTHER:
                metrics[f"{name}_plane"] = material.plane(name, material.space.mean, axes)
        return metrics

    def _scored_head(self, material: "_Material") -> dict[str, float]:
        model, vertex = material.base, material.stacks[OTHER].vertex
        mean = model.mean[vertex].flatten().numpy()
        rows = model.identity_basis[:, vertex].flatten(1)
        axes = torch.linalg.qr(rows.T)[0]
        codes = np.concatenate(
            [(block - mean) @ axes.numpy() for _, block in material.stacks[OTHER].blocks()]
        )
        told = separability(OTHER, torch.from_numpy(codes), material.stacks[OTHER].people)
        return {**told, f"{OTHER}_plane": material.plane(OTHER, mean, axes.numpy())}

    def _space_told(self) -> dict[str, object]:
        return {**self.told(TRAINED_ON), "rank": self.stage1.rank}

    def _sets(self) -> tuple[str, ...]:
        return (TRAINED_ON,) if self.other is None else (TRAINED_ON, OTHER)

    def _protocol(self, name: str) -> ScanProtocol:
        protocol, size = SCAN_PROTOCOLS[f"synthetic-{name}"], SIZES[name][self.scale]
        return protocol if size is None else replace(protocol, subjects=size[0], scans=size[1])

    @property
    def stage1(self) -> Stage1Settings:
        """Settings of the training."""
        return MINI if self.scale == "mini" else Stage1Settings()

    def _other(self, base: FaceModel) -> FaceModel:
        if self.other is None:
            raise InputError("expected the other generator's model with --examples FILE.")
        model = load_face_model(self.other)
        if not torch.equal(model.topology.faces, base.topology.faces):
            raise InputError(f"{self.other} is in another topology: import it with --to-base.")
        return model

    def _material(self, folder: Path) -> "_Material":
        if folder not in self._held:
            space = read_space(folder, self._space_told())
            stacks = {name: open_stack(folder / name) for name in self._sets()}
            scans = {name: in_space(space, stack) for name, stack in stacks.items()}
            photos = None if self.photos is None else PhotoRuns(self.photos, folder / CROPS)
            self._held[folder] = _Material(space, stacks, scans, load_base_model(), photos)
        return self._held[folder]


def read_space(folder: Path, told: Mapping[str, object]) -> ScanSpace:
    """The space of a reproduction's scans.

    Args:
        folder: of the reproduction.
        told: what its scans must have been drawn with, and ``rank``.

    Raises:
        AssetError: the file is missing or damaged.
        InputError: it is of other scans.
    """
    tensors, header = read_safetensors(folder / SPACE)
    _refuse_others(json.loads(header.get("told", "{}")), told, folder / SPACE)
    return ScanSpace(tensors["mean"].numpy(), tensors["axes"].numpy())


def _refuse_others(found: Mapping[str, object], wanted: Mapping[str, object], where: Path) -> None:
    if found != wanted:
        other = first_difference(dict(found), dict(wanted))
        raise InputError(
            f"{where} was made with other settings ({other}): choose another --out, or delete that folder's "
            "scans, space and runs."
        )


@dataclass(frozen=True)
class _Material:
    """What all runs need."""

    space: ScanSpace
    stacks: Mapping[str, ScanStack]
    scans: Mapping[str, SpaceScans]
    base: FaceModel
    photos: PhotoRuns | None

    def plane(self, name: str, mean: Float[ndarray, " C3"], axes: Float[ndarray, "C3 D"]) -> float:
        """Root mean square distance (mm) of scans to the planes of their reconstructions."""
        stack, base = self.stacks[name], self.base
        normals = vertex_normals(base.mean[None], base.topology.faces)[
            0, torch.from_numpy(stack.vertex)
        ].numpy()
        inverse, total = np.linalg.pinv(axes.astype(np.float64)).astype(np.float32), 0.0
        for _, block in stack.blocks():
            centred = block - mean
            rest = centred - (centred @ inverse.T) @ axes.T
            across = (rest.reshape(len(rest), -1, 3) * normals).sum(2)
            total += float((across.astype(np.float64) ** 2).mean(1).sum())
        return float(np.sqrt(total / len(stack.scans)))


def separability(name: str, codes: Float[Tensor, "N D"], people: Int64[ndarray, " N"]) -> dict[str, float]:
    """How well codes tell people apart: SCE, SCC and CH under the name of a set."""
    values = codes.numpy()
    return {
        f"{name}_sce": silhouette(values, people),
        f"{name}_scc": silhouette(values, people, "cosine"),
        f"{name}_ch": calinski_harabasz(values, people),
    }
