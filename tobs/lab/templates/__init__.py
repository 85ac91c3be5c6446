"""Short real media that every drawn file starts from: photos, clips, voice notes, music, stickers, pictures.

`index.json` lists them; `tobs.lab.templates.make` made them once. See `tobs.lab.fitting` for what is done with
them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Template:
    """One short file of a `kind` (as `Dataset.kinds` names them) in a `form`, its file name's extension.

    `preview` is a small JPEG (for stickers WebP) of `small` pixels, `stripped` Telegram's stripped thumbnail;
    empty for sound. `shape` is width and height, `scans` the bytes after which a progressive JPEG can be shown,
    `waveform` 100 loudnesses of 0 to 31. What a kind does not have is 0 or empty.
    """

    kind: str
    form: str
    name: str
    data: bytes
    preview: bytes
    small: tuple[int, int]
    stripped: bytes
    shape: tuple[int, int]
    scans: tuple[int, ...]
    seconds: float
    waveform: tuple[int, ...]
    performer: str
    title: str
    emoji: str


@cache
def templates() -> dict[str, tuple[Template, ...]]:
    """All templates by kind, those of a kind by rising size. Less than 1 MB."""
    found: dict[str, list[Template]] = {}
    for entry in json.loads((_FOLDER / "index.json").read_text(encoding="utf-8")):
        preview = entry.get("preview")
        template = Template(
            kind=entry["kind"],
            form=entry["form"],
            name=entry["file"],
            data=(_FOLDER / entry["file"]).read_bytes(),
            preview=(_FOLDER / preview).read_bytes() if preview else b"",
            small=tuple(entry.get("small", (0, 0))),
            stripped=base64.b64decode(entry.get("stripped", "")),
            shape=tuple(entry.get("shape", (0, 0))),
            scans=tuple(entry.get("scans", ())),
            seconds=entry.get("seconds", 0.0),
            waveform=tuple(entry.get("waveform", ())),
            performer=entry.get("performer", ""),
            title=entry.get("title", ""),
            emoji=entry.get("emoji", ""),
        )
        found.setdefault(template.kind, []).append(template)
    return {kind: tuple(sorted(these, key=lambda one: len(one.data))) for kind, these in found.items()}
