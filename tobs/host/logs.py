"""What reaches the log while a run goes on."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@contextmanager
def logged_through(layers: Sequence[Callable[[logging.Handler], logging.Handler]]) -> Iterator[None]:
    """Wrap every handler of the root logger in `layers`, the first innermost, and put all back afterwards.

    Handlers that layers made are closed then, outermost first, so that each can still hand on what it holds.
    """
    root = logging.getLogger()
    before = list(root.handlers) if layers else []
    outer: list[logging.Handler] = []
    made: list[logging.Handler] = []
    try:
        for handler in before:
            wrapped = handler
            for layer in layers:
                inner, wrapped = wrapped, layer(wrapped)
                if wrapped is not inner:
                    made.append(wrapped)
            outer.append(wrapped)
            root.handlers[root.handlers.index(handler)] = wrapped
        yield
    finally:
        for wrapped, handler in zip(outer, before, strict=False):
            if wrapped in root.handlers:
                root.handlers[root.handlers.index(wrapped)] = handler
        for wrapped in reversed(made):
            wrapped.close()
