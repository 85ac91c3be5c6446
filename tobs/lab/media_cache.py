"""Real media, made once and kept on disk: one file a recipe list, checked whole whenever it is opened.

Layout: magic, the contents one after the other, an index as JSON (place, size, SHA-256 and facts of each),
the SHA-256 of that index, its length in 8 bytes. A file that is short, damaged or of another recipe fails one
of these checks and is made anew, so nothing wrong is ever served. It is written beside its name and renamed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import PIL
from PIL import features

from tobs.lab import paper, picture
from tobs.lab.kept import folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GENERATOR = 1
"""Raised whenever the code that makes media gives other bytes for the same recipe."""
MAGIC = b"TOBSLAB1"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes one file of `size` bytes: `form` is "jpeg", "pdf" or "zip"; `key` and `seed` vary it."""

    form: str
    key: str
    seed: int
    size: int


@dataclass(frozen=True, slots=True)
class Made:
    """A finished file in the cache: place, hash in hex and, for a picture, what a message says of it."""

    pack: mmap.mmap | bytes
    start: int
    size: int
    digest: str
    facts: dict[str, Any]

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        return self.pack[self.start + min(offset, self.size) : self.start + min(offset + limit, self.size)]

    def sha256(self) -> str:
        """The hash of the whole in hex."""
        return self.digest


@dataclass(frozen=True, slots=True)
class Media:
    """One recipe's results: the file itself, and for a picture its preview of size "m"."""

    file: Made
    preview: Made | None


def media(recipes: Sequence[Recipe]) -> list[Media]:
    """The files of `recipes`, in order: from the cache where it is sound, else made (30 ms a photo)."""
    if not recipes:
        return []
    name = f"media-{_recipe_hash(recipes)}.pack"
    path = folder() / name
    with suppress(OSError, ValueError):
        return _open(path, recipes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{name}.", dir=path.parent)
    except OSError:  # no place to keep anything: an unnamed file does for this process
        with tempfile.TemporaryFile() as unnamed:
            _write(unnamed, recipes)
            return _map(unnamed, recipes)
    try:
        with os.fdopen(handle, "wb") as out:
            _write(out, recipes)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return _open(path, recipes)


def _recipe_hash(recipes: Sequence[Recipe]) -> str:
    """Names what decides the bytes: recipes, this code's version, and the coding libraries."""
    makers = (GENERATOR, PIL.__version__, str(features.version("jpg")))
    lines = [repr(makers), *(repr((recipe.form, recipe.key, recipe.seed, recipe.size)) for recipe in recipes)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _make(recipe: Recipe) -> tuple[bytes, bytes, dict[str, Any]]:
    """Content, preview (empty: none) and facts of one recipe."""
    if recipe.form == "pdf":
        return paper.pdf(recipe.size, recipe.key, recipe.seed), b"", {}
    if recipe.form == "zip":
        return paper.zipped(recipe.size, recipe.key, recipe.seed), b"", {}
    drawn = picture.draw(recipe.size, recipe.key, recipe.seed)
    small = picture.reduce(drawn.image)
    facts = {
        "width": drawn.width,
        "height": drawn.height,
        "scans": drawn.scans,
        "small": small.size,
        "stripped": base64.b64encode(picture.strip(small)).decode(),
    }
    return drawn.data, picture.encode(small), facts


def _write(out: BinaryIO | Any, recipes: Sequence[Recipe]) -> None:
    index: list[dict[str, Any]] = []
    out.write(MAGIC)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:  # coding and scaling release the lock
        for data, preview, facts in pool.map(_make, recipes):
            entry = {
                "sizes": (len(data), len(preview)),
                "hashes": (_hash(data), _hash(preview)),
                "facts": facts,
            }
            index.append(entry)
            out.write(data)
            out.write(preview)
    text = json.dumps(index).encode()
    out.write(text + hashlib.sha256(text).digest() + len(text).to_bytes(8, "big"))
    out.flush()


def _hash(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _open(path: Path, recipes: Sequence[Recipe]) -> list[Media]:
    with path.open("rb") as file:
        return _map(file, recipes)


def _map(file: BinaryIO | Any, recipes: Sequence[Recipe]) -> list[Media]:
    """Map and check a pack. Raises ValueError or OSError where it is not sound."""
    pack = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tail = len(pack) - 8
    end = tail - 32
    start = end - int.from_bytes(pack[max(tail, 0) :], "big")
    if pack[: len(MAGIC)] != MAGIC or start < len(MAGIC) or hashlib.sha256(pack[start:end]).digest() != pack[end:tail]:
        raise ValueError("the index is damaged")
    index = json.loads(pack[start:end])
    if len(index) != len(recipes):
        raise ValueError("the index is of other recipes")
    found = list(_entries(pack, index))
    if any(recipe.size != media.file.size for recipe, media in zip(recipes, found, strict=True)):
        raise ValueError("the index is of other recipes")
    return found


def _entries(pack: mmap.mmap, index: list[dict[str, Any]]) -> Iterator[Media]:
    place = len(MAGIC)
    with memoryview(pack) as view:
        for entry in index:
            pieces = []
            for size, digest in zip(entry["sizes"], entry["hashes"], strict=True):
                if _hash(view[place : place + size]) != digest:
                    raise ValueError("a file is damaged")
                pieces.append(Made(pack, place, size, digest, entry["facts"]))
                place += size
            yield Media(pieces[0], pieces[1] if pieces[1].size else None)
