"""Tokens of a login by QR code: shown by a client that waits, accepted by one that is logged in.

Source: https://core.telegram.org/api/qr-login.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.lab.keys import Client

TOKEN_LIFE = 30
"""Seconds in which a token has to be accepted."""

MAX_TOKENS = 1024


@dataclass(slots=True)
class LoginToken:
    """A token, the key that waits for it, until when it may be accepted, by whom it was, and whether it was used."""

    token: bytes
    client: Client
    until: float
    user_id: int | None = None
    spent: bool = False


class LoginTokens:
    """The tokens that were handed out; times are seconds of one clock, given by the caller."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[bytes, LoginToken] = OrderedDict()

    def issue(self, client: Client, now: float) -> LoginToken:
        """A new token for a key."""
        made = LoginToken(secrets.token_bytes(32), client, now + TOKEN_LIFE)
        self._tokens[made.token] = made
        if len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)
        return made

    def find(self, token: bytes) -> LoginToken | None:
        """What is known of a token."""
        return self._tokens.get(token)

    def accepted(self, client: Client) -> LoginToken | None:
        """The token of this key that somebody accepted and that has not been used."""
        return next(
            (t for t in self._tokens.values() if t.client is client and t.user_id is not None and not t.spent), None
        )
