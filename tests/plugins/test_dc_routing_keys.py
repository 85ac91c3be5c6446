"""dc_routing's memory: keys that are kept, forgotten and never shown, chats' data centres, and who is pinged when."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.fakes import FakeSender
from tests.engine.virtual import now, virtually
from tobs.engine.state import MemoryState
from tobs.errors import ConnectError, KeyUnknownError, LostError
from tobs.ports import Call
from tobs.values import Traffic
from tobs_dc_routing.chats import Chats
from tobs_dc_routing.connections import PONG, Connections
from tobs_dc_routing.keys import Keys, dial_with, recover_with

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = 2


# ---------------------------------------------------------------- keys


@dataclass
class Server:
    """Dials: knows keys by data centre, makes one where none is given."""

    known: dict[int, bytes] = field(default_factory=dict)
    asked: list[tuple[int | None, bytes | None]] = field(default_factory=list)

    async def dial(self, dc: int | None, key: bytes | None = None) -> Keyed:
        self.asked.append((dc, key))
        await asyncio.sleep(1)
        number = HOME if dc is None else dc
        if key is None:
            key = self.known.setdefault(number, bytes([number, len(self.asked)]) * 128)
        elif self.known.get(number) != key:
            raise KeyUnknownError("the server does not know this session")
        return Keyed(number, key=key)


@dataclass(eq=False)
class Keyed(FakeSender):
    """A connection that speaks with some key."""

    key: bytes = b""

    @property
    def auth_key(self) -> bytes:
        return self.key


def dial_once(server: Server, state: MemoryState, *centres: int | None) -> list[Any]:
    """What a run dials at once."""
    opened: list[Any] = []
    dial = dial_with(Keys(state, HOME), opened.append)(server.dial)

    async def main() -> list[Any]:
        return list(await asyncio.gather(*(dial(dc) for dc in centres)))

    senders = virtually(main)
    assert {*map(id, senders)} == {*map(id, opened)}
    return senders


def test_the_next_run_dials_with_the_keys_of_the_last() -> None:
    server, state = Server(), MemoryState()
    dial_once(server, state, None, 4, 5)
    assert server.asked == [(None, None), (4, None), (5, None)]
    server.asked.clear()
    dial_once(server, state, None, 4, 5, 4)
    assert server.asked == [(None, None), (4, server.known[4]), (5, server.known[5]), (4, server.known[4])]


def test_the_key_of_home_is_the_accounts_own() -> None:
    server, state = Server(), MemoryState()
    dial_once(server, state, None, HOME)
    assert state.get("keys") == {}
    state.put("keys", {str(HOME): base64.b64encode(bytes(256)).decode()})
    dial_once(server, state, HOME)
    assert server.asked[-1] == (HOME, None)


def test_a_key_that_the_server_does_not_know_is_forgotten_and_another_one_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, state = Server(), MemoryState()
    dial_once(server, state, 4, 5)
    old = server.known.pop(4)
    server.asked.clear()
    with caplog.at_level(logging.DEBUG, "tobs_dc_routing"):
        senders = dial_once(server, state, 4, 4, 4)
    assert server.asked == [(4, old)] * 3 + [(4, None)] * 3
    assert {sender.auth_key for sender in senders} == {server.known[4]} != {old}
    assert state.get("keys") == {str(dc): base64.b64encode(server.known[dc]).decode() for dc in (4, 5)}
    assert [record.name for record in caplog.records].count("tobs_dc_routing.keys") == 1, "it is told once"
    assert base64.b64encode(old).decode() not in caplog.text
    assert old.hex() not in caplog.text


def test_a_dial_that_comes_late_does_not_bring_a_forgotten_key_back() -> None:
    server, state = Server(), MemoryState()
    dial_once(server, state, 4)
    old, new = server.known[4], b"n" * 256
    keys = Keys(state, HOME)

    async def main() -> None:
        late = asyncio.create_task(dial_with(keys, lambda _: None)(server.dial)(4))
        await asyncio.sleep(0.5)
        keys.forget(4, old)
        keys.keep(4, new)
        assert (await late).auth_key == old

    virtually(main)
    assert Keys(state, HOME).get(4) == new


def test_another_error_of_the_dial_costs_no_key() -> None:
    server, state = Server(), MemoryState()
    dial_once(server, state, 4)
    before = state.get("keys")

    async def refuse(dc: int | None, key: bytes | None = None) -> Any:
        raise ConnectError(f"{dc} {key is None}")

    with pytest.raises(ConnectError, match="4 False"):
        virtually(lambda: dial_with(Keys(state, HOME), lambda _: None)(refuse)(4))
    assert state.get("keys") == before


def test_a_key_that_is_given_is_passed_on() -> None:
    server, state = Server(known={4: b"g" * 256}), MemoryState()
    state.put("keys", {"4": base64.b64encode(b"k" * 256).decode()})
    virtually(lambda: dial_with(Keys(state, HOME), lambda _: None)(server.dial)(4, b"g" * 256))
    assert server.asked == [(4, b"g" * 256)]


@pytest.mark.parametrize("kept", ["", "no base64!", "QUJD", 5, None, ["x"]])
def test_a_damaged_key_counts_as_none(kept: object) -> None:
    server, state = Server(), MemoryState()
    state.put("keys", {"4": kept, "x": base64.b64encode(bytes(256)).decode()})
    dial_once(server, state, 4)
    assert server.asked == [(4, None)]
    assert state.get("keys") == {"4": base64.b64encode(server.known[4]).decode()}


# ---------------------------------------------------------------- keys without authorization


def refused_once(state: MemoryState, *senders: Keyed) -> list[Any]:
    """What comes of a request on each of these connections where the server does not know whose they are."""

    async def wire(call: Call) -> Any:  # noqa: ARG001 - the port
        await asyncio.sleep(1)
        raise KeyUnknownError("this account is not logged in any more")

    invoke = recover_with(Keys(state, HOME))(wire)

    async def main() -> list[Any]:
        calls = [Call(None, "upload.getFile", Traffic.MEDIA, one.dc, sender=one) for one in senders]
        return await asyncio.gather(*map(invoke, calls), return_exceptions=True)

    return virtually(main)


def test_a_kept_key_without_authorization_costs_an_attempt_and_is_forgotten() -> None:
    server, state = Server(), MemoryState()
    senders = dial_once(server, state, 4, 4, 5)
    outcomes = refused_once(state, *senders[:2])
    assert [type(outcome) for outcome in outcomes] == [LostError, LostError]
    assert [sender.closed for sender in senders] == [True, True, False]
    assert list(state.get("keys")) == ["5"]


def test_what_no_kept_key_caused_is_raised_as_it_is() -> None:
    server, state = Server(), MemoryState()
    kept, home = dial_once(server, state, 4, None)
    stranger = Keyed(4, key=b"made in this run" * 16)
    outcomes = refused_once(state, home, stranger)
    assert [type(outcome) for outcome in outcomes] == [KeyUnknownError, KeyUnknownError]
    assert not home.closed
    assert list(state.get("keys")) == ["4"]
    assert not kept.closed


# ---------------------------------------------------------------- chats


def test_a_chats_data_centres_are_known_in_the_next_run_most_bytes_first() -> None:
    state = MemoryState()
    chats = Chats(state)
    assert chats.centres(7) == []
    for dc, size in ((4, 10), (5, 30), (4, 5), (1, 1)):
        chats.saw(7, dc, size)
    chats.save()
    assert Chats(state).centres(7) == [5, 4, 1]
    assert Chats(state).centres(8) == []


def test_another_run_of_the_same_chat_adds_data_centres_and_no_bytes() -> None:
    state = MemoryState()
    for seen in ({4: 10, 5: 20}, {4: 11, 1: 15}):
        chats = Chats(state)
        for dc, size in seen.items():
            chats.saw(7, dc, size)
        chats.save()
    assert Chats(state).centres(7) == [5, 1, 4]


def test_the_chat_that_was_longest_not_exported_is_dropped() -> None:
    state = MemoryState()
    for chat in (1, 2, 3, 1, 4):
        chats = Chats(state, most=3)
        chats.saw(chat, 4, 1)
        chats.save()
    assert [bool(Chats(state).centres(chat)) for chat in (1, 2, 3, 4)] == [True, False, True, True]


def test_what_another_run_kept_meanwhile_stays() -> None:
    state = MemoryState()
    one, other = Chats(state), Chats(state)
    one.saw(1, 4, 1)
    other.saw(2, 5, 1)
    one.save()
    other.save()
    assert (Chats(state).centres(1), Chats(state).centres(2)) == ([4], [5])


@pytest.mark.parametrize("kept", [{"chats": 5}, {"chats": [1]}, {"chats": [[1, {"x": 2}]]}, {"chats": [["a", {}]]}, {}])
def test_a_damaged_cache_counts_as_none(kept: dict[str, Any]) -> None:
    state = MemoryState()
    state.put("chats", kept)
    chats = Chats(state)
    assert chats.centres(1) == []
    chats.saw(1, 4, 1)
    chats.save()
    assert Chats(state).centres(1) == [4]


# ---------------------------------------------------------------- kept alive


@dataclass(eq=False)
class Pinged(FakeSender):
    """A connection that notes when it is pinged; `fails` closes it, `silent` gives no answer."""

    pings: list[float] = field(default_factory=list)
    fails: bool = False
    silent: bool = False

    async def ping(self) -> None:
        self.pings.append(now())
        if self.fails:
            self.closed = True
            raise LostError("gone")
        if self.silent:
            await asyncio.Event().wait()


def kept_alive(main: Callable[[Connections], Any], every: float = 60.0) -> None:
    """Run beside the keeping alive; it ends with it."""

    async def whole() -> None:
        connections = Connections()
        task = asyncio.create_task(connections.keep_alive(every))
        await main(connections)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert len(asyncio.all_tasks()) == 1

    virtually(whole)


def test_an_idle_connection_is_pinged_each_time_it_is_due() -> None:
    early, late = Pinged(4), Pinged(5)

    async def main(connections: Connections) -> None:
        await asyncio.sleep(100)
        connections.opened(early)
        await asyncio.sleep(45)
        connections.opened(late)
        await asyncio.sleep(160)

    kept_alive(main)
    assert early.pings == pytest.approx([160, 220, 280])
    assert late.pings == pytest.approx([205, 265])


def test_a_connection_that_works_is_not_pinged() -> None:
    busy, idle = Pinged(4), Pinged(4)

    async def main(connections: Connections) -> None:
        connections.opened(busy)
        connections.opened(idle)
        for _ in range(30):
            await asyncio.sleep(10)
            connections.used(id(busy))
            connections.used(0)

    kept_alive(main)
    assert busy.pings == []
    assert len(idle.pings) == 4


def test_a_connection_that_fails_or_is_silent_is_left_closed_and_pinged_no_more() -> None:
    failing, silent, well = Pinged(4, fails=True), Pinged(4, silent=True), Pinged(4)

    async def main(connections: Connections) -> None:
        for sender in (failing, silent, well):
            connections.opened(sender)
        await asyncio.sleep(60 + PONG + 1)
        assert failing.closed
        assert silent.closed
        assert connections.count(4) == 1
        await asyncio.sleep(1000)

    kept_alive(main)
    assert len(failing.pings) == len(silent.pings) == 1
    assert len(well.pings) > 10
