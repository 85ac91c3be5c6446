"""Pictures, with Pillow. Imported in child processes alone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that are decoded, whatever else Pillow knows."""

OUT_OF_MEMORY = ("encoding error 1", "encoding error 2")
"""What Pillow makes of libwebp's VP8_ENC_ERROR_OUT_OF_MEMORY and VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY."""

Image.MAX_IMAGE_PIXELS = 100_000_000
warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow itself refuses only at twice as many


def thumbnail(source: Path, target: Path, settings: Mapping[str, int]) -> None:
    """A small JPEG; what is transparent becomes white."""
    with Image.open(source, formats=FORMATS) as image:
        # Decodes a JPEG at an eighth to a half of its size where that is enough (draft).
        image.thumbnail((settings["side"], settings["side"]))
        save_jpeg(ImageOps.exif_transpose(image), target, settings["quality"])


def webp(source: Path, target: Path, settings: Mapping[str, int]) -> None:
    """The whole picture as WebP, upright, transparency kept."""
    with Image.open(source, formats=FORMATS) as image:
        upright = ImageOps.exif_transpose(image)
        mode = "RGBA" if upright.has_transparency_data else "RGB"
        try:
            upright.convert(mode).save(target, "WEBP", quality=settings["quality"], method=settings["method"])
        except ValueError as error:
            if str(error).startswith(OUT_OF_MEMORY):
                raise MemoryError from error
            raise


def save_jpeg(image: Image.Image, target: Path, quality: int) -> None:
    """Keep a picture as JPEG, on white where it is transparent."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    image.convert("RGB").save(target, "JPEG", quality=quality)
