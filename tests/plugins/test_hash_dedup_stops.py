"""hash_dedup with duplicates in the chat: stopped at any commit and continued, the archive is the truth's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tobs.lab.child import spawn
from tobs.lab.scenario import load
from tobs.lab.world import build
from tobs.testing.served import ServedChat
from tobs.testing.stops import stop_at_every_commit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENARIO = """
name = "dedup_stops"
seed = 23

[dataset]
title = "Stops"
username = "tobs_stops"
messages = 60
side_messages = 0
duplicates = 0.5
photos = { count = 6, median_kb = 20, sigma = 0.3 }
documents = { count = 4, median_kb = 60, sigma = 0.3 }

[network]
home = 2
dc = [{ id = 2 }]
"""


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    folder = tmp_path_factory.mktemp("dedup-stops")
    file = folder / "dedup_stops.toml"
    file.write_text(SCENARIO)
    (history,) = build(load(file)).histories.values()
    with spawn(file, folder / "lab") as child:
        yield ServedChat(child, history.peer_id, child.truth()["digest"], tuple(history.ids))


@pytest.mark.parametrize(
    ("others", "fewest"),
    [
        ("", 11),
        ("+parallel_media", 11),
        ("+async_pipeline +deferred_media +parallel_media", 11),
        ("+disk_io +parallel_media", 3),  # which settles files in groups
    ],
)
def test_stopped_at_every_commit_it_goes_on_to_the_truth(
    chat: ServedChat, tmp_path: Path, others: str, fewest: int
) -> None:
    stops = stop_at_every_commit(chat, f"baseline +hash_dedup hash_dedup.min_kb=1 {others}", tmp_path)
    assert stops >= fewest
