"""Names of folders and files that every file system accepts and that never collide."""

import re
from collections.abc import Callable, Iterable

MAX_NAME_BYTES = 120
# Windows takes these for devices, whatever suffix follows.
DEVICE_NAMES = frozenset(
    [
        "con",
        "prn",
        "aux",
        "nul",
        *(f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³"),
    ]
)


class FolderNames:
    """Hands out names; two that differ only in case count as the same, as on macOS and Windows.

    Args:
        taken: names that are never given.
        present: names of what is there already; given only to those who own it.
    """

    def __init__(self, taken: Iterable[str] = (), present: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}
        self._present = {name.casefold() for name in present}

    def claim(self, wanted: str, owns: Callable[[str], bool] = lambda _: False) -> str:
        """Take a name: the wanted one made safe, or with _2, _3, ... behind it.

        Args:
            wanted: made safe first.
            owns: whether what is present under a name belongs to who asks.
        """
        base = safe_name(wanted)
        name, count = base, 1
        while name.casefold() in self._taken or (name.casefold() in self._present and not owns(name)):
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name.casefold())
        return name


def safe_name(stem: str) -> str:
    """A name that every file system accepts and that stays in its folder."""
    cleaned = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", stem).strip(". ")
    cut = cleaned.encode("utf-8", "surrogateescape")[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip(". ")
    if cut.split(".")[0].strip().casefold() in DEVICE_NAMES:
        cut = f"_{cut}"
    return cut or "photo"
