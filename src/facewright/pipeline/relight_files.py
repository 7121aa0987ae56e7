"""``relight``: which pictures of a result in another light are made, and how they lie in folders."""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

import facewright
from facewright.core.device import DeviceName, resolve_device
from facewright.core.errors import FacewrightError, InputError
from facewright.core.files import make_writable_folder, only_writer, output_errors, write_json
from facewright.core.names import FolderNames
from facewright.core.progress import ProgressBar
from facewright.export.asset import AssetLamp, HeadAsset
from facewright.export.gltf import write_glb
from facewright.export.maps import texture_from_linear, write_png
from facewright.export.parameters import light_document, pose_document, read_light
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.pipeline.folders import ResultFolder
from facewright.pipeline.overview import PANEL, draw_sheet
from facewright.pipeline.relight import GivenLight, Light, Relighter, Render
from facewright.pipeline.report import Summary
from facewright.pipeline.saved_head import load_head, photo_of, result_folders
from facewright.render.draw import Lighting
from facewright.scene.studio import PRESETS, Lamp, StudioLight

FORMAT_VERSION = 1
SIZE = 768  # pixels of a side of the pictures of the head alone
GREY = 0.2  # linear: what lies behind them
TURN_FRAMES, TURN_SECONDS, TURN_SIDE = 24, 2.4, 512
TOWARDS = (1.0, -1.0, -1.0)  # camera frame to that of normal maps: +Y up, +Z to the camera
MARKER = "relight.json"
HEAD = "head.glb"
PICTURES = ("render.png", "diffuse.png", "specular.png", "normals.png", "albedo.png", "sheet.png")
FILES = (HEAD, *PICTURES, MARKER)
RELIT, TURN = "relit.png", "turn.webp"
RELIGHT = ResultFolder(FILES, extras=(RELIT, TURN))


@dataclass(frozen=True)
class RelightSettings:
    """What a user may choose.

    Attributes:
        light: the light.
        name: of the light, for captions.
        turn: the lamp that goes round the head in an animation, or None for none.
        photo: the photo, or a folder that has it; where the report says if None.
        with_photo: False lights the head alone.
        model: the face model of the results, if it is neither shipped nor where it was.
        size: side in pixels of the pictures of the head alone.
    """

    light: Light
    name: str
    turn: Lamp | None = None
    photo: Path | None = None
    with_photo: bool = True
    model: Path | None = None
    size: int = SIZE


def light_of_file(path: Path, exposure: float = 1.0) -> GivenLight:
    """The light of a parameters.json, a relight.json or a file of spherical harmonics.

    Raises:
        InputError: it is none of them.
    """
    ambient, bulb, head = read_light(path)
    return GivenLight(ambient, bulb, head, exposure)


def relight_into(results: list[Path], out: Path, settings: RelightSettings, device: DeviceName) -> Summary:
    """Light results of ``reconstruct`` anew, each into a folder of its name; a bad one stops no other.

    Raises:
        InputError: a folder is no result.
        UnavailableError: the device is not there.
        OutputError: the output folder cannot be written.
    """
    folders, target = result_folders(results), resolve_device(device)
    make_writable_folder(out)
    done = failed = 0
    with only_writer(out), ProgressBar(len(folders), unit="head") as bar:
        names = FolderNames(present=_present(out))
        for folder in folders:
            name = names.claim(folder.resolve().name, lambda taken: RELIGHT.is_ours(out / taken))
            bar.name(name)
            try:
                head = load_head(folder, settings.model, target)
                photo = photo_of(head, folder, settings.photo) if settings.with_photo else None
                _save(Relighter.of(head, photo, settings.size), out / name, settings)
                done += 1
                bar.line(f"done  {folder}: {out / name}")
            except FacewrightError as error:
                failed += 1
                bar.line(f"FAILED {folder}: {error}")
            bar.advance()
    return Summary(done=done, failed=failed)


def _present(out: Path) -> list[str]:
    with output_errors(out):
        return [child.name for child in out.iterdir()]


def _save(relighter: Relighter, folder: Path, settings: RelightSettings) -> None:
    lighting = relighter.lighting(settings.light)
    with RELIGHT.written(folder) as partial:
        render = relighter.render(lighting)
        if relighter.photo is not None:
            write_png(partial / RELIT, texture_from_linear(relighter.photo_in(lighting).permute(1, 2, 0)))
        write_glb(partial / HEAD, _lit_asset(relighter, lighting))
        for name, picture in _pictures(render).items():
            write_png(partial / f"{name}.png", texture_from_linear(picture))
        _sheet(relighter, render, lighting, settings.name).save(partial / "sheet.png", compress_level=4)
        if settings.turn is not None:
            _write_turn(partial / TURN, relighter, settings.turn)
        write_json(partial / MARKER, _document(relighter, lighting, settings))


def _lit_asset(relighter: Relighter, lighting: Lighting) -> HeadAsset:
    """The head beside the new lamp; soft light is what a viewer makes of it, glTF has none."""
    asset, pose = relighter.head.asset(), relighter.parameters.pose
    if lighting.bulb is None:
        return asset
    place = (lighting.bulb.position[0] - pose.translation[0]) @ pose.rotation[0]
    return replace(asset, lamp=AssetLamp(place, lighting.bulb.intensity[0]))


def _pictures(render: Render) -> dict[str, Float[Tensor, "S S 3"]]:
    """The pictures of the head alone, linear RGB."""
    grey = GREY * (1 - render.coverage)
    encoded = torch.where(
        render.coverage > 0, 0.5 + 0.5 * render.normals * render.normals.new_tensor(TOWARDS), 0.5
    )
    return {
        "render": render.full + grey,
        "diffuse": render.diffuse + grey,
        "specular": render.specular,
        "albedo": render.albedo + grey,
        "normals": linear_from_srgb(encoded.clamp(0, 1)),  # bytes of a normal map are not light
    }


def _sheet(relighter: Relighter, render: Render, lighting: Lighting, name: str) -> Image.Image:
    """The chosen light, its parts, and every preset."""
    rows: list[list[tuple[str, Image.Image]]] = []
    parts = [(part, _panel(picture)) for part, picture in _pictures(render).items() if part != "albedo"]
    if relighter.photo is not None:
        own = linear_from_srgb(relighter.photo.pixels)
        rows.append(
            [("photo", _near(relighter, own)), (name, _near(relighter, relighter.photo_in(lighting)))]
        )
        rows[0] += parts[:1] + parts[1:2]
        rows.append([*parts[2:4]])
        drawn = [
            (key, _near(relighter, relighter.photo_in(relighter.lighting(p)))) for key, p in PRESETS.items()
        ]
    else:
        rows.append(parts)
        drawn = [
            (key, _panel(_pictures(relighter.render(relighter.lighting(p)))["render"]))
            for key, p in PRESETS.items()
        ]
    if len(rows) == 2:
        rows[1] += drawn[:2]
        drawn = drawn[2:]
    rows += [drawn[start : start + 4] for start in range(0, len(drawn), 4)]
    return draw_sheet(rows, relighter.head.name, f"light: {name}")


def _near(relighter: Relighter, photo: Float[Tensor, "3 H W"]) -> Image.Image:
    """The part of a photo (linear RGB) around the head, in a square panel."""
    x0, y0, x1, y1 = relighter.box
    part = _image(photo[:, y0:y1, x0:x1].permute(1, 2, 0))
    factor = PANEL / max(part.size)
    size = (max(1, round(part.width * factor)), max(1, round(part.height * factor)))
    panel = Image.new("RGB", (PANEL, PANEL), "#e4e2dd")
    panel.paste(part.resize(size, Image.Resampling.LANCZOS), ((PANEL - size[0]) // 2, (PANEL - size[1]) // 2))
    return panel


def _panel(picture: Float[Tensor, "S S 3"]) -> Image.Image:
    return _image(picture).resize((PANEL, PANEL), Image.Resampling.LANCZOS)


def _image(linear: Float[Tensor, "H W 3"]) -> Image.Image:
    array = (srgb_from_linear(linear) * 255 + 0.5).to(torch.uint8).cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(array))


def _write_turn(path: Path, relighter: Relighter, lamp: Lamp) -> None:
    """A lamp that goes once round the head, over its photo (or alone), as an animated WebP."""
    base = StudioLight(0.22, lamp=lamp)
    brightest = relighter.lighting(replace(base, lamp=replace(lamp, yaw=0.0)))
    frames = []
    for index in range(TURN_FRAMES):
        turned = replace(base, lamp=replace(lamp, yaw=2 * math.pi * index / TURN_FRAMES))
        lighting = relighter.lighting(turned)
        # One exposure for all frames: the lamp behind the head leaves the face dim.
        if brightest.bulb is not None and lighting.bulb is not None:
            lighting = Lighting(brightest.ambient, replace(brightest.bulb, position=lighting.bulb.position))
        if relighter.photo is not None:
            frame = _near(relighter, relighter.photo_in(lighting))
        else:
            frame = _panel(_pictures(relighter.render(lighting))["render"])
        frames.append(frame)
    with output_errors(path):
        milliseconds = round(1000 * TURN_SECONDS / TURN_FRAMES)
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, quality=88
        )


def _document(relighter: Relighter, lighting: Lighting, settings: RelightSettings) -> dict[str, Any]:
    own = relighter.head.saved
    return {
        "format_version": FORMAT_VERSION,
        "facewright_version": facewright.__version__,
        "photo": own.photo,
        "pose": pose_document(relighter.parameters.pose),
        "light": light_document(lighting.ambient, lighting.bulb),
        "notes": {
            "photo_sha256": relighter.head.photo_sha256,
            "name": settings.name,
            "exposure": settings.light.exposure,
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }


def parsed_lamp(text: str) -> Lamp:
    """The lamp of ``YAW,PITCH[,INTENSITY[,#RRGGBB]]``, in degrees.

    Raises:
        InputError: it reads otherwise, or a number is out of range.
    """
    told = (
        "expected --lamp YAW,PITCH[,INTENSITY[,#RRGGBB]] with yaw from -180 to 180 and pitch from -90 to 90 "
        f"degrees and intensity from 0 to 20, got {text!r}."
    )
    parts = [part.strip() for part in text.split(",")]
    if not 2 <= len(parts) <= 4:
        raise InputError(told)
    try:
        yaw, pitch, intensity = (float(part) for part in [*parts[:3], *["1"] * (3 - len(parts[:3]))])
    except ValueError:
        raise InputError(told) from None
    if not (abs(yaw) <= 180 and abs(pitch) <= 90 and 0 <= intensity <= 20):
        raise InputError(told)
    color = parts[3] if len(parts) == 4 else "#ffffff"
    try:
        if len(color) != 7 or color[0] != "#":
            raise ValueError
        values = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    except ValueError:
        raise InputError(told) from None
    red, green, blue = linear_from_srgb(torch.tensor(values)).tolist()
    return Lamp(math.radians(yaw), math.radians(pitch), intensity, (red, green, blue))
