"""What the lab keeps between its processes: a cache folder, in which nothing is believed without a check."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import platformdirs


def folder() -> Path:
    """Where the lab keeps what it made: `lab` in `TOBS_CACHE`, else in the user's cache folder."""
    root = os.environ.get("TOBS_CACHE") or platformdirs.user_cache_dir("tobs")
    return Path(root) / "lab"


def kept_digest(key: str) -> str | None:
    """A hash that `keep_digest` stored under `key`, or None where there is none that is sound."""
    try:
        digest, check = (folder() / f"sha256-{key}").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return digest if check == _check(key, digest) else None


def keep_digest(key: str, digest: str) -> None:
    """Store `digest` under `key` for later processes; a folder that can't be written is no error."""
    with suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=".sha256-", dir=folder())
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(f"{digest} {_check(key, digest)}")
        Path(beside).replace(folder() / f"sha256-{key}")


def _check(key: str, digest: str) -> str:
    return hashlib.sha256(f"{key} {digest}".encode()).hexdigest()
