"""``facewright model``: tell about head models, import those of others."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE
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
        write_and_tell(self.out, model, origin)
        return DONE


@dataclass(frozen=True)
class Model:
    """Head models: tell about one, or import one of another project."""

    command: (
        Annotated[ModelInfo, tyro.conf.subcommand("info")]
        | Annotated[ModelImport, tyro.conf.subcommand("import")]
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
    from facewright.pipeline.describe import describe_model_file

    save_face_model(path, model, origin)
    sys.stdout.write(f"{describe_model_file(path)}\nwritten       {path}\n")
