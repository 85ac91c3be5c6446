"""Every link inside the project leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.generate import ROOT, pages
from tests.docs.markdown import anchors, links


def broken(page: Path) -> list[str]:
    """The targets on `page` that do not exist; addresses outside the project are not asked."""
    found = []
    for target in links(page.read_text(encoding="utf-8")):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = page if not parts.path else page.parent / unquote(parts.path)
        missing_anchor = (
            parts.fragment and file.suffix == ".md" and file.is_file() and parts.fragment not in _anchors(file)
        )
        if not file.exists() or missing_anchor or Path(parts.path).is_absolute():
            found.append(target)
    return found


def _anchors(file: Path) -> set[str]:
    return anchors(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One `two`\n\n# One two\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#one-two) [c](there.md#one-two-1) [d](#here) [e](https://example.org/x)\n"
        "![f](gone.svg) [g](there.md#three) [h][ref] `[i](code.md)` <img src='pixel.png'>\n\n"
        "# Here\n\n[ref]: /etc/passwd\n",
        encoding="utf-8",
    )

    assert broken(page) == ["gone.svg", "there.md#three", "/etc/passwd", "pixel.png"]
