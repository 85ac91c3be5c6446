"""Each test has a state folder of its own, and none waits for the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.export.labs import serve, small
from tobs.experiment import store, surroundings

if TYPE_CHECKING:
    from pathlib import Path

    import sqlite_utils


__all__ = ["serve", "small"]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `tobs` keeps what runs learn."""
    folder = tmp_path / "state"
    monkeypatch.setenv("TOBS_STATE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of these tests has to outlive a loss of power."""
    opened = store._open

    def open_unsynced(file: Path) -> sqlite_utils.Database:
        db = opened(file)
        db.execute("PRAGMA synchronous = OFF")
        return db

    monkeypatch.setattr(store, "_open", open_unsynced)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is no code, and nothing that a loss of power could harm."""
    monkeypatch.setattr(surroundings, "fingerprint", lambda _=(): "code")
    monkeypatch.setattr(os, "fsync", lambda _: None)
