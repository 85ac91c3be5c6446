"""The methods the lab answers, one module a family; importing them registers them with `tobs.lab.rpc`."""

from __future__ import annotations

from tobs.lab.methods import (
    account,
    auth,
    channels,
    help_,
    members,
    messages,
    photos,
    qr_login,
    reactions,
    saved,
    search,
    stickers,
    stories,
    takeout,
    threads,
    updates,
    upload,
    users,
)

__all__ = [
    "account",
    "auth",
    "channels",
    "help_",
    "members",
    "messages",
    "photos",
    "qr_login",
    "reactions",
    "saved",
    "search",
    "stickers",
    "stories",
    "takeout",
    "threads",
    "updates",
    "upload",
    "users",
]
