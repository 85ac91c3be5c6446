"""Where a file is put, decided by the file alone: not by the message that came first, nor by what is there.

The folders and the shape of the names are Telegram Desktop's.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.values import MediaRef

LONGEST = 150
"""Bytes of a name in UTF-8: file systems allow 255, sync tools and encrypted folders less."""
FOLDERS = {
    "photo": "photos",
    "video_file": "video_files",
    "animation": "animations",
    "sticker": "stickers",
    "voice_message": "voice_messages",
    "video_message": "round_video_messages",
}
STEMS = {
    "photo": "photo",
    "video_file": "video",
    "animation": "animation",
    "sticker": "sticker",
    "voice_message": "audio",
    "video_message": "video",
    "audio_file": "audio",
}
# A table of our own: the system's differs from machine to machine, and names must not.
EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/svg+xml": ".svg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
    "video/x-matroska": ".mkv",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/x-m4a": ".m4a",
    "audio/flac": ".flac",
    "audio/x-flac": ".flac",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/x-tgsticker": ".tgs",
    "application/x-tar": ".tar",
    "application/x-7z-compressed": ".7z",
    "application/vnd.rar": ".rar",
    "application/epub+zip": ".epub",
    "application/vnd.android.package-archive": ".apk",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")
_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that a name does without: controls, bidi overrides and joiners, surrogates.

Not the unassigned: which these are depends on the version of Python."""
_RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
    | {port + digit for port in ("COM", "LPT") for digit in "0123456789¹²³"}
)


def place(ref: MediaRef) -> str:
    """The path of a file, relative to the archive folder and with `/`: `media/<folder>/<name>`.

    A photo or nameless document is called by its date, everything ends in its id in base 36.
    """
    ident = base36(ref.file_id)
    stem, extension = "", ""
    if ref.kind == "photo":
        extension = ".jpg"
    else:
        stem, extension = _split(ref.name or "", ref.mime)
    if not stem:
        stem = f"{STEMS.get(ref.kind, 'file')}_{_moment(ref.date)}"
    room = LONGEST - len(f"_{ident}{extension}")
    return f"media/{FOLDERS.get(ref.kind, 'files')}/{_shorten(stem, room)}_{ident}{extension}"


def base36(number: int) -> str:
    """A 64-bit number, negative ones as unsigned, in digits and lower-case letters."""
    number &= (1 << 64) - 1
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _split(name: str, mime: str) -> tuple[str, str]:
    """Safe stem and extension of a name from the network; the stem may be empty."""
    name = safe(name)
    found = _EXTENSION.search(name)
    if found:
        return safe(name[: found.start()]), found.group()
    return name, EXTENSIONS.get(mime, "")


def safe(name: str) -> str:
    """A name that every file system takes, that hides nothing and that leads nowhere. May be empty."""
    name = unicodedata.normalize("NFC", name)
    name = "".join(
        " " if unicodedata.category(sign) == "Zs" or sign in "\t\n\r" else sign
        for sign in name
        if sign in "\t\n\r" or unicodedata.category(sign) not in _UNSEEN
    )
    name = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", name)).strip(". ")
    if name.split(".", 1)[0].rstrip().upper() in _RESERVED:
        name = "_" + name
    return name


def _shorten(stem: str, room: int) -> str:
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") or "file"


def _moment(date: str) -> str:
    """`2024-01-31T12:00:00+00:00` as `2024-01-31_12-00-00`."""
    return re.sub(r"[^0-9_-]", "", date[:19].replace("T", "_").replace(":", "-")) or "undated"
