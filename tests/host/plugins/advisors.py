"""Advisors that keep the contract of `tobs_advise`, or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tobs.api import Advice, Load, TobsError, hook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.api import RunRecord

NOTHING = Load("nothing", "cpu", 0.0, 0.0, 0.0, 0.0)


class Content:
    """Finds that all is well, and says of which arm."""

    def __init__(self, knobs: Mapping[str, object]) -> None: ...

    @hook
    def tobs_advise(self, run: RunRecord) -> Advice:
        return Advice(NOTHING, (run.arm,), 1.0, (), None, (), {}, 0.0)


class Wordy(Content):
    """Answers in prose."""

    @hook
    def tobs_advise(self, run: RunRecord) -> Any:
        return f"{run.arm} is fine"


class Failing(Content):
    """Has a bug."""

    @hook
    def tobs_advise(self, run: RunRecord) -> Advice:
        raise ZeroDivisionError(run.arm)


class Refusing(Content):
    """Is told too little."""

    @hook
    def tobs_advise(self, run: RunRecord) -> Advice:
        raise TobsError(f"{run.arm} is too short", hint="Export more.")


class Silent:
    """Provides advice in its manifest alone."""

    def __init__(self, knobs: Mapping[str, object]) -> None: ...

    @hook
    def tobs_log(self) -> Any:
        return lambda handler: handler
