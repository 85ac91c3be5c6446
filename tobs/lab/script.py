"""What is laid down of a chat before it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tobs.lab.compose import Author
    from tobs.lab.history import Entry


@dataclass(frozen=True, slots=True)
class Script:
    """What is laid down of a chat before it is written, by number of the post.

    `first` is the action of the first message, None: the creation. `services` are the posts that become service
    messages, None: drawn. `fixed` posts are written by what is called with
    author, id and date; the others stand in the thread whose root `threads` tells. `dates` are those of all posts, if
    given; `replies` are counts of comments on the first message of a post.
    """

    first: Any = None
    fixed: Mapping[int, Callable[[Author, int, int], Entry]] = field(default_factory=dict)
    threads: Mapping[int, int] = field(default_factory=dict)
    dates: Sequence[int] = ()
    replies: Mapping[int, Any] = field(default_factory=dict)
    services: AbstractSet[int] | None = None
