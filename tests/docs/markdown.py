"""Reads Markdown pages: their links, headings, and the commands in their fenced blocks."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

SHELLS = frozenset({"sh", "bash", "shell", "console"})
_HTML_LINK = re.compile(r"""\b(?:src|srcset|href)=["']([^"']+)["']""")
_ENDS = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "<", "2>"})
_VARIABLE = re.compile(r"[A-Za-z_]\w*=")


class Command(NamedTuple):
    """A command line of a fenced block, from the program's name on; `line` counts from 1."""

    line: int
    words: tuple[str, ...]


def links(text: str) -> Iterator[str]:
    """The targets of all links and pictures, Markdown's and HTML's."""
    for token in _walk(text):
        for name in ("href", "src"):
            target = token.attrGet(name)
            if target:
                yield str(target)
        if token.type in {"html_block", "html_inline"}:
            yield from _HTML_LINK.findall(token.content)


def anchors(text: str) -> set[str]:
    """The anchors of all headings, as GitHub makes them."""
    found: set[str] = set()
    tokens = list(MarkdownIt("commonmark").enable("table").parse(text))
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            plain = "".join(part.content for part in content.children or [])
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            number = 0
            while (anchor := f"{slug}-{number}" if number else slug) in found:
                number += 1
            found.add(anchor)
    return found


def commands(text: str, program: str) -> Iterator[Command]:
    """Every call of `program` in shell blocks: after a prompt, in a chain, with variables set before it."""
    for token in _walk(text):
        if token.type == "fence" and token.info.strip().split(" ")[0] in SHELLS:
            first = (token.map or [0])[0] + 2
            joined = token.content.replace("\\\n", "\\\0")
            line = first
            for whole in joined.splitlines():
                for words in _calls(whole.replace("\\\0", " ").removeprefix("$ ")):
                    if words[0].rpartition("/")[2] == program:
                        yield Command(line, tuple(words))
                line += 1 + whole.count("\0")


def _calls(line: str) -> Iterator[list[str]]:
    """The commands of one line, without variables set before them and what comes after a redirection."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split = True
    call: list[str] = []
    for word in [*lexer, ";"]:
        if word in _ENDS:
            if call[:3] == ["python", "-m", "tobs"]:
                call = call[2:]
            if call:
                yield call
            call = []
        elif call or not _VARIABLE.match(word):
            call.append(word)


def _walk(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or []
