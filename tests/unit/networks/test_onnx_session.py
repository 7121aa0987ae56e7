"""Networks run without anybody being told of it."""

import os
import subprocess
import sys
from pathlib import Path

from facewright.networks.heads import EyeNetwork, EyeNetworkSettings
from facewright.networks.onnx_networks import onnx_model

RUN = """
import pathlib, sys
from facewright.networks.onnx_session import onnx_session
onnx_session(pathlib.Path(sys.argv[1]).read_bytes(), 1)
"""


def test_nothing_is_reported(tmp_path: Path) -> None:
    (tmp_path / "eyes.onnx").write_bytes(onnx_model(EyeNetwork(EyeNetworkSettings(32, (4, 6, 8), 5)).eval()))
    home = tmp_path / "home"
    home.mkdir()
    inherited = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment = {**inherited, "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    command = [sys.executable, "-c", RUN, str(tmp_path / "eyes.onnx")]
    subprocess.run(command, env=environment, check=True, timeout=120)
    # Where it reports, it leaves an identifier and a queue here. No control: that would be a report.
    assert list(home.iterdir()) == []


def test_there_is_no_other_way_to_it(repository: Path) -> None:
    sources = (repository / "src").rglob("*.py")
    assert [path.name for path in sources if "import onnxruntime" in path.read_text()] == ["onnx_session.py"]
