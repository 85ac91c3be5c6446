from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.errors import UsageError
from tobs.lab.floods import FloodBucket
from tobs.lab.limit import _drain, limit
from tobs.lab.scenario import Bucket, DataCentre, Limits, Network, Scenario, load
from tobs.lab.world import World, build


@cache
def small() -> World:
    return build(load("demo", scale=0.1))


FREE = Limits(None, None, None)


def scenario(network: Network, limits: Limits = FREE) -> Scenario:
    return replace(small().scenario, network=network, limits=limits)


def network(
    rtt: float = 0.1,
    *,
    jitter: float = 0.0,
    far: float | None = None,
    connection: float | None = None,
    account: float | None = None,
    connections: int | None = None,
) -> Network:
    dcs = (DataCentre(2, rtt, jitter), DataCentre(4, rtt if far is None else far, jitter))
    return Network(2, dcs, connection, account, connections)


def bytes_on(dc: int) -> int:
    return sum(spec.size for spec in small().shelf.specs.values() if spec.dc == dc)


def test_without_limits_only_round_trips_count() -> None:
    found = limit(scenario(network(0.1, far=0.3)), small())
    assert found.resource == "round trips"
    assert found.seconds == pytest.approx(0.6)  # the far connection is open after 0.3, then asks for its file
    assert list(found.detail) == ["round trips"]


def test_jitter_makes_the_limit_smaller() -> None:
    assert limit(scenario(network(0.1, jitter=0.02)), small()).seconds == pytest.approx(0.24)


def test_a_chat_without_files_needs_a_connection_and_a_page() -> None:
    world = build(load("text_far", scale=0.02))
    found = limit(world.scenario, world)
    assert found.seconds == pytest.approx(0.2)


def test_the_account_rate_holds_for_each_data_centre() -> None:
    found = limit(scenario(network(0.1, account=1e6)), small())
    slow = max((2, 4), key=bytes_on)
    assert found.resource == f"DC {slow} account rate"
    assert found.seconds == pytest.approx(0.3 + bytes_on(slow) / 1e6)


def test_connections_add_up_to_the_number_allowed() -> None:
    eight = limit(scenario(network(0.1, connection=1e5, connections=8)), small())
    assert eight.seconds == pytest.approx(0.3 + max(bytes_on(2), bytes_on(4)) / 8e5)
    unlimited = limit(scenario(network(0.1, connection=1e5)), small())
    assert unlimited.resource == "round trips"


def test_the_history_bucket_counts_pages_chat_by_chat() -> None:
    found = limit(scenario(network(0.1), Limits(Bucket(1, 0.5, (5, 5)), None, None)), small())
    assert [history.count for history in small().histories.values()] == [200, 6, 6]
    assert found.resource == "history bucket"
    assert found.seconds == pytest.approx(0.2 + (4 - 1) / 0.5)


def test_the_file_bucket_counts_a_request_for_each_megabyte() -> None:
    requests = sum(-(-spec.size // 2**20) for spec in small().shelf.specs.values())
    found = limit(scenario(network(0.1), Limits(None, Bucket(2, 0.5, (5, 5)), None)), small())
    assert found.seconds == pytest.approx(0.3 + (requests - 2) / 0.5)


def test_fewer_chats_take_no_longer() -> None:
    world = small()
    everything = limit(world.scenario, world).seconds
    for peer in world.histories:
        assert limit(world.scenario, world, peer).seconds <= everything
    with pytest.raises(UsageError):
        limit(world.scenario, world, 5)


rates = st.floats(1e3, 1e9)
buckets = st.builds(Bucket, st.integers(1, 100), st.floats(0.01, 100), st.tuples(st.integers(1, 5), st.integers(5, 9)))


@given(
    rates, rates, st.integers(1, 16), st.floats(0, 1), buckets, buckets, st.sampled_from(["a", "c", "n", "r", "h", "f"])
)
def test_nothing_that_gets_better_raises_the_limit(
    account: float, connection: float, connections: int, rtt: float, history: Bucket, file: Bucket, better: str
) -> None:
    before = scenario(
        network(rtt, account=account, connection=connection, connections=connections), Limits(history, file, None)
    )
    net = before.network
    limits = before.limits
    match better:
        case "a":
            net = replace(net, account_rate=account * 2)
        case "c":
            net = replace(net, connection_rate=connection * 2)
        case "n":
            net = replace(net, connections=connections + 1)
        case "r":
            net = replace(net, dcs=network(rtt / 2).dcs)
        case "h":
            limits = replace(limits, history=replace(history, refill=history.refill * 2))
        case "f":
            limits = replace(limits, file=replace(file, burst=file.burst + 1))
    after = replace(before, network=net, limits=limits)
    assert limit(after, small()).seconds <= limit(before, small()).seconds


@given(buckets, st.lists(st.floats(0, 3), min_size=1, max_size=200), st.integers(0, 99))
def test_no_client_gets_more_out_of_a_bucket_than_the_limit_says(
    limits: Bucket, pauses: list[float], seed: int
) -> None:
    bucket = FloodBucket(limits, Random(seed))
    now, served = 50.0, 0
    for pause in pauses:
        now += pause
        served += bucket.take(now, now) == 0
        assert _drain(limits, served) <= now - 50.0 + 1e-6
