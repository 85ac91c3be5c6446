"""Sound and video files, with PyAV, opened so that they lead to no other file. Imported in child processes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import av.logging

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer

OPTIONS = {
    # A playlist that calls itself a video could name addresses and other files of this machine.
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,mp3,aac,wav,flac",
    "protocol_whitelist": "file",
}

av.logging.set_level(None)


def opened(source: Path) -> InputContainer:
    """The container of a file; close it."""
    return av.open(f"file:{source}", options=dict(OPTIONS), metadata_errors="ignore")
