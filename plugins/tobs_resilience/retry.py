"""The layer of band RETRY: what is tried again, after which pause, and when no more.

| the server, or the line | policy |
|---|---|
| no answer: a lost connection, a deadline, a lost reply | tried again |
| its own fault: 5xx, -500, -503, or a name of `FAULTS` | tried again |
| a part shorter than it must be | tried again, at first without a pause |
| cannot be connected to | waits with all other requests of its data centre, see `breaker` |
| `AUTH_KEY_DUPLICATED` | the key is dead: raised with what to do |
| floods | pass: they are PACE's |
| expired file references, migrations, all other refusals | pass to who asked |
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.api import ConnectError, LostError, RpcError, UnreachableError
from tobs_resilience.breaker import Breaker, Rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tobs.api import Call, Invoke
    from tobs_resilience.budget import RetryBudget
    from tobs_resilience.told import Told

FAULTS = frozenset({"RPC_CALL_FAIL", "RPC_MCGET_FAIL", "MSG_WAIT_FAILED", "MSG_WAIT_TIMEOUT", "HISTORY_GET_FAILED"})
"""Faults of the server that come with a 4xx, too (https://core.telegram.org/api/errors and its table of errors)."""
DUPLICATED = "AUTH_KEY_DUPLICATED"


@dataclass(frozen=True, slots=True)
class Attempts:
    """At most `retries` further attempts; pauses are drawn from 0 to `base` seconds, doubled each time, up to `cap`."""

    retries: int
    base: float
    cap: float
    patience: float


class Retry:
    """See the module. `home` gives the home data centre, which None stands for."""

    def __init__(
        self,
        attempts: Attempts,
        rules: Rules,
        budget: RetryBudget,
        chance: Random,
        told: Told,
        home: Callable[[], int],
    ) -> None:
        self._attempts = attempts
        self._rules = rules
        self._budget = budget
        self._chance = chance
        self._told = told
        self._home = home
        self._breakers: dict[int, Breaker] = {}
        self._answered = False

    def breaker(self, dc: int | None) -> Breaker:
        """The breaker of a data centre."""
        number = self._home() if dc is None else dc
        found = self._breakers.get(number)
        if found is None:
            found = Breaker(number, self._rules, self._chance, lambda: self._answered, self._told)
            self._breakers[number] = found
        return found

    def layer(self, inner: Invoke) -> Invoke:
        """Around every request."""

        async def invoke(call: Call) -> Any:
            breaker = self.breaker(call.dc)
            self._budget.requested()
            tries = 0
            while True:
                answer, why, error = await self._attempt(inner, call, breaker)
                if not why:
                    return answer
                if isinstance(error, UnreachableError):
                    self._told.retries[why] += 1
                    continue  # the breaker says when, and for how long
                if tries >= self._attempts.retries or not await self._budget.take(self._attempts.patience):
                    self._told.given_up[why] += 1
                    if error is None:
                        return answer  # core says how much too short it is
                    raise error
                tries += 1
                self._told.retries[why] += 1
                await self._pause(tries - (error is None))

        return invoke

    async def _attempt(
        self, inner: Invoke, call: Call, breaker: Breaker
    ) -> tuple[Any, str, RpcError | LostError | None]:
        """The answer, why it must be asked for again (empty: it need not), and what was raised."""
        group = await breaker.enter()
        try:
            answer = await inner(call)
        except LostError as error:
            breaker.failed(group, error)
            return None, "unreachable" if isinstance(error, UnreachableError) else "lost", error
        except RpcError as error:
            if error.is_server_fault or error.name in FAULTS:
                breaker.failed(group, error)
                return None, "refused by a fault of the server", error
            self._heard(breaker)
            if error.name == DUPLICATED:
                raise ConnectError(
                    f"data centre {breaker.dc} has ended this session: its key was used from two places at once",
                    hint="Log in again with `tobs login`, and use each account file on one machine only.",
                ) from error
            raise
        except BaseException:
            breaker.left(group)
            raise
        self._heard(breaker)
        return answer, "" if call.whole is None or call.whole(answer) else "too short", None

    def _heard(self, breaker: Breaker) -> None:
        self._answered = True
        breaker.answered()

    async def _pause(self, number: int) -> None:
        """Full jitter: from nothing to twice as much as the time before."""
        attempts = self._attempts
        most = min(attempts.cap, attempts.base * 2.0 ** min(number - 1, 64)) if number > 0 else 0.0
        await asyncio.sleep(self._chance.uniform(0, most))
