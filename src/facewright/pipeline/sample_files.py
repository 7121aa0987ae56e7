"""A synthetic sample as files: what goes into a shard under one key."""

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from PIL import Image
from torch import Tensor

from facewright.core.tensor_records import on_device
from facewright.data.records import Sample, SampleMasks
from facewright.data.scans import DepthFrame, ScanSample
from facewright.data.shard_reader import DEPTH_STEP, MASK_BITS
from facewright.export.ply import ply_bytes
from facewright.export.quick_png import quick_png
from facewright.fitting.appearance import BANDS
from facewright.geometry.mesh import Mesh, Topology
from facewright.image.color import luminance, srgb_from_linear
from facewright.image.tones import srgb_curve, toned
from facewright.models.face_model import FaceModel
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SH_CONSTANTS, soft_light
from facewright.scene.material import Material
from facewright.scene.pose import frontal_pose

PREVIEW = 192  # px of a scan's picture
PHOTO_FILES = (
    "albedo.png",
    "depth.png",
    "diffuse.png",
    "jpg",
    "json",
    "masks.png",
    "normals.png",
    "specular.png",
    "specular_albedo.png",
    "vertices.npy",
    "visible.npy",
)
SCAN_FILES = ("json", "ply", "preview.jpg", "truth.npy")
FRAME_FILES = (
    "color.png",
    "depth.png",
    "json",
    "preview.jpg",
    "rgbd.json",
    "truth.npy",
)


def photo_files(sample: Sample, model: FaceModel) -> dict[str, bytes]:
    """Files of a photo by their suffix, those of ``PHOTO_FILES``; docs/data.md says what each one holds."""
    sample = on_device(sample, "cpu")
    return {
        "albedo.png": quick_png(_srgb_bytes(sample.albedo_map)),
        "depth.png": depth_png(sample.depth.numpy()),
        "diffuse.png": quick_png(_srgb_bytes(sample.diffuse)),
        "jpg": sample.image_file,
        "json": _json(photo_parameters(sample, model)),
        "masks.png": quick_png(_mask_bits(sample.masks)),
        "normals.png": quick_png(_normal_bytes(sample.normals, sample.masks.head)),
        "specular.png": quick_png(_srgb_bytes(sample.specular)),
        "specular_albedo.png": quick_png(_unit_bytes(sample.specular_map[..., 0])),
        "vertices.npy": _npy(sample.vertices.numpy()),
        "visible.npy": _npy(sample.visible.numpy()),
    }


def photo_parameters(sample: Sample, model: FaceModel) -> dict[str, Any]:
    """All numbers of a photo as JSON values."""
    at = sample.parameters
    camera, lamp = at.camera, at.point_light
    if not isinstance(camera, PerspectiveCamera):
        raise TypeError(f"a synthetic photo has a perspective camera, got {type(camera).__name__}.")
    return {
        "seed": sample.seed,
        "index": sample.index,
        "model": {"name": model.name, "version": model.version},
        "identity": _rounded(at.identity[0], 5),
        "expression": dict(zip(model.expression_names, _rounded(at.expression[0], 5), strict=True)),
        "diffuse": _rounded(at.diffuse[0], 5),
        "specular": _rounded(at.specular[0], 5),
        "camera": {
            "focal": round(float(camera.focal[0]), 4),
            "principal": _rounded(camera.principal[0], 4),
            "size": list(camera.size),
        },
        "camera_from_head": {
            "rotation": _rounded(at.pose.rotation[0], 7),
            "translation": _rounded(at.pose.translation[0], 4),
        },
        "light": _rounded(at.light.coefficients[0], 5),
        "point_light": None
        if lamp is None
        else {"position": _rounded(lamp.position[0], 3), "intensity": _rounded(lamp.intensity[0], 5)},
        "shininess": None if at.shininess is None else round(float(at.shininess[0]), 4),
        "sensor": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(sample.sensor).items()
        },
        "landmarks68": _rounded(sample.landmarks68, 3),
        "landmarks68_seen": sample.landmarks68_seen.int().tolist(),
        "landmarks478": _rounded(sample.landmarks478, 3),
        "landmarks478_seen": sample.landmarks478_seen.int().tolist(),
        "statistics": photo_statistics(sample),
    }


def photo_statistics(sample: Sample) -> dict[str, float]:
    """What the pictures of a run's statistics show: pose, expression, skin, light."""
    at = sample.parameters
    forward = at.pose.rotation[0, :, 2]
    light = at.light.coefficients[0].mean(-1)
    bands = torch.tensor(BANDS)
    skin = float(luminance(_face_albedo(sample)))
    return {
        "yaw_deg": round(math.degrees(math.atan2(float(forward[0]), -float(forward[2]))), 3),
        "pitch_deg": round(math.degrees(math.asin(max(-1.0, min(1.0, float(forward[1]))))), 3),
        "distance_mm": round(float(at.pose.translation[0, 2]), 2),
        "expression": round(float(at.expression.sum()), 4),
        "skin_lightness": round(116 * max(skin, 0.008856) ** (1 / 3) - 16, 3),
        "light_level": round(float(light[0]) * SH_CONSTANTS[0], 4),
        "light_contrast": round(float(light[bands == 1].norm() / light[0]), 4),
        "lamp": 0.0 if at.point_light is None else round(float(at.point_light.intensity.mean()), 4),
        "hidden": round(1 - float(sample.masks.face.sum() / sample.masks.head.sum().clamp_min(1)), 4),
    }


def _face_albedo(sample: Sample) -> Float[Tensor, " 3"]:
    """Middle colour of the albedo map, most of which is skin."""
    return sample.albedo_map[::4, ::4].reshape(-1, 3).median(0).values


def scan_files(sample: ScanSample, model: FaceModel) -> dict[str, bytes]:
    """Files of a scan, ``SCAN_FILES``, or of a frame, ``FRAME_FILES``, by their suffix."""
    files = {
        "json": _json(
            {
                "seed": sample.seed,
                "index": sample.index,
                "subject": sample.subject,
                "scan": sample.scan,
                "model": {"name": model.name, "version": model.version},
                "expression_name": sample.expression_name,
                "identity": _rounded(torch.from_numpy(sample.identity), 5),
                "expression": dict(
                    zip(model.expression_names, np.round(sample.expression, 5).tolist(), strict=True)
                ),
                "landmarks_mm": np.round(sample.landmarks, 4).tolist(),
                "statistics": scan_statistics(sample),
            }
        ),
        "truth.npy": _npy(sample.truth.astype(np.float32)),
    }
    if sample.frame is None:
        mesh = _mesh(sample.vertices, sample.faces)
        return {**files, "ply": ply_bytes(mesh), "preview.jpg": _jpg(_clay(mesh))}
    return {**files, **_frame_files(sample.frame, scan_key(sample))}


def scan_key(sample: ScanSample) -> str:
    """The key of a scan in its shard: person and scan."""
    return f"{sample.subject:04d}_{sample.scan:03d}"


def scan_statistics(sample: ScanSample) -> dict[str, float]:
    """What the pictures of a run's statistics show."""
    yaw, pitch, _ = np.degrees(sample.turn)
    points = len(sample.vertices) if sample.frame is None else int((sample.frame.depth > 0).sum())
    return {
        "yaw_deg": round(float(yaw), 3),
        "pitch_deg": round(float(pitch), 3),
        "expression": round(float(sample.expression.sum()), 4),
        "points": float(points),
        "detail_mm": round(sample.detail, 4),
    }


def _frame_files(frame: DepthFrame, key: str) -> dict[str, bytes]:
    """As ``facewright register`` reads them once they lie in one folder."""
    lens = frame.intrinsics
    told = {"color": f"{key}.color.png", "depth": f"{key}.depth.png", "depth_scale": DEPTH_STEP}
    told |= {"fx": lens.fx, "fy": lens.fy, "cx": lens.cx, "cy": lens.cy}
    small = Image.fromarray(frame.colors).resize((PREVIEW, PREVIEW), Image.Resampling.BOX)
    return {
        "color.png": quick_png(frame.colors),
        "depth.png": depth_png(frame.depth),
        "rgbd.json": _json(told),
        "preview.jpg": _jpg(np.asarray(small)),
    }


def depth_png(depth: Float[ndarray, "H W"]) -> bytes:
    """Depth in mm as a grey PNG of 16 bits in steps of ``DEPTH_STEP``; 0 where there is none."""
    steps = np.clip(np.round(depth / DEPTH_STEP), 0, 65535).astype(np.uint16)
    return quick_png(steps)


def _mesh(vertices: ndarray, faces: ndarray) -> Mesh:
    triangles = torch.from_numpy(faces)
    return Mesh(
        torch.from_numpy(vertices).float(),
        Topology(triangles, torch.zeros(1, 2), torch.zeros_like(triangles)),
    )


def _clay(mesh: Mesh) -> ndarray:
    """A small picture of a scan."""
    points = mesh.vertices[None]
    middle = (points.amin(1) + points.amax(1)) / 2
    size = float((points.amax(1) - points.amin(1))[0, :2].max())
    pose = frontal_pose(1, 800.0)
    placed = pose.camera_from_head(points - middle[:, None])
    focal = 0.9 * PREVIEW * 800.0 / size
    half = torch.tensor([[PREVIEW / 2, PREVIEW / 2]])
    camera = PerspectiveCamera(torch.tensor([focal]), half, (PREVIEW, PREVIEW))
    light = Lighting(soft_light(1, 0.35, above=0.3, front=0.45))
    clay = Material(albedo=torch.full_like(points, 0.6))
    settings = DrawSettings(cull_back_faces=False, antialias=False)
    drawing = draw_mesh(placed, mesh.topology, camera, clay, light, settings=settings)
    colors = srgb_from_linear(over(drawing, torch.full((3,), 0.9))[0].clamp(0, 1))
    return (colors * 255 + 0.5).to(torch.uint8).numpy()


def _mask_bits(masks: SampleMasks) -> ndarray:
    bits = sum(bit * getattr(masks, name).to(torch.uint8) for name, bit in MASK_BITS.items())
    return torch.as_tensor(bits).to(torch.uint8).numpy()


def _normal_bytes(normals: Float[Tensor, "H W 3"], there: Bool[Tensor, "H W"]) -> ndarray:
    shifted = (normals * 127.0 + 128.0).round().clamp(0, 255) * there[..., None]
    return shifted.to(torch.uint8).numpy()


def _srgb_bytes(linear: Float[Tensor, "H W 3"]) -> ndarray:
    return toned(linear, srgb_curve()).numpy()


def _unit_bytes(values: Float[Tensor, "H W"]) -> ndarray:
    return (values.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()


def _jpg(pixels: ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _npy(array: ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _rounded(values: Tensor, digits: int) -> list[Any]:
    return np.round(values.double().numpy(), digits).tolist()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
