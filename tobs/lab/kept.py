"""What the lab keeps between its processes: a cache folder, in which nothing is believed without a check."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator


def folder() -> Path:
    """Where the lab keeps what it made: `lab` in `TOBS_CACHE`, else in the user's cache folder."""
    root = os.environ.get("TOBS_CACHE") or platformdirs.user_cache_dir("tobs")
    return Path(root) / "lab"


@contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """A new file that becomes `path` at the end, or nothing if the block fails. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb", buffering=1 << 20) as out:
            yield out
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def kept_text(name: str) -> str | None:
    """What `keep_text` stored under `name`, or None where there is nothing that is sound."""
    try:
        check, text = (folder() / name).read_text(encoding="utf-8").split("\n", 1)
    except (OSError, ValueError):
        return None
    return text if check == _check(name, text) else None


def keep_text(name: str, text: str) -> None:
    """Store `text` as the file `name` for later processes; a folder that can't be written is no error."""
    with suppress(OSError), written_beside(folder() / name) as out:
        out.write(f"{_check(name, text)}\n{text}".encode())


def kept_digest(key: str) -> str | None:
    """A hash that `keep_digest` stored under `key`, or None where there is none that is sound."""
    return kept_text(f"sha256-{key}")


def keep_digest(key: str, digest: str) -> None:
    """Store `digest` under `key` for later processes; a folder that can't be written is no error."""
    keep_text(f"sha256-{key}", digest)


def _check(name: str, text: str) -> str:
    return hashlib.sha256(f"{name} {text}".encode()).hexdigest()
