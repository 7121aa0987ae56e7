"""``facewright model``: tell about head models, import those of others, build one of scans."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE
from facewright.cli.switches import SWITCH
from facewright.core.errors import InputError

if TYPE_CHECKING:
    from facewright.models.face_model import FaceModel
    from facewright.models.storage import ModelOrigin

SUFFIX = ".safetensors"
# As ``ModelFormat`` of the pipeline, which takes longer to import than telling what is wrong with a line.
Format = Literal["bfm2009", "bfm2017", "bfm2019", "flame", "ict", "surrey", "albedo_mm"]


@dataclass(frozen=True)
class ModelInfo:
    """Tell about a head model: sizes, names, licence. Without a file: the shipped one."""

    file: Annotated[Positional[Path | None], arg(metavar="FILE")] = None
    """A model file of facewright."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            AssetError: the model file is missing or damaged.
        """
        from facewright.pipeline.describe import describe_base_model, describe_model_file  # needs torch

        told = describe_model_file(self.file) if self.file else describe_base_model()
        sys.stdout.write(told + "\n")
        return DONE


@dataclass(frozen=True)
class ModelImport:
    """Import a face model of another project into one file of facewright: mm, our frame, checked."""

    format: Annotated[Positional[Format], arg(metavar="FORMAT")]
    """Which model: bfm2009 (.mat), bfm2017 and bfm2019 (.h5), flame (.pkl), ict (folder or .npz), surrey
    (.bin of eos), albedo_mm (.h5, with --shape)."""
    path: Annotated[Positional[Path], arg(metavar="PATH")]
    """The model's file or folder."""
    out: Annotated[Path, arg(metavar="FILE")]
    """The model file to write, FILE.safetensors."""
    shape: Annotated[Path | None, arg(metavar="FILE")] = None
    """For albedo_mm: the BFM 2017 that the albedo goes with."""
    embedding: Annotated[Path | None, arg(metavar="FILE")] = None
    """For flame: flame_static_embedding.pkl, its 51 landmarks."""
    blendshapes: Annotated[Path | None, arg(metavar="FILE")] = None
    """For surrey: expression_blendshapes_3448.bin."""
    landmarks: Annotated[Path | None, arg(metavar="JSON")] = None
    """For another topology than the published one: {"36": vertex, ...}, iBUG points counted from 0."""
    to_base: bool = False
    """Bring the model into the topology of the shipped head: registers its mean, carries its statistics."""
    expressions: Literal["base", "own"] = "base"
    """With --to-base: the shipped head's 52 expressions, which photos are fitted with, or the model's own."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the model cannot be read, or the file cannot be written.
        """
        check_model_name(self.out)
        from facewright.pipeline.model_import import Companions, import_model

        companions = Companions(self.shape, self.embedding, self.blendshapes, self.landmarks)
        model, origin = import_model(self.format, self.path, companions)
        if self.to_base:
            from facewright.pipeline.model_to_base import bring_to_base

            carried = bring_to_base(model, expressions=self.expressions)
            model, origin = carried.model, replace(origin, notes=(*origin.notes, *carried.notes))
        write_and_tell(self.out, model, origin)
        return DONE


@dataclass(frozen=True)
class ModelBuild:
    """Build a model of heads in one topology, such as what `facewright register` wrote.

    Beside the model, FILE_curves.json, .csv and .png tell how compact, general and specific it is.
    """

    heads: Annotated[Positional[tuple[Path, ...]], arg(metavar="SCAN|FOLDER ...")]
    """Meshes in mm, folders with head.ply or head.obj, or folders of such."""
    out: Annotated[Path, arg(metavar="FILE")]
    """The model file to write, FILE.safetensors."""
    name: str = "built"
    """What the model is called."""
    licence: str = "not stated: that of the heads"
    """The licence of the heads, kept in the file."""
    components: int | None = None
    """Identity components at most; all (up to 2000) if not given."""
    variance_share: float | None = None
    """As many components as carry this share (0 to 1) of the variance."""
    with_scale: bool = False
    """Take differences of size away."""
    weights: Annotated[Path | None, arg(metavar="CSV")] = None
    """Rows name,weight: how much a neutral head counts; 1 if it is not listed, 0 leaves it out."""
    expressions: Annotated[Path | None, arg(metavar="CSV")] = None
    """Rows neutral,expression,label. Without it, names tell: ANNA_neutral and ANNA_smile are a pair."""
    expression_basis: Literal["labels", "pca"] = "labels"
    """One shape a label (the mean offset), or principal components of all offsets."""
    landmarks: Annotated[Path | None, arg(metavar="JSON")] = None
    """For heads in another topology than facewright's: {"36": vertex, ...}, iBUG points counted from 0."""
    curves: Annotated[bool, SWITCH] = True
    """Leave out the three curves."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the heads cannot make a model, or a file cannot be written.
        """
        if not self.heads:
            raise InputError("expected heads: facewright model build SCAN|FOLDER ... --out FILE.")
        check_model_name(self.out)
        from facewright.pipeline.model_build import BuildSettings, build_model
        from facewright.pipeline.model_curves_files import write_curves

        given = {field.name: getattr(self, field.name) for field in fields(BuildSettings)}
        built = build_model(self.heads, BuildSettings(**given))
        write_and_tell(self.out, built.model, built.origin)
        if built.curves is not None:
            stem = self.out.with_name(f"{self.out.stem}_curves")
            paths = write_curves(stem, {built.model.name: built.curves})
            sys.stdout.write(f"curves        {', '.join(str(path) for path in paths)}\n")
        return DONE


@dataclass(frozen=True)
class ModelSphere:
    """Learn a Sphere Face Model of scans of people, several each, that `facewright register` wrote.

    Identity becomes a direction and a distance from the mean face (docs/methods/sphere.md). Scans are read
    a few at a time. Needs the extra `train`.
    """

    scans: Annotated[Positional[tuple[Path, ...]], arg(metavar="PERSON|FOLDER ...")]
    """Folders of people with meshes or registered heads in them, or folders of such; mm."""
    out: Annotated[Path, arg(metavar="FILE")]
    """The model file to write, FILE.safetensors."""
    people: Annotated[Path | None, arg(metavar="CSV")] = None
    """Rows scan,person; without it the folder that a scan lies in names its person."""
    name: str = "sphere"
    """What the model is called."""
    licence: str = "not stated: that of the scans"
    """The licence of the scans, kept in the file."""
    dimensions: int = 199
    """Of the sphere; there must be more scans."""
    kind: Literal["SFM", "PCA", "Linear", "Sphere-Linear"] = "SFM"
    """The Sphere Face Model, or one of those that its paper compares it with."""
    orthonormal: bool = False
    """Keep the basis orthonormal: codes are as far apart as meshes, people are told apart as by PCA."""
    epochs: int = 60
    """Times that all scans are seen."""
    seed: int = 0
    """Of the training."""
    work: Annotated[Path | None, arg(metavar="DIR")] = None
    """Keep the aligned scans and the training here, so that one that was stopped goes on."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the scans cannot make a model, or a file cannot be written.
        """
        if not self.scans:
            raise InputError("expected scans: facewright model sphere FOLDER ... --out FILE.")
        check_model_name(self.out)
        from facewright.core.files import make_writable_folder
        from facewright.models.sphere_model import save_sphere_model
        from facewright.pipeline.model_sphere import SphereBuildSettings, build_sphere

        make_writable_folder(self.out.resolve().parent)
        given = {field.name: getattr(self, field.name) for field in fields(SphereBuildSettings)}
        with ExitStack() as stack:
            work = self.work or Path(stack.enter_context(TemporaryDirectory(dir=self.out.resolve().parent)))
            built = build_sphere(self.scans, SphereBuildSettings(**given), work)
        save_sphere_model(self.out, built.sphere, built.origin)
        tell_written(self.out)
        return DONE


@dataclass(frozen=True)
class Model:
    """Head models: tell about one, import one of another project, or build one of scans."""

    command: (
        Annotated[ModelInfo, tyro.conf.subcommand("info")]
        | Annotated[ModelImport, tyro.conf.subcommand("import")]
        | Annotated[ModelBuild, tyro.conf.subcommand("build")]
        | Annotated[ModelSphere, tyro.conf.subcommand("sphere")]
    )

    @property
    def debug(self) -> bool:
        """Whether internal details are printed."""
        return self.command.debug

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: it cannot be run as it was given.
        """
        return self.command.run()


def check_model_name(path: Path) -> None:
    """Refuse a name that is none of a model file, before hours are spent.

    Raises:
        InputError: the suffix is another.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"expected --out NAME{SUFFIX}, got {path}.")


def write_and_tell(path: Path, model: "FaceModel", origin: "ModelOrigin") -> None:
    """Write a model file and tell what it holds.

    Raises:
        OutputError: the file cannot be written.
    """
    from facewright.models.storage import save_face_model

    save_face_model(path, model, origin)
    tell_written(path)


def tell_written(path: Path) -> None:
    """Tell what a model file holds."""
    from facewright.pipeline.describe import describe_model_file

    sys.stdout.write(f"{describe_model_file(path)}\nwritten       {path}\n")
