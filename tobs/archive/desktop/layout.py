"""How result.json is laid out: one space a level, controls escaped as JSON asks, local time without a zone."""

from __future__ import annotations

from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

_WORDS = {None: "null", True: "true", False: "false"}


def render(value: Any, depth: int = 0) -> str:  # noqa: PLR0911 - one for each kind of value
    """JSON text of a value whose brackets stand at `depth`. Strings may hold anything but lone surrogates.

    The standard library's indenting encoder is pure Python and five times slower; orjson indents by two.
    """
    if isinstance(value, str):
        text = encode_basestring(value)
        if "\u2028" in text or "\u2029" in text:
            text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        return text
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, dict):
        if not value:
            return "{}"
        inner = "\n" + " " * (depth + 1)
        held = ("," + inner).join(f'"{key}": {render(item, depth + 1)}' for key, item in value.items())
        return "{" + inner + held + "\n" + " " * depth + "}"
    if isinstance(value, list):
        if not value:
            return "[]"
        inner = "\n" + " " * (depth + 1)
        return "[" + inner + ("," + inner).join(render(item, depth + 1) for item in value) + "\n" + " " * depth + "]"
    return repr(value)


def local(moment: str) -> str:
    """An ISO 8601 moment in local time, without its zone."""
    return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None).isoformat(timespec="seconds")


def unix(moment: str) -> int:
    """An ISO 8601 moment in seconds since 1970."""
    return int(datetime.fromisoformat(moment).timestamp())
