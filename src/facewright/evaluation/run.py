"""A run: pair by pair, one bad file spoils its own pair only; the results appear whole or not at all."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facewright.core.errors import FacewrightError, InputError, OutputError
from facewright.core.files import atomic_folder, read_marker
from facewright.core.log import logger
from facewright.core.names import FolderNames
from facewright.core.progress import ProgressBar
from facewright.evaluation.curve_plot import write_curve
from facewright.evaluation.heatmap import write_heatmap
from facewright.evaluation.inputs import PairInput, UnitName, read_sample
from facewright.evaluation.protocols import PROTOCOLS, Protocol
from facewright.evaluation.records import FaceSample, Measurement, Unit
from facewright.evaluation.regions import RegionTemplate
from facewright.evaluation.report import (
    FORMAT,
    TABLE_JSON,
    TABLES,
    EvaluationTable,
    PairResult,
    pool,
    write_tables,
)

HEATMAPS, CURVE = "heatmaps", "ced.png"
MAX_TABLE_BYTES = 64 << 20
UNDONE = (FacewrightError, np.linalg.LinAlgError, MemoryError)  # spoils one pair or picture, not the run


@dataclass(frozen=True)
class RunSettings:
    """What a user chooses of a run.

    Attributes:
        prediction_unit: of the predicted meshes and their landmarks.
        scan_unit: of the scans and their landmarks.
        heatmaps: draw a picture a pair and part.
    """

    prediction_unit: UnitName = "mm"
    scan_unit: UnitName = "mm"
    heatmaps: bool = True


def protocol_named(name: str) -> Protocol:
    """A protocol of the table.

    Raises:
        InputError: there is no such protocol.
    """
    if name not in PROTOCOLS:
        raise InputError(f"expected a protocol ({', '.join(PROTOCOLS)}), got {name!r}.")
    return PROTOCOLS[name]


def evaluate_into(
    out: Path,
    name: str,
    pairs: Sequence[PairInput],
    settings: RunSettings,
    template: RegionTemplate | None = None,
    *,
    progress: bool = True,
) -> EvaluationTable:
    """Measure all pairs and write tables, curve and heat maps into ``out``.

    Args:
        out: a new or empty folder, or that of an earlier evaluation, which is replaced; files of others
            beside it stay.
        name: of the protocol.
        pairs: from ``pair_folders`` or ``read_pairs``.
        settings: of the run.
        template: regions, for a protocol that needs them.
        progress: False draws no bar and prints no lines.

    Raises:
        InputError: there is no such protocol, or its template is missing.
        OutputError: the folder cannot be written, or holds other files.
    """
    protocol = protocol_named(name)
    if protocol.regions and template is None:
        raise InputError(f"the protocol {name!r} needs a template of the regions (region_template).")
    with (
        atomic_folder(out, replaceable=_is_ours, names=(*TABLES, CURVE, HEATMAPS)) as folder,
        ProgressBar(len(pairs), shown=progress, unit="pair") as bar,
    ):
        run = _Run(protocol, settings, template, folder)
        results = []
        for pair in pairs:
            bar.name(pair.name)
            result = run(pair)
            if result.status == "failed" and progress:
                bar.line(f"{pair.name}: {result.reason}")
            results.append(result)
            bar.advance()
        table = EvaluationTable(
            protocol=name,
            settings={"protocol": asdict(protocol.settings), **asdict(settings)},
            unit=run.unit,
            headline=protocol.headline,
            results=tuple(results),
            pooled=run.pooled(results),
        )
        if table.pooled:  # without a measured pair there is no curve
            write_curve(folder / CURVE, table)
        write_tables(folder, table)
    return table


def _is_ours(folder: Path) -> bool:
    table = read_marker(folder / TABLE_JSON, MAX_TABLE_BYTES)
    return table is not None and table.get("format") == FORMAT


class _Run:
    """Errors of all pairs, which the pooled numbers need."""

    def __init__(
        self,
        protocol: Protocol,
        settings: RunSettings,
        template: RegionTemplate | None,
        folder: Path,
    ) -> None:
        self.protocol, self.settings, self.template, self.folder = protocol, settings, template, folder
        self.errors: dict[str, list[np.ndarray]] = {}
        self.unit: Unit = "mm"
        self.names = FolderNames()

    def __call__(self, pair: PairInput) -> PairResult:
        try:
            if pair.problem:
                raise InputError(f"{pair.problem}.")
            prediction, scan = self._read(pair)
            measured = self.protocol(prediction, scan, self.template)
            summaries = {name: part.summary for name, part in measured.parts.items()}
        except UNDONE as error:
            logger("evaluation").debug("pair %s", pair.name, exc_info=error)
            return PairResult(pair.name, "failed", reason=str(error) or type(error).__name__)
        self.unit = measured.unit
        for name, part in measured.parts.items():
            self.errors.setdefault(name, []).append(part.error.astype(np.float32))
        notes = (*measured.notes, *self._draw(pair.name, prediction, scan, measured))
        return PairResult(pair.name, "measured", summaries, measured.values, notes)

    def _read(self, pair: PairInput) -> tuple[FaceSample, FaceSample]:
        prediction = read_sample(pair.prediction, pair.prediction_landmarks, self.settings.prediction_unit)
        return prediction, read_sample(pair.scan, pair.scan_landmarks, self.settings.scan_unit)

    def _draw(
        self, name: str, prediction: FaceSample, scan: FaceSample, measured: Measurement
    ) -> tuple[str, ...]:
        """Heat maps of all parts, and notes of what could not be drawn."""
        if not self.settings.heatmaps:
            return ()
        notes: list[str] = []
        stem = self.names.claim(name)
        for part_name, part in measured.parts.items():
            sample = scan if part.surface == "scan" else prediction
            if len(sample.faces) == 0:
                notes.append("no heat map: the scan is a point cloud")
                continue
            path = self.folder / HEATMAPS / f"{stem}_{part_name}.png"
            try:
                write_heatmap(path, sample, part, measured.unit, f"{name}: {part_name}")
            except OutputError:  # the tables could not be written either
                raise
            except UNDONE as error:
                notes.append(f"no heat map: {error}")
        return tuple(dict.fromkeys(notes))

    def pooled(self, results: Sequence[PairResult]) -> dict:
        """All pairs together, by part."""
        found = {}
        for name, errors in self.errors.items():
            summaries = [result.parts[name] for result in results if name in result.parts]
            found[name] = pool([values.astype(np.float64) for values in errors], summaries, self.unit)
        return found
