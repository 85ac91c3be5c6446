"""A message of the server on its way to a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.service import Session
    from tobs.lab.tl import Chunks


@dataclass(slots=True)
class Outgoing:
    """One message on its way out: of a session, or `session` None for a raw packet of the key exchange."""

    session: Session | None
    body: Chunks
    answers: int = 0
    left: float = 0.0
    due: float = 0.0
    served: Callable[[], None] | None = None
    delivered: Callable[[float], None] | None = None
    closes: bool = False

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body))
