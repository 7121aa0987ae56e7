"""``facewright register``: face scans into the topology of the head model."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from facewright.cli.reconstruct import exit_code
from facewright.core.errors import InputError
from facewright.geometry.units import MM_PER_UNIT
from facewright.pipeline.inputs import expand_inputs
from facewright.pipeline.report import Summary
from facewright.pipeline.settings import BatchSettings

MAX_TEXTURE = 4096
FACTORS = (0.01, 100.0)  # on the stiffness of a region


@dataclass(frozen=True)
class Register:
    """Bring face scans into the topology of the head model.

    Reads OBJ, PLY, STL, GLB, OFF, legacy VTK, XYZ, NPZ, and frames of depth cameras (JSON;
    *.rgbd.json in a folder). For each scan, DIR/<name>/ gets overview.png (look at this first), head.glb
    (with 52 expressions), head.obj, head.ply, registration.npz, registration.json and, with --texture,
    albedo.png; DIR/report.json says what became of each scan. What is done is skipped.
    """

    scans: Annotated[Positional[tuple[Path, ...]], arg(metavar="SCAN|FOLDER ...")]
    """Scans, or folders of scans."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the results."""
    landmarks: Annotated[Path | None, arg(metavar="FILE")] = None
    """Landmarks of the scan in its own frame and unit; without it they are found on pictures of the scan."""
    texture: bool = False
    """Also bring the scan's colours into the head's texture map."""
    texture_size: int = 1024
    """Side of that map in pixels."""
    unit: Annotated[str, arg(metavar="auto|mm|cm|m|inch|NUMBER")] = "auto"
    """Unit of the scan, or millimetres a unit; auto: by the distance of the eyes, and said."""
    stiffness: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="REGION=FACTOR")] = ()
    """How stiff a region of the head is against what it would be, such as lips=0.5; may be given again for
    another region."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """A face model in the shipped head's topology, of `facewright model build` or `sphere`, or of `model
    import --to-base`."""
    force: bool = False
    """Redo what is already done."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        if not self.scans:
            raise InputError("expected scans or folders: facewright register SCAN ... --out DIR.")
        if not 64 <= self.texture_size <= MAX_TEXTURE:
            raise InputError(f"expected --texture-size from 64 to {MAX_TEXTURE}, got {self.texture_size}.")
        if self.landmarks is not None and (len(self.scans) != 1 or self.scans[0].is_dir()):
            raise InputError("--landmarks belongs to one scan: give one file.")
        summary = register_into(self)
        skipped = f", {summary.skipped} done before" if summary.skipped else ""
        failed = f", {summary.failed} failed" if summary.failed else ""
        sys.stdout.write(f"{summary.done} done{skipped}{failed}: {self.out / 'report.json'}\n")
        return exit_code(summary)


def unit_factor(unit: str) -> float | None:
    """Millimetres for one unit; None for ``auto``.

    Raises:
        InputError: it is no unit and no positive number.
    """
    if unit == "auto":
        return None
    try:
        factor = MM_PER_UNIT[unit] if unit in MM_PER_UNIT else float(unit)
    except ValueError:
        factor = 0.0
    if not 1e-6 < factor < 1e6:
        raise InputError(
            f"expected --unit auto, {', '.join(MM_PER_UNIT)} or millimetres a unit, got {unit!r}."
        )
    return factor


def region_factors(given: Sequence[str]) -> dict[str, float]:
    """Factors on the stiffness of regions, of ``REGION=FACTOR``.

    Raises:
        InputError: one reads otherwise, a region comes twice, or its factor is out of range.
    """
    factors: dict[str, float] = {}
    low, high = FACTORS
    for text in given:
        name, _, value = text.partition("=")
        try:
            factor = float(value)
        except ValueError:
            factor = 0.0
        if not name or name in factors or not low <= factor <= high:
            raise InputError(
                f"expected --stiffness REGION=FACTOR once for a region, with a factor from {low:g} to "
                f"{high:g}, got {text!r}."
            )
        factors[name] = factor
    return factors


def register_into(command: Register) -> Summary:
    """Run a batch.

    Raises:
        FacewrightError: it cannot be run as it was given.
    """
    factor, pliancy = unit_factor(command.unit), region_factors(command.stiffness)
    # Here, not above: they import torch, which takes longer than telling what is wrong with a command line.
    from facewright.geometry.scan_io import scan_suffixes
    from facewright.models.base import load_base_model
    from facewright.pipeline.batch import Engine, run_batch
    from facewright.pipeline.frame_file import SUFFIX
    from facewright.pipeline.register import SCANS, ScanRegistrar, register_made_with
    from facewright.registration.head import RegistrationSettings
    from facewright.registration.rgbd import RgbdSettings
    from facewright.registration.skin import check_regions

    settings, frames = RegistrationSettings(mm=factor, pliancy=pliancy), RgbdSettings()
    frames = replace(frames, registration=replace(frames.registration, pliancy=pliancy))
    if pliancy:
        check_regions(load_base_model(), settings)  # before any scan is read
    size = command.texture_size if command.texture else None
    files = {"landmark_file": command.landmarks, "model_file": command.model}
    versions = register_made_with(settings, size, frames=frames, **files)

    def engine() -> Engine:
        return ScanRegistrar.load(settings, frames=frames, texture_size=size, **files)

    inputs = expand_inputs(command.scans, {*scan_suffixes(), SUFFIX}, "scans")
    return run_batch(inputs, command.out, engine, BatchSettings(force=command.force), versions, kind=SCANS)
