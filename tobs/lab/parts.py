"""Which parts of files left, and which of them the client said that it has: for whoever stops clients and looks."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class LeftPart:
    """A part of file `file`, which has `whole` bytes, that was written to a client: `size` bytes from `offset`.

    `at`: when, of `time.monotonic()`. `spoilt`: it lacks bytes or has a wrong one. `acknowledged`: the client's session
    said that it has the answer.
    """

    file: int
    whole: int
    offset: int
    size: int
    spoilt: bool
    at: float = 0.0
    acknowledged: bool = False

    def acknowledge(self) -> None:
        """The client says that it has it."""
        self.acknowledged = True


class PartLog:
    """The parts that left since this was last asked. Nothing is noted before it is asked first."""

    def __init__(self) -> None:
        self._left: list[LeftPart] | None = None

    def left(self, part: LeftPart) -> None:
        """A part leaves."""
        if self._left is not None:
            part.at = time.monotonic()
            self._left.append(part)

    def take(self) -> list[dict[str, Any]]:
        """What left since the last time, as plain JSON values in the order of leaving."""
        taken, self._left = self._left or [], []
        return [asdict(part) for part in taken]
