import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from facewright.core.errors import AssetError, UnavailableError
from facewright.detection.mediapipe import MediaPipeLandmarker


def test_without_the_package_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setitem(sys.modules, "mediapipe.tasks", None)
    with pytest.raises(UnavailableError, match=r"pip install 'facewright\[mediapipe\]'"):
        MediaPipeLandmarker.load(tmp_path / "face_landmarker.task")


class Installed:
    """A package that finds faces where it is told, by the names that the plug-in asks for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faces: list[list[tuple[float, float]]] = []
        self.error: Exception | None = None
        self.seen: list[torch.Tensor] = []
        self.options: dict[str, object] = {}
        landmarker = SimpleNamespace(create_from_options=self._create)
        modules = {name: ModuleType(name) for name in ("mediapipe", "mediapipe.tasks")}
        modules["mediapipe"].Image = lambda image_format, data: (image_format, data)  # pyright: ignore
        modules["mediapipe"].ImageFormat = SimpleNamespace(SRGB="srgb")  # pyright: ignore
        python = modules["mediapipe.tasks.python"] = ModuleType("mediapipe.tasks.python")
        python.BaseOptions = lambda model_asset_path: model_asset_path  # pyright: ignore
        python.vision = SimpleNamespace(  # pyright: ignore
            FaceLandmarker=landmarker, FaceLandmarkerOptions=lambda **options: options
        )
        modules["mediapipe.tasks"].python = python  # pyright: ignore
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    def _create(self, options: dict[str, object]) -> "Installed":
        self.options = options
        if Path(str(options["base_options"])).read_bytes() == b"junk":
            raise RuntimeError("Unable to open zip archive")
        return self

    def detect(self, image: tuple) -> SimpleNamespace:
        if self.error:
            raise self.error
        kind, data = image
        assert kind == "srgb"
        self.seen.append(torch.from_numpy(data))
        points = [[SimpleNamespace(x=x, y=y, z=0.0) for x, y in face] for face in self.faces]
        return SimpleNamespace(face_landmarks=points)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    return Installed(monkeypatch)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "face_landmarker.task").write_bytes(b"model")
    return tmp_path / "face_landmarker.task"


def face(x: float, y: float, size: float, count: int = 478) -> list[tuple[float, float]]:
    """Points on the diagonal of a square, in parts of the picture."""
    return [(x + size * i / (count - 1), y + size * i / (count - 1)) for i in range(count)]


def test_points_are_pixels_and_the_largest_face_comes_first(installed: Installed, bundle: Path):
    finder = MediaPipeLandmarker.load(bundle)
    assert installed.options["base_options"] == str(bundle)
    installed.faces = [face(0.0, 0.0, 0.125), face(0.5, 0.25, 0.5)]
    photo = torch.zeros(3, 200, 400)
    photo[0, 0, 1] = 1.5  # beyond white
    large, small = finder(photo)
    assert large.points[0].tolist() == [200, 50]  # x, y: parts of width and height
    assert large.points[-1].tolist() == [400, 150]
    assert large.box.tolist() == [200, 50, 400, 150]
    assert small.box.tolist() == [0, 0, 50, 25]
    (picture,) = installed.seen
    assert (picture.shape, picture.dtype) == ((200, 400, 3), torch.uint8)
    assert picture[0, 1].tolist() == [255, 0, 0]
    installed.faces = []
    assert finder(photo) == []


def test_a_bundle_without_irises_is_refused(installed: Installed, bundle: Path):
    finder = MediaPipeLandmarker.load(bundle)
    installed.faces = [face(0.1, 0.1, 0.5, count=468)]
    with pytest.raises(AssetError, match=r"478 points.*got 468"):
        finder(torch.zeros(3, 60, 60))


def test_what_mediapipe_raises_is_one_line(installed: Installed, bundle: Path):
    finder = MediaPipeLandmarker.load(bundle)
    installed.error = RuntimeError("CalculatorGraph::Run() failed:\nno GPU")
    with pytest.raises(UnavailableError, match="failed: no GPU") as caught:
        finder(torch.zeros(3, 60, 60))
    assert "\n" not in str(caught.value)
    bundle.write_bytes(b"junk")
    with pytest.raises(AssetError, match="zip archive"):
        MediaPipeLandmarker.load(bundle)
    with pytest.raises(AssetError, match="found nothing"):
        MediaPipeLandmarker.load(bundle.with_name("none.task"))
