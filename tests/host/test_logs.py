"""Log handlers are wrapped for the run, and stand as before afterwards."""

# ruff: noqa: ARG001 - a fixture that is not looked at works all the same

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tobs.host.logs import logged_through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Kept(logging.Handler):
    """Keeps what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[str] = []
        self.closed = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record.getMessage())

    def close(self) -> None:
        self.closed += 1
        super().close()


class Marking(logging.Handler):
    """Puts a mark before what passes; keeps the last one back until it is closed."""

    def __init__(self, inner: logging.Handler, mark: str) -> None:
        super().__init__()
        self.inner = inner
        self.mark = mark
        self.held: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        marked = logging.makeLogRecord({**record.__dict__, "msg": f"{self.mark}{record.msg}"})
        held, self.held = self.held, marked
        if held is not None:
            self.inner.handle(held)

    def close(self) -> None:
        if self.held is not None:
            self.inner.handle(self.held)
        super().close()


def marking(mark: str) -> Callable[[logging.Handler], logging.Handler]:
    return lambda handler: Marking(handler, mark)


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Kept]]:
    kept = [Kept(), Kept()]
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(kept))
    yield kept
    for handler in kept:
        handler.close()


def test_every_handler_is_wrapped_the_first_layer_innermost_and_flushed_at_the_end(handlers: list[Kept]) -> None:
    before = list(logging.getLogger().handlers)
    with logged_through([marking("inner "), marking("outer ")]):
        logging.getLogger("shop").warning("tea")
        logging.getLogger("shop").warning("milk")
    logging.getLogger("shop").warning("plain")

    for handler in handlers:
        assert handler.records == ["inner outer tea", "inner outer milk", "plain"]
        assert handler.closed == 0
    assert logging.getLogger().handlers == before


def test_without_layers_the_handlers_themselves_stay(handlers: list[Kept]) -> None:
    before = list(logging.getLogger().handlers)
    with logged_through([]):
        assert logging.getLogger().handlers == before


def test_all_is_put_back_when_the_run_fails(handlers: list[Kept]) -> None:
    before = list(logging.getLogger().handlers)
    with pytest.raises(KeyError), logged_through([marking("x ")]):
        raise KeyError
    assert logging.getLogger().handlers == before


def test_all_is_put_back_when_a_layer_fails(handlers: list[Kept]) -> None:
    before = list(logging.getLogger().handlers)

    def refuse(handler: logging.Handler) -> logging.Handler:
        if handler is handlers[1]:
            raise KeyError
        return Marking(handler, "x ")

    with pytest.raises(KeyError), logged_through([refuse]):
        pass
    assert logging.getLogger().handlers == before


def test_handlers_added_meanwhile_stay(handlers: list[Kept]) -> None:
    before = list(logging.getLogger().handlers)
    added = Kept()
    with logged_through([marking("x ")]):
        logging.getLogger().addHandler(added)
    assert logging.getLogger().handlers == [*before, added]
    added.close()
