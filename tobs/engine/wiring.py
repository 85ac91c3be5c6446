"""What plugins bring to the graph: asked once a port, while it is assembled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Wiring(Protocol):
    """The plugins that are on, as the graph sees them: by port, never by name."""

    def slot(self, port: str, base: Callable[[], T], **offers: Any) -> T:
        """The strategy that a plugin provides for `port`, else what `base` makes; `offers` go to its hook."""
        ...

    def layers(self, port: str) -> list[Any]:
        """What plugins return for `port`, in the plan's stable order."""
        ...


class Bare:
    """No plugins: the baseline."""

    def slot(self, port: str, base: Callable[[], T], **offers: Any) -> T:  # noqa: ARG002 - the protocol
        """What `base` makes."""
        return base()

    def layers(self, port: str) -> list[Any]:  # noqa: ARG002 - the protocol
        """Nothing."""
        return []
