from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from telethon.tl import types

from tobs.lab import packs
from tobs.lab.history import History, entry_of
from tobs.lab.kept import folder
from tobs.lab.scenario import Scenario, load
from tobs.lab.truth import truth
from tobs.lab.world import World, build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("TOBS_CACHE", str(tmp_path))
    return folder()


def scenario() -> Scenario:
    return load("text_loopback", scale=0.02)


def served(history: History) -> list[object]:
    """All that a history tells."""
    ids = history.ids
    return [
        history.peer_id,
        history.kind,
        history.count,
        ids,
        history.newest,
        list(history.file_ids),
        list(history.dates),
        list(history.marks),
        list(history.threads),
        list(history.serialized()),
        [history.slice(add_offset=start) for start in range(-20, history.count, 50)],
        history.slice(offset_id=ids[-1] // 2, limit=7),
        history.get([ids[0], ids[-1] + 1, ids[len(ids) // 2]]),
        history.at([history.count - 1, 0]),
    ]


def facts(world: World) -> list[object]:
    return [served(history) for history in world.histories.values()]


def packs_in(cache: Path) -> list[Path]:
    return sorted(cache.glob("messages-*.pack"))


@pytest.mark.parametrize(("name", "scale"), [("demo", 0.05), ("everything", 1.0)])
def test_a_world_on_disk_serves_what_the_same_world_in_memory_serves(cache: Path, name: str, scale: float) -> None:
    with_files = load(name, scale=scale)
    in_memory = facts(build(with_files))
    assert not packs_in(cache), "a small world leaves nothing behind"
    composed = build(with_files, kept_from=1)
    assert len(packs_in(cache)) == 1
    assert facts(composed) == in_memory
    kept = build(with_files, kept_from=1)
    assert facts(kept) == in_memory
    for tie in ("topics", "linked", "roots", "grown", "members"):
        assert getattr(kept.ties, tie) == getattr(composed.ties, tie)
    assert list(kept.ties.photos) == list(composed.ties.photos)


def test_a_kept_world_is_not_composed_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = facts(build(scenario(), kept_from=1))

    def composed(*_: object) -> None:
        raise AssertionError("composed although it is kept")

    monkeypatch.setattr(packs, "_write", composed)
    assert facts(build(scenario(), kept_from=1)) == known
    assert packs_in(cache)


@pytest.mark.parametrize("damage", ["empty", "short", "longer", "one bit of a message", "one bit of a column", "other"])
def test_a_damaged_pack_is_made_anew(damage: str, cache: Path) -> None:
    known = facts(build(scenario(), kept_from=1))
    (pack,) = packs_in(cache)
    sound = pack.read_bytes()
    flipped = bytearray(sound)
    flipped[100 if damage == "one bit of a message" else len(sound) * 2 // 3] ^= 4
    other = build(load("text_loopback", scale=0.02, seed=5), kept_from=1)
    (stranger,) = (path for path in packs_in(cache) if path != pack)
    assert facts(other) != known
    bad = {
        "empty": b"",
        "short": sound[:-1],
        "longer": sound + b"\0",
        "one bit of a message": bytes(flipped),
        "one bit of a column": bytes(flipped),
        "other": stranger.read_bytes(),
    }
    pack.unlink()
    pack.write_bytes(bad[damage])
    assert facts(build(scenario(), kept_from=1)) == known
    assert pack.read_bytes() == sound
    assert not list(cache.glob(".messages*")), "what is half written is gone"


BUILD = """
import sys
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import build
sys.stdin.readline()
world = build(load("text_loopback", scale=0.02), kept_from=1)
print(sum(len(data) for history in world.histories.values() for data in history.serialized()))
"""


def test_processes_that_build_the_same_world_at_once_all_succeed(cache: Path) -> None:
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for builder in builders:
        assert builder.stdin is not None
        builder.stdin.write("\n")
        builder.stdin.flush()
    sizes = {builder.communicate(timeout=100)[0].strip() for builder in builders}
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    expected = sum(len(data) for history in build(scenario()).histories.values() for data in history.serialized())
    assert sizes == {str(expected)}
    assert len(packs_in(cache)) == 1


def test_a_pack_of_an_earlier_version_of_the_lab_gives_way(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = facts(build(scenario(), kept_from=1))
    (old,) = packs_in(cache)
    monkeypatch.setattr(packs, "_makers", lambda: "0" * 32)
    assert facts(build(scenario(), kept_from=1)) == known
    (new,) = packs_in(cache)
    assert new != old


def test_a_world_is_served_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("TOBS_CACHE", str(blocked))
    assert facts(build(scenario(), kept_from=1)) == facts(build(scenario()))


def test_positions_count_from_the_newest_message() -> None:
    history = next(iter(build(scenario()).histories.values()))
    ids = history.ids
    newest_first = ids[::-1]
    assert [history.id_at(position) for position in (0, 1, history.count - 1)] == [ids[-1], ids[-2], ids[0]]
    assert [history.position(number) for number in newest_first[:5]] == [0, 1, 2, 3, 4]
    assert history.position(ids[-1] + 1) is None
    assert history.at([0, 2]).messages == [history.get([number]).messages[0] for number in (ids[-1], ids[-3])]
    assert history.dates[0] == history.newest[0]


# What is kept of the truth


def test_the_truth_of_a_kept_world_is_found_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_files = load("demo", scale=0.05)
    known = truth(build(with_files))
    world = build(with_files, kept_from=1)
    chats = [sorted(world.histories)[:1], sorted(world.histories)]
    some, everything = (truth(world, chosen) for chosen in chats)
    assert everything == known
    assert some.digest != known.digest

    def found(*_: object) -> None:
        raise AssertionError("found anew although it is kept")

    monkeypatch.setattr("tobs.lab.truth._find", found)
    again = build(with_files, kept_from=1)
    assert [truth(again, chosen) for chosen in chats] == [some, everything]
    for kept in cache.glob("truth-*"):
        kept.write_text(kept.read_text().replace(everything.digest, some.digest))
    with pytest.raises(AssertionError, match="found anew"):
        truth(again)


def test_the_truth_of_a_changed_world_is_its_own(cache: Path) -> None:
    world = build(scenario(), kept_from=1)
    known = truth(world)
    assert list(cache.glob("truth-*"))
    peer, history = next(iter(world.histories.items()))
    kept = len(list(cache.glob("truth-*")))
    entries = [entry_of(types.Message(1, types.PeerUser(peer), date=9, message="own"), 9, (), (), 0)]
    changed = replace(world, histories=world.histories | {peer: History(peer, history.kind, entries)})
    assert truth(changed).digest != known.digest
    assert len(list(cache.glob("truth-*"))) == kept
