"""Photographs of scanned heads: those that came with a scan, or drawings of a textured one."""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from facewright.geometry.mesh import Topology
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.geometry.scan import Scan
from facewright.geometry.scan_io import read_scan
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight
from facewright.scene.material import Material

AZIMUTHS = (-25.0, 0.0, 25.0)  # degrees
SIZE, FOCAL, DISTANCE = 640, 1900.0, 1000.0  # px, px, mm
BACKDROP = 0.2


def photos_of(folder: Path) -> dict[str, Float[Tensor, "3 _ _"]]:
    """Photos of a scan by name, sRGB in [0, 1]; none where the scan has neither photos nor a texture."""
    files = sorted(folder.glob("photo_*.jpg")) or _frames(folder)
    if files:
        return {path.stem: _read(path) for path in files}
    scan = read_scan(folder / "scan.obj")
    if scan.texture is None or min(scan.texture.shape[:2]) < 256:
        return {}
    return {f"drawn_{angle:+.0f}": draw_scan(scan, angle) for angle in AZIMUTHS}


def _frames(folder: Path) -> list[Path]:
    """Of a sweep, the frames seen from nearest to the azimuths."""
    if not (folder / "cameras.json").exists():
        return []
    cameras = json.loads((folder / "cameras.json").read_text())
    seen = {
        name: camera["camera_azimuth_deg"] for name, camera in cameras.items() if name.startswith("frame")
    }
    if not seen:
        return []
    return [folder / min(seen, key=lambda name: abs(seen[name] - azimuth)) for azimuth in AZIMUTHS]


def _read(path: Path) -> Tensor:
    pixels = np.array(Image.open(path).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def draw_scan(scan: Scan, azimuth: float) -> Float[Tensor, "3 H W"]:
    """A textured scan (mm, head frame) from an azimuth in degrees, in soft light from above, sRGB.

    Raises:
        ValueError: the scan has no texture.
    """
    if scan.uv is None or scan.uv_faces is None or scan.texture is None:
        raise ValueError(f"{scan.name} has no texture to draw.")
    turn = rotation_from_axis_angle(torch.tensor([0.0, float(np.radians(azimuth)), 0.0]))
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    vertices = torch.from_numpy(scan.vertices).float()
    camera = vertices @ (flip @ turn).T + torch.tensor([0.0, 0.0, DISTANCE])
    topology = Topology(
        torch.from_numpy(scan.faces), torch.from_numpy(scan.uv).float(), torch.from_numpy(scan.uv_faces)
    )
    albedo = linear_from_srgb(torch.from_numpy(scan.texture.copy()).float() / 255)
    light = torch.zeros(1, 9, 3)
    light[:, 0], light[:, 1], light[:, 2], light[:, 3] = 2.6, -0.5, -0.9, -0.25
    view = PerspectiveCamera(torch.tensor([FOCAL]), torch.tensor([[SIZE / 2, SIZE / 2]]), (SIZE, SIZE))
    drawing = draw_mesh(
        camera[None],
        topology,
        view,
        Material(albedo_map=albedo[None]),
        Lighting(SphericalHarmonicsLight(light)),
        settings=DrawSettings(supersample=2, cull_back_faces=False),
    )
    return srgb_from_linear(over(drawing, torch.full((3,), BACKDROP)))[0].permute(2, 0, 1).clamp(0, 1)
