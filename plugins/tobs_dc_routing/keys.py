"""The auth keys of data centres away from home, kept from run to run."""

from __future__ import annotations

import base64
import binascii
import logging
from typing import TYPE_CHECKING, Any

from tobs.api import KeyUnknownError, LostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.api import Call, Dial, Invoke, Sender, State

log = logging.getLogger(__name__)
NAME = "keys"
LENGTH = 256


class Keys:
    """The account's keys by data centre, in its state: one a data centre, base64. Home's is never among them.

    A key is a secret: it is passed on and compared, and shown nowhere.
    """

    def __init__(self, state: State, home: int) -> None:
        self._state = state
        self._home = home
        self._keys = self._read()
        self._earlier = dict(self._keys)

    def get(self, dc: int) -> bytes | None:
        """The key to open a connection with; None where there is none and for home."""
        return None if dc == self._home else self._keys.get(dc)

    def is_earlier(self, dc: int, key: bytes) -> bool:
        """Whether this key was there when the run began."""
        return self._earlier.get(dc) == key

    def keep(self, dc: int, key: bytes) -> None:
        """Keep a key that was made in this run."""
        if dc != self._home and self._keys.get(dc) != key:
            self._keys[dc] = key
            self._write(self._read() | {dc: key})

    def forget(self, dc: int, key: bytes) -> None:
        """Forget this key, if it is still the one that is kept."""
        if self._keys.get(dc) == key:
            del self._keys[dc]
            log.info("data centre %d does not take the key of an earlier run: another one is made", dc)
            kept = self._read()
            if kept.get(dc) == key:
                del kept[dc]
                self._write(kept)

    def _read(self) -> dict[int, bytes]:
        """What is kept; what is damaged counts as not kept, since a key can be made again."""
        found: dict[int, bytes] = {}
        for name, text in self._state.get(NAME).items():
            try:
                dc, key = int(name), base64.b64decode(text, validate=True)
            except (ValueError, TypeError, binascii.Error):
                continue
            if len(key) == LENGTH and dc != self._home:
                found[dc] = key
        return found

    def _write(self, keys: dict[int, bytes]) -> None:
        self._state.put(NAME, {str(dc): base64.b64encode(key).decode() for dc, key in keys.items()})


def dial_with(keys: Keys, opened: Callable[[Sender], None]) -> Callable[[Dial], Dial]:
    """A layer that opens connections with kept keys; `opened` is told of each one.

    A key that the data centre does not know is forgotten, and the connection opened without one.
    """

    def layer(inner: Dial) -> Dial:
        async def dial(dc: int | None, key: bytes | None = None) -> Sender:
            kept = None if dc is None or key is not None else keys.get(dc)
            if dc is not None and kept is not None:
                try:
                    sender = await inner(dc, kept)
                except KeyUnknownError:
                    keys.forget(dc, kept)
                else:
                    opened(sender)
                    return sender
            sender = await inner(dc, key)
            if key is None:
                keys.keep(sender.dc, sender.auth_key)
            opened(sender)
            return sender

        return dial

    return layer


def recover_with(keys: Keys) -> Callable[[Invoke], Invoke]:
    """A layer inside the lease: a kept key may be known and its authorization gone, as the first request shows.

    Then the key is forgotten and the connection closed; the attempt counts as lost, so that it is made again.
    """

    def layer(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            try:
                return await inner(call)
            except KeyUnknownError:
                sender = call.sender
                if sender is None or not keys.is_earlier(sender.dc, sender.auth_key):
                    raise
                keys.forget(sender.dc, sender.auth_key)
                await sender.close()
                raise LostError(f"data centre {sender.dc} has forgotten this account: it is introduced again") from None

        return invoke

    return layer
