"""Errors: what the user reads, what the command line exits with, what a layer decides by."""

from __future__ import annotations

import pytest

from tobs import errors
from tobs.errors import ArchiveError, ConnectError, LostError, RpcError, TobsError, UsageError


def test_every_error_is_a_tobs_error() -> None:
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {UsageError, ArchiveError, ConnectError, LostError, RpcError} <= set(own)
    assert all(issubclass(kind, TobsError) for kind in own)


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = ArchiveError("the disk is full", hint="Free some space.")
    assert (str(error), error.hint, error.exit_code) == ("the disk is full", "Free some space.", 1)
    assert LostError("gone").hint == ""


@pytest.mark.parametrize(("kind", "code"), [(UsageError, 2), (ArchiveError, 1), (ConnectError, 1), (LostError, 1)])
def test_wrong_usage_exits_differently(kind: type[TobsError], code: int) -> None:
    assert kind("x").exit_code == code


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RpcError(420, "FLOOD_WAIT", 7, "messages.getHistory"), "messages.getHistory was refused: FLOOD_WAIT_7 (420)"),
        (RpcError(400, "CHANNEL_INVALID"), "request was refused: CHANNEL_INVALID (400)"),
        (RpcError(303, "FILE_MIGRATE", 4, "upload.getFile"), "upload.getFile was refused: FILE_MIGRATE_4 (303)"),
        (RpcError(420, "FLOOD_WAIT", 0), "request was refused: FLOOD_WAIT_0 (420)"),
    ],
)
def test_a_refusal_is_told_in_the_server_s_words(error: RpcError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("name", "value", "flood"),
    [
        ("FLOOD_WAIT", 7, True),
        ("FLOOD_PREMIUM_WAIT", 3, True),
        ("SLOWMODE_WAIT", 10, True),
        ("FLOOD_WAIT", None, False),
        ("TAKEOUT_INIT_DELAY", 86_400, False),
        ("FILE_MIGRATE", 4, False),
    ],
)
def test_a_flood_is_what_names_a_wait(name: str, value: int | None, flood: bool) -> None:
    assert RpcError(420, name, value).is_flood is flood


@pytest.mark.parametrize(
    ("name", "stale"),
    [
        ("FILE_REFERENCE_EXPIRED", True),
        ("FILE_REFERENCE_INVALID", True),
        ("FILE_REFERENCE_EMPTY", True),
        ("FILE_ID_INVALID", False),
        ("FILE_MIGRATE", False),
    ],
)
def test_a_stale_reference_is_told_from_a_file_that_is_gone(name: str, stale: bool) -> None:
    assert RpcError(400, name).is_stale is stale


@pytest.mark.parametrize(
    ("code", "fault"), [(500, True), (503, True), (-503, True), (-500, True), (400, False), (420, False), (303, False)]
)
def test_the_server_s_own_faults_are_told_apart(code: int, fault: bool) -> None:
    assert RpcError(code, "X").is_server_fault is fault
