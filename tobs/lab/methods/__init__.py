"""The methods the lab answers, one module a family; importing them registers them with `tobs.lab.rpc`."""

from __future__ import annotations

from tobs.lab.methods import (
    account,
    auth,
    channels,
    help_,
    messages,
    qr_login,
    stickers,
    stories,
    takeout,
    updates,
    upload,
    users,
)

__all__ = [
    "account",
    "auth",
    "channels",
    "help_",
    "messages",
    "qr_login",
    "stickers",
    "stories",
    "takeout",
    "updates",
    "upload",
    "users",
]
