"""The worker's folder: held by one process at a time, and the name under which that process is known to the group."""

import fcntl
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from streams.errors import WorkerError

_LOCK: Final = "lock"
_INSTANCE: Final = "instance-id"


class Home:
    """One worker's folder, while inside. It goes free with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: Any = None
        # A worker that comes back under the same name takes its own place in the group.
        self.instance_id = ""

    def __enter__(self) -> Self:
        """Take the folder. Raises WorkerError where another worker has it, or it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.instance_id = self._instance_id()
        except BlockingIOError as error:
            raise WorkerError(
                f"another worker is running on {self.folder}: give each its own FLEX_STATE_DIR"
            ) from error
        except OSError as error:
            raise WorkerError(f"cannot keep state in {self.folder}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def _instance_id(self) -> str:
        path = self.folder / _INSTANCE
        if not path.exists() or not path.read_text(encoding="ascii").strip():
            path.write_text(f"worker-{uuid.uuid4().hex}\n", encoding="ascii")
        return path.read_text(encoding="ascii").strip()
