"""`help.*`: where the data centres are, and what clients ask at start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.rpc import Call, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject

CONFIG_LIFE = timedelta(hours=1)


@method(functions.help.GetConfigRequest, login=False)
def get_config(call: Call) -> TLObject:
    """`config` with each data centre's addresses; the other figures are those of Telegram."""
    now = datetime.now(UTC)
    keys, host = call.service.keys, call.service.host
    media = sorted(keys.media_ports.items())
    return types.Config(
        date=now,
        expires=now + CONFIG_LIFE,
        test_mode=False,
        this_dc=call.dc,
        dc_options=[
            *(types.DcOption(dc, host, port, this_port_only=True) for dc, port in sorted(keys.ports.items())),
            *(types.DcOption(dc, host, port, media_only=True, this_port_only=True) for dc, port in media),
        ],
        dc_txt_domain_name="",
        chat_size_max=200,
        megagroup_size_max=200_000,
        forwarded_count_max=100,
        online_update_period_ms=210_000,
        offline_blur_timeout_ms=5_000,
        offline_idle_timeout_ms=30_000,
        online_cloud_timeout_ms=300_000,
        notify_cloud_delay_ms=30_000,
        notify_default_delay_ms=1_500,
        push_chat_period_ms=60_000,
        push_chat_limit=2,
        edit_time_limit=172_800,
        revoke_time_limit=2_147_483_647,
        revoke_pm_time_limit=2_147_483_647,
        rating_e_decay=2_419_200,
        stickers_recent_limit=200,
        channels_read_media_period=604_800,
        call_receive_timeout_ms=20_000,
        call_ring_timeout_ms=90_000,
        call_connect_timeout_ms=30_000,
        call_packet_timeout_ms=10_000,
        me_url_prefix="https://t.me/",
        caption_length_max=1_024,
        message_length_max=4_096,
        webfile_dc_id=call.service.world.scenario.network.home,
    )


@method(functions.help.GetNearestDcRequest, login=False)
def get_nearest_dc(call: Call) -> TLObject:
    """The nearest data centre: the home one unless the scenario names another."""
    network = call.service.world.scenario.network
    return types.NearestDc("NL", call.dc, network.nearest or network.home)


@method(functions.help.GetAppConfigRequest, login=False)
def get_app_config(_call: Call) -> TLObject:
    """An empty configuration."""
    return types.help.AppConfig(0, types.JsonObject([]))
