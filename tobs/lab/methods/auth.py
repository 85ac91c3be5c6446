"""`auth.*`: logging in by code and password, and taking a login to another data centre."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from telethon.tl import functions, types

from tobs.lab.keys import new_login
from tobs.lab.rpc import Call, Result, RpcFault, method
from tobs.lab.server_file import API_HASH, API_ID

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject


def _digits(phone: str) -> str:
    return "".join(c for c in phone if c.isdigit())


def authorize(call: Call, user_id: int, login: int | None = None) -> types.auth.Authorization:
    """Log the key in: as a login of its own, or as part of the `login` that was exported to it."""
    call.client.log_in(user_id, new_login() if login is None else login, int(time.time()))
    call.service.keys.save()
    return types.auth.Authorization(call.service.world.users[user_id])


def check_application(call: Call) -> None:
    """Refuse an application that the lab does not know: API_ID_INVALID."""
    if (call.request.api_id, call.request.api_hash) != (API_ID, API_HASH):
        raise RpcFault("API_ID_INVALID")


def need_password(call: Call) -> NoReturn:
    """Have the key wait for the account's password: SESSION_PASSWORD_NEEDED."""
    call.client.awaits_password, call.client.ended = True, None
    call.service.keys.save()
    raise RpcFault("SESSION_PASSWORD_NEEDED", 401)


@method(functions.auth.SendCodeRequest, login=False)
def send_code(call: Call) -> TLObject:
    """Say that a code was sent. Only the home data centre does, and only for the world's phone.

    A client that begins elsewhere is sent to the nearest data centre first, if the scenario names one.
    """
    request, world = call.request, call.service.world
    check_application(call)
    phone = _digits(request.phone_number)
    if phone != _digits(world.phone):
        raise RpcFault("PHONE_NUMBER_INVALID")
    home, nearest = world.scenario.network.home, world.scenario.network.nearest
    if call.dc != home:
        call.service.counters.migrations += 1
        away = nearest is not None and call.dc != nearest
        raise RpcFault(f"NETWORK_MIGRATE_{nearest}" if away else f"PHONE_MIGRATE_{home}", 303)
    return types.auth.SentCode(types.auth.SentCodeTypeApp(len(world.code)), call.service.logins.send_code(phone))


@method(functions.auth.ResendCodeRequest, login=False)
def resend_code(call: Call) -> TLObject:
    """Say that a code was sent once more, as long as the first was neither used nor given up."""
    request, world, logins = call.request, call.service.world, call.service.logins
    if logins.phone_of(request.phone_code_hash) != _digits(request.phone_number):
        raise RpcFault("PHONE_CODE_EXPIRED")
    return types.auth.SentCode(types.auth.SentCodeTypeApp(len(world.code)), request.phone_code_hash)


@method(functions.auth.CancelCodeRequest, login=False)
def cancel_code(call: Call) -> Result:
    """Take back a code that was sent."""
    request, logins = call.request, call.service.logins
    if logins.phone_of(request.phone_code_hash) != _digits(request.phone_number):
        raise RpcFault("PHONE_CODE_EXPIRED")
    logins.spend_code(request.phone_code_hash)
    return True


@method(functions.auth.SignInRequest, login=False)
def sign_in(call: Call) -> TLObject:
    """Check the code; an account with a password needs that too."""
    request, world, logins = call.request, call.service.world, call.service.logins
    if not request.phone_code:
        raise RpcFault("PHONE_CODE_EMPTY")
    phone = logins.phone_of(request.phone_code_hash)
    if phone is None:
        raise RpcFault("PHONE_CODE_EXPIRED")
    if phone != _digits(request.phone_number):
        raise RpcFault("PHONE_NUMBER_INVALID")
    if request.phone_code != world.code:
        raise RpcFault("PHONE_CODE_INVALID")
    logins.spend_code(request.phone_code_hash)
    if world.password:
        need_password(call)
    return authorize(call, world.me.id)


@method(functions.account.GetPasswordRequest, login=False)
def get_password(call: Call) -> TLObject:
    """The SRP challenge, for a client that is logged in or about to be."""
    _may_give_password(call)
    return call.service.logins.challenge()


@method(functions.auth.CheckPasswordRequest, login=False)
def check_password(call: Call) -> TLObject:
    """Check the SRP proof."""
    _may_give_password(call)
    proof = call.request.password
    if not isinstance(proof, types.InputCheckPasswordSRP):
        raise RpcFault("PASSWORD_HASH_INVALID")
    fits = call.service.logins.check(proof.srp_id, proof.A, proof.M1)
    if fits is None:
        raise RpcFault("SRP_ID_INVALID")
    if not fits:
        raise RpcFault("PASSWORD_HASH_INVALID")
    return authorize(call, call.service.world.me.id)


def _may_give_password(call: Call) -> None:
    if call.client.user_id is None and not call.client.awaits_password:
        raise RpcFault("AUTH_KEY_UNREGISTERED", 401)


@method(functions.auth.ExportAuthorizationRequest, limit="export")
def export_authorization(call: Call) -> TLObject:
    """Bytes that log this account in at another data centre, once."""
    dc = call.request.dc_id
    if dc == call.dc or call.service.data_centre(dc) is None:
        raise RpcFault("DC_ID_INVALID")
    return types.auth.ExportedAuthorization(
        call.user_id, call.service.logins.export(call.user_id, dc, call.client.login)
    )


@method(functions.auth.ImportAuthorizationRequest, login=False)
def import_authorization(call: Call) -> TLObject:
    """Log in with bytes exported elsewhere for this data centre."""
    request = call.request
    login = call.service.logins.redeem(request.id, call.dc, request.bytes)
    if login is None:
        raise RpcFault("AUTH_BYTES_INVALID")
    return authorize(call, request.id, login)


@method(functions.auth.LogOutRequest)
def log_out(call: Call) -> TLObject:
    """The key stays, but nobody is behind it any more, nor behind those that it was exported to."""
    call.service.end_logins([call.client.login], None)
    return types.auth.LoggedOut()
