"""Full text and what else is derived: caught up in bulk, after edits and after interrupted runs."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.rows import CHANNEL, CHAT, OTHER, batch, commit, message, query, user
from tobs.archive import Archive, derive
from tobs.archive.search import search
from tobs.errors import ArchiveError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

LATER = "2024-02-01T00:00:00+00:00"


def found(folder: Path, words: str) -> list[int]:
    return sorted(hit.id for hit in search(folder, words))


def consistent(folder: Path) -> None:
    """FTS5's own check that the index agrees with the table it is of."""
    db = sqlite3.connect(folder / "tobs.sqlite")
    try:
        db.execute("INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)")
    finally:
        db.close()


def test_words_phrases_and_chats_are_found(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT, OTHER]) as archive:
        commit(archive, batch([message(1, "The quick brown fox"), message(2, "brown bear")], peers=[user(55, "Ann")]))
        commit(archive, batch([message(3, "quick Fóx", chat=OTHER.id)], chat=OTHER.id))
        archive.index()
    assert found(tmp_path, "brown") == [1, 2]
    assert found(tmp_path, "fox") == [1, 3]
    assert found(tmp_path, '"quick brown"') == [1]
    assert found(tmp_path, "qui*") == [1, 3]
    assert [hit.id for hit in search(tmp_path, "fox", chat_id=OTHER.id)] == [3]
    assert len(search(tmp_path, "brown", limit=1)) == 1
    (hit,) = search(tmp_path, "bear")
    assert (hit.chat_id, hit.chat, hit.sender, hit.snippet) == (CHANNEL, "News", "Ann", "brown [bear]")


@pytest.mark.parametrize("words", ['"open', "AND", "(a", "nosuch: word", "a b NEAR(", "*", ""])
def test_a_malformed_query_says_how(tmp_path: Path, words: str) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, "a b c")]))
        archive.index()
    with pytest.raises(UsageError, match="cannot be read") as caught:
        search(tmp_path, words)
    assert "double quotes" in caught.value.hint


def test_an_interrupted_run_is_caught_up_by_the_search(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, "first")]))
    assert found(tmp_path, "first") == [1]
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(2, "second")]))
    assert found(tmp_path, "second") == [2]
    consistent(tmp_path)


def test_a_search_beside_a_writer_finds_what_is_indexed(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, "first")]))
        archive.index()
        commit(archive, batch([message(2, "first again")]))
        assert found(tmp_path, "first") == [1]
        with pytest.raises(ArchiveError, match="process"):
            Archive.create(tmp_path, [CHAT])


def test_a_search_beside_a_first_run_finds_all_that_is_committed(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        assert found(tmp_path, "fox") == []
        commit(archive, batch([message(1, "The quick brown Fóx"), message(2, "brown bear")], peers=[user(55, "Ann")]))
        assert found(tmp_path, "fox") == [1]
        commit(archive, batch([message(3, "another fox")]))
        assert found(tmp_path, "fox") == [1, 3]
        (hit,) = search(tmp_path, "bear")
        assert (hit.chat, hit.sender, hit.snippet) == ("News", "Ann", "brown [bear]")
        with pytest.raises(UsageError, match="cannot be read"):
            search(tmp_path, "(a")
        archive.index()
    assert found(tmp_path, "fox") == [1, 3]
    consistent(tmp_path)


def test_an_edit_is_found_by_its_new_words_only(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, "alpha"), message(2, "beta")]))
        archive.index()
        commit(archive, batch([message(1, "gamma", edited=LATER)]))
        commit(archive, batch([message(1, "delta", edited="2024-02-02T00:00:00+00:00")]))
        commit(archive, batch([message(3, "alpha three")]))
        commit(archive, batch([message(3, "epsilon", edited=LATER)]))
        archive.index()
        archive.index()
    assert found(tmp_path, "alpha OR gamma") == []
    assert found(tmp_path, "delta OR epsilon OR beta") == [1, 2, 3]
    assert query(tmp_path, "SELECT count(*) FROM stale") == [(0,)]
    consistent(tmp_path)


def test_an_edit_before_the_first_index_is_found(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, "alpha")]))
        commit(archive, batch([message(1, "gamma", edited=LATER)]))
        archive.index()
    assert found(tmp_path, "gamma") == [1]
    assert found(tmp_path, "alpha") == []
    consistent(tmp_path)


def reactions(*counts: tuple[str, int]) -> dict[str, Any]:
    results = [{"reaction": {"_": "ReactionEmoji", "emoticon": sign}, "count": number} for sign, number in counts]
    results.append({"reaction": {"_": "ReactionCustomEmoji", "document_id": 77}, "count": 1})
    results.append({"reaction": {"_": "ReactionPaid"}, "count": 9})
    return {"reactions": {"_": "MessageReactions", "results": results}}


def test_reactions_are_a_table_and_follow_changes(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, raw=reactions(("👍", 3), ("🎉", 1))), message(2, '"MessageReactions"')]))
        archive.index()
        sql = "SELECT message_id, kind, reaction, count FROM reactions ORDER BY kind, reaction"
        assert query(tmp_path, sql) == [
            (1, "custom_emoji", "77", 1),
            (1, "emoji", "🎉", 1),
            (1, "emoji", "👍", 3),
            (1, "paid", "", 9),
        ]
        commit(archive, batch([message(1, raw=reactions(("👍", 5)))]))
        archive.index()
        assert query(tmp_path, sql)[1:] == [(1, "emoji", "👍", 5), (1, "paid", "", 9)]


def test_polls_are_a_table(tmp_path: Path) -> None:
    media = {
        "_": "MessageMediaPoll",
        "poll": {
            "id": 5,
            "question": {"_": "TextWithEntities", "text": "Tea?"},
            "closed": True,
            "answers": [
                {"text": {"_": "TextWithEntities", "text": "Yes"}, "option": "MA=="},
                {"text": {"_": "TextWithEntities", "text": "No"}, "option": "MQ=="},
            ],
        },
        "results": {"total_voters": 4, "results": [{"option": "MQ==", "voters": 4}]},
    }
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1, "", raw={"media": media})]))
        archive.index()
    (row,) = query(tmp_path, "SELECT poll_id, question, closed, quiz, total_voters, answers FROM polls")
    assert row[:5] == (5, "Tea?", 1, 0, 4)
    assert row[5] == ('[{"text":"Yes","option":"MA==","voters":null},{"text":"No","option":"MQ==","voters":4}]')


def test_topics_are_a_table_and_follow_their_edits(tmp_path: Path) -> None:
    def service(number: int, action: dict[str, Any], topic: int | None) -> Any:
        return message(number, "", kind="service", topic_id=topic, raw={"action": action})

    create = {"_": "MessageActionTopicCreate", "title": "Cats", "icon_color": 7}
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([service(4, create, None), message(5, topic_id=4)]))
        archive.index()
        commit(archive, batch([service(9, {"_": "MessageActionTopicEdit", "title": "Dogs"}, 4)]))
        commit(archive, batch([service(10, {"_": "MessageActionTopicEdit", "closed": True}, 4)]))
        archive.index()
    assert query(tmp_path, "SELECT id, title, icon_color, closed FROM topics") == [(4, "Dogs", 7, 1)]


@pytest.mark.parametrize("statement", [derive.REACTIONS, derive.POLLS, derive.TOPIC, derive.TOPIC_EDITS])
def test_what_is_derived_is_looked_up_and_no_row_is_remembered(tmp_path: Path, statement: str) -> None:
    """An OR of two look-ups keeps the number of every row that it has met: 24 MB for a million messages."""
    with Archive.create(tmp_path, [CHAT]) as archive:
        plan = [step[3] for step in archive._db.execute(f"EXPLAIN QUERY PLAN {statement}", {"mark": 5})]
    assert "SEARCH messages USING INTEGER PRIMARY KEY (rowid>?)" in plan
    assert "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert "MULTI-INDEX OR" not in plan
