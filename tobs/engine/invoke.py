"""One request and its core layers: retry, lease, deadline, observe (pace has a module of its own)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from tobs.errors import LostError, RpcError, TobsError
from tobs.meters import Meters
from tobs.values import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tobs.meters import Step
    from tobs.ports import Call, Invoke, InvokeBand, Pool, Probe

InvokeLayer: TypeAlias = "Callable[[Invoke], Invoke]"


def fold(wire: Invoke, layers: Iterable[tuple[InvokeBand, InvokeLayer]]) -> Invoke:
    """Wrap `wire` in layers so that the lowest band is outermost; of equal bands the first given is the outer one."""
    invoke = wire
    outermost_first = sorted(layers, key=lambda pair: pair[0])
    for _, layer in reversed(outermost_first):
        invoke = layer(invoke)
    return invoke


def retry(times: int, pause: float) -> InvokeLayer:
    """RETRY: a lost attempt or a fault of the server is tried again `times` times, `pause` seconds apart."""

    def layer(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            for left in range(times, -1, -1):
                try:
                    return await inner(call)
                except (LostError, RpcError) as error:
                    transient = isinstance(error, LostError) or error.is_server_fault
                    if not transient or not left:
                        raise
                await asyncio.sleep(pause)
            raise AssertionError  # the last round returns or raises

        return invoke

    return layer


def waiting(step: Step) -> tuple[InvokeLayer, InvokeLayer]:
    """Two layers to stand right around another one: the step is under way while a request waits in that one."""

    def outer(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            with step:
                return await inner(call)

        return invoke

    def within(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            step.end()
            try:
                return await inner(call)
            finally:
                step.begin(0)

        return invoke

    return outer, within


def lease(pool: Pool, meters: Meters | None = None) -> InvokeLayer:
    """LEASE: borrow a sender for as long as the inner layers take; `meters` learn how long it was waited for."""
    meters = meters or Meters()

    def layer(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            step = meters.step("lease", call.dc or 0)
            step.begin()
            waits = True
            try:
                async with pool.lease(call.dc, call.traffic) as sender:
                    step.end()
                    waits = False
                    call.sender = sender
                    return await inner(call)
            finally:
                if waits:
                    step.end()

        return invoke

    return layer


def deadline(pool: Pool) -> InvokeLayer:
    """DEADLINE: an attempt with no answer in time counts as lost; Telethon itself would wait for ever."""

    def layer(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            seconds = pool.deadline(call)
            try:
                async with asyncio.timeout(seconds):
                    return await inner(call)
            except TimeoutError:
                raise LostError(f"{call.method}: no answer within {seconds:.0f} s") from None

        return invoke

    return layer


def observe(probes: Sequence[Probe], meters: Meters | None = None) -> InvokeLayer:
    """OBSERVE: tell the probes of each attempt: its seconds on the wire, without any wait before it.

    `meters` learn of each as a step of its traffic at its data centre; the lane of that learns of it, too.
    """
    meters = meters or Meters()
    if not probes:
        return lambda inner: inner

    def layer(inner: Invoke) -> Invoke:
        in_flight = 0

        async def invoke(call: Call) -> Any:
            nonlocal in_flight
            in_flight += 1
            began = time.perf_counter()
            dc, connection = (call.sender.dc, id(call.sender)) if call.sender else (0, 0)
            lane = meters.lane(dc)
            lane.sent(began)
            outcome, size = "lost", 0
            try:
                with meters.step(call.traffic, dc):
                    answer = await inner(call)
                outcome, size = "ok", getattr(answer, "wire_size", 0)
            except RpcError as error:
                outcome = error.name
                raise
            except TobsError:
                outcome = "lost"
                raise
            else:
                return answer
            finally:
                now = time.perf_counter()
                lane.ended(now, connection, size, lost=outcome == "lost")
                seen = Attempt(call.method, call.traffic, dc, now - began, size, outcome, in_flight, connection)
                in_flight -= 1
                for probe in probes:
                    probe.attempt(seen)

        return invoke

    return layer


async def wire(call: Call) -> Any:
    """Send the request over the sender that LEASE lent."""
    if call.sender is None:
        raise AssertionError(f"{call.method} reached the wire without a sender")
    return await call.sender.send(call.request)
