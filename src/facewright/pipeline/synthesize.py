"""Synthetic sets on disk: shards by many processes, resumed where a run was stopped."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import torch

import facewright
from facewright.core.assets import asset_path, sha256
from facewright.core.device import DeviceName, resolve_device
from facewright.core.errors import AssetError, InputError, OutputError
from facewright.core.files import (
    PARTIAL,
    make_writable_folder,
    only_writer,
    output_errors,
    read_marker,
    write_json,
)
from facewright.core.progress import ProgressBar
from facewright.core.tensor_records import on_device
from facewright.data.backdrops import Backdrops
from facewright.data.dressing import dressed
from facewright.data.protocols import PhotoProtocol, ScanProtocol, protocol_named
from facewright.data.sampling import SamplingSettings
from facewright.data.scans import scan_sample
from facewright.data.synthesis import DEVICE_BLOCK, Studio, open_studio, sample_batches
from facewright.models.base import BASE_HEAD, load_base_model
from facewright.models.storage import load_face_model
from facewright.pipeline.sample_files import (
    photo_files,
    photo_statistics,
    scan_files,
    scan_key,
    scan_statistics,
)
from facewright.pipeline.shards import (
    LONGER,
    MISSING,
    SHORTER,
    Shard,
    record_shard,
    whole_shard,
    write_archive,
    write_shard,
)
from facewright.pipeline.synthesis_pictures import draw_contact_sheet, draw_statistics
from facewright.pipeline.workers import made_in_order

SETTINGS, REPORT = "settings.json", "report.json"
SHEET, STATISTICS = "contact_sheet.png", "statistics.png"
SHARDS = "shards"
FORMAT, FORMAT_VERSION = "facewright-synthesis", 2
MAX_SETTINGS = 1 << 20
MAX_COUNT, MAX_WORKERS, MAX_SHARD, MAX_BATCH = 100_000_000, 256, 100_000, 4096


@dataclass(frozen=True)
class SynthesisSettings:
    """What is made.

    Attributes:
        protocol: name of the set.
        count: how many samples; all of the protocol if None.
        seed: of everything.
        shard_size: samples in a shard.
        model: a face model file; the shipped head if None.
        backgrounds: a folder of pictures without faces; drawn shapes if None.
        device: where photos are made; scans are made on the CPU.
        batch: how many photos are made together; what suits the device if None.
    """

    protocol: str
    count: int | None = None
    seed: int = 0
    shard_size: int = 256
    model: Path | None = None
    backgrounds: Path | None = None
    device: DeviceName = "auto"
    batch: int | None = None


@dataclass(frozen=True)
class SynthesisSummary:
    """How many shards were made now, kept from an earlier run, and made again.

    Attributes:
        samples: in all of them.
        made: now.
        kept: verified by checksum.
        damaged: names of those among ``made`` that were there and not whole.
        longer: names of those among ``made`` that were there with fewer samples.
    """

    samples: int
    made: int
    kept: int
    damaged: tuple[str, ...]
    longer: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    number: int
    first: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.number:06d}.tar"


def synthesize_into(
    out: Path, settings: SynthesisSettings, workers: int = 1, *, progress: bool = True
) -> SynthesisSummary:
    """Make the shards of a set that are not there yet, a report and two pictures.

    Args:
        out: the folder; what an earlier run with the same settings left there is kept.
        settings: what is made.
        workers: processes.
        progress: False draws no bar.

    Raises:
        InputError: a setting makes no sense, or the model has not what is needed.
        AssetError: the model file is missing or damaged.
        OutputError: the folder cannot be written, or holds something else.
        UnavailableError: the device is not there, or a worker process was ended.
    """
    protocol, count = _checked(settings, workers)
    settings = replace(settings, device=_device(settings, protocol))
    told = _told(settings, protocol)
    make_writable_folder(out)
    with only_writer(out):
        if not (out / SETTINGS).exists():
            _opened(settings, protocol)  # what cannot be photographed leaves no trace of a run
        _same_settings(out, told)
        with output_errors(out):
            (out / SHARDS).mkdir(exist_ok=True)
            for left in (out / SHARDS).glob(f".*{PARTIAL}"):  # by a run that was killed
                left.unlink()
        plans = _plans(count, settings.shard_size)
        found = {plan: whole_shard(out / SHARDS / plan.name, plan.first, plan.count) for plan in plans}
        _refuse_fewer(out, count, found)
        shards = {plan: shard for plan, shard in found.items() if isinstance(shard, Shard)}
        pending = [plan for plan in plans if plan not in shards]
        longer = tuple(plan.name for plan in pending if found[plan] == SHORTER)
        damaged = tuple(plan.name for plan in pending if found[plan] not in (MISSING, SHORTER))
        kept = len(shards)
        with ProgressBar(len(plans), shown=progress, unit="shard") as bar:
            for _ in shards:
                bar.advance()
            for plan in pending if progress else ():
                if plan.name in damaged:
                    bar.line(f"again  {plan.name}: {found[plan]}")
            jobs = [(out, settings, plan.first, plan.count, plan.name) for plan in pending]
            for plan, shard in zip(pending, made_in_order(make_shard, jobs, workers), strict=True):
                shards[plan] = shard
                bar.advance()
        ordered = [shards[plan] for plan in plans]
        summary = SynthesisSummary(count, len(pending), kept, damaged, longer)
        _tell(out, told, ordered, summary)
    return summary


def synthesize_stream(target: BinaryIO, settings: SynthesisSettings, workers: int = 1) -> int:
    """Write all samples into one tar file as they are made: the bytes of one shard that holds them all.

    Args:
        target: where to, such as a pipe; nothing else is written there.
        settings: what is made; samples are not parted into shards.
        workers: processes.

    Returns:
        How many samples there are.

    Raises:
        InputError: a setting makes no sense, or the model has not what is needed.
        AssetError: the model file is missing or damaged.
        UnavailableError: the device is not there, or a worker process was ended.
        OSError: the target takes no more.
    """
    protocol, count = _checked(settings, workers)
    settings = replace(settings, device=_device(settings, protocol))
    _told(settings, protocol)
    together = settings.batch or _opened(settings, protocol).block
    jobs = [(settings, first, min(together, count - first)) for first in range(0, count, together)]
    blocks = made_in_order(_block, jobs, workers)
    write_archive(target, chain.from_iterable(blocks))
    return count


def _block(settings: SynthesisSettings, first: int, count: int) -> list[tuple[str, dict[str, bytes]]]:
    return list(_samples(settings, first, count, []))


def _checked(settings: SynthesisSettings, workers: int) -> tuple[PhotoProtocol | ScanProtocol, int]:
    protocol = protocol_named(settings.protocol)
    count = protocol.count if settings.count is None else settings.count
    if not 1 <= count <= MAX_COUNT:
        raise InputError(f"expected a count of 1 to {MAX_COUNT}, got {count}.")
    if isinstance(protocol, ScanProtocol) and count > protocol.count:
        raise InputError(
            f"{protocol.name} has {protocol.subjects} people with {protocol.scans} scans each: expected a "
            f"count of at most {protocol.count}, got {count}; take another --seed for other people."
        )
    if settings.seed < 0 or not 1 <= settings.shard_size <= MAX_SHARD or not 1 <= workers <= MAX_WORKERS:
        raise InputError(
            f"expected a seed of at least 0, 1 to {MAX_SHARD} samples a shard and 1 to {MAX_WORKERS} "
            f"workers, got {settings.seed}, {settings.shard_size} and {workers}."
        )
    if settings.batch is not None and not 1 <= settings.batch <= MAX_BATCH:
        raise InputError(f"expected a batch of 1 to {MAX_BATCH}, got {settings.batch}.")
    return protocol, count


def _device(settings: SynthesisSettings, protocol: PhotoProtocol | ScanProtocol) -> DeviceName:
    """The device by its own name."""
    if isinstance(protocol, ScanProtocol):
        if settings.device == "cuda":
            raise InputError(f"{protocol.name} has scans, which are made on the CPU: leave --device away.")
        return "cpu"
    return "cuda" if resolve_device(settings.device).type == "cuda" else "cpu"


def _told(settings: SynthesisSettings, protocol: PhotoProtocol | ScanProtocol) -> dict[str, Any]:
    """Everything that samples depend on as JSON values; not their number."""
    model = settings.model or asset_path(BASE_HEAD)
    if not model.is_file():
        raise AssetError(f"expected a face model file, found nothing at {model}: check --model.")
    pictures = Backdrops.of_folder(settings.backgrounds).files if settings.backgrounds else ()
    listed = "\n".join(
        f"{path.relative_to(settings.backgrounds or path)} {sha256(path)}" for path in pictures
    )
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "facewright": facewright.__version__,
        "protocol": protocol.name,
        "seed": settings.seed,
        "shard_size": settings.shard_size,
        "model": sha256(model)[:16],
        "backgrounds": hashlib.sha256(listed.encode()).hexdigest()[:16] if pictures else None,
        # Another device rounds differently, and a GPU does in another batch.
        "device": settings.device,
        "batch": None if settings.device == "cpu" else settings.batch or DEVICE_BLOCK,
        "settings": _as_json(protocol),
        **({} if isinstance(protocol, PhotoProtocol) else {"sampling": _as_json(SamplingSettings())}),
    }


def _as_json(settings: PhotoProtocol | ScanProtocol | SamplingSettings) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(settings)))


def _same_settings(out: Path, told: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else; leave a note in a fresh one."""
    path = out / SETTINGS
    if not path.exists():
        strangers = [item.name for item in out.iterdir() if not item.name.startswith(".facewright")]
        if strangers:
            raise OutputError(
                f"cannot write {out}: expected an empty folder or an earlier run of synthesize, got "
                f"{sorted(strangers)[0]!r} in it: choose another folder."
            )
        write_json(path, told)
        return
    earlier = read_marker(path, MAX_SETTINGS)
    if earlier is None:
        raise OutputError(f"{path} is damaged: choose another folder.")
    changed = [name for name in told if earlier.get(name) != told[name]]
    if changed:
        what = ", ".join(f"{name} {earlier.get(name)!r:.40}, not {told[name]!r:.40}" for name in changed)
        raise OutputError(
            f"cannot write {out}: it holds samples of another run ({what}): run with its settings or choose "
            "another folder."
        )


def _plans(count: int, size: int) -> list[_Plan]:
    return [_Plan(k, first, min(size, count - first)) for k, first in enumerate(range(0, count, size))]


def _refuse_fewer(out: Path, count: int, found: Mapping[_Plan, Shard | str]) -> None:
    """Refuse a count below what is there: whoever reads the folder would get the samples beyond it, too."""
    wanted = {plan.name for plan in found}
    beyond = [path.name for path in (out / SHARDS).glob("*.tar") if path.name not in wanted]
    beyond += [plan.name for plan, why in found.items() if why == LONGER]
    if beyond:
        raise OutputError(
            f"cannot write {out}: it holds more than {count} samples ({min(beyond)} is of a larger --count): "
            "ask for as many again, or choose another folder."
        )


def make_shard(out: Path, settings: SynthesisSettings, first: int, count: int, name: str) -> Shard:
    """Make one shard and its sidecar.

    Args:
        out: the run's folder.
        settings: of the run.
        first: index of its first sample.
        count: of its samples.
        name: of its file.

    Raises:
        FacewrightError: it cannot be made or written.
    """
    statistics: list[dict[str, float]] = []
    path = out / SHARDS / name
    write_shard(path, _samples(settings, first, count, statistics))
    return record_shard(path, first, statistics)


def _samples(
    settings: SynthesisSettings, first: int, count: int, statistics: list[dict[str, float]]
) -> Iterator[tuple[str, dict[str, bytes]]]:
    protocol = protocol_named(settings.protocol)
    studio = _opened(settings, protocol)
    if isinstance(protocol, ScanProtocol):
        for index in range(first, first + count):
            scan = scan_sample(studio, protocol, settings.seed, index)
            statistics.append(scan_statistics(scan))
            yield scan_key(scan), scan_files(scan, studio.model)
        return
    together = settings.batch or studio.block
    for start in range(first, first + count, together):
        block = range(start, min(start + together, first + count))
        for batch in sample_batches(studio, settings.seed, block):
            for photo in on_device(batch, "cpu").samples():
                statistics.append(photo_statistics(photo))
                yield f"{photo.index:09d}", photo_files(photo, studio.drawn)


def _opened(settings: SynthesisSettings, protocol: PhotoProtocol | ScanProtocol) -> Studio:
    chosen = protocol.settings if isinstance(protocol, PhotoProtocol) else SamplingSettings()
    return _studio(chosen, settings.model, settings.backgrounds, settings.device)


@lru_cache(maxsize=1)
def _studio(
    settings: SamplingSettings, model_file: Path | None, backgrounds: Path | None, device: DeviceName
) -> Studio:
    """Opened once in a process."""
    model = load_base_model()
    if model_file is not None:
        model = dressed(load_face_model(model_file), model)
    backdrops = Backdrops.of_folder(backgrounds) if backgrounds else None
    return open_studio(model.to(resolve_device(device)), settings, backdrops)


def _tell(out: Path, told: Mapping[str, Any], shards: list[Shard], summary: SynthesisSummary) -> None:
    rows = [row for shard in shards for row in shard.statistics]
    report = {
        **told,
        "samples": summary.samples,
        "shards": [
            {
                "name": f"{SHARDS}/{s.name}",
                "first": s.first,
                "count": s.count,
                "sha256": s.sha256,
                "bytes": s.bytes,
            }
            for s in shards
        ],
        "statistics": _described(rows),
    }
    write_json(out / REPORT, report)
    draw_contact_sheet(out / SHEET, [out / SHARDS / shard.name for shard in shards])
    draw_statistics(out / STATISTICS, rows, f"{told['protocol']}, {summary.samples} samples")


def _described(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and ends of each statistic."""
    table = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
    return {
        name: {
            "mean": round(float(values.mean()), 4),
            "std": round(float(values.std(correction=0)), 4),
            "least": round(float(values.min()), 4),
            "most": round(float(values.max()), 4),
        }
        for name, values in table.items()
    }
