"""The page about the architecture describes the house as it stands, and the house keeps its rules."""

from __future__ import annotations

import ast
import tomllib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from docs.generate import ROOT
from tobs.ports import InvokeBand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOOR = "tobs.api"


def rooms() -> list[str]:
    """The rooms of the house: what `tobs` holds, but for its entry."""
    inside = [path for path in (ROOT / "tobs").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    return sorted(path.stem for path in inside if not path.stem.startswith("__"))


def test_the_page_has_a_sentence_for_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    described = {
        line.split("|")[1].strip().strip("`/").removesuffix(".py")
        for line in page.splitlines()
        if line.startswith("| `")
    }
    assert [room for room in rooms() if room not in described] == []


def test_the_picture_shows_every_room() -> None:
    picture = ET.parse(ROOT / "docs" / "rooms.svg")
    shown = {text for element in picture.iter() for text in (element.text or "").split()}
    assert [room for room in rooms() if room not in shown] == []


def test_the_picture_has_the_bands_in_their_order() -> None:
    picture = ET.parse(ROOT / "docs" / "rooms.svg")
    texts = [element.text for element in picture.iter() if element.text in InvokeBand.__members__]
    assert texts == [band.name for band in sorted(InvokeBand)]


def test_the_layers_name_every_room() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["id"] == "layers")
    named = {part.strip(" ()") for layer in layers for part in layer.split("|")}
    assert [room for room in rooms() if room not in named] == []


def trespasses(plugins: Path) -> Iterator[str]:
    """Imports in a folder of plugin packages that reach past the one door, or into another plugin."""
    packages = {path.name for path in plugins.iterdir() if path.is_dir()}
    for package in sorted(packages):
        for file in sorted((plugins / package).rglob("*.py")):
            for module in _imported(ast.parse(file.read_text(encoding="utf-8"))):
                top = module.partition(".")[0]
                past_the_door = top == "tobs" and module != DOOR and not module.startswith(DOOR + ".")
                if past_the_door or top in packages - {package}:
                    yield f"{file.relative_to(plugins).as_posix()} imports {module}"


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from (("tobs." + name.name for name in node.names) if node.module == "tobs" else (node.module,))


def test_plugins_come_in_by_the_door() -> None:
    assert list(trespasses(ROOT / "plugins")) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from tobs.api import Batch", []),
        ("from tobs import api", []),
        ("import tobs_one.knobs, orjson", []),
        ("from . import knobs", []),
        ("from tobs.engine.pool import Pool", ["tobs_one/inside.py imports tobs.engine.pool"]),
        ("from tobs import ports", ["tobs_one/inside.py imports tobs.ports"]),
        ("def late():\n    import tobs_two", ["tobs_one/inside.py imports tobs_two"]),
    ],
)
def test_a_plugin_that_comes_in_elsewhere_is_found(tmp_path: Path, line: str, found: list[str]) -> None:
    for name in ("tobs_one", "tobs_two"):
        (tmp_path / name).mkdir()
    (tmp_path / "tobs_one" / "inside.py").write_text(line, encoding="utf-8")

    assert list(trespasses(tmp_path)) == found
