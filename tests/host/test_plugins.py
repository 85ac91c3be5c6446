"""Manifests are read without implementations; one that is broken does not hide the others."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import ROOT
from tests.host.kit import plugin
from tobs.host.plugins import GROUP, discover, faults_of
from tobs.knobs import Knob

if TYPE_CHECKING:
    from pathlib import Path

BREW = """
from tobs.api import Manifest
manifest = Manifest("{name}", "Brews.", "{module}.pot:Pot", provides=("source",))
other = Manifest("something_else", "Brews.", "{module}.pot:Pot")
number = 7
"""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def put(shelf: Path, name: str, text: str = BREW) -> str:
    module = f"shelf_{name}"
    (shelf / module).mkdir()
    (shelf / module / "__init__.py").write_text(text.format(name=name, module=module), encoding="utf-8")
    (shelf / module / "pot.py").write_text(
        "from tobs.api import hook\n\nclass Pot:\n"
        "    def __init__(self, knobs): ...\n\n"
        "    @hook\n    def tobs_source(self):\n        return self\n\n"
        "    async def __call__(self, chat, ranges):\n        yield None\n",
        encoding="utf-8",
    )
    return module


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_a_broken_manifest_is_named_and_the_others_are_listed(shelf: Path) -> None:
    good, bad = put(shelf, "good"), put(shelf, "bad", "raise RuntimeError('no water')")
    found = discover(
        [
            entry("bad", f"{bad}:manifest"),
            entry("absent", "shelf_absent:manifest"),
            entry("good", f"{good}:manifest"),
            entry("lost", f"{good}:nothing"),
            entry("number", f"{good}:number"),
            entry("other", f"{good}:other"),
        ]
    )
    assert list(found.manifests) == ["good"]
    assert {name: why for name, why in found.broken.items() if "cannot be imported" in why}.keys() == {
        "absent",
        "bad",
        "lost",
    }
    assert "RuntimeError: no water" in found.broken["bad"]
    assert found.broken["number"] == "int is no Manifest"
    assert found.broken["other"] == "it is announced as other and calls itself something_else"


def test_a_name_that_two_packages_announce_is_nobody_s(shelf: Path) -> None:
    module = put(shelf, "good")
    found = discover([entry("good", f"{module}:manifest")] * 3)
    assert found.manifests == {}
    assert "two installed packages" in found.broken["good"]


@pytest.mark.parametrize(
    ("name", "declared", "fault"),
    [
        ("Tea", {}, "cannot be a plugin's name"),
        ("green__tea", {}, "cannot be a plugin's name"),
        ("core", {}, "cannot be a plugin's name"),
        ("on", {}, "cannot be a plugin's name"),
        ("baseline", {}, "cannot be a plugin's name"),
        ("tea", {"load": "tea.pot"}, "is not MODULE:CLASS"),
        ("tea", {"knobs": (Knob("Cups", 1, "x"),)}, "cannot be a knob's name"),
        ("tea", {"knobs": (Knob("cups", 1, "x"), Knob("cups", 2, "x"))}, "is declared twice"),
        ("tea", {"knobs": (Knob("cups", 1, "x", low=2, high=3),)}, "its own default is refused"),
        ("tea", {"knobs": (Knob("cups", 1, "x", low=0, high=3, log=True),)}, "no lower bound above 0"),
    ],
)
def test_what_a_manifest_may_not_say(name: str, declared: dict[str, Any], fault: str) -> None:
    assert fault in "; ".join(faults_of(name, plugin(name, **declared)))


def test_a_sound_manifest_has_no_fault() -> None:
    assert list(faults_of("tea", plugin("tea", knobs=(Knob("cups", 1, "x", low=1, high=3, log=True),)))) == []


CHILD = """
import sys
from importlib.metadata import EntryPoint
from tobs.host.arm import parse_arm
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.host.space import schema, space
from tests.host.kit import wire

found = discover([EntryPoint(name, f"shelf_{name}:manifest", "tobs") for name in ("tea", "milk")])
schema(found.manifests)
for arm in ("default", "all", "baseline"):
    space(resolve(found.manifests, parse_arm(arm)))
wire(resolve(found.manifests, parse_arm("baseline")).require())
print(sorted(name for name in sys.modules if name.startswith("shelf_")))
wire(resolve(found.manifests, parse_arm("baseline +tea")).require())
print(sorted(name for name in sys.modules if name.startswith("shelf_")))
"""


def test_the_implementation_of_a_plugin_that_is_off_is_not_imported(shelf: Path) -> None:
    put(shelf, "tea")
    put(shelf, "milk")
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(map(str, (shelf, ROOT)))},
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['shelf_milk', 'shelf_tea']",
        "['shelf_milk', 'shelf_tea', 'shelf_tea.pot']",
    ]
