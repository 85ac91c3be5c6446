"""The files of a world: drawn from the dataset, made or streamed, and as Telegram's objects describe them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from telethon.tl import types

from tobs.lab.dataset import SMALLEST, Dataset, Files
from tobs.lab.draws import Draws, seeded_bytes
from tobs.lab.media_cache import Media, Recipe, media
from tobs.lab.names import HOSTILE_NAMES
from tobs.lab.references import reference
from tobs.lab.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST_MADE = 1_000_000
"""Documents up to this size in bytes are real PDF or ZIP files; all others, videos and voice are streams."""


class Content(Protocol):
    """Bytes of a known size: kept on disk or made where they are read."""

    def read(self, offset: int, limit: int, /) -> bytes: ...

    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file: what `upload.getFile` needs to check a request and to answer it.

    `kind` is "photo" (an InputPhotoFileLocation names it), "document", "video" or "voice" (an
    InputDocumentFileLocation does).
    """

    id: int
    access_hash: int
    file_reference: bytes
    dc: int
    size: int
    kind: str
    content: Content

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, in any order; fewer at the end, none behind it. A few GB/s."""
        if offset < 0 or limit < 0:
            raise ValueError(f"a file has no {limit} bytes at {offset}")
        return self.content.read(offset, limit)

    def sha256(self) -> str:
        """The hash of the whole in hex; that of a stream takes long once, and is kept in the cache."""
        return self.content.sha256()


@dataclass(frozen=True, slots=True)
class Posting:
    """A file as a message carries it; a service message takes the bare `photo` (None: it is none)."""

    spec: FileSpec
    media: Any
    photo: Any
    can_join_album: bool


@dataclass(frozen=True, slots=True)
class Shelf:
    """All files of a world: `postings` by number, `specs` and `previews` (size "m") by file id."""

    postings: list[Posting]
    specs: dict[int, FileSpec]
    previews: dict[int, FileSpec]


def draw_sizes(files: Files, draws: Draws) -> list[int]:
    """`files.count` sizes in bytes, log-normal, that sum to `files.total` if that is given."""
    ceiling = files.largest or 4_000_000_000
    sizes = [min(max(SMALLEST, round(draws.lognormal(files.median, files.sigma))), ceiling) for _ in range(files.count)]
    if files.total is None or not sizes:
        return sizes
    for _ in range(20):  # scaling meets the floor and the ceiling, so it takes a few rounds
        ratio = files.total / sum(sizes)
        sizes = [min(max(SMALLEST, round(size * ratio)), ceiling) for size in sizes]
    rest = files.total - sum(sizes)
    for place in sorted(range(len(sizes)), key=lambda place: (-sizes[place], place)):
        changed = min(max(SMALLEST, sizes[place] + rest), ceiling)
        rest -= changed - sizes[place]
        sizes[place] = changed
    return sizes


def draw_centres(count: int, shares: Sequence[tuple[int, float]], draws: Draws) -> list[int]:
    """A data centre for each of `count` files, by percent (exact to one file), in drawn order."""
    centres: list[int] = []
    reached = 0.0
    for centre, share in shares:
        reached += share
        centres += [centre] * (round(count * reached / 100) - len(centres))
    draws.shuffle(centres)
    return centres


def draw_files(dataset: Dataset, seed: int, start: int) -> Shelf:
    """Every file of `dataset`; `start` is the Unix time of their upload. Makes or opens the real ones."""
    planned: list[tuple[str, int, str]] = []  # kind, size, key
    for kind, files in dataset.kinds:
        sizes = draw_sizes(files, Draws(seed, "sizes", kind))
        planned += [(kind, size, f"{kind}-{number}") for number, size in enumerate(sizes)]
    centres: list[int] = []
    for kind, files in dataset.kinds:
        centres += draw_centres(files.count, dataset.files, Draws(seed, "centres", kind))
    recipes = [recipe for kind, size, key in planned if (recipe := _recipe(kind, size, key, seed))]
    made = {recipe.key: media for recipe, media in zip(recipes, media(recipes), strict=True)}
    shelf = Shelf([], {}, {})
    for number, ((kind, size, key), centre) in enumerate(zip(planned, centres, strict=True)):
        draws = Draws(seed, "file", key)
        found = made.get(key)
        content = found.file if found else Stream(seed, key, size)
        spec = FileSpec(
            id=(5 << 60) + (centre << 56) + (number << 24) + draws.below(1 << 24),
            access_hash=draws.signed64(),
            file_reference=reference(seed, key),
            dc=centre,
            size=size,
            kind=kind,
            content=content,
        )
        shelf.specs[spec.id] = spec
        if kind == "photo" and found is not None:
            shelf.postings.append(_photo(spec, found, draws, start, shelf))
        else:
            recipe = _recipe(kind, size, key, seed)
            shelf.postings.append(
                _document(spec, number, recipe.form if recipe else "bin", draws, start, dataset.hostile)
            )
    return shelf


def _recipe(kind: str, size: int, key: str, seed: int) -> Recipe | None:
    """How a real file is made, or None for one that is a stream."""
    if kind == "photo":
        return Recipe("jpeg", key, seed, size)
    if kind == "document" and size <= LARGEST_MADE:
        return Recipe("pdf" if size % 2 else "zip", key, seed, size)
    return None


def _photo(spec: FileSpec, found: Media, draws: Draws, date: int, shelf: Shelf) -> Posting:
    facts = found.file.facts
    width, height = facts["width"], facts["height"]
    sizes: list[Any] = [types.PhotoStrippedSize("i", base64.b64decode(facts["stripped"]))]
    if found.preview is not None:
        small = facts["small"]
        sizes.append(types.PhotoSize("m", small[0], small[1], found.preview.size))
        shelf.previews[spec.id] = FileSpec(
            spec.id,
            spec.access_hash,
            spec.file_reference,
            spec.dc,
            found.preview.size,
            "photo",
            found.preview,
        )
    if draws.chance(0.7):
        sizes.append(types.PhotoSizeProgressive("y", width, height, facts["scans"]))
    else:
        sizes.append(types.PhotoSize("x", width, height, spec.size))
    photo = types.Photo(
        id=spec.id,
        access_hash=spec.access_hash,
        file_reference=spec.file_reference,
        date=date,
        sizes=sizes,
        dc_id=spec.dc,
    )
    media = types.MessageMediaPhoto(photo=photo, spoiler=draws.chance(0.05) or None)
    return Posting(spec, media, photo, can_join_album=True)


def _document(spec: FileSpec, number: int, form: str, draws: Draws, date: int, hostile: float) -> Posting:
    attributes: list[Any] = []
    flags: dict[str, bool] = {}
    mime = {"pdf": "application/pdf", "zip": "application/zip"}.get(form, "application/octet-stream")
    name = f"report-{number}.{form}"
    if spec.kind == "video":
        mime, name = "video/mp4", f"clip-{number}.mp4"
        seconds = round(spec.size / 250_000 + draws.unit() * 10, 3)
        form = draws.pick(("plain",) * 8 + ("round", "silent"))
        side = 384 if form == "round" else 1280
        attributes.append(
            types.DocumentAttributeVideo(
                seconds,
                side,
                side if form == "round" else 720,
                round_message=form == "round",
                supports_streaming=True,
                nosound=form == "silent",
            )
        )
        if form == "silent":
            attributes.append(types.DocumentAttributeAnimated())
        flags = {"video": True, "round": form == "round"}
    elif spec.kind == "voice":
        mime, name = "audio/ogg", ""
        waveform = seeded_bytes(63, "waveform", spec.id)
        attributes.append(types.DocumentAttributeAudio(max(1, spec.size // 4_000), voice=True, waveform=waveform))
        flags = {"voice": True}
    elif draws.chance(hostile):
        name = draws.pick(HOSTILE_NAMES)
    if name or spec.kind == "document":
        attributes.append(types.DocumentAttributeFilename(name))
    document = types.Document(
        id=spec.id,
        access_hash=spec.access_hash,
        file_reference=spec.file_reference,
        date=date,
        mime_type=mime,
        size=spec.size,
        dc_id=spec.dc,
        attributes=attributes,
    )
    media = types.MessageMediaDocument(document=document, **flags)
    return Posting(spec, media, None, can_join_album=bool(flags.get("video")) and not flags.get("round"))
