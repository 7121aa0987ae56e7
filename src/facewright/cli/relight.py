"""``facewright relight``: results of ``reconstruct`` in another light."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE, SOME_FAILED
from facewright.core.device import DeviceName
from facewright.core.errors import InputError

if TYPE_CHECKING:
    from facewright.pipeline.relight_files import RelightSettings

# Spelled out, so that --help and usage errors need no torch; a test holds it to the table of lights.
LightName = Literal["soft-front", "left", "right", "rembrandt", "rim", "sunset", "moonlight", "under"]
DEFAULT: LightName = "rembrandt"
LAMP_LEVEL = 0.22  # soft light beside a lamp of intensity 1
MAX_SIZE = 4096


@dataclass(frozen=True)
class Relight:
    """Light heads of `facewright reconstruct`, and the photos that they were made from, anew.

    For each result, DIR/<its name>/ gets relit.png (the photo with its head in the new light), sheet.png
    (look at this first), pictures of the head alone (render, diffuse, specular, normals, albedo) and
    relight.json (the light, to be given to --sh). docs/relight.md tells more.
    """

    results: Annotated[Positional[tuple[Path, ...]], arg(metavar="RESULT ...")]
    """Folders of results, or folders that hold a report.json and results."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the pictures."""
    light: LightName | None = None
    """A ready-made light (rembrandt if no light is given)."""
    sh: Annotated[Path | None, arg(metavar="FILE")] = None
    """The light of another photo or run: a parameters.json, a relight.json, or spherical harmonics alone."""
    lamp: Annotated[str | None, arg(metavar="YAW,PITCH[,INTENSITY[,#RRGGBB]]")] = None
    """One lamp, in degrees as the camera sees it: yaw 90 is at the right of the picture, pitch 90 above; for
    a negative yaw write --lamp=-60,20. With --turn: the lamp that turns."""
    turn: bool = False
    """Also write turn.webp, an animation: a lamp goes once round the head."""
    exposure: float = 1.0
    """Factor on the brightness of the face, which is that of the photo with --sh and --lamp."""
    photo: Annotated[Path | None, arg(metavar="FILE|FOLDER")] = None
    """The photo, or a folder that has the photos, if they are no longer where they were."""
    no_photo: bool = False
    """Light the head alone."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """The face model of the results, if it is neither the shipped one nor where it was."""
    size: int = 768
    """Side of the pictures of the head alone, in pixels."""
    device: DeviceName = "auto"
    """Where to compute."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        if not self.results:
            raise InputError("expected folders of results: facewright relight RESULT ... --out DIR.")
        if not 64 <= self.size <= MAX_SIZE:
            raise InputError(f"expected --size from 64 to {MAX_SIZE}, got {self.size}.")
        if not 0.01 <= self.exposure <= 100:
            raise InputError(f"expected --exposure from 0.01 to 100, got {self.exposure:g}.")
        if self.no_photo and self.photo is not None:
            raise InputError("--photo and --no-photo exclude each other: give one of them.")
        chosen = [name for name in ("light", "sh", "lamp") if getattr(self, name) is not None]
        if len(chosen) > 1 and not (self.turn and chosen == ["light", "lamp"]):
            raise InputError(f"one light at a time, got --{' and --'.join(chosen)}: give one of them.")
        # Here, not above: they import torch.
        from facewright.pipeline.relight_files import relight_into

        summary = relight_into(list(self.results), self.out, self._settings(), self.device)
        failed = f", {summary.failed} failed" if summary.failed else ""
        sys.stdout.write(f"{summary.done} relit{failed}. Look at sheet.png in the folders of {self.out}\n")
        return SOME_FAILED if summary.failed else DONE

    def _settings(self) -> "RelightSettings":
        from facewright.pipeline.relight_files import RelightSettings, light_of_file, parsed_lamp
        from facewright.scene.studio import PRESETS, Lamp, StudioLight

        lamp = parsed_lamp(self.lamp) if self.lamp is not None else None
        if self.sh is not None:
            light, name = light_of_file(self.sh, self.exposure), self.sh.name
        elif lamp is not None and self.light is None:
            light, name = StudioLight(LAMP_LEVEL, lamp=lamp, exposure=self.exposure), f"lamp {self.lamp}"
        else:
            name = self.light or DEFAULT
            light = replace(PRESETS[name], exposure=PRESETS[name].exposure * self.exposure)
        return RelightSettings(
            light=light,
            name=name,
            turn=(lamp or Lamp(0.0, 0.35)) if self.turn else None,
            photo=self.photo,
            with_photo=not self.no_photo,
            model=self.model,
            size=self.size,
        )
