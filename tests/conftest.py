"""What every test shares: shape checks on every call, the two portraits, the material folder."""

import logging
import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before anything of facewright is imported: each annotated call then checks shapes and types.
install_import_hook("facewright", "beartype.beartype")

# Whether a run of the tests compiles kernels depends on the runs before it: what tests read must not.
logging.getLogger("facewright.kernels").disabled = True

REPOSITORY = Path(__file__).parent.parent
# Processes that tests start import the same checkout.
os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")])
SHARED = REPOSITORY.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir():
        return
    reason = pytest.mark.skip(reason=f"needs the material folder, which is not at {SHARED}")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(reason)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The material folder; only tests marked ``shared`` may ask for it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the material folder, which is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def portraits() -> dict[str, Path]:
    """The two public-domain portraits that travel inside dependencies."""
    from facewright.pipeline.portraits import demo_portraits

    return demo_portraits()
