"""A message of the server on its way to a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.session import Session
    from tobs.lab.tl import Chunks


@dataclass(slots=True)
class Outgoing:
    """One message on its way out: of a session, or `session` None for a raw packet of the key exchange.

    `answers`: message id of the request; `content`: it has to be acknowledged; `msg_id` and `sequence` are given
    when it is first written, and stay when it is `resent`; `token`: a quick acknowledgement, outside of packets.
    `acknowledged` is called when the client says that it has it.
    """

    session: Session | None
    body: Chunks
    answers: int = 0
    left: float = 0.0
    due: float = 0.0
    served: Callable[[], None] | None = None
    delivered: Callable[[float], None] | None = None
    acknowledged: Callable[[], None] | None = None
    closes: bool = False
    content: bool = True
    msg_id: int = 0
    sequence: int = 0
    resent: bool = False
    token: bool = False

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body))
