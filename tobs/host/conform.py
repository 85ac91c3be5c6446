"""Whether what a plugin returns is what its port asks for, told before anything runs."""

from __future__ import annotations

import inspect
import logging
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from tobs import ports
from tobs.ports import FetchBand, InvokeBand

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import IntEnum


class _Invoke(Protocol):
    """The shape of `tobs.ports.Invoke`."""

    async def __call__(self, call: ports.Call) -> Any: ...


SLOT_PORTS: dict[str, type] = {
    "source": ports.Source,
    "runner": ports.Runner,
    "write": ports.Write,
    "agenda": ports.Agenda,
    "lanes": ports.Lanes,
    "pool": ports.Pool,
    "parts": ports.Parts,
    "disk": ports.Disk,
    "journal": ports.Journal,
    "budget": ports.Budget,
}
LAYER_PORTS: dict[str, type] = {
    "ranges": ports.Ranges,
    "filter": ports.Filter,
    "submit": ports.Submit,
    "dial": ports.Dial,
    "invoke": _Invoke,
    "fetch": ports.Fetch,
    "transform": ports.Transform,
}
BANDS: dict[str, type[IntEnum]] = {"invoke": InvokeBand, "fetch": FetchBand}


def fault_of(value: object, port: type) -> str:
    """What keeps `value` from being a `port`, in words that go on "returned ... that"; empty if nothing does."""
    if isinstance(value, type):
        return "is a class and not an instance of it"
    for name, wanted in vars(port).items():
        if not inspect.isfunction(wanted) or (name.startswith("_") and name != "__call__"):
            continue
        called = name == "__call__"
        actual = value if called else getattr(value, name, None)
        subject = "" if called else f"has a method {name} that "
        if not callable(actual):
            return "cannot be called" if called else f"has no method {name}"
        if is_async(wanted) and not is_async(actual):
            return f"{subject}is not async"
        if is_async(actual) and not is_async(wanted):
            return f"{subject}is async and must not be"
        if not _accepts(actual, wanted):
            taken = str(inspect.signature(wanted)).replace("(self, ", "(").partition(" ->")[0]
            return f"{subject}does not take {taken}"
    return ""


def layer_fault(value: object) -> str:
    """What keeps `value` from being a layer: a plain function of what it wraps."""
    if isinstance(value, type) or not callable(value):
        return "is no function that wraps what it is given"
    if is_async(value):
        return "is async; a layer is a plain function that returns an async one"
    return "" if _takes(value, 1, ()) else "does not take the one thing that it wraps"


def banded_fault(value: object, band: type[IntEnum]) -> str:
    """What keeps `value` from being a pair of a band and a layer."""
    if not isinstance(value, tuple) or len(value) != 2:
        return f"is not a pair ({band.__name__}, layer)"
    if not isinstance(value[0], band):
        return f"names the band {value[0]!r}, which is no {band.__name__}"
    return layer_fault(value[1])


def lifespan_fault(value: object) -> str:
    """What keeps `value` from being held for the whole run."""
    return "" if isinstance(value, AbstractAsyncContextManager) else "is no async context manager"


def handler_fault(value: object) -> str:
    """What keeps `value` from standing where a log handler stood."""
    return "" if isinstance(value, logging.Handler) else "is no logging.Handler"


def is_async(function: object) -> bool:
    """Whether calling it gives a coroutine."""
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method is wanted, not whether there is one
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _accepts(actual: Callable[..., object], wanted: Callable[..., object]) -> bool:
    parameters = list(inspect.signature(wanted).parameters.values())[1:]
    by_name = tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)
    return _takes(actual, len(parameters) - len(by_name), by_name)


def _takes(function: Callable[..., object], places: int, names: tuple[str, ...]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in callables have none to show
        return True
    try:
        signature.bind(*([None] * places), **dict.fromkeys(names))
    except TypeError:
        return False
    return True
