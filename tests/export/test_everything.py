"""Every kind of message, action and chat comes through: into the archive, its digest and result.json."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.export.checker import differences
from tests.export.labs import ROOT, Served, export
from tobs.archive.result import render_json
from tobs.lab.child import spawn
from tobs.lab.scenario import load
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENARIO = ROOT / "experiments" / "scenarios" / "everything.toml"


DESKTOP_ACTIONS = frozenset(
    {
        "create_group",
        "edit_group_title",
        "edit_group_photo",
        "delete_group_photo",
        "invite_members",
        "remove_members",
        "join_group_by_link",
        "join_group_by_request",
        "create_channel",
        "migrate_to_supergroup",
        "migrate_from_group",
        "pin_message",
        "clear_history",
        "score_in_game",
        "send_payment",
        "refunded_payment",
        "phone_call",
        "conference_call",
        "group_call",
        "group_call_scheduled",
        "invite_to_group_call",
        "take_screenshot",
        "joined_telegram",
        "set_messages_ttl",
        "edit_chat_theme",
        "set_chat_wallpaper",
        "set_same_chat_wallpaper",
        "topic_created",
        "topic_edit",
        "proximity_reached",
        "requested_peer",
        "allow_sending_messages",
        "attach_menu_bot_allowed",
        "web_app_bot_allowed",
        "send_webview_data",
        "send_passport_values",
        "suggest_profile_photo",
        "boost_apply",
        "send_premium_gift",
        "send_stars_gift",
        "send_ton_gift",
        "send_star_gift",
        "gift_code_prize",
        "stars_prize",
        "giveaway_launch",
        "giveaway_results",
        "paid_messages_refund",
        "paid_messages_price_change",
        "todo_completions",
        "todo_append_tasks",
        "process_suggested_post",
        "suggested_post_success",
        "suggested_post_refund",
    }
)
"""What Telegram Desktop calls the service actions; requesting a phone number is none any more in this layer."""
DESKTOP_KEYS = frozenset(
    {
        "author",
        "forwarded_from",
        "saved_from",
        "reply_to_message_id",
        "reply_to_peer_id",
        "via_bot",
        "inline_bot_buttons",
        "reactions",
        "photo",
        "media_spoiler",
        "self_destruct_period_seconds",
        "file",
        "contact_information",
        "contact_vcard",
        "location_information",
        "live_location_period_seconds",
        "place_name",
        "address",
        "game_title",
        "game_description",
        "invoice_information",
        "poll",
        "todo_list",
        "giveaway_information",
        "giveaway_results",
        "paid_stars_amount",
        "edited",
    }
)
"""Keys of its messages, by which the kinds of message can be told."""


@cache
def everything() -> World:
    """The world that holds all there is."""
    return build(load(SCENARIO))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lab with that world."""
    state = tmp_path_factory.mktemp("lab-everything")
    with spawn(SCENARIO, state) as child:
        yield Served(child, everything(), state)


async def test_each_chat_by_itself_has_the_digest_of_the_truth(lab: Served, tmp_path: Path) -> None:
    assert len(lab.world.histories) == 8
    for number, chat in enumerate(sorted(lab.world.histories)):
        report = await export(lab.server, tmp_path / str(number), [chat])
        assert report.digest == lab.child.truth(chat)["digest"], lab.world.title(chat)
        assert report.warnings == []


async def test_all_chats_together_equal_the_world_and_become_a_result_json(lab: Served, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    chats = sorted(lab.world.histories)
    report = await export(lab.server, folder, chats)
    assert differences(folder, lab.world, chats) == []
    assert report.digest == lab.child.truth()["digest"]
    [written] = render_json(folder)
    shown = {chat["id"]: chat for chat in json.loads(written.read_text(encoding="utf-8"))["chats"]["list"]}
    for number in chats:
        history = lab.world.histories[number]
        messages = shown[_bare(number)]["messages"]
        assert [message["id"] for message in messages] == history.ids
    actions = {message.get("action") for chat in shown.values() for message in chat["messages"]}
    assert actions >= DESKTOP_ACTIONS
    keys = {key for chat in shown.values() for message in chat["messages"] for key in message}
    assert keys >= DESKTOP_KEYS
    assert {chat["type"] for chat in shown.values()} == {
        "saved_messages",
        "personal_chat",
        "private_group",
        "private_supergroup",
        "public_supergroup",
        "public_channel",
    }


def _bare(number: int) -> int:
    return number if number > 0 else -number - 10**12 if number < -(10**12) else -number
