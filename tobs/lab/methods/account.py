"""The sessions of the account: who is logged in, and ending that. Source: https://core.telegram.org/api/auth."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.rpc import Call, Result, RpcFault, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject

    from tobs.lab.keys import Client

FRESH = 86_400
"""Seconds after its login in which a session may not end others."""

MONTHS_6 = 183
"""Days after which Telegram ends a session that is not used."""


def described(client: Client, *, since: int, active: int, current: bool = False) -> types.Authorization:
    """A session as `account.getAuthorizations` shows it; the one that asks has the hash 0."""
    app = client.app
    return types.Authorization(
        hash=0 if current else client.login,
        device_model=app.device if app else "",
        platform="",
        system_version=app.system if app else "",
        api_id=app.api_id if app else 0,
        app_name="",
        app_version=app.version if app else "",
        date_created=datetime.fromtimestamp(since, UTC),
        date_active=datetime.fromtimestamp(active, UTC),
        ip="127.0.0.1",
        country="",
        region="",
        current=current or None,
    )


def _sessions(call: Call) -> list[Client]:
    """One key for each login of the account: that at home."""
    home = call.service.world.scenario.network.home
    return [c for c in call.service.keys.clients.values() if c.dc == home and c.user_id == call.user_id]


@method(functions.account.GetAuthorizationsRequest)
def get_authorizations(call: Call) -> TLObject:
    """All sessions of the account, that which asks first."""
    own = call.client.login
    rows = [
        described(client, since=client.since, active=client.active, current=client.login == own)
        for client in sorted(_sessions(call), key=lambda client: (client.login != own, -client.active))
    ]
    return types.account.Authorizations(MONTHS_6, rows)


@method(functions.account.GetWebAuthorizationsRequest)
def get_web_authorizations(_call: Call) -> TLObject:
    """The account has logged in to no web site."""
    return types.account.WebAuthorizations([], [])


@method(functions.account.ResetAuthorizationRequest)
def reset_authorization(call: Call) -> Result:
    """End another session: its keys are logged in no more, in no data centre."""
    number = call.request.hash
    if number == call.client.login or number not in {client.login for client in _sessions(call)}:
        raise RpcFault("HASH_INVALID")
    _check_age(call)
    call.service.end_logins([number], "AUTH_KEY_UNREGISTERED")
    return True


@method(functions.auth.ResetAuthorizationsRequest)
def reset_authorizations(call: Call) -> Result:
    """End all sessions but this one."""
    _check_age(call)
    others = {client.login for client in _sessions(call)} - {call.client.login}
    call.service.end_logins(others, "SESSION_REVOKED")
    return True


@method(functions.account.UpdateStatusRequest)
def update_status(_call: Call) -> Result:
    """Whether the account is online interests nobody here."""
    return True


def _check_age(call: Call) -> None:
    if time.time() - call.client.since < FRESH:
        raise RpcFault("FRESH_RESET_AUTHORISATION_FORBIDDEN", 406)
