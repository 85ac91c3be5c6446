"""The archive: one folder with `tobs.sqlite`, the media, and what is rendered from them.

Imports nothing of telegram; everything that moves in or out is a value of `tobs.ports`.
"""

from __future__ import annotations

from tobs.archive.archive import Archive

__all__ = ["Archive"]
