"""``facewright verify`` and ``identify``: how alike the faces of photos are."""

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE, SOME_FAILED
from facewright.cli.reconstruct import MethodName
from facewright.core.device import DeviceName
from facewright.core.errors import InputError

if TYPE_CHECKING:
    from facewright.pipeline.identity import Likeness, Ranked

CONSENT = (
    "For research on how consistent methods are. Compare faces of people only with their consent; the "
    "result is no proof of who somebody is."
)
COLUMNS = ("rank", "photo", "cosine", "distance_mm", "problem")


@dataclass(frozen=True)
class Verify:
    """Say how alike the faces in two photos are, by the shape that a method finds.

    For research on how consistent methods are. Compare faces of people only with their consent; the result
    is no proof of who somebody is.
    """

    first: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """A photo; its main face counts."""
    second: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """Another one."""
    method: MethodName = "sphere"
    """Whose shapes are compared; `sphere` was trained to keep people apart."""
    weights: Annotated[Path | None, arg(metavar="FILE")] = None
    """The method's weights, if they are not those that came with the installation."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """A face model in the shipped head's topology, such as sphere.safetensors: compare its directions."""
    json: bool = False
    """Print JSON."""
    device: DeviceName = "auto"
    """Where to compute."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: a photo cannot be read or shows no face, or weights are missing.
        """
        from facewright.image.io import read_photo
        from facewright.pipeline.identity import IdentityReader, likeness, threshold_of
        from facewright.pipeline.methods import require_weights

        require_weights(self.method, self.weights)
        sys.stderr.write(f"{CONSENT}\n")
        reader = IdentityReader.load(self.method, self.weights, self.device, model_file=self.model)
        codes = [reader.code(read_photo(path)) for path in (self.first, self.second)]
        found = likeness(codes[0], codes[1], reader)
        threshold = threshold_of(self.method, self.weights, self.model)
        told: dict[str, Any] = {"method": self.method, **_numbers(found)}
        if threshold is not None:
            told |= {
                "threshold": threshold.cosine,
                "same": found.cosine >= threshold.cosine,
                "accuracy_percent": threshold.accuracy,
            }
        if self.json:
            sys.stdout.write(json.dumps(told) + "\n")
            return DONE
        sys.stdout.write(f"cosine {found.cosine:.3f}, neutral faces {found.distance:.2f} mm apart\n")
        if threshold is None:
            sys.stdout.write("no threshold was measured for these files: compare with pairs you know.\n")
            return DONE
        side = "above" if found.cosine >= threshold.cosine else "below"
        meaning = "one person" if found.cosine >= threshold.cosine else "two people"
        sys.stdout.write(
            f"{side} the threshold {threshold.cosine:.3f}, which speaks for {meaning}; by thresholds found "
            f"so {threshold.accuracy:.0f} of 100 pairs were told rightly (of {threshold.pairs}, ten folds)\n"
        )
        return DONE


@dataclass(frozen=True)
class Identify:
    """Rank photos by how alike their faces are to the one in a photo.

    For research on how consistent methods are. Compare faces of people only with their consent; a rank is no
    proof of who somebody is.
    """

    probe: Annotated[Positional[Path], arg(metavar="PHOTO")]
    """The photo that the others are compared with; its main face counts."""
    gallery: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER ...")]
    """Folders of photos, or photos."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the table here, as .csv or .json; printed as CSV if not given."""
    method: MethodName = "sphere"
    """Whose shapes are compared; `sphere` was trained to keep people apart."""
    weights: Annotated[Path | None, arg(metavar="FILE")] = None
    """The method's weights, if they are not those that came with the installation."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """A face model in the shipped head's topology, such as sphere.safetensors: compare its directions."""
    device: DeviceName = "auto"
    """Where to compute."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the probe cannot be read or shows no face, or weights are missing.
        """
        from facewright.core.files import atomic_file, make_writable_folder
        from facewright.pipeline.identity import IdentityReader, rank_photos
        from facewright.pipeline.methods import require_weights

        if not self.gallery:
            raise InputError("expected folders to look through: facewright identify PHOTO FOLDER ...")
        if self.out is not None and self.out.suffix.lower() not in (".csv", ".json"):
            raise InputError(f"expected --out FILE.csv or FILE.json, got {self.out}.")
        if self.out is not None:
            make_writable_folder(self.out.resolve().parent)  # before minutes are spent
        require_weights(self.method, self.weights)
        sys.stderr.write(f"{CONSENT}\n")
        reader = IdentityReader.load(self.method, self.weights, self.device, model_file=self.model)
        ranked = rank_photos(self.probe, self.gallery, reader)
        rows = [_row(number, each) for number, each in enumerate(ranked, 1)]
        if self.out is None:
            sys.stdout.write(_csv(rows))
        else:
            is_json = self.out.suffix.lower() == ".json"
            with atomic_file(self.out) as partial:
                partial.write_text(json.dumps(rows, indent=1) + "\n" if is_json else _csv(rows))
            sys.stdout.write(f"{len(rows)} photos ranked: {self.out}\n")
        return SOME_FAILED if any(each.problem for each in ranked) else DONE


def _numbers(found: "Likeness") -> dict[str, float]:
    return {"cosine": round(found.cosine, 4), "distance_mm": round(found.distance, 3)}


def _row(number: int, each: "Ranked") -> dict[str, Any]:
    if each.likeness is None:
        return dict(zip(COLUMNS, (None, str(each.photo), None, None, each.problem), strict=True))
    return {"rank": number, "photo": str(each.photo), **_numbers(each.likeness), "problem": None}


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table: csv.DictWriter[str] = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
