"""`--media-only`: no message is asked for, the files that an earlier run left are fetched."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.labs import Ended, command, export, surroundings, tobs, tobs_child
from tests.export.test_stops import LOOK
from tobs.archive.verify import verify
from tobs.engine.export import Wish
from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.labs import Served


async def test_what_a_run_without_media_left_is_fetched(small: Served, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first = await export(small.server, archive, [small.chat], wish=Wish(media=False))
    small.child.reset()
    second = await export(small.server, archive, [small.chat], wish=Wish(history=False))
    requests = small.child.counters()["requests"]
    assert "messages.getHistory" not in requests
    assert second.tally.files
    assert second.new == 0
    assert second.warnings == []
    assert first.digest != second.digest == small.child.truth(small.chat)["digest"]
    assert verify(archive).ok


async def test_there_must_be_an_archive(small: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no archive"):
        await export(small.server, tmp_path / "archive", [small.chat], wish=Wish(history=False))
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("other", ["--no-media", "--rescan"])
def test_it_excludes_what_makes_no_sense_with_it(small: Served, tmp_path: Path, other: str) -> None:
    done = tobs("export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--media-only", other)
    assert done.code == 2
    assert "exclude each other" in done.err


def rows(folder: Path, query: str) -> list[Any]:
    """What a query of the archive's database finds; nothing where it is just being made."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'tobs.sqlite'}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()
    except sqlite3.Error:
        return []


def with_all_messages(
    words: list[str], folder: Path, messages: int, environment: dict[str, str]
) -> subprocess.Popen[str]:
    """An export in a process of its own that has committed so many messages, and still runs."""
    child = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment
    )
    while rows(folder, "SELECT count(*) FROM messages") != [(messages,)]:
        try:
            child.wait(LOOK)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended before that: {child.communicate()}")
    return child


def readable(folder: Path, messages: int, out: Path) -> None:
    """Every command that reads an archive reads this one, though files of it are pending and somebody writes."""
    assert tobs("digest", folder, "--json").value["digest"]
    verified = tobs("verify", folder, "--json")
    assert verified.code == 0
    assert (verified.value["messages"], verified.value["missing"], verified.value["ok"]) == (messages, [], True)
    assert verified.value["pending"] > 0
    word = next(
        word for (text,) in rows(folder, "SELECT text FROM messages") for word in text.split() if word.isalpha()
    )
    assert tobs("search", folder, word, "--json").value
    assert tobs("render", folder, "-o", out).code == 0
    assert len(json.loads(out.read_text(encoding="utf-8"))["messages"]) == messages


def test_messages_first_and_media_another_time(serve: Callable[[str], Served], tmp_path: Path) -> None:
    lab, folder = serve("later"), tmp_path / "archive"
    messages = lab.world.histories[lab.chat].count
    words = ["export", "@tobs_later", "-o", folder, "--server", lab.server, "--json"]
    words += ["--arm", "baseline +deferred_media"]
    state = str(tmp_path / "state")
    with with_all_messages(command(*words), folder, messages, surroundings(TOBS_STATE=state)) as child:
        readable(folder, messages, tmp_path / "result.json")
        assert child.poll() is None, "and all of this while it runs"
        child.send_signal(signal.SIGTERM)
        stopped = Ended(child.wait(30), *child.communicate())
    assert stopped.code == 130, stopped
    left = verify(folder)
    assert (left.ok, left.foreign) == (True, ())
    assert left.pending > 0

    lab.child.reset()
    done = tobs_child(*words, "--media-only", TOBS_STATE=state)
    assert done.code == 0, done
    assert done.value["digest"] == lab.child.truth(lab.chat)["digest"]
    assert done.value["messages"] == 0
    counted = lab.child.counters()
    assert "messages.getHistory" not in counted["requests"]
    assert counted["requests"]["channels.getMessages"] == 1, "all references of an earlier run, in one request"
    assert counted["duplicate_parts"] == 0
    found = verify(folder)
    assert (found.ok, found.pending, found.foreign) == (True, 0, ())
