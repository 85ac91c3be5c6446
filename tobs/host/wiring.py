"""Plugins made ready and asked, once each, for what they bring to the graph.

Every plugin has a pluggy manager of its own: the order of what they bring is the plan's, and whatever is wrong is
said of the one whose it is.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import inspect
import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pluggy

from tobs.errors import PluginError, TobsError
from tobs.hookspecs import PROJECT, SLOTS, Hooks
from tobs.host import conform
from tobs.host.blame import culprit, root
from tobs.host.scope import Scoped
from tobs.ports import InvokeBand, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tobs.engine.graph import Line
    from tobs.host.resolve import Plan
    from tobs.host.scope import Places
    from tobs.knobs import Value
    from tobs.manifest import Manifest

T = TypeVar("T")
log = logging.getLogger(__name__)
HOOKS = frozenset(name for name in vars(Hooks) if name.startswith("tobs_"))
BESIDE = frozenset({"tobs_advise"})
"""Hooks that no run asks for."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that is on: its instance, and the hooks that it implements."""

    name: str
    instance: object
    calls: pluggy.HookRelay
    hooks: frozenset[str]


def make(manifest: Manifest, knobs: Mapping[str, Value]) -> Plugin:
    """Import a plugin's implementation, make it with its knobs and check its hooks.

    Raises `PluginError` naming the plugin, the hook and what is wrong.
    """
    name = manifest.name
    module, _, attribute = manifest.load.partition(":")
    try:
        implementation = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise PluginError(name, f"cannot be imported from {manifest.load}: {_said(error)}") from error
    try:
        instance = implementation(dict(knobs))
    except Exception as error:
        raise _failed(name, f"cannot be made by {manifest.load}", error) from error
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(instance, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(name, f"has a hook with a wrong signature: {' '.join(str(error).split())}") from error
    implemented = {caller.name: caller for caller in manager.get_hookcallers(instance) or ()}
    for hook, caller in sorted(implemented.items()):
        _examine(name, hook, caller)
    for hook in sorted(attribute for attribute in dir(type(instance)) if attribute.startswith("tobs_")):
        if hook not in implemented:
            raise PluginError(name, f"has a method {hook} that is not marked @hook")
    filled, promised = {slot for slot in SLOTS if f"tobs_{slot}" in implemented}, {*manifest.provides} & {*SLOTS}
    if filled != promised:
        raise PluginError(
            name,
            f"fills the slots {', '.join(sorted(filled)) or 'none'}, "
            f"and its manifest provides {', '.join(sorted(promised)) or 'none'}",
        )
    if not implemented:
        raise PluginError(name, "implements no hook; mark its methods with @hook")
    return Plugin(name, instance, manager.hook, frozenset(implemented))


def _examine(plugin: str, hook: str, caller: pluggy.HookCaller) -> None:
    if hook not in HOOKS:
        close = difflib.get_close_matches(hook, HOOKS, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise PluginError(plugin, f"implements {hook}, which is no hook{meant}")
    for implementation in caller.get_hookimpls():
        if implementation.wrapper or implementation.hookwrapper:
            raise PluginError(plugin, f"implements {hook} as a wrapper; a hook returns a strategy or a layer")
        if inspect.iscoroutinefunction(implementation.function) or inspect.isasyncgenfunction(implementation.function):
            raise PluginError(plugin, f"implements {hook} as an async function; it returns what is async")


class HookWiring:
    """Implements `tobs.engine.wiring.Wiring` for the plugins of a plan. Attach the line before it is asked."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self._plugins = [make(plan.manifests[name], plan.values(name)) for name in plan.plugins]
        self._manifests = plan.manifests
        self._places = places
        self._contexts: dict[str, Scoped] = {}
        self._asked: set[str] = set()

    def attach(self, line: Line) -> None:
        """Give every plugin its view of the line."""
        self._contexts = {plugin.name: Scoped(plugin.name, line, self._places) for plugin in self._plugins}

    def slot(self, port: str, base: Callable[[], T], **offers: Any) -> T:
        """See `tobs.engine.wiring.Wiring`. Raises `PluginError` for a strategy that is none."""
        hook = self._once(port)
        for plugin in self._plugins:
            if hook in plugin.hooks:
                value: T = self._call(plugin, hook, **offers)
                _accept(plugin.name, hook, value, conform.fault_of(value, conform.SLOT_PORTS[port]))
                return value
        return base()

    def layers(self, port: str) -> list[Any]:
        """See `tobs.engine.wiring.Wiring`. Raises `PluginError` for a layer that is none."""
        hook = self._once(port)
        asked = [plugin for plugin in self._plugins if hook in plugin.hooks]
        found = [(plugin.name, self._call(plugin, hook)) for plugin in asked]
        if port == "invoke":
            _one_retry(found)
        return [_layer(name, port, value, self._manifests) for name, value in found]

    def _once(self, port: str) -> str:
        if port in self._asked:
            raise AssertionError(f"the port {port} was asked for twice in one run")
        self._asked.add(port)
        return f"tobs_{port}"

    def _call(self, plugin: Plugin, hook: str, **offers: Any) -> Any:
        try:
            found = getattr(plugin.calls, hook)(ctx=self._contexts[plugin.name], **offers)
        except Exception as error:
            raise _failed(plugin.name, f"failed in {hook}", error) from error
        if not found:
            raise PluginError(plugin.name, f"returned nothing from {hook}")
        return found[0]


def _one_retry(found: list[tuple[str, Any]]) -> None:
    """RETRY holds one layer. Raises `PluginError` of the second that would."""
    retrying = [name for name, value in found if isinstance(value, tuple) and value[:1] == (InvokeBand.RETRY,)]
    if len(retrying) > 1:
        raise PluginError(retrying[1], f"and plugin {retrying[0]} both own the band RETRY, which holds one layer")


def _layer(plugin: str, port: str, value: Any, manifests: Mapping[str, Manifest]) -> Any:
    """What the graph gets of what a hook returned: checked, and so that a failure names the plugin."""
    hook = f"tobs_{port}"
    if port == "probe":
        _accept(plugin, hook, value, conform.fault_of(value, Probe))
        return value
    if port == "lifespan":
        _accept(plugin, hook, value, conform.lifespan_fault(value))
        return NamedLifespan(plugin, value, manifests)
    if port in conform.BANDS:
        _accept(plugin, hook, value, conform.banded_fault(value, conform.BANDS[port]))
        return value[0], _named(plugin, port, value[1])
    _accept(plugin, hook, value, conform.layer_fault(value))
    return _named(plugin, port, value)


def _named(plugin: str, port: str, layer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def wrap(inner: Any) -> Any:
        try:
            made = layer(inner)
        except Exception as error:
            raise _failed(plugin, f"failed in its layer of tobs_{port}", error) from error
        fault = conform.handler_fault(made) if port == "log" else conform.fault_of(made, conform.LAYER_PORTS[port])
        if fault:
            raise PluginError(plugin, f"made a layer of tobs_{port} that {fault}: {made!r}")
        return made

    return wrap


class NamedLifespan(AbstractAsyncContextManager[None]):
    """A plugin's lifespan whose own failures name it, and which hides nobody else's.

    A task of it may have called another of the plugins in `manifests`, whose failure names that one.
    """

    def __init__(
        self, plugin: str, inner: AbstractAsyncContextManager[None], manifests: Mapping[str, Manifest] | None = None
    ) -> None:
        self._plugin = plugin
        self._inner = inner
        self._manifests = manifests or {}

    async def __aenter__(self) -> None:
        """Enter. Raises `PluginError` for whatever is not meant for the user as it is."""
        try:
            await self._inner.__aenter__()
        except Exception as error:  # noqa: BLE001 - raised again by name
            self._raise("failed at the beginning of its lifespan", error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave. What failed the run before goes on failing it, whatever the plugin makes of it.

        A cancellation may be the plugin's own, of a run that its tasks cannot serve any more; their failure is raised.
        """
        try:
            await self._inner.__aexit__(kind, error, trace)
        except Exception as own:  # noqa: BLE001 - raised again by name, or the run's own failure goes on
            if error is None or isinstance(error, asyncio.CancelledError):
                self._raise("failed at the end of its lifespan", own)
            if not _holds(own, error):
                log.warning("plugin %s failed at the end of its lifespan, too: %s", self._plugin, _said(own))

    def _raise(self, doing: str, error: Exception) -> NoReturn:
        first = root(error)
        if isinstance(first, TobsError):
            raise first
        whose = culprit(first, self._manifests) or self._plugin
        raise _failed(whose, doing if whose == self._plugin else "failed", first) from error


def _holds(group: BaseException, error: BaseException) -> bool:
    """Whether an error is another one, or in that group."""
    return group is error or (
        isinstance(group, BaseExceptionGroup) and any(_holds(inner, error) for inner in group.exceptions)
    )


def _accept(plugin: str, hook: str, value: object, fault: str) -> None:
    if fault:
        raise PluginError(plugin, f"returned from {hook} something that {fault}: {value!r}")


def _failed(plugin: str, doing: str, error: BaseException) -> PluginError:
    """The error that names the plugin; one raised on purpose keeps its hint and exit code."""
    if isinstance(error, PluginError):
        return error
    failure = PluginError(plugin, f"{doing}: {_said(error)}", hint=error.hint if isinstance(error, TobsError) else "")
    if isinstance(error, TobsError):
        failure.exit_code = error.exit_code
    return failure


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, TobsError) else f"{type(error).__name__}: {error}".rstrip(": ")
