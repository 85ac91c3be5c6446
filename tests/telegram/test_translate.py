"""The server's refusals keep the server's own names and numbers, whatever class the client library gives them."""

from __future__ import annotations

import re

import pytest
from telethon.errors import rpc_message_to_error
from telethon.errors.rpcerrorlist import rpc_errors_dict, rpc_errors_re
from telethon.tl import types
from telethon.tl.functions import InvokeWithMessagesRangeRequest, InvokeWithTakeoutRequest
from telethon.tl.functions.messages import GetHistoryRequest
from telethon.tl.functions.upload import GetFileRequest

from tobs.errors import ConnectError, RpcError
from tobs.telegram.sender import translate

REQUEST = GetFileRequest(types.InputPeerPhotoFileLocation(types.InputPeerSelf(), 1), 0, 4096)
LOGGED_OUT = {"AUTH_KEY_UNREGISTERED", "AUTH_KEY_INVALID", "SESSION_REVOKED", "SESSION_EXPIRED", "USER_DEACTIVATED"}


def told(code: int, message: str) -> Exception:
    return translate(rpc_message_to_error(types.RpcError(code, message), REQUEST), REQUEST)


@pytest.mark.parametrize("name", sorted(rpc_errors_dict))
def test_every_plain_name_survives(name: str) -> None:
    error = told(400, name)
    if name in LOGGED_OUT:
        assert isinstance(error, ConnectError)
        assert name in str(error)
        assert "tobs login" in error.hint
        return
    assert isinstance(error, RpcError)
    assert error.name.upper() == name.upper(), "one timeout is written in two ways"
    assert not error.value
    assert error.method == "GetFile"
    assert not error.is_flood


@pytest.mark.parametrize("pattern", sorted(pattern for pattern, _ in rpc_errors_re))
def test_every_number_survives(pattern: str) -> None:
    error = told(420, pattern.replace("(\\d+)", "37"))
    assert isinstance(error, RpcError)
    assert error.value == 37
    assert error.name == pattern.replace("_(\\d+)", "")
    assert not re.search(r"\d{2}", error.name)


@pytest.mark.parametrize(
    ("code", "message", "name", "value"),
    [
        (420, "FLOOD_WAIT_17", "FLOOD_WAIT", 17),
        (420, "FLOOD_PREMIUM_WAIT_3", "FLOOD_PREMIUM_WAIT", 3),
        (420, "SLOWMODE_WAIT_9", "SLOWMODE_WAIT", 9),
    ],
)
def test_floods_are_known_as_floods(code: int, message: str, name: str, value: int) -> None:
    error = told(code, message)
    assert isinstance(error, RpcError)
    assert error.is_flood
    assert (error.code, error.name, error.value) == (code, name, value)
    assert not error.is_server_fault


@pytest.mark.parametrize("dc", [1, 4, 203])
@pytest.mark.parametrize("what", ["FILE", "PHONE", "USER", "NETWORK"])
def test_migrations_name_their_data_centre(what: str, dc: int) -> None:
    error = told(303, f"{what}_MIGRATE_{dc}")
    assert isinstance(error, RpcError)
    assert (error.code, error.name, error.value) == (303, f"{what}_MIGRATE", dc)
    assert not error.is_flood


@pytest.mark.parametrize(
    ("code", "message"), [(500, "INTERNAL"), (500, "RPC_CALL_FAIL"), (-503, "Timeout"), (503, "ANYTHING"), (-500, "No")]
)
def test_faults_of_the_server_may_be_tried_again(code: int, message: str) -> None:
    error = told(code, message)
    assert isinstance(error, RpcError)
    assert error.is_server_fault
    assert not error.is_flood


@pytest.mark.parametrize("code", [303, 400, 401, 403, 404, 406, 420])
def test_a_name_that_nobody_knows_yet_survives(code: int) -> None:
    error = told(code, "SOMETHING_NEW")
    assert isinstance(error, RpcError)
    assert (error.code, error.name, error.value) == (code, "SOMETHING_NEW", None)
    assert not error.is_server_fault


def test_the_message_names_method_and_refusal() -> None:
    request = GetHistoryRequest(types.InputPeerSelf(), 0, None, 0, 100, 0, 0, 0)
    error = translate(rpc_message_to_error(types.RpcError(420, "FLOOD_WAIT_5"), request), request)
    assert str(error) == "GetHistory was refused: FLOOD_WAIT_5 (420)"
    wrapped = InvokeWithTakeoutRequest(1, InvokeWithMessagesRangeRequest(types.MessageRange(1, 2), request))
    assert str(translate(rpc_message_to_error(types.RpcError(420, "FLOOD_WAIT_5"), wrapped), wrapped)) == str(error)
