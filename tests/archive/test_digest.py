"""The digest: what it covers, that order does not matter, and that it is what its specification says."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.rows import (
    CHANNEL,
    CHAT,
    OTHER,
    batch,
    commit,
    message,
    photo,
    query,
    settle,
    store_file,
    with_photo,
)
from tobs.archive import Archive
from tobs.archive.digest import digest
from tobs.values import Batch, Settled, Span

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["plain", "", "Zwölf Boxkämpfer 🥊", 'quotes " and \\ and \n\t\x1f \u2028', "日本語"]


def batches(count: int = 60) -> list[Batch]:
    made = []
    for chat in (CHANNEL, OTHER.id):
        for low in range(1, count, 10):
            rows, media = [], []
            for number in range(low + 8, low - 1, -1):
                raw: dict[str, Any] = {
                    "z": 1.5,
                    "a": {"access_hash": 9, "file_reference": "abc", "kept": [{"access_hash": 1}, 0, ""]},
                    "none": None,
                    "false": False,
                    "empty": [],
                    "zero": 0,
                    "big": -(1 << 63),
                }
                row = message(number, TEXTS[number % 5], chat=chat, raw=raw)
                if number % 4 == 0:
                    raw["media"] = {"photo": {"id": number}}
                    row = message(number, TEXTS[number % 5], chat=chat, raw=raw)
                    media.append(photo(number, number, chat=chat, size=100 + number))
                rows.append(row)
            made.append(batch(rows, media, chat=chat, span=Span(low, low + 8)))
    return made


def fill(folder: Path, given: list[Batch]) -> None:
    with Archive.create(folder, [CHAT, OTHER]) as archive:
        for one in given:
            commit(archive, one)
            for ref in one.media:
                if ref.file_id % 8 == 0:
                    store_file(archive, ref, b"x" * ref.size)
                elif ref.file_id % 12 == 0:
                    settle(archive, Settled(ref, "missing"))
        archive.index()


def naive(folder: Path) -> str:
    """The specification once more, with the standard library's JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            pairs = ((key, held) for key, held in value.items() if key not in ("file_reference", "access_hash"))
            return {key: plain(held) for key, held in pairs if not (held is None or held is False or held == [])}
        return [plain(held) for held in value] if isinstance(value, list) else value

    lines = []
    columns = "chat_id, id, kind, date, sender_id, text, reply_to, grouped_id, edited, raw"
    for *fields, raw in query(folder, f"SELECT {columns} FROM messages ORDER BY chat_id, id"):
        lines.append(["m", *fields, plain(json.loads(raw))])
    files = {row[0]: row[1:] for row in query(folder, "SELECT id, size, sha256 FROM files")}
    media = "SELECT chat_id, message_id, kind, file_id, size, status FROM media ORDER BY chat_id, message_id"
    for *fields, size, status in query(folder, media):
        lines.append(["f", *fields, *(files[fields[3]] if status == "done" else (size, None))])
    text = "".join(json.dumps(line, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_digest_is_what_its_specification_says(tmp_path: Path) -> None:
    fill(tmp_path, batches())
    assert digest(tmp_path) == naive(tmp_path)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_commits_does_not_matter(tmp_path: Path, seed: int) -> None:
    given = batches()
    fill(tmp_path / "one", given)
    random.Random(seed).shuffle(given)
    fill(tmp_path / "two", given)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_chats_can_be_chosen(tmp_path: Path) -> None:
    given = batches()
    fill(tmp_path / "both", given)
    fill(tmp_path / "one", [one for one in given if one.chat_id == CHANNEL])
    assert digest(tmp_path / "both", [CHANNEL]) == digest(tmp_path / "one")
    assert digest(tmp_path / "both") != digest(tmp_path / "one")
    assert digest(tmp_path / "both", []) == hashlib.sha256().hexdigest()


def test_short_lived_fields_do_not_matter_and_everything_else_does(tmp_path: Path) -> None:
    def of(name: str, row: Any, ref: Any = None, content: bytes | None = None) -> str:
        with Archive.create(tmp_path / name, [CHAT]) as archive:
            commit(archive, batch([row], [ref] if ref else []))
            if content is not None:
                store_file(archive, ref, content)
        return digest(tmp_path / name)

    one = of("a", message(1, raw={"media": {"file_reference": "x", "access_hash": 1}}))
    assert one == of("b", message(1, raw={"media": {"file_reference": "y", "access_hash": 2}}))
    assert one != of("c", message(1, "other", raw={"media": {}}))
    with_file = of("d", with_photo(1, 5), photo(1, 5), b"12345")
    assert with_file == of("e", with_photo(1, 5), photo(1, 5, reference=b"later"), b"12345")
    assert with_file != of("f", with_photo(1, 5), photo(1, 5), b"12346")
    assert with_file != of("g", with_photo(1, 5), photo(1, 5))


def test_an_empty_archive_has_a_digest(tmp_path: Path) -> None:
    fill(tmp_path, [])
    assert digest(tmp_path) == hashlib.sha256().hexdigest()
