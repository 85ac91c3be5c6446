"""What nobody raised on purpose names whose code was at work."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.kit import plan_of, plugin
from tobs.errors import ArchiveError, PluginError
from tobs.host.blame import OURS, blame

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = "def call(inner):\n    return inner()\n"


def module(monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[Callable[[], Any]], Any]:
    """A function of a module called `name`, which calls what it is given."""
    made = ModuleType(name)
    exec(CALL, made.__dict__)
    monkeypatch.setitem(sys.modules, name, made)
    call: Callable[[Callable[[], Any]], Any] = made.__dict__["call"]
    return call


def throw(error: Exception) -> None:
    raise error


def boil() -> None:
    raise KeyError("kettle")


TEA = plugin("tea", load="shop_tea.pot:Pot")
MILK = plugin("milk", load="shop_milk:Milk")


def test_the_innermost_plugin_in_the_traceback_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = module(monkeypatch, "shop_milk.inside"), module(monkeypatch, "shop_tea.leaves")
    with pytest.raises(PluginError, match="plugin tea failed: KeyError: 'kettle'") as failed, blame(plan_of(TEA, MILK)):
        outer(lambda: inner(boil))
    assert failed.value.hint == "Run without it: --without tea."
    assert isinstance(failed.value.__cause__, KeyError)
    with pytest.raises(PluginError, match="plugin milk failed"), blame(plan_of(TEA, MILK)):
        inner(lambda: outer(boil))


def test_a_plugin_that_is_off_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = module(monkeypatch, "shop_tea.leaves")
    with pytest.raises(KeyError), blame(plan_of(TEA, MILK, arm="all -tea")):
        inner(boil)


def test_a_package_with_a_similar_name_is_not_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = module(monkeypatch, "shop_teapot.pot")
    with pytest.raises(KeyError), blame(plan_of(TEA)):
        inner(boil)


def test_of_plugins_in_one_package_only_one_s_own_module_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(plugin("one", load="shop.one:One"), plugin("two", load="shop.two:Two"))
    with pytest.raises(PluginError, match="plugin two failed"), blame(plan):
        module(monkeypatch, "shop.two")(boil)
    with pytest.raises(KeyError), blame(plan):
        module(monkeypatch, "shop.shared")(boil)


def test_without_a_plugin_it_stays_what_it_is_and_is_called_a_bug_of_ours() -> None:
    with pytest.raises(KeyError, match="kettle") as failed, blame(plan_of(TEA)):
        boil()
    assert failed.value.__notes__ == [OURS]


def test_errors_for_the_user_and_cancellation_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = module(monkeypatch, "shop_tea.leaves")
    for error in (ArchiveError("full", hint="Make room."), asyncio.CancelledError(), KeyboardInterrupt()):

        def raised(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as failed, blame(plan_of(TEA)):
            inner(raised)
        assert failed.value is error


def test_of_a_group_the_error_for_the_user_is_raised_else_the_first_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = module(monkeypatch, "shop_tea.leaves")
    full = ArchiveError("full")

    def grouped(*errors: Exception) -> None:
        caught: list[Exception] = []
        for error in errors:
            try:
                inner(partial(throw, error))
            except Exception as raised:  # noqa: BLE001 - whatever it is
                caught.append(raised)
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", caught)])

    with pytest.raises(ArchiveError) as failed, blame(plan_of(TEA)):
        grouped(KeyError("kettle"), full)
    assert failed.value is full
    with pytest.raises(PluginError, match="plugin tea failed: KeyError: 'kettle'"), blame(plan_of(TEA)):
        grouped(KeyError("kettle"), ValueError("second"))
