"""What survives a run: small JSON values, one file a key, replaced whole so that a crash leaves the old one."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class FolderState:
    """State in a folder that is made, for its owner's eyes only, when something is first kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> dict[str, Any]:
        """The kept value; a damaged file counts as nothing kept, since it can be learned again."""
        try:
            value = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Write beside and rename. A folder that cannot be written is no reason to stop an export: it is logged."""
        beside = self.folder / f".{key}.json.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not value:
                (self.folder / f"{key}.json").unlink(missing_ok=True)
                return
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, indent=1, sort_keys=True)
            beside.replace(self.folder / f"{key}.json")
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            log.warning("%s cannot be kept in %s: %s", key, self.folder, error.strerror or error)


class MemoryState:
    """State that ends with the run."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any]:
        """The kept value, or nothing."""
        return self._values.get(key, {})

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keep until the process ends."""
        self._values[key] = value
