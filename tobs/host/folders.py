"""Where TOBS keeps what is not an archive: accounts, settings, state."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable)
    return Path(given).expanduser() if given else Path(default)


def config() -> Path:
    """Settings and accounts; TOBS_CONFIG_DIR moves it."""
    return _folder("TOBS_CONFIG_DIR", platformdirs.user_config_dir("tobs", appauthor=False))


def cache() -> Path:
    """What can be made again; TOBS_CACHE moves it."""
    return _folder("TOBS_CACHE", platformdirs.user_cache_dir("tobs", appauthor=False))


def state() -> Path:
    """What runs learn about accounts; TOBS_STATE moves it."""
    return _folder("TOBS_STATE", platformdirs.user_state_dir("tobs", appauthor=False))
