"""The kit finds planted faults, and its fixtures work in another project's tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.contract.faulty import manifests as faulty
from tobs.api import Knob, Manifest
from tobs.errors import PluginError
from tobs.testing import arms, exports
from tobs.testing.contract import PluginContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.host.run import Report
    from tobs.testing.served import ServedChat

ROOT = Path(__file__).parents[2]
NAMES = [name for name, value in vars(faulty).items() if isinstance(value, Manifest)]
ENTRIES = "\n".join(
    ["[tobs]", *(f"{name} = {faulty.__name__}:{name}" for name in NAMES), "heavy = tests.contract.faulty.heavy:heavy"]
)


@pytest.fixture(autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announce the faulty plugins as an installed package would."""
    site = tmp_path_factory.mktemp("site")
    info = site / "tobs_faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tobs-faulty\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))


def contract(name: str) -> PluginContract:
    """The contract of one plugin, as its author would have written it down."""

    class Contract(PluginContract):
        plugin: ClassVar[str] = name

    return Contract()


def turned(name: str, knob: str, value: int) -> arms.Turned:
    found = next(one for one in arms.turns(contract(name).manifest()) if (one.knob, one.value) == (knob, value))
    assert isinstance(found, arms.Turned)
    return found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("drops", "the archive's digest is not the truth's"),
        ("flips", "the archive's digest is not the truth's"),
        ("misplaces", "SHA-256"),
        ("repeats", r"\d+ parts were fetched twice"),
        ("leaves", "tasks outlive the export: idle"),
    ],
)
def test_a_wrong_archive_a_wasted_request_and_a_task_left_behind_are_found(
    tobs_small_lab: ServedChat, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        contract(name).test_alone_the_archive_is_the_same(tobs_small_lab, tmp_path)


def test_a_fault_among_other_plugins_is_found(tobs_small_lab: ServedChat, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"^default -disk_io \+drops: the archive's digest is not the truth's"):
        contract("drops").test_among_others_the_archive_is_the_same(tobs_small_lab, tmp_path)


def test_a_plugin_that_raises_fails_by_name(tobs_small_lab: ServedChat, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="plugin raises failed: ValueError: no sugar"):
        contract("raises").test_alone_the_archive_is_the_same(tobs_small_lab, tmp_path)


def test_a_plugin_that_hangs_is_found(
    tobs_small_lab: ServedChat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "LONGEST", 1.0)
    with pytest.raises(AssertionError, match="the export hangs, it has no end within 1 s"):
        contract("hangs").test_alone_the_archive_is_the_same(tobs_small_lab, tmp_path)


def test_a_fault_at_one_end_of_a_knob_is_found_there(tobs_small_lab: ServedChat, tmp_path: Path) -> None:
    tried = contract("drops").test_at_every_end_of_a_knob_the_archive_is_the_same
    tried(tobs_small_lab, tmp_path / "low", turned("drops", "amount", 0))
    with pytest.raises(AssertionError, match=r"baseline \+drops drops.amount=2: the archive's digest"):
        tried(tobs_small_lab, tmp_path / "high", turned("drops", "amount", 2))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hurries", "cancelled at commit 1: the spans cover 100 messages, and 0 are kept"),
        ("swallows", "refused at commit 1: it ended otherwise"),
        ("leaves", "refused at commit 1: tasks outlive the export"),
    ],
)
def test_a_fault_that_only_a_stop_brings_to_light_is_found(
    tobs_small_lab: ServedChat, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        contract(name).test_stopped_at_every_commit_it_goes_on_to_the_same_archive(tobs_small_lab, tmp_path)


def test_a_request_during_a_flood_wait_is_found(tobs_flooding_lab: ServedChat, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="requests were sent while the server had asked to wait"):
        contract("hammers").test_it_sends_nothing_during_a_flood_wait(tobs_flooding_lab, tmp_path)


def test_a_heavy_manifest_is_found() -> None:
    with pytest.raises(AssertionError) as failed:
        contract("heavy").test_the_manifest_is_light()
    for fault in (
        "imports the implementation, tests.contract.faulty.around",
        "imports telethon; what the implementation needs is imported there",
        "imports tobs.engine.media; plugins import tobs.api",
    ):
        assert fault in str(failed.value)


def test_an_implementation_that_is_imported_while_off_is_found() -> None:
    with pytest.raises(AssertionError) as failed:
        contract("heavy").test_off_leaves_no_trace()
    assert "baseline: tests.contract.faulty.around was imported" in str(failed.value)
    contract("drops").test_off_leaves_no_trace()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exchanged", "its own default is refused"),
        ("wordless", "tea has no help"),
        ("elsewhere", "'baseline' leaves the plugin off"),
        ("nobody", "no installed package announces a plugin 'nobody'"),
    ],
)
def test_a_manifest_that_is_not_valid_is_found(name: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        contract(name).test_the_manifest_is_valid()


KNOBS = (
    Knob("both", 2, "?", low=1, high=3),
    Knob("at_low", 1, "?", low=1, high=3),
    Knob("upward", 0.5, "?", low=0),
    Knob("open", 7, "?"),
    Knob("switch", default=True, help="?"),
    Knob("words", "", "?"),
    Knob("choice", "a", "?", choices=("a", "b", "c d")),
)


def test_every_knob_is_turned_to_its_ends_and_choices() -> None:
    found = list(arms.turns(Manifest("tea", "Tea.", "tea:Tea", knobs=KNOBS)))
    assert [one.label for one in found] == [
        "both=1",
        "both=3",
        "at_low=3",
        "upward=0.0",
        "open",
        "switch=false",
        "words",
        "choice=b",
        "choice='c d'",
    ]
    assert [one.why for one in found if one.value is None] == [
        "open is a whole number, without ends to turn it to",
        "words is text, without ends to turn it to",
    ]


def test_a_plugin_is_tried_with_what_it_needs_and_without_its_rivals() -> None:
    known = {
        manifest.name: manifest
        for manifest in (
            Manifest("tea", "?", "x:X", provides=("parts",), needs=("water",), requires=("cup",), default=False),
            Manifest("cup", "?", "x:X", needs=("table",), default=False),
            Manifest("table", "?", "x:X", provides=("table",), default=False),
            Manifest("well", "?", "x:X", provides=("water",), default=False),
            Manifest("tap", "?", "x:X", provides=("water",), conflicts=("sink",), default=False),
            Manifest("sink", "?", "x:X"),
            Manifest("coffee", "?", "x:X", provides=("parts",)),
            Manifest("milk", "?", "x:X"),
        )
    }
    assert arms.alone(known, "tea") == "baseline +cup +table +tap +tea"
    assert arms.among(known, "tea") == "default -coffee -sink +cup +table +tap +tea"
    assert arms.alone(known, "milk") == "baseline +milk"
    assert sorted(arms.without(known, "cup")) == ["coffee", "milk", "sink", "table", "tap", "well"]


def test_the_fixture_exports_with_an_arm(tobs_export: Callable[[str], Report], tobs_lab: ServedChat) -> None:
    reports = [tobs_export("baseline"), tobs_export("default -parallel_media")]
    assert [report.digest for report in reports] == [tobs_lab.digest] * 2
    assert "parallel_media" not in reports[1].plan.plugins
    assert len({report.archive for report in reports}) == 2


def test_an_author_gets_all_of_it_by_subclassing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "plugin-contract.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    # What the page shows, with a plugin that is installed here.
    (tmp_path / "test_contract.py").write_text(shown.replace("small_first", "drops"), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    chosen = "valid or alone or amount or warn"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, "-rA", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    outcome = {
        line.split("::")[-1].split(" ")[0]: line.split(" ")[0] for line in done.stdout.splitlines() if "::" in line
    }
    assert outcome == {
        "test_the_manifest_is_valid": "PASSED",
        "test_alone_the_archive_is_the_same": "FAILED",
        "test_at_every_end_of_a_knob_the_archive_is_the_same[amount=0]": "PASSED",
        "test_at_every_end_of_a_knob_the_archive_is_the_same[amount=2]": "FAILED",
        "test_it_has_nothing_to_warn_of": "FAILED",
    }, done.stdout


def test_pytest_starts_without_the_exporter_and_tobs_without_pytest() -> None:
    looked = (
        "import sys, tobs.testing.plugin; print([m for m in sys.modules if m in {'telethon', 'tobs.host', 'tobs.lab'}])"
    )
    told = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"
    users = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tobs").rglob("*.py"))
        if any("pytest" in name or name.startswith("tobs.testing") for name in _imported(path))
    ]
    assert users
    assert all(user.startswith("tobs/testing/") for user in users)


def _imported(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found
