"""Scans into heads of the model's topology: the engine of ``facewright register`` and what it writes."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import facewright
from facewright.core.assets import sha256
from facewright.core.errors import InputError
from facewright.core.files import atomic_file, write_json
from facewright.detection import FaceDetector, FaceLandmarker
from facewright.evaluation.inputs import MESH_STEMS
from facewright.evaluation.landmarks import IN_DENSE478, INNER_IN_DENSE478, read_landmarks
from facewright.export import HeadAsset, head_asset, texture_from_linear, write_glb, write_obj, write_ply
from facewright.geometry.mesh import Mesh
from facewright.geometry.scan import Scan, ScanLimits
from facewright.geometry.scan_io import read_scan
from facewright.image.color import srgb_from_linear
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model
from facewright.pipeline.batch import InputKind
from facewright.pipeline.finder import ShippedFinder
from facewright.pipeline.folders import REGISTRATION
from facewright.pipeline.frame_file import frame_digest, read_frame_file
from facewright.pipeline.inputs import content_digest
from facewright.pipeline.register_overview import draw_registration
from facewright.pipeline.versions import FINDER, HEAD, version_values
from facewright.registration.depth_image import DepthImage
from facewright.registration.head import RegistrationSettings, register_scan, reliable_face
from facewright.registration.records import Registration, ScanLandmarks
from facewright.registration.rgbd import RgbdSettings, register_frame
from facewright.registration.scan_landmarks import Finder, plaster_bias, steady_landmarks
from facewright.registration.skin import check_regions
from facewright.registration.surface import ScanSurface, surface_of_scan
from facewright.registration.transfer import transfer_texture, vertex_colors

FORMAT_VERSION = 1
PLACED_SIGMA = 2.0  # mm that a landmark placed by hand may be off
PLAIN = 0.6  # linear albedo of a head without texture, in head.glb
DOUBTFUL_SHARE, DOUBTFUL_DISTANCE = 0.6, 1.0  # of the tight face; mm on average


@dataclass(frozen=True)
class ScanFile:
    """A scan that was read.

    Attributes:
        path: of the file.
        scan: what it holds; a frame of a depth camera if the file is JSON.
        sha256: of the file (``scan_digest``), "" if nobody told.
    """

    path: Path
    scan: Scan | DepthImage
    sha256: str = ""


def read_scan_file(path: Path) -> ScanFile:
    """Read a scan, or a frame of a depth camera (JSON), for the engine.

    Raises:
        InputError: it cannot be read.
    """
    if path.suffix.lower() == ".json":
        return ScanFile(path, read_frame_file(path))
    return ScanFile(path, read_scan(path))


def scan_digest(path: Path, max_bytes: int) -> str:
    """SHA-256 of a scan's bytes; of a frame's description and both of its pictures."""
    digest = frame_digest if path.suffix.lower() == ".json" else content_digest
    return digest(path, max_bytes)


SCANS = InputKind(read_scan_file, ScanLimits().max_bytes, REGISTRATION, scan_digest, MESH_STEMS)


@dataclass(frozen=True)
class RegisteredScan:
    """A scan in the topology of the face model, and what it came from.

    Attributes:
        file: the scan.
        surface: what was registered.
        model: the face model.
        registration: the result.
        texture: colours as a map of the head, linear RGB, and where the scan showed them; None if not asked
            for, or if the scan has none.
        settings: JSON values of what was chosen.
    """

    file: ScanFile
    surface: ScanSurface
    model: FaceModel
    registration: Registration
    texture: tuple[Float[Tensor, "S S 3"], Bool[Tensor, "S S"]] | None
    settings: Mapping[str, Any]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to look twice at it, and what was inferred about the scan."""
        share, mean = self.face_share, self.face_distance
        doubts = []
        if share < DOUBTFUL_SHARE:
            doubts.append(f"only {100 * share:.0f} % of the face has a counterpart on the scan")
        if not mean <= DOUBTFUL_DISTANCE:
            doubts.append(f"the face lies {mean:.2f} mm off the scan on average")
        return (*doubts, *self.registration.notes)

    @property
    def face_share(self) -> float:
        """Share of the tight face that the scan speaks about."""
        tight = self.model.regions["face_tight"].numpy()
        return float(self.registration.reliable[tight].mean())

    @property
    def face_distance(self) -> float:
        """Mean distance of the reliable part of the tight face to the scan, mm."""
        chosen = reliable_face(self.model, self.registration)
        return float(self.registration.distance[chosen].mean()) if chosen.any() else float("inf")

    def asset(self) -> HeadAsset:
        """The head as artists take it: morph targets are the model's, and set to the scan's expression.

        Without expression the head is what is left of the registered one.
        """
        fit = self.registration.fit
        identity, expression = (torch.from_numpy(each).float() for each in (fit.identity, fit.expression))
        albedo = torch.full((8, 8, 3), PLAIN) if self.texture is None else self.texture[0]
        asset = head_asset(self.model, identity, expression, texture_from_linear(albedo))
        return asset.around(torch.from_numpy(self.registration.vertices).float())

    def save(self, folder: Path | str) -> None:
        """Write head.glb, head.obj, head.ply, registration.npz, overview.png and registration.json.

        The folder appears when all of it is written; an earlier result that was there is replaced;
        files of others beside it stay.

        Raises:
            OutputError: the folder cannot be written, or it has files in it that are no earlier result.
        """
        registration, topology = self.registration, self.model.topology
        mesh = Mesh(torch.from_numpy(registration.vertices).float(), topology)
        colors = vertex_colors(self.surface, registration, self.model)
        as_bytes = None if colors is None else (srgb_from_linear(colors) * 255 + 0.5).to(torch.uint8)
        texture = None if self.texture is None else texture_from_linear(self.texture[0])
        with REGISTRATION.written(Path(folder)) as partial:
            write_glb(partial / "head.glb", self.asset())
            write_obj(partial / "head.obj", mesh, texture, parts=self.model.parts)
            write_ply(partial / "head.ply", mesh, as_bytes)
            with atomic_file(partial / "registration.npz") as unnamed, unnamed.open("wb") as stream:
                np.savez_compressed(
                    stream,
                    vertices=registration.vertices,
                    faces=topology.faces.numpy(),
                    distance=registration.distance,
                    reliable=registration.reliable,
                )
            drawn = None if texture is None else texture.numpy()
            sheet = draw_registration(self.surface, self.model, registration, drawn, self._facts())
            sheet.save(partial / "overview.png", compress_level=4)
            write_json(partial / "registration.json", self.summary())

    def _facts(self) -> str:
        return (
            f"face {self.face_distance:.2f} mm off the scan   |   {100 * self.face_share:.0f} % reliable"
            f"   |   {sum(self.registration.seconds.values()):.1f} s"
        )

    def summary(self) -> dict[str, Any]:
        """The content of registration.json."""
        registration, transform = self.registration, self.registration.transform
        distance = registration.distance[reliable_face(self.model, registration)]
        marks = registration.landmarks
        return {
            "format_version": FORMAT_VERSION,
            "facewright_version": facewright.__version__,
            "model": {"name": self.model.name, "version": self.model.version},
            "scan": self.file.path.name,
            "head_from_scan": {
                "formula": "head = rotation @ (mm_per_unit * scan) + translation, mm",
                "mm_per_unit": transform.mm_per_unit,
                "rotation": transform.rotation.tolist(),
                "translation": transform.translation.tolist(),
            },
            "start": registration.start,
            "solver": registration.solver,
            "iterations": registration.iterations,
            "face": {
                "reliable_share": round(self.face_share, 4),
                "distance_mm": {
                    name: round(float(value), 4)
                    for name, value in (
                        ("mean", distance.mean()),
                        ("median", np.median(distance)),
                        ("p95", np.percentile(distance, 95)),
                    )
                }
                if len(distance)
                else None,
            },
            "identity": [round(float(value), 4) for value in registration.fit.identity],
            "expression": {
                name: round(float(value), 4)
                for name, value in zip(self.model.expression_names, registration.fit.expression, strict=True)
            },
            "landmarks": None
            if marks is None
            else {
                "source": marks.source,
                "set": "dense478",
                "index": marks.index.tolist(),
                "head_mm": np.round(marks.points @ transform.rotation.T + transform.translation, 4).tolist(),
            },
            "texture_share": None
            if self.texture is None
            else round(float(self.texture[1].float().mean()), 4),
            "seconds": {name: round(value, 3) for name, value in registration.seconds.items()},
            "notes": {
                "scan_sha256": self.file.sha256,
                "settings": dict(self.settings),
                "said": list(registration.notes),
                "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        }


def read_scan_landmarks(path: Path, model: FaceModel) -> ScanLandmarks:
    """Read landmarks in the scan's own frame and unit; the formats are in docs/evaluation.md.

    Of 478 points those are taken that mean the same place from every side, of 68 all but the jaw's, of
    named ones all but the chin, which slides with the view and with whoever placed it.

    Raises:
        InputError: it is no landmark file.
    """
    found = read_landmarks(path)
    if found.dense478 is not None:
        index = steady_landmarks(model)
        points = found.dense478[index]
    elif found.inner51 is not None:
        index, points = np.array(INNER_IN_DENSE478, dtype=np.int64), found.inner51
    else:
        dense = {name: row for name, row in IN_DENSE478.items() if name in found.named and name != "chin"}
        index, points = np.array(list(dense.values()), dtype=np.int64), found.rows(list(dense))
    return ScanLandmarks(index, points, np.full(len(index), PLACED_SIGMA), f"from {path.name}")


def register_made_with(
    settings: RegistrationSettings,
    texture_size: int | None,
    landmark_file: Path | None,
    frames: RgbdSettings | None = None,
    model_file: Path | None = None,
) -> dict[str, Any]:
    """Versions and settings (JSON values) that a registration depends on besides the scan.

    Args:
        settings: of scans.
        texture_size: of the map of colours; None: none is made.
        landmark_file: of a scan; None: landmarks are found.
        frames: settings of frames of depth cameras.
        model_file: of the head model; None: the shipped one.

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged.
        InputError: the landmark or model file is not there.
    """
    files: dict[str, str | None] = {}
    for name, path in (("landmarks", landmark_file), ("model", model_file)):
        if path is not None and not path.is_file():
            raise InputError(f"there is no file {path}: check --{name}.")
        files[name] = None if path is None else sha256(path)[:16]
    chosen = {**asdict(settings), "frames": asdict(frames or RgbdSettings())}
    chosen = json.loads(json.dumps(chosen))  # tuples become lists, as in a report that was read
    shipped = (*FINDER, *(() if model_file else (HEAD,)))
    return {**version_values(shipped), "settings": {**chosen, "texture_size": texture_size, **files}}


class ScanRegistrar:
    """Registers scans and frames of depth cameras; holds the model and the networks.

    Raises:
        InputError: settings name a region that the model does not have.
    """

    def __init__(
        self,
        model: FaceModel,
        finder: Finder,
        settings: RegistrationSettings,
        *,
        frames: RgbdSettings | None = None,
        texture_size: int | None = None,
        landmark_file: Path | None = None,
    ) -> None:
        self.model, self.finder, self.settings = model, finder, settings
        self.frames = frames or RgbdSettings()
        check_regions(model, self.settings)
        check_regions(model, self.frames.registration)
        self.texture_size, self.landmark_file = texture_size, landmark_file
        self._bias: Float[np.ndarray, "478 3"] | None = None

    @classmethod
    def load(
        cls,
        settings: RegistrationSettings,
        *,
        frames: RgbdSettings | None = None,
        texture_size: int | None = None,
        landmark_file: Path | None = None,
        model_file: Path | None = None,
    ) -> "ScanRegistrar":
        """Load networks and a model, the shipped one if no other is given.

        Raises:
            AssetError: they are missing or damaged.
            InputError: settings name a region that the model does not have, or it is in another topology.
        """
        model = load_base_model() if model_file is None else load_face_model(model_file)
        if "dense478" not in model.landmarks or "face_tight" not in model.regions:
            raise InputError(
                f"{model_file} lacks landmarks and regions of the shipped head: import it with --to-base."
            )
        finder = ShippedFinder(FaceDetector.load(), FaceLandmarker.load())
        return cls(
            model,
            finder,
            settings,
            frames=frames,
            texture_size=texture_size,
            landmark_file=landmark_file,
        )

    def reconstruct(self, photo: Any, *, all_faces: bool = False) -> Sequence[RegisteredScan]:
        """Register one scan; the names are those of every engine of a batch.

        Args:
            photo: a ``ScanFile``.
            all_faces: without meaning: a scan shows one face.

        Raises:
            FacewrightError: it cannot be registered.
        """
        del all_faces
        file: ScanFile = photo
        surface, registration = self._registered(file)
        texture = None
        if self.texture_size is not None:
            texture = transfer_texture(surface, registration, self.model, self.texture_size)
            if texture is None:
                registration = replace(
                    registration, notes=(*registration.notes, "the scan has no colours: no texture")
                )
        chosen = {
            **asdict(self.frames if isinstance(file.scan, DepthImage) else self.settings),
            "texture_size": self.texture_size,
            "landmarks": None if self.landmark_file is None else self.landmark_file.name,
        }
        return [RegisteredScan(file, surface, self.model, registration, texture, chosen)]

    def _registered(self, file: ScanFile) -> tuple[ScanSurface, Registration]:
        if isinstance(file.scan, DepthImage):
            if self.landmark_file is not None or self.settings.mm not in (None, 1.0):
                raise InputError(
                    f"{file.path.name} is a frame of a depth camera: its landmarks are found on its "
                    "colours and its unit is depth_scale; expected neither --landmarks nor --unit."
                )
            frame = register_frame(file.scan, self.model, self.finder, self.frames)
            return frame.surface, frame.registration
        surface = surface_of_scan(file.scan)
        given = None if self.landmark_file is None else read_scan_landmarks(self.landmark_file, self.model)
        if given is None and not surface.colored and self._bias is None:
            self._bias = plaster_bias(self.model, self.finder)
        return surface, register_scan(surface, self.model, self.finder, given, self.settings, bias=self._bias)

    def reconstruct_together(self, photos: Sequence[Any]) -> Sequence[RegisteredScan]:
        """Scans are registered one by one.

        Raises:
            InputError: always.
        """
        raise InputError(f"scans are registered one by one, got {len(photos)} together.")
