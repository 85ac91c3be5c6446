"""`messages.getStickerSet` and `getCustomEmojiDocuments`: stickers are posted here, but all sets of them are gone."""

from __future__ import annotations

from telethon.tl import functions

from tobs.lab.rpc import Call, Result, RpcFault, method
from tobs.lab.tl import vector


@method(functions.messages.GetStickerSetRequest)
def get_sticker_set(_call: Call) -> Result:
    """No set, as Telegram answers for one that its owner has deleted."""
    raise RpcFault("STICKERSET_INVALID")


@method(functions.messages.GetCustomEmojiDocumentsRequest)
def get_custom_emoji_documents(_call: Call) -> Result:
    """None: an emoji goes with its set, and the messages that hold it keep its id."""
    return vector(())
