"""Any photo a user has, and any file that is none."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.core.errors import ImageError
from facewright.image.io import DIAGONAL_35MM, PhotoLimits, photograph_from_array, photograph_of, read_photo


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture with a red top-left and a blue bottom-right corner."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).max()
    rgb = np.stack([255 * (1 - y), 255 * x, 255 * y], axis=-1)
    return rgb.astype(np.uint8)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def difference(path: Path, expected: np.ndarray) -> float:
    got = read_photo(path).pixels.permute(1, 2, 0).numpy() * 255
    return float(np.abs(got - expected).max())


def test_reads_png_exactly(tmp_path: Path) -> None:
    assert difference(saved(tmp_path / "a.png", Image.fromarray(picture())), picture()) < 0.01


def test_reading_tells_pictures_apart(tmp_path: Path) -> None:  # the control of the tests of equality
    path = saved(tmp_path / "a.png", Image.fromarray(picture()[:, ::-1].copy()))
    assert difference(path, picture()) > 50


@pytest.mark.parametrize("suffix", ["png", "tif"])  # Pillow turns TIFFs by itself
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](picture())
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    path = saved(tmp_path / f"a.{suffix}", image, exif=exif.tobytes())
    assert difference(path, picture()) < 0.01
    photo = read_photo(path)
    assert (photo.size, photo.scale) == ((48, 64), 1)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_makes_no_sense_is_left_aside(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(picture()), exif=exif.tobytes())
    assert difference(path, picture()) < 0.01


def test_damaged_exif_does_not_keep_a_photo_from_being_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    ifd = exif.get_ifd(0x8769)
    ifd[0xA405], ifd[0xA002], ifd[0xA003] = 26, 64, 48
    whole, random = exif.tobytes(), np.random.default_rng(0)
    upright = turned = 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        where = random.integers(6, len(damaged), 3)  # past the letters "Exif"
        damaged[where] = random.integers(0, 256, 3)
        cut = int(random.integers(8, len(damaged) + 1))
        path = saved(tmp_path / "a.png", Image.fromarray(picture()), exif=damaged[:cut].tobytes())
        read = read_photo(path).pixels.permute(1, 2, 0).numpy() * 255
        upright += bool(np.abs(read - picture()).max() < 0.01)
        turned += bool(np.abs(read - picture()[::-1, ::-1]).max() < 0.01)
    assert upright > 0  # the damage was noticed
    assert turned > 0  # and what survived was heeded


def test_what_cannot_be_used_of_a_file_is_noted(tmp_path: Path) -> None:
    image, dark = Image.fromarray(picture()), Image.fromarray(picture() // 16)
    assert read_photo(saved(tmp_path / "fine.png", image)).notes == ()  # the control
    cases = {
        "exif.png": (image, {"exif": b"Exif\0\0nonsense"}, "EXIF data is damaged"),
        "profile.png": (image, {"icc_profile": b"no profile"}, "colour profile"),
        "dark.tif": (dark, {}, "fewer bits"),
    }
    for name, (stored, options, words) in cases.items():
        (note,) = read_photo(saved(tmp_path / name, stored, **options)).notes
        assert words in note, name
        assert "\n" not in note


def test_a_valid_tiff_that_is_not_read_is_told_from_one_that_is_none(tmp_path: Path) -> None:
    # The header of a float32 RGB picture: Pillow knows no mode for it.
    tags = [(256, 64), (257, 48), (258, 32), (259, 1), (262, 2), (273, 200), (277, 3), (278, 48)]
    tags += [(279, 64 * 48 * 12), (339, 3)]
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + struct.pack("<I", 0)
    (tmp_path / "float.tif").write_bytes(data.ljust(200, b"\0") + bytes(64 * 48 * 12))
    refused(tmp_path / "float.tif", "TIFF of a kind")
    (tmp_path / "other.tif").write_bytes(b"not a picture")
    refused(tmp_path / "other.tif", "expected JPEG")


def sixteen_bit_png(path: Path, channels: int) -> Path:
    """Pillow cannot write 16-bit RGB, so the chunks are written here."""
    values = picture().astype(np.uint16) * 257
    values = values if channels == 3 else values[..., :1]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {1: 0, 3: 2}[channels]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 64, 48, 16, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def test_sixteen_bit_colour_and_grey(tmp_path: Path) -> None:
    assert difference(sixteen_bit_png(tmp_path / "rgb.png", 3), picture()) <= 1
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    assert difference(sixteen_bit_png(tmp_path / "grey.png", 1), grey) <= 1


def test_grey_palette_alpha_and_cmyk(tmp_path: Path) -> None:
    image = Image.fromarray(picture())
    grey = np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=2)
    assert difference(saved(tmp_path / "l.png", image.convert("L")), grey) < 0.01
    palette = image.quantize(256)
    assert difference(saved(tmp_path / "p.gif", palette), np.asarray(palette.convert("RGB"))) < 0.01
    assert difference(saved(tmp_path / "p.png", palette), np.asarray(palette.convert("RGB"))) < 0.01
    cmyk = saved(tmp_path / "cmyk.jpg", image.convert("CMYK"), quality=100, subsampling=0)
    assert difference(cmyk, picture()) < 16
    one_bit = image.convert("1")
    assert difference(saved(tmp_path / "1.png", one_bit), np.asarray(one_bit.convert("RGB"))) < 0.01


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:10] = 0
    expected = picture().copy()
    expected[:10] = 255
    rgba = Image.fromarray(np.dstack([picture(), alpha]))
    assert difference(saved(tmp_path / "a.png", rgba), expected) < 0.01
    assert difference(saved(tmp_path / "a.webp", rgba, lossless=True), expected) < 0.01


def test_large_photos_are_reduced_and_keep_their_size(tmp_path: Path) -> None:
    limits = PhotoLimits(working_side=32)
    for name in ("a.png", "a.jpg"):
        photo = read_photo(saved(tmp_path / name, Image.fromarray(picture(96, 128))), limits)
        assert photo.pixels.shape == (3, 24, 32)
        assert photo.size == (96, 128)
        assert photo.scale == 4
        assert photo.pixels[0, 0, 0] > 0.9
        assert photo.pixels[2, -1, -1] > 0.6


def test_focal_length_from_exif(tmp_path: Path) -> None:
    def focal(noted_size: tuple[int, int] | None) -> float | None:
        exif = Image.Exif()
        ifd = exif.get_ifd(0x8769)
        ifd[0xA405] = 26
        if noted_size:
            ifd[0xA002], ifd[0xA003] = noted_size
        exif[0x0112] = 6
        return read_photo(saved(tmp_path / "a.jpg", Image.fromarray(picture()), exif=exif)).focal

    expected = 26 / DIAGONAL_35MM * 80  # the diagonal of 48 x 64 pixels
    assert focal(None) == pytest.approx(expected)
    assert focal((640, 480)) == pytest.approx(expected)
    assert focal((640, 640)) is None  # cropped after it was taken


def refused(path: Path, words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        read_photo(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_files_that_are_no_photo(tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.fromarray(picture(480, 640)).save(jpeg, "JPEG")
    png = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(png, "PNG")
    cases = {
        "text.jpg": (b"not a picture", "not a picture"),
        "page.pdf": (b"%PDF-1.7 ...", "not a picture"),
        "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not a picture"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(64), "HEIC"),
        "empty.jpg": (b"", "0 bytes"),
        "cut.jpg": (jpeg.getvalue()[: len(jpeg.getvalue()) // 2], "cut short"),
        "header.jpg": (jpeg.getvalue()[:100], "cut short|not a picture"),
        "cut.png": (png.getvalue()[: len(png.getvalue()) // 2], "cut short"),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, words)
    refused(tmp_path / "missing.jpg", "no file")
    refused(tmp_path, "folder")
    refused(saved(tmp_path / "dot.png", Image.new("RGB", (1, 1))), "at least 24")


def test_whole_files_of_the_same_kind_are_read(tmp_path: Path) -> None:  # the control of the test above
    assert read_photo(saved(tmp_path / "a.jpg", Image.fromarray(picture()))).pixels.shape == (3, 48, 64)


def huge_png(path: Path, side: int, *, glass: bool = False) -> Path:
    """A valid PNG of side x side one-bit pixels, a few hundred kilobytes; of glass: all transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + -(-side // 8))) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 3 if glass else 0, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", bytes(2)) if glass else b""
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def megabytes_to_read(path: Path) -> int:
    """How far reading a file in a fresh process raises its peak of memory.

    From the process's own status: ``ru_maxrss`` starts at the size of the process that started it.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's memory is read from /proc, which this system has not")
    code = (
        "import re, sys; from pathlib import Path; from facewright.image.io import read_photo\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "try: read_photo(Path(sys.argv[1]))\n"
        "except ValueError: pass\n"
        "print(peak() - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return int(run.stdout) >> 10


def test_gigantic_photo_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = huge_png(tmp_path / "huge.png", 30_000)
    refused(path, "900 million pixels: expected at most 128")
    assert megabytes_to_read(path) < 64


def test_large_photos_are_read_in_little_more_than_their_pixels(tmp_path: Path) -> None:
    path = huge_png(tmp_path / "glass.png", 9001, glass=True)  # 81 million pixels of one byte
    assert 64 < megabytes_to_read(path) < 400  # one copy of them as RGBA alone has 309
    photo = read_photo(path)
    assert photo.pixels.shape == (3, 3072, 3072)
    assert photo.pixels.min() == 1  # white paper, also where strips meet


def test_reducing_by_strips_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    height, width, limits = 301, 403, PhotoLimits(working_side=100)
    rgb = picture(height, width)
    opaque = np.full((height, width, 1), 255, np.uint8)
    images = {
        "rgb.png": Image.fromarray(rgb),
        "rgba.png": Image.fromarray(np.concatenate([rgb, opaque], 2)),
        "cmyk.tif": Image.fromarray(rgb).convert("CMYK"),
        "grey.png": Image.fromarray(rgb[..., 0].astype(np.uint16) * 257),
        "bits.png": Image.fromarray(rgb[..., 0] > 127),
    }
    for name, image in images.items():
        plain = np.asarray(image.convert("RGB") if name[0] in "rc" else Image.fromarray(rgb[..., 0]))
        plain = (plain > 127) * np.uint8(255) if name == "bits.png" else plain
        expected = np.asarray(Image.fromarray(plain).resize((100, 75), Image.Resampling.BOX).convert("RGB"))
        monkeypatch.setattr("facewright.image.io.STRIP_PIXELS", 10_000)
        read = read_photo(saved(tmp_path / name, image), limits)
        assert (read.size, read.pixels.shape) == ((height, width), (3, 75, 100))
        off = np.abs(read.pixels.permute(1, 2, 0).numpy() * 255 - expected)
        assert off.mean() < 1
        assert off.max() <= (64 if name == "bits.png" else 3)
        assert np.abs(np.roll(expected, 2, 0).astype(float) - expected).mean() > 1  # control


def test_arrays(tmp_path: Path) -> None:
    floats = picture().astype(np.float64) / 255
    assert torch.allclose(photograph_from_array(floats).pixels, photograph_from_array(picture()).pixels)
    assert photograph_from_array(picture()[..., 0]).pixels.shape == (3, 48, 64)
    large = np.tile(picture(), (80, 50, 1))
    for pixels in (large, large / np.float32(255)):
        photo = photograph_from_array(pixels)
        assert (photo.size, photo.scale) == ((3840, 3200), 1.25)
        assert photo.pixels.shape == (3, 3072, 2560)
        tile = photo.pixels[:, :384, :512].mean((1, 2)) * 255  # a whole number of tiles
        assert np.abs(tile.numpy() - picture().mean((0, 1))).max() < 0.5
    for bad in (
        picture().astype(np.float32),
        picture().astype(np.int64),
        picture()[..., :2],
        floats * np.nan,
        np.zeros((0, 0, 3)),
    ):
        with pytest.raises(ImageError, match="expected"):
            photograph_from_array(bad)


def test_a_damaged_avif_is_a_damaged_picture(tmp_path: Path) -> None:
    ramp = np.tile(3 * np.arange(64, dtype=np.uint8)[:, None, None], (1, 64, 3))
    Image.fromarray(ramp).save(tmp_path / "a.avif")
    assert read_photo(tmp_path / "a.avif").size == (64, 64)
    data = bytearray((tmp_path / "a.avif").read_bytes())
    last = len(data) * 9 // 10
    data[last:] = bytes(byte ^ 0x55 for byte in data[last:])
    (tmp_path / "a.avif").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.avif is damaged"):
        read_photo(tmp_path / "a.avif")


def test_a_photo_in_any_form_is_the_same_photo(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = photograph_of(tmp_path / "a.png")
    for form in (str(tmp_path / "a.png"), pixels, read.pixels, read):
        assert torch.equal(photograph_of(form).pixels, read.pixels)
        assert photograph_of(form).size == (40, 50)
    for wrong in (read.pixels[None], (255 * read.pixels).to(torch.uint8), read.pixels * 2):
        with pytest.raises(ImageError, match="expected"):
            photograph_of(wrong)


@pytest.mark.parametrize("size", [(0, 0), (24, 0), (1, 1), (12000, 12000)])
def test_tensors_have_the_limits_of_arrays(size: tuple[int, int]) -> None:
    for empty in (torch.zeros(1).expand(3, *size), np.broadcast_to(np.float32(0), (*size, 3))):
        with pytest.raises(ImageError, match=r"million pixels|on the shorter side"):
            photograph_of(empty)


def test_a_large_tensor_is_reduced_as_an_array_is() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (24, 6144, 3), dtype=np.uint8)
    array = photograph_of(pixels)
    tensor = photograph_of(torch.from_numpy(pixels).permute(2, 0, 1).double() / 255)
    assert tensor.size == array.size == (24, 6144)
    assert tensor.scale == array.scale == 2
    assert tensor.pixels.dtype == torch.float32
    torch.testing.assert_close(tensor.pixels, array.pixels, atol=1e-6, rtol=0)
