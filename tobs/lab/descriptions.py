"""Files as Telegram's objects describe them: what they say agrees with what the file is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.draws import Draws
from tobs.lab.names import HOSTILE_NAMES

if TYPE_CHECKING:
    from tobs.lab.inventory import FileSpec, Inventory
    from tobs.lab.templates import Template

MIMES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
    "png": "image/png",
    "webp": "image/webp",
    "tgs": "application/x-tgsticker",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "bin": "application/octet-stream",
}
STICKER_NAMES = {"webp": "sticker.webp", "tgs": "AnimatedSticker.tgs", "webm": "sticker.webm"}
SETS = 5
"""Sets that the stickers come from."""
_PATH_LETTERS = "AACAAAAHAAALMAAAQASTAVAAAZaacaaaahaaalmaaaqastava.az0123456789-,"
_OUTLINE = "256,32c124,0,224,100,224,224s-100,224,-224,224S32,380,32,256,132,32,256,32"
OUTLINE = bytes(192 + _PATH_LETTERS.rindex(letter) for letter in _OUTLINE)
"""A disc as https://core.telegram.org/api/files#vector-thumbnails codes the paths of stickers."""


def pack_waveform(levels: tuple[int, ...]) -> bytes:
    """Loudnesses of 0 to 31 at 5 bits each, from the lowest bit on, as DocumentAttributeAudio has them."""
    bits = sum(level << 5 * place for place, level in enumerate(levels))
    return bits.to_bytes(-(-5 * len(levels) // 8), "little")


def describe(inventory: Inventory, number: int) -> Any:
    """The MessageMedia with file `number`."""
    draws = Draws(inventory.seed, "description", inventory.key(number))
    spec = inventory.spec(number)
    if spec.kind == "photo":
        return _photo(inventory, number, spec, draws)
    return _document(inventory, number, spec, draws)


def _photo(inventory: Inventory, number: int, spec: FileSpec, draws: Draws) -> Any:
    template = inventory.template(number)
    assert template is not None
    width, height = template.shape
    sizes = _previews(inventory, number, template)
    if draws.chance(0.7):
        sizes.append(types.PhotoSizeProgressive("y", width, height, [*template.scans, spec.size]))
    else:
        sizes.append(types.PhotoSize("x", width, height, spec.size))
    photo = types.Photo(
        id=spec.id,
        access_hash=spec.access_hash,
        file_reference=spec.file_reference,
        date=inventory.start,
        sizes=sizes,
        dc_id=spec.dc,
    )
    return types.MessageMediaPhoto(photo=photo, spoiler=draws.chance(0.05) or None)


def _previews(inventory: Inventory, number: int, template: Template) -> list[Any]:
    """The sizes that a file has below its own: a stripped one or a path, and "m"."""
    small = inventory.preview(number)
    if small is None:
        return []
    first = types.PhotoStrippedSize("i", template.stripped) if template.stripped else types.PhotoPathSize("j", OUTLINE)
    return [first, types.PhotoSize("m", *template.small, small.size)]


def _document(inventory: Inventory, number: int, spec: FileSpec, draws: Draws) -> Any:
    template = inventory.template(number)
    form = inventory.form(number)
    name = f"{_stem(spec.kind)}-{number}.{form}"
    if spec.kind == "document" and draws.chance(inventory.hostile):
        name = draws.pick(HOSTILE_NAMES)
    elif spec.kind == "sticker":
        name = STICKER_NAMES[form]
    attributes = _attributes(template, spec.kind, inventory.seed, draws) if template else []
    if spec.kind not in ("voice", "round"):
        attributes.append(types.DocumentAttributeFilename(name))
    document = types.Document(
        id=spec.id,
        access_hash=spec.access_hash,
        file_reference=spec.file_reference,
        date=inventory.start,
        mime_type=MIMES[form],
        size=spec.size,
        dc_id=spec.dc,
        attributes=attributes,
        thumbs=(_previews(inventory, number, template) if template else []) or None,
    )
    moving = spec.kind in ("video", "round", "animation")
    return types.MessageMediaDocument(
        document=document,
        video=moving or None,
        round=spec.kind == "round" or None,
        voice=spec.kind == "voice" or None,
        spoiler=(spec.kind in ("video", "animation") and draws.chance(0.05)) or None,
    )


def _stem(kind: str) -> str:
    return {"document": "report", "video": "clip", "audio": "song", "animation": "loop"}.get(kind, kind)


def _attributes(template: Template, kind: str, seed: int, draws: Draws) -> list[Any]:
    """What a document of `kind`, made of `template`, says of itself, without its name."""
    width, height = template.shape
    if kind == "voice":
        whole = max(1, round(template.seconds))
        return [types.DocumentAttributeAudio(whole, voice=True, waveform=pack_waveform(template.waveform))]
    if kind == "audio":
        whole = max(1, round(template.seconds))
        return [types.DocumentAttributeAudio(whole, title=template.title, performer=template.performer)]
    attributes: list[Any] = []
    if template.seconds:
        attributes.append(
            types.DocumentAttributeVideo(
                template.seconds,
                width,
                height,
                round_message=kind == "round" or None,
                supports_streaming=kind in ("video", "animation") or None,
                nosound=kind == "animation" or None,
            )
        )
    else:
        attributes.append(types.DocumentAttributeImageSize(width, height))
    if kind == "animation":
        attributes.append(types.DocumentAttributeAnimated())
    elif kind == "sticker":
        collection = Draws(seed, "sticker set", draws.below(SETS))
        chosen = types.InputStickerSetID(abs(collection.signed64()) >> 1, collection.signed64())
        attributes.append(types.DocumentAttributeSticker(template.emoji, chosen))
    return attributes
