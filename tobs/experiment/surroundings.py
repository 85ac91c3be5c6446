"""Where and with what an experiment ran: the machine, versions, and a fingerprint of the code that was measured."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tobs.manifest import Manifest

_NOT_MEASURED = frozenset({"cli", "experiment", "tuning", "testing", "scaffold"})
"""Rooms whose code no run's time depends on."""
_LIBRARIES = ("telethon", "cryptg", "sqlite-utils", "orjson", "pluggy", "opentelemetry-sdk")


def machine() -> dict[str, Any]:
    """What is worth knowing of this machine, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": memory,
    }


def versions() -> dict[str, str]:
    """Python, TOBS and the libraries that a run's time depends on."""
    found = {"python": platform.python_version(), "tobs": tobs.__version__}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def fingerprint(manifests: Iterable[Manifest] = ()) -> str:
    """A hash of the source of TOBS, its lab and these plugins, so that results of different code are told apart."""
    total = hashlib.sha256()
    for file in sorted({*_core(), *_plugins(manifests)}):
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def _core() -> Iterator[Path]:
    room = Path(tobs.__file__).parent
    for file in room.rglob("*.py"):
        if file.relative_to(room).parts[0] not in _NOT_MEASURED:
            yield file


def _plugins(manifests: Iterable[Manifest]) -> Iterator[Path]:
    for package in {manifest.load.partition(":")[0].partition(".")[0] for manifest in manifests}:
        # A plugin that was imported already is known without looking for it.
        spec = sys.modules[package].__spec__ if package in sys.modules else importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield from Path(folder).rglob("*.py")
        if spec and spec.origin:
            yield Path(spec.origin)
