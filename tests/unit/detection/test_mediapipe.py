import sys
from pathlib import Path

import pytest

from facewright.core.errors import UnavailableError
from facewright.detection.mediapipe import MediaPipeLandmarker


def test_without_the_package_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setitem(sys.modules, "mediapipe.tasks", None)
    with pytest.raises(UnavailableError, match=r"pip install 'facewright\[mediapipe\]'"):
        MediaPipeLandmarker.load(tmp_path / "face_landmarker.task")
