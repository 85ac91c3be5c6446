"""Logging in by QR code: `auth.exportLoginToken`, `auth.acceptLoginToken`, `auth.importLoginToken`.

Source: https://core.telegram.org/api/qr-login. Any data centre hands out tokens; a client that waits elsewhere than
at the account's home is sent there once its token was accepted.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.login_tokens import TOKEN_LIFE, LoginToken
from tobs.lab.methods.account import described
from tobs.lab.methods.auth import authorize, check_application, need_password
from tobs.lab.rpc import Call, RpcFault, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject


@method(functions.auth.ExportLoginTokenRequest, login=False)
def export_login_token(call: Call) -> TLObject:
    """A token to show; the login itself once a token of this key was accepted."""
    check_application(call)
    tokens, home = call.service.login_tokens, call.service.world.scenario.network.home
    token = tokens.accepted(call.client)
    if token is None:
        token = tokens.issue(call.client, call.now)
        return types.auth.LoginToken(datetime.now(UTC) + timedelta(seconds=TOKEN_LIFE), token.token)
    if call.dc != home:
        call.service.counters.migrations += 1
        return types.auth.LoginTokenMigrateTo(home, token.token)
    return _log_in(call, token)


@method(functions.auth.ImportLoginTokenRequest, login=False)
def import_login_token(call: Call) -> TLObject:
    """Log in at home with a token that was shown, and accepted, elsewhere."""
    token = call.service.login_tokens.find(call.request.token)
    if token is None or call.dc != call.service.world.scenario.network.home:
        raise RpcFault("AUTH_TOKEN_INVALID")
    if token.spent:
        raise RpcFault("AUTH_TOKEN_ALREADY_ACCEPTED")
    if token.user_id is None:
        raise RpcFault("AUTH_TOKEN_EXPIRED" if call.now > token.until else "AUTH_TOKEN_INVALID")
    return _log_in(call, token)


@method(functions.auth.AcceptLoginTokenRequest)
def accept_login_token(call: Call) -> TLObject:
    """Let whoever shows this token log in as this account, and tell them so: what is known of them."""
    token = call.service.login_tokens.find(call.request.token)
    if token is None:
        raise RpcFault("AUTH_TOKEN_INVALID")
    if token.user_id is not None:
        raise RpcFault("AUTH_TOKEN_ALREADY_ACCEPTED")
    if call.now > token.until:
        raise RpcFault("AUTH_TOKEN_EXPIRED")
    token.user_id = call.user_id
    told = types.UpdateShort(types.UpdateLoginToken(), datetime.now(UTC))
    call.service.push(lambda client: client is token.client, bytes(told))
    now = int(time.time())
    return described(token.client, since=now, active=now)


def _log_in(call: Call, token: LoginToken) -> TLObject:
    assert token.user_id is not None
    token.spent = True
    if call.service.world.password:
        need_password(call)
    return types.auth.LoginTokenSuccess(authorize(call, token.user_id))
