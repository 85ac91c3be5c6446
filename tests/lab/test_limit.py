from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.errors import UsageError
from tobs.lab.changes import DELETED, NEW
from tobs.lab.changes import Change as LiveChange
from tobs.lab.faults import Faults
from tobs.lab.floods import FloodBucket, PremiumWait
from tobs.lab.limit import LARGEST_PART, _drain, _passed, _pauses, _steps, limit
from tobs.lab.network import Link, Run
from tobs.lab.scenario import Bucket, Change, DataCentre, Limits, Network, Premium, Scenario, Takeout, load
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


def test_who_begins_no_takeout_has_the_plain_buckets_alone() -> None:
    world = small()
    limits = Limits(Bucket(1, 0.5, (5, 5)), Bucket(2, 0.5, (5, 5)), None, takeout=Takeout(factor=3.0))
    requests = sum(-(-spec.size // 2**20) for spec in world.shelf.specs.values())
    found = limit(scenario(network(0.1), limits), world, takeout=False)
    assert found.detail["history bucket"] == pytest.approx(0.2 + (4 - 1) / 0.5)
    assert found.detail["file bucket"] == pytest.approx(0.3 + (requests - 2) / 0.5)
    assert found.seconds > limit(scenario(network(0.1), limits), world).seconds


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


@given(buckets, st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=200), st.integers(0, 99))
def test_nor_does_one_that_mixes_requests_inside_and_outside_of_a_takeout(
    limits: Bucket, sent: list[tuple[float, bool]], seed: int
) -> None:
    bucket = FloodBucket(limits, Random(seed))
    now, served = 50.0, 0
    for pause, inside in sent:
        now += pause
        served += bucket.take(now, now, 3.0 if inside else 1.0) == 0
        assert _drain(limits, served, 3.0) <= now - 50.0 + 1e-6


def test_a_bucket_counts_more_for_requests_inside_a_takeout() -> None:
    bucket = Bucket(4, 2.0, (5, 5))
    assert _drain(bucket, 100) == pytest.approx(48.0)
    assert _drain(bucket, 100, 3.0) == pytest.approx((100 - 12) / 6)
    assert _drain(bucket, 12, 3.0) == 0


def test_the_clients_line_carries_the_files_of_all_data_centres() -> None:
    net = replace(network(0.1), down_rate=1e6)
    assert limit(scenario(net), small()).detail["line"] == pytest.approx(0.3 + (bytes_on(2) + bytes_on(4)) / 1e6)


def test_a_rate_that_changes_counts_for_as_long_as_it_holds() -> None:
    size = bytes_on(2)
    slower = Change(0.25 + 1.0, account_rate=1e5)  # the first byte leaves after 0.25 s
    net = replace(network(0.1, account=1e6), changes=(slower,))
    assert size > 1e6
    found = limit(scenario(net), small()).detail["DC 2 account rate"]
    assert found == pytest.approx(0.25 + 1.0 + (size - 1e6) / 1e5 + 0.05)
    late = replace(network(0.1), changes=(Change(1e6, connection_rate=1.0),), connections=1)
    assert limit(scenario(late), small()).detail["DC 2 connection rate"] == pytest.approx(0.3)  # unlimited until then


def test_a_premium_wait_stands_between_so_many_bytes() -> None:
    total, part = bytes_on(2) + bytes_on(4), 2**20

    def waits(after: int) -> float:
        limits = Limits(None, None, None, premium=Premium(after, (7, 15)))
        return limit(scenario(network(0.1), limits), small()).detail["premium waits"] - 0.3

    assert waits(total) == pytest.approx(0)
    assert waits(total - part + 1) == pytest.approx(0)  # the last part may come before the wait that it leads to
    assert waits(total - part) == pytest.approx(7)
    assert waits((total - part) // 3) == pytest.approx(3 * 7)


def test_bytes_under_a_second_id_count_once_and_where_one_likes() -> None:
    plain = load("demo", scale=0.3)
    documents = replace(plain.dataset.documents, count=24, total=None, median=450_000, sigma=0.2, largest=700_000)
    dataset = replace(plain.dataset, documents=documents, duplicates=0.4, lookalikes=0.2, messages=800)
    world = build(replace(plain, dataset=dataset))
    used = {file_id for history in world.histories.values() for file_id in history.file_ids}
    specs = [world.shelf.specs[file_id] for file_id in used]
    held: dict[str, set[int]] = {}
    sizes = {}
    for spec in specs:
        held.setdefault(spec.sha256(), set()).add(spec.dc)
        sizes[spec.sha256()] = spec.size
    assert len({spec.content for spec in specs}) == len(held) < len(specs), "equal contents, and only these, are equal"
    assert any(len(dcs) == 2 for dcs in held.values())
    net = replace(network(0.1, account=1e6), down_rate=2e6)
    detail = limit(replace(world.scenario, network=net), world).detail
    assert detail["line"] == pytest.approx(0.3 + sum(sizes.values()) / 2e6)
    alone = sum(sizes[content] for content, dcs in held.items() if dcs == {4})
    assert detail["DC 4 account rate"] == pytest.approx(0.3 + alone / 1e6)


def test_what_is_deleted_in_mid_run_need_not_be_had() -> None:
    peer = max(small().histories, key=lambda peer: small().histories[peer].count)
    largest = max(small().shelf.specs.values(), key=lambda spec: spec.size)
    gone = LiveChange(1.0, peer, DELETED, 5, None)
    net = replace(network(0.1), down_rate=1e6)
    bucket = Limits(Bucket(1, 1.0, (5, 5)), None, None, takeout=Takeout(0.001))

    def detail(*changes: LiveChange) -> dict[str, float]:
        return limit(scenario(net, bucket), replace(small(), changes=changes)).detail

    before, after = detail(), detail(gone)
    assert before["line"] - after["line"] == pytest.approx(largest.size / 1e6)
    assert before["history bucket"] == after["history bucket"], "200 messages or 199: two pages"
    assert detail(*[gone] * 100)["history bucket"] < before["history bucket"]
    assert "line" not in detail(*[gone] * 500), "then there may be no file at all"
    assert detail(replace(gone, kind=NEW)) == before


def test_faults_leave_the_limit_as_it_is() -> None:
    net = network(0.1, account=1e6)
    faulty = replace(scenario(net), faults=Faults(disconnect_every=1.0, errors=0.5, lost=0.1))
    assert limit(faulty, small()) == limit(scenario(net), small())


@given(buckets, st.floats(1, 4), st.integers(1, 300))
def test_a_bucket_emptied_at_its_rate_reaches_the_limit(limits: Bucket, factor: float, requests: int) -> None:
    """Without overflow; to the request that is not whole yet."""
    bucket, last = FloodBucket(limits, Random(0)), 0.0
    draws = min(1 / factor, limits.burst)
    for number in range(requests):
        last = max(0.0, ((number + 1) * draws - limits.burst) / limits.refill)
        assert bucket.take(last + 1e-6, last, factor) == 0
    assert _drain(limits, requests, factor) <= last + 1e-6
    if limits.refill >= 1:
        assert last == pytest.approx(_drain(limits, requests, factor))


moments = st.integers(0, 100).map(lambda tenths: tenths / 10)
changes = st.lists(st.tuples(moments, st.floats(1e3, 1e6)), max_size=4)


@given(st.none() | st.floats(1e3, 1e6), changes, moments, st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_a_link_that_is_never_idle_reaches_the_limit(
    rate: float | None, later: list[tuple[float, float]], start: float, sizes: list[int]
) -> None:
    later.sort()
    net = replace(network(), down_rate=rate, changes=tuple(Change(at, down_rate=to) for at, to in later))
    steps = _steps(net, "down_rate", 1)
    pipe = Link(rate, tuple(later), Run(began=100.0))
    left = [pipe.reserve(100.0 + start, size)[1] for size in sizes][-1]
    assert left - 100.0 == pytest.approx(_passed(steps, start, sum(sizes)) if steps else start)


@given(st.integers(1, 10**7), st.lists(st.integers(1, LARGEST_PART), min_size=1, max_size=60), st.integers(1, 9))
def test_no_client_gets_more_past_premium_waits_than_the_limit_says(after: int, parts: list[int], x: int) -> None:
    wait = PremiumWait(after=after, wait=(x, x), random=Random(0))
    now = 0.0
    for part in parts:
        while left := wait.take(now, now):
            now += left
        wait.grant(part)
    assert _pauses(Premium(after, (x, x)), sum(parts)) * x <= now
    full = sorted(parts)  # the largest last: as much as can be had before the next wait
    assert _pauses(Premium(after, (x, x)), sum(full)) >= (sum(full) - LARGEST_PART) // after - 1
