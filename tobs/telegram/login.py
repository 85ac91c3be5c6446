"""Logging in: phone, code, and the password where there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from telethon import password as srp
from telethon.tl import types
from telethon.tl.functions.account import GetPasswordRequest
from telethon.tl.functions.auth import CheckPasswordRequest, LogOutRequest, SendCodeRequest, SignInRequest
from telethon.tl.functions.help import GetConfigRequest

from tobs.errors import ConnectError, RpcError, TobsError, UsageError
from tobs.telegram.sender import open_sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.telegram.account import Account
    from tobs.telegram.sender import TelegramSender

TRIES = 3
_MIGRATIONS = frozenset({"PHONE_MIGRATE", "NETWORK_MIGRATE", "USER_MIGRATE"})
_REFUSALS = {
    "PHONE_NUMBER_INVALID": "this is not a phone number that Telegram knows; write it as +441234567890",
    "PHONE_NUMBER_BANNED": "this phone number is banned from Telegram",
    "PHONE_NUMBER_UNOCCUPIED": "there is no account with this phone number",
    "PHONE_CODE_EXPIRED": "the code has expired; ask for a new one",
    "API_ID_INVALID": "api_id and api_hash do not belong together; see https://my.telegram.org/apps",
}


async def login(
    account: Account, phone: str, ask_code: Callable[[], str], ask_password: Callable[[str], str]
) -> Account:
    """Log in with a new key; returns the account with key, data centre and user filled in.

    `ask_password` gets the password's hint. Raises `ConnectError` for what Telegram refuses.
    """
    account = replace(account, key=None)
    sender, config = await _connect(account)
    try:
        try:
            sent = await _send_code(sender, account, phone)
        except RpcError as error:
            if error.name not in _MIGRATIONS or error.value is None:
                raise
            account = _moved(account, config, error.value)
            await sender.close()
            sender, config = await _connect(account)
            sent = await _send_code(sender, account, phone)
        user = await _sign_in(sender, phone, sent.phone_code_hash, ask_code, ask_password)
    except RpcError as error:
        raise _explained(error) from None
    finally:
        await sender.close()
    name = " ".join(part for part in (user.first_name, user.last_name) if part)
    return replace(account, key=sender.auth_key, user={"id": user.id, "name": name, "username": user.username or ""})


async def logout(account: Account) -> None:
    """End this session on the server."""
    sender, _ = await open_sender(account, account.dc, (account.host, account.port), account.key, GetConfigRequest())
    try:
        await sender.send(LogOutRequest())
    except RpcError as error:
        raise _explained(error) from None
    finally:
        await sender.close()


async def _connect(account: Account) -> tuple[TelegramSender, Any]:
    return await open_sender(account, account.dc, (account.host, account.port), None, GetConfigRequest())


async def _send_code(sender: TelegramSender, account: Account, phone: str) -> Any:
    settings = types.CodeSettings()
    return await sender.send(SendCodeRequest(phone, account.api_id, account.api_hash, settings))


def _moved(account: Account, config: Any, dc: int) -> Account:
    for option in config.dc_options:
        if option.id == dc and not (option.ipv6 or option.media_only or option.tcpo_only or option.cdn):
            return replace(account, dc=dc, host=option.ip_address, port=option.port)
    raise ConnectError(f"this account lives on data centre {dc}, and the server names no address for it")


async def _sign_in(
    sender: TelegramSender,
    phone: str,
    code_hash: str,
    ask_code: Callable[[], str],
    ask_password: Callable[[str], str],
) -> types.User:
    for left in range(TRIES - 1, -1, -1):
        try:
            answer = await sender.send(SignInRequest(phone, code_hash, ask_code().strip()))
        except RpcError as error:
            if error.name == "SESSION_PASSWORD_NEEDED":
                return await _password(sender, ask_password)
            if error.name not in {"PHONE_CODE_INVALID", "PHONE_CODE_EMPTY"} or not left:
                raise
            continue
        if isinstance(answer, types.auth.AuthorizationSignUpRequired):
            raise ConnectError("there is no account with this phone number", hint="Sign up in a Telegram app first.")
        return answer.user
    raise AssertionError  # the last round returns or raises


async def _password(sender: TelegramSender, ask_password: Callable[[str], str]) -> types.User:
    for left in range(TRIES - 1, -1, -1):
        challenge = await sender.send(GetPasswordRequest())
        answer = srp.compute_check(challenge, ask_password(challenge.hint or ""))
        try:
            return (await sender.send(CheckPasswordRequest(answer))).user
        except RpcError as error:
            if error.name != "PASSWORD_HASH_INVALID" or not left:
                raise
    raise AssertionError  # the last round returns or raises


def _explained(error: RpcError) -> TobsError:
    if error.is_flood:
        return ConnectError(f"Telegram asks to wait {error.value} s before another login", hint="Try again then.")
    if error.name in {"PHONE_CODE_INVALID", "PASSWORD_HASH_INVALID"}:
        what = "code" if "CODE" in error.name else "password"
        return ConnectError(f"the {what} was wrong {TRIES} times", hint="Run the command again for a new try.")
    if error.name in _REFUSALS:
        return UsageError(_REFUSALS[error.name])
    return error
