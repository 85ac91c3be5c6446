"""What the pages say of the code is made from the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs.generate import BLOCKS, PORTS, ROOT, main, pages, read_ports, renew

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = '''
class Plain: ...

class Pour(Protocol):
    """Pours one cup. Slot.

    More about it.
    """

    async def __call__(self) -> None: ...

class Kettle(Protocol):
    """Boils water | tea."""

    def boil(self) -> None: ...
    def close(self) -> None: ...

Drink: TypeAlias = "Callable[[Cup], None]"
"""Empties one cup.

Layers."""
Undocumented: TypeAlias = "int"
'''


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_generated_blocks_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert renew(text) == text, "run `python docs/generate.py`"


def test_every_block_stands_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert [name for name in BLOCKS if f"<!-- generated: {name} -->" not in text] == []


def test_a_port_is_read_from_its_docstring() -> None:
    assert [tuple(port) for port in read_ports(SOURCE)] == [
        ("Pour", "slot", "Pours one cup.", ()),
        ("Kettle", "-", "Boils water \\| tea.", ("boil", "close")),
        ("Drink", "layers", "Empties one cup.", ()),
    ]


def test_ports_are_read_from_every_module() -> None:
    assert sorted(PORTS) == sorted(path.stem for path in (ROOT / "tobs" / "ports").glob("[!_]*.py"))


def test_an_old_block_is_replaced_and_the_rest_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLOCKS, "cups", lambda: "two cups")
    page = "before\n<!-- generated: cups -->\nthree\ncups\n<!-- end -->\nafter"

    assert renew(page) == "before\n<!-- generated: cups -->\ntwo cups\n<!-- end -->\nafter"


def test_a_block_nobody_makes_is_an_error() -> None:
    with pytest.raises(KeyError, match="saucers"):
        renew("<!-- generated: saucers -->\n<!-- end -->")


def test_check_names_the_page_that_is_out_of_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(BLOCKS, "ports", lambda: "no ports at all")

    assert main(["--check"]) == 1
    assert "docs/architecture.md is out of date" in capsys.readouterr().err
