"""What a plugin is given of core, and the places where it keeps what survives a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.engine.state import FolderState
from tobs.errors import PluginError
from tobs.host import folders

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from pathlib import Path

    from tobs.engine.graph import Line
    from tobs.knobs import Value
    from tobs.ports import Budget, Call, Ledger, Pool, Range, State
    from tobs.values import BlockHash, Chat, MediaRef, Page, Part, Span, Stored

IN_ARCHIVE = ".tobs-state"
"""Folder of plugins' state inside an archive: outside media/, so that no check takes it for an export's file."""


@dataclass(slots=True)
class Places:
    """Folders of state by scope; each plugin has a folder of its own in every one.

    The archive's is written only from when the archive is open: a folder must be empty to become one. `cache` holds
    what can be made again; None is the user's own place for it.
    """

    account: Path
    archive: Path
    user: Path
    archive_is_open: bool = False
    cache: Path | None = None

    def cache_of(self, plugin: str) -> Path:
        """A plugin's folder for what can be made again."""
        return (self.cache or folders.cache()) / "plugins" / plugin

    def of(self, plugin: str, scope: str) -> State:
        """A plugin's state. Raises `PluginError` for a scope that does not exist."""
        if scope == "account":
            return FolderState(self.account / "plugins" / plugin)
        if scope == "archive":
            return _ArchiveState(FolderState(self.archive / IN_ARCHIVE / plugin), self, plugin)
        if scope == "user":
            return FolderState(self.user / "plugins" / plugin)
        raise PluginError(plugin, f"asked for state of the scope {scope!r}: there are account, archive and user")


class _ArchiveState:
    """The archive's state: can always be read, and written once the archive is open."""

    def __init__(self, inner: State, places: Places, plugin: str) -> None:
        self._inner = inner
        self._places = places
        self._plugin = plugin

    def get(self, key: str) -> dict[str, Any]:
        """See `tobs.ports.State`."""
        return self._inner.get(key)

    def put(self, key: str, value: dict[str, Any]) -> None:
        """See `tobs.ports.State`. Raises `PluginError` before the archive is open."""
        if not self._places.archive_is_open:
            raise PluginError(self._plugin, "kept something in the archive before it was open; do so in a lifespan")
        self._inner.put(key, value)


class Scoped:
    """The `Context` of one plugin: core's line, and state of its own."""

    def __init__(self, plugin: str, line: Line, places: Places) -> None:
        self._plugin = plugin
        self._line = line
        self._places = places
        self.meters = line.meters

    @property
    def pool(self) -> Pool:
        """See `tobs.ports.Context`."""
        try:
            return self._line.pool
        except AttributeError:
            raise self._too_early("pool") from None

    @property
    def budget(self) -> Budget:
        """See `tobs.ports.Context`."""
        try:
            return self._line.budget
        except AttributeError:
            raise self._too_early("budget") from None

    @property
    def knobs(self) -> Mapping[str, Value]:
        """See `tobs.ports.Context`."""
        return self._line.knobs

    @property
    def home(self) -> int:
        """See `tobs.ports.Context`."""
        return self._line.home

    def invoke(self, call: Call) -> Coroutine[Any, Any, Any]:
        """See `tobs.ports.Context`."""
        return self._sent(call)

    async def _sent(self, call: Call) -> Any:
        try:
            invoke = self._line.invoke
        except AttributeError:
            raise self._too_early("way of requests") from None
        return await invoke(call)

    @property
    def cache(self) -> Path:
        """See `tobs.ports.Context`."""
        return self._places.cache_of(self._plugin)

    def state(self, scope: str) -> State:
        """See `tobs.ports.Context`."""
        return self._places.of(self._plugin, scope)

    def page(self, chat: Chat, within: Range, *, skip: int = 0) -> Coroutine[Any, Any, Page]:
        """See `tobs.ports.Context`."""
        return self._line.page(chat, within, skip=skip)

    def part(self, ref: MediaRef, part: Part, dc: int | None) -> Coroutine[Any, Any, bytes]:
        """See `tobs.ports.Context`."""
        return self._line.part(ref, part, dc)

    def file_hashes(self, ref: MediaRef, offset: int, dc: int | None = None) -> Coroutine[Any, Any, list[BlockHash]]:
        """See `tobs.ports.Context`."""
        return self._hashes(ref, offset, dc)

    async def _hashes(self, ref: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        if not hasattr(self._line, "lanes"):
            raise PluginError(self._plugin, "asked for the lanes before they stand; take them when they are used")
        return await self._line.file_hashes(ref, offset, dc)

    def refresh(self, refs: Iterable[MediaRef]) -> Coroutine[Any, Any, dict[tuple[int, int], MediaRef]]:
        """See `tobs.ports.Context`."""
        return self._line.refresh(refs)

    def stored(self, size: int, most: int) -> list[Stored]:
        """See `tobs.ports.Context`."""
        return self._ledger().of_size(size, most)

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        """See `tobs.ports.Context`."""
        return self._ledger().raw(chat_id, span)

    def _ledger(self) -> Ledger:
        try:
            return self._line.ledger
        except AttributeError:
            raise self._too_early("archive") from None

    def _too_early(self, what: str) -> PluginError:
        return PluginError(self._plugin, f"asked for the {what} before it stands; take it when it is used")
