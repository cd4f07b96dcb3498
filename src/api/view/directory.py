"""The folder of the view's stores: which one is in use, a fresh one for a rebuild, and the swap between them.

A file named CURRENT holds the name of the store in use and is replaced by a rename, so at any moment of death it
names a store that is whole. Everything else in here is a rebuild that was not finished, and is removed.
"""

import fcntl
import os
import shutil
import uuid
from pathlib import Path
from typing import Final

_CURRENT: Final = "CURRENT"
_STORE: Final = "store-"


class DirectoryInUseError(Exception):
    """Another process holds this folder."""


class ViewDirectory:
    """`root` is created if it is missing; `close` lets another process have it."""

    def __init__(self, root: Path) -> None:
        """Take the folder. Raises DirectoryInUseError, OSError."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._lock = (root / "lock").open("wb")
        try:
            # Held by the open file: it ends with the process, however that dies.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DirectoryInUseError(f"{root} is in use by another process") from error

    def current(self) -> Path | None:
        """The store in use, or None if there is none."""
        try:
            name = (self._root / _CURRENT).read_text(encoding="ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        folder = self._root / name
        return folder if name.startswith(_STORE) and folder.parent == self._root and folder.is_dir() else None

    def fresh(self) -> Path:
        """A new folder for a rebuild."""
        return self._root / f"{_STORE}{uuid.uuid4().hex}"

    def promote(self, folder: Path) -> None:
        """From now on this is the store in use."""
        draft = self._root / f"{_CURRENT}.new"
        with draft.open("w", encoding="ascii") as file:
            file.write(folder.name)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._root / _CURRENT)
        self.tidy(folder)

    def tidy(self, *keep: Path | None) -> None:
        """Remove every store but these."""
        for folder in self._root.glob(f"{_STORE}*"):
            if folder not in keep:
                shutil.rmtree(folder)

    def close(self) -> None:
        self._lock.close()
