"""Twenty exports, each with one known bottleneck: the scenario, the arm, what is planted, and what removes it.

The rules of the advisor were written looking at the runs of `SEEN` alone; `HELD_OUT` were run when they stood.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`kind` and `stages` are what an advice has to name. `removal` is an arm without the bottleneck.

    It is run where the advice names no arm; else the arm that is advised is. Where nothing in the program removes the
    bottleneck, it is what somebody might try in vain, and the advice has to expect nothing of any arm.
    """

    name: str
    arm: str
    kind: str
    stages: tuple[str, ...]
    removal: str
    scenario: str


def text(messages: int, rtt: int, more: str = "") -> str:
    """Messages alone, so many milliseconds away."""
    return f"""
[dataset]
title = "Planted"
username = "tobs_planted"
messages = {messages}
side_messages = 0
rich = 0.3

[network]
dc = [{{ id = 2, rtt_ms = {rtt} }}]
{more}"""


def media(files: str, dcs: str = "{ id = 2, rtt_ms = 40 }", network: str = "", more: str = "", where: str = "") -> str:
    """Messages with files, on these data centres."""
    return f"""
[dataset]
kind = "broadcast"
title = "Planted"
username = "tobs_planted"
messages = 90
side_messages = 0
{where}
{files}

[network]
home = 2
dc = [{dcs}]
{network}
{more}"""


def documents(count: int, kilobytes: int) -> str:
    """So many files of the same size."""
    return f"documents = {{ count = {count}, median_kb = {kilobytes}, sigma = 0 }}"


TWO = "{ id = 2, rtt_ms = 5 }, { id = 4, rtt_ms = %d }"

SEEN = (
    Case("far_history", "baseline", "latency", ("history",), "baseline +async_pipeline", text(3000, 100)),
    Case(
        "one_connection",
        "baseline +parallel_media connections=1",
        "bandwidth",
        ("media",),
        "baseline +parallel_media",
        media(documents(8, 700), network='throttle = "connection"\nconnection_mb_per_s = 1.5'),
    ),
    Case(
        "small_parts",
        "baseline part_kb=16",
        "latency",
        ("media",),
        "baseline",
        media(documents(4, 400), "{ id = 2, rtt_ms = 40 }"),
    ),
    Case(
        "slow_sync",
        "baseline +planted_faults planted_faults.sync_ms=60",
        "disk",
        ("sync",),
        "baseline",
        media(documents(60, 30), "{ id = 2, rtt_ms = 0 }"),
    ),
    Case(
        "slow_centre",
        "baseline",
        "latency",
        ("media",),
        "baseline +parallel_media",
        media(documents(50, 60), TWO % 150, where="files = { 2 = 50, 4 = 50 }"),
    ),
    Case(
        "flood_history",
        "baseline",
        "server",
        ("history",),
        "baseline +takeout",
        text(
            4500,
            10,
            "[limits.history]\nburst = 8\nper_second = 8\nwait = [1, 1]\n[limits.takeout]\nfactor = 3\n",
        ),
    ),
    Case(
        "heavy_transform",
        "baseline transforms=all transform_workers=1",
        "cpu",
        ("transform",),
        "baseline",
        media(
            "photos = { count = 30, median_kb = 300, sigma = 0.3 }\n"
            "videos = { count = 10, median_kb = 600, sigma = 0.3 }",
            "{ id = 2, rtt_ms = 0 }",
        ),
    ),
    Case(
        "small_budget",
        "baseline +parallel_media media_budget_mb=1",
        "latency",
        ("media", "budget"),
        "baseline +parallel_media",
        media(documents(10, 2000), "{ id = 2, rtt_ms = 150 }"),
    ),
    Case(
        "heavy_commit",
        "baseline +planted_faults planted_faults.burn_ms=25",
        "cpu",
        ("commit",),
        "baseline",
        text(10_000, 0),
    ),
    Case(
        "full_line",
        "baseline +parallel_media",
        "bandwidth",
        ("media",),
        "baseline +parallel_media connections=8",
        media(documents(20, 300), network="down_mbit = 16"),
    ),
)

HELD_OUT = (
    Case(
        "shallow_history",
        "baseline +async_pipeline async_pipeline.depth=2",
        "latency",
        ("history",),
        "baseline +async_pipeline",
        text(6000, 120),
    ),
    Case(
        "few_history_requests",
        "baseline +async_pipeline history_in_flight=2",
        "latency",
        ("history",),
        "baseline +async_pipeline",
        text(8000, 80),
    ),
    Case(
        "far_files",
        "baseline",
        "latency",
        ("media",),
        "baseline +parallel_media",
        media(documents(50, 60), "{ id = 2, rtt_ms = 80 }"),
    ),
    Case(
        "one_in_flight",
        "baseline +parallel_media connections=1 in_flight=1",
        "latency",
        ("media",),
        "baseline +parallel_media",
        media(documents(60, 40), "{ id = 2, rtt_ms = 80 }"),
    ),
    Case(
        "slow_commit",
        "baseline +planted_faults planted_faults.commit_ms=25",
        "disk",
        ("commit",),
        "baseline",
        text(10_000, 0),
    ),
    Case(
        "far_home",
        "baseline",
        "latency",
        ("media",),
        "baseline +dc_routing",
        media(
            documents(40, 40),
            "{ id = 2, rtt_ms = 120 }, { id = 4, rtt_ms = 5 }",
            where="files = { 4 = 100 }",
        ),
    ),
    Case(
        "flood_files",
        "baseline part_kb=32",
        "server",
        ("media",),
        "baseline",
        media(
            documents(4, 1000),
            "{ id = 2, rtt_ms = 5 }",
            more="[limits.file]\nburst = 20\nper_second = 25\nwait = [1, 1]\n",
        ),
    ),
    Case(
        "large_file",
        "baseline",
        "latency",
        ("media",),
        "baseline +parallel_media",
        media(documents(1, 14_000), "{ id = 2, rtt_ms = 120 }"),
    ),
    Case(
        "full_account",
        "baseline +parallel_media",
        "bandwidth",
        ("media",),
        "baseline +parallel_media connections=8",
        media(documents(20, 300), network='throttle = "account"\naccount_mb_per_s = 1.5'),
    ),
    Case(
        "slow_sync_of_many",
        "baseline +parallel_media +planted_faults planted_faults.sync_ms=300",
        "disk",
        ("sync",),
        "baseline +parallel_media",
        media(documents(60, 30), "{ id = 2, rtt_ms = 0 }"),
    ),
)
CASES = (*SEEN, *HELD_OUT)
