"""What is known of each message of a chat besides its bytes, in arrays: about 50 MB for a million messages."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tobs.lab.history import Entry


_numbers = partial(array, "i")
_counts = partial(array, "I")
_longs = partial(array, "q")
_places = partial(array, "Q", (0,))
_counted_places = partial(array, "I", (0,))


@dataclass(frozen=True, slots=True)
class Columns:
    """One value a message, oldest first, if nothing else is said.

    `offsets`, `named_offsets`: where its bytes and its part of `named` begin; one more tells where the last one
    ends. `named`: the bare ids of the users that messages name, and those of chats with a minus. `threads` and
    `marks` are newest first, as searches go through them. `file_ids`: each file once, in order of appearance.
    """

    ids: array[int] = field(default_factory=_numbers)
    dates: array[int] = field(default_factory=_longs)
    offsets: array[int] = field(default_factory=_places)
    named_offsets: array[int] = field(default_factory=_counted_places)
    named: array[int] = field(default_factory=_longs)
    threads: array[int] = field(default_factory=_counts)
    marks: array[int] = field(default_factory=_counts)
    file_ids: array[int] = field(default_factory=_longs)

    def all(self) -> dict[str, array[int]]:
        """Every column by name."""
        return {column.name: getattr(self, column.name) for column in fields(self)}


def gather(entries: Iterable[Entry], write: Callable[[bytes], object]) -> Columns:
    """The columns of `entries` (oldest first), whose bytes go to `write` one after the other."""
    columns = Columns()
    files: dict[int, None] = {}
    end = 0
    for entry in entries:
        write(entry.data)
        end += len(entry.data)
        columns.ids.append(entry.id)
        columns.dates.append(entry.date)
        columns.offsets.append(end)
        columns.named.extend(entry.users)
        columns.named.extend([-chat for chat in entry.chats])
        columns.named_offsets.append(len(columns.named))
        columns.threads.append(entry.thread)
        columns.marks.append(entry.marks)
        if entry.file_id:
            files[entry.file_id] = None
    columns.threads.reverse()
    columns.marks.reverse()
    columns.file_ids.extend(files)
    return columns
