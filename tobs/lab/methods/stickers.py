"""`messages.getStickerSet`: stickers are posted here, but their sets are gone."""

from __future__ import annotations

from telethon.tl import functions

from tobs.lab.rpc import Call, Result, RpcFault, method


@method(functions.messages.GetStickerSetRequest)
def get_sticker_set(_call: Call) -> Result:
    """No set, as Telegram answers for one that its owner has deleted."""
    raise RpcFault("STICKERSET_INVALID")
