"""The transforms that there are: what each makes of which files, with which settings and libraries."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALL = "all"
"""The word for every transform."""
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"})
VIDEOS = frozenset({"video/mp4", "video/webm", "video/quicktime", "video/x-matroska", "video/x-msvideo", "video/mpeg"})
INSTALL = "pip install 'tobs[transforms]'"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One transform: `settings` are all that shapes its result, beside the libraries.

    It takes files of the MIME types `mimes`, of the kinds `kinds` alone where these are given. `made_by` is the
    function that makes it, named so that it is imported in the child only; `needs` are distributions.
    """

    name: str
    says: str
    suffix: str
    made_by: str
    needs: tuple[str, ...]
    mimes: frozenset[str]
    kinds: frozenset[str] = frozenset()
    settings: Mapping[str, int] = field(default_factory=dict)

    def takes(self, kind: str, mime: str) -> bool:
        """Whether it makes anything of files of this kind and MIME type."""
        return mime.partition(";")[0].strip().lower() in self.mimes and (not self.kinds or kind in self.kinds)

    @property
    def written(self) -> str:
        """The settings as text; equal settings are equal texts."""
        return json.dumps(dict(self.settings), sort_keys=True)

    @property
    def library(self) -> str:
        """The libraries that make it, with their versions. Raises `UsageError` where one is not installed."""
        return ", ".join(f"{name} {_version(name, self.name)}" for name in self.needs)


_HERE = "tobs.archive.transform"
RECIPES = (
    Recipe(
        "thumbnail",
        "a JPEG of at most 320 pixels a side, of pictures",
        ".jpg",
        f"{_HERE}.pictures:thumbnail",
        ("pillow",),
        PICTURES,
        settings={"revision": 1, "side": 320, "quality": 80},
    ),
    Recipe(
        "webp",
        "the same picture as WebP, of JPEG, PNG, BMP and TIFF",
        ".webp",
        f"{_HERE}.pictures:webp",
        ("pillow",),
        PICTURES - {"image/webp", "image/gif"},
        settings={"revision": 1, "quality": 80, "method": 4},
    ),
    Recipe(
        "poster",
        "a JPEG of one picture, at most 640 pixels a side, of videos",
        ".jpg",
        f"{_HERE}.videos:poster",
        ("av", "pillow"),
        VIDEOS,
        settings={"revision": 1, "side": 640, "quality": 80, "at_percent": 10},
    ),
    Recipe(
        "preview",
        "an H.264 of at most 240 pixels a side, 12 pictures a second and 6 s, without sound, of videos",
        ".mp4",
        f"{_HERE}.videos:preview",
        ("av", "pillow"),
        VIDEOS,
        settings={"revision": 1, "side": 240, "rate": 12, "seconds": 6, "crf": 30},
    ),
    Recipe(
        "waveform",
        "an SVG of 100 bars, of voice messages",
        ".svg",
        f"{_HERE}.voices:waveform",
        ("av",),
        frozenset({"audio/ogg", "audio/opus", "audio/mpeg", "audio/mp4", "audio/x-m4a"}),
        frozenset({"voice_message"}),
        settings={"revision": 1, "bars": 100, "hertz": 8000},
    ),
)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def chosen(text: str) -> tuple[Recipe, ...]:
    """The recipes that a list names, as in `thumbnail,webp`; `all` names every one.

    Raises `UsageError` for a name that there is not.
    """
    names = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [name for name in names if name != ALL and name not in BY_NAME]:
        raise UsageError(
            f"{', '.join(unknown)} is no transform", hint=f"Known: {', '.join(BY_NAME)}, or {ALL} for every one."
        )
    return RECIPES if ALL in names else tuple(recipe for recipe in RECIPES if recipe.name in names)


def require(recipes: Iterable[Recipe]) -> None:
    """Raise `UsageError` unless the libraries of these recipes are installed."""
    for recipe in recipes:
        _ = recipe.library


def _version(distribution: str, wanted_by: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise UsageError(
            f"the transform {wanted_by} needs {distribution}, which is not installed", hint=f"Run {INSTALL}."
        ) from None
