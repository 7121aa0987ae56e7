"""``facewright reconstruct``: photos and folders of photos into heads."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE, SOME_FAILED
from facewright.cli.switches import SWITCH
from facewright.core.device import DeviceName
from facewright.core.errors import InputError
from facewright.pipeline.inputs import expand_inputs
from facewright.pipeline.report import Summary
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings

# Spelled out, so that --help and usage errors need no torch; a test holds it to the table of methods.
MethodName = Literal["fit", "specular", "sphere"]
MAX_TEXTURE = 4096  # finer than any photo shows a face, and completing the map takes some gigabytes already


@dataclass(frozen=True)
class Reconstruct:
    """Reconstruct the heads in photos.

    For each photo, DIR/<name of the photo>/ gets head.glb, head.obj, head.mtl, albedo.png, normal.png,
    specular.png, overview.png (look at this first) and parameters.json; DIR/report.json says what became of
    each photo. What is done is skipped.
    """

    photos: Annotated[Positional[tuple[Path, ...]], arg(metavar="PHOTO|FOLDER ...")]
    """Photos, or folders of photos."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the results."""
    together: bool = False
    """All photos show one person: one identity, one texture."""
    method: MethodName = "fit"
    """How heads are found: fit to landmarks and pixels, or the network of a paper: docs/methods/."""
    weights: Annotated[Path | None, arg(metavar="FILE")] = None
    """The method's weights, if they are not those that came with the installation."""
    device: DeviceName = "auto"
    """Where to compute."""
    photometric: Annotated[bool, SWITCH] = True
    """Fit no albedo and light to the pixels: the photo's light stays in the texture."""
    point_light: Annotated[bool, SWITCH] = True
    """Explain photos by soft light alone, without one hard light and highlights."""
    refine_shape: Annotated[bool, SWITCH] = True
    """Let no shading move the shape: it is what the landmarks say."""
    uncover: Annotated[bool, SWITCH] = True
    """Do not leave aside what lies before the face: hair, glasses and hands are painted on it."""
    hair: Annotated[bool, SWITCH] = True
    """Give the head no hair: it is painted on the scalp alone."""
    relief: Annotated[bool, SWITCH] = True
    """Guess no folds, wrinkles and pores: the skin is as smooth as the mesh."""
    glasses: Annotated[bool, SWITCH] = True
    """Give the head no spectacles: their frames are painted on its skin."""
    all_faces: bool = False
    """Reconstruct every face of a photo, not only the main one; the others go to DIR/<name>_face2/ ..."""
    force: bool = False
    """Redo what is already done."""
    mediapipe: Annotated[Path | None, arg(metavar="MODEL")] = None
    """A face_landmarker.task: find faces and landmarks with MediaPipe and not with the shipped networks."""
    texture_size: int = 1024
    """Side of the albedo map in pixels."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """A face model in the shipped head's topology, of `facewright model build` or `import --to-base`."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        if not self.photos:
            raise InputError("expected photos or folders: facewright reconstruct PHOTO ... --out DIR.")
        if not 64 <= self.texture_size <= MAX_TEXTURE:
            raise InputError(f"expected --texture-size from 64 to {MAX_TEXTURE}, got {self.texture_size}.")
        settings = ReconstructionSettings(
            photometric=self.photometric,
            point_light=self.point_light and self.photometric,
            refine_shape=self.refine_shape and self.photometric,
            uncover=self.uncover,
            hair=self.hair,
            relief=self.relief,
            glasses=self.glasses,
            texture_size=self.texture_size,
            model=str(self.model) if self.model else None,
            method=self.method,
            weights=str(self.weights) if self.weights else None,
        )
        if self.method != "fit" and not (self.photometric and self.point_light and self.refine_shape):
            raise InputError(
                "--no-photometric, --no-point-light and --no-refine-shape belong to the fit: leave them out "
                f"with --method {self.method}."
            )
        batch = BatchSettings(all_faces=self.all_faces, together=self.together, force=self.force)
        if self.together and self.all_faces:
            raise InputError("--together takes the main face of each photo: leave out --all-faces.")
        summary = reconstruct_into(list(self.photos), self.out, settings, batch, self.device, self.mediapipe)
        skipped = f", {summary.skipped} done before" if summary.skipped else ""
        failed = f", {summary.failed} failed" if summary.failed else ""
        sys.stdout.write(f"{summary.done} done{skipped}{failed}: {self.out / 'report.json'}\n")
        return exit_code(summary)


def exit_code(summary: Summary) -> int:
    """The exit code of a run; a report that could not be written is told on the error stream."""
    if summary.report_problem:
        sys.stderr.write(f"facewright: the report could not be written: {summary.report_problem}\n")
    return SOME_FAILED if summary.failed or summary.report_problem else DONE


def reconstruct_into(
    photos: list[Path],
    out: Path,
    settings: ReconstructionSettings,
    batch: BatchSettings,
    device: DeviceName,
    mediapipe: Path | None = None,
) -> Summary:
    """Run a batch on a device.

    Args:
        photos: files and folders.
        out: the output folder.
        settings: of the reconstruction.
        batch: of the run.
        device: where to compute.
        mediapipe: a face_landmarker.task that finds the faces instead of the shipped networks.

    Raises:
        UnavailableError: the device or the package mediapipe is not there.
        AssetError: the MediaPipe model or the method's weights are missing or damaged.
        OutputError: the output folder cannot be written.
    """
    # Here, not above: they import torch, which takes longer than telling what is wrong with a command line.
    from facewright.core.device import resolve_device
    from facewright.pipeline.batch import Engine, run_batch
    from facewright.pipeline.methods import require_weights
    from facewright.pipeline.versions import computed_with, made_with

    require_weights(settings.method, Path(settings.weights) if settings.weights else None)
    target = resolve_device(device)

    finder = None
    if mediapipe:
        from facewright.detection.mediapipe import MediaPipeLandmarker

        finder = MediaPipeLandmarker.load(mediapipe)
    versions = made_with(settings, batch, mediapipe)

    def engine() -> Engine:
        from facewright.pipeline.reconstruct import Reconstructor

        return Reconstructor.load(settings, target, finder=finder)

    computed_on = computed_with(target)
    return run_batch(expand_inputs(photos), out, engine, batch, versions, computed_on=computed_on)
