"""A run's twin: what was measured comes back as a scenario that loads, and nothing else of the run is in it."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibrate import RUNS, close
from tests.experiment.scenarios import FIRST, defined
from tests.export.labs import tobs
from tobs.errors import TobsError, UsageError
from tobs.experiment import link
from tobs.experiment.calibrate import calibrate, find, read_whole, twin
from tobs.experiment.launch import METRICS, Trial, launch
from tobs.lab.scenario import load
from tobs.lab.world import World, build
from tobs.meters import Meters
from tobs.telemetry import RunMetrics, Telemetry, names
from tobs.telemetry.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FAR = Path(__file__).parent / "scenarios" / "link.toml"
HISTORY, PART = "messages.getHistory", "upload.getFile"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one real run: 30 and 60 ms away, 2 MB/s a connection."""
    folder = tmp_path_factory.mktemp("calibrate") / "run"
    chosen = defined(FIRST, FIRST).arms[0]
    result = launch(Trial(folder, str(FAR), 1.0, 3, "@tobs_link", chosen.frozen, chosen.plan_hash))
    assert result.invalid == ""
    return folder


@pytest.fixture(scope="module")
def made(run: Path) -> str:
    """Its twin."""
    return twin(read_whole(run / METRICS))


@pytest.fixture(scope="module")
def world() -> World:
    """What the run exported from."""
    return build(load(FAR, seed=3))


def test_the_twin_has_the_figures_that_the_run_tells_of_the_link(made: str, run: Path, tmp_path: Path) -> None:
    (tmp_path / "twin.toml").write_text(made)
    found = load(tmp_path / "twin.toml")
    measured = read_whole(run / METRICS)
    near, far = found.network.dcs
    assert (found.network.home, near.id, far.id) == (2, 2, 4)
    for dc, trip in ((near, 0.030), (far, 0.060)):
        assert dc.rtt == pytest.approx(link.trips(measured)[dc.id].value.mean, abs=0.001)
        assert dc.rtt > 0.75 * trip, "a busy machine makes a round trip longer, and never shorter"
    assert found.network.connection_rate == pytest.approx(link.throttle(measured).value.connection, rel=0.01)
    assert found.network.account_rate is None
    assert found.limits.history is None
    assert found.faults.errors == found.faults.lost == 0


@pytest.mark.campaign
def test_on_a_quiet_machine_these_are_the_links_own(made: str, tmp_path: Path) -> None:
    (tmp_path / "twin.toml").write_text(made)
    found = load(tmp_path / "twin.toml")
    assert [dc.rtt for dc in found.network.dcs] == [pytest.approx(0.030, rel=0.25), pytest.approx(0.060, rel=0.25)]
    assert found.network.connection_rate == pytest.approx(2e6, rel=0.15)


def test_the_twin_has_the_shape_of_what_was_exported(made: str, world: World, tmp_path: Path) -> None:
    (tmp_path / "twin.toml").write_text(made)
    dataset = load(tmp_path / "twin.toml").dataset
    history = max(world.histories.values(), key=lambda history: history.count)
    files = [world.shelf.specs[file_id] for file_id in history.file_ids]
    assert dataset.messages == history.count
    assert dataset.photos.count == sum(spec.kind == "photo" for spec in files)
    assert sum(found.count for _, found in dataset.kinds) == len(files)
    assert sum(found.total or 0 for _, found in dataset.kinds) == pytest.approx(
        sum(spec.size for spec in files), rel=0.01
    )
    assert dict(dataset.files)[4] == pytest.approx(100 * sum(spec.dc == 4 for spec in files) / len(files), abs=0.1)
    photos = sorted(spec.size for spec in files if spec.kind == "photo")
    assert dataset.photos.median == pytest.approx(statistics.median(photos), rel=0.15)


def test_the_twin_tells_no_content_names_or_ids(made: str, run: Path, world: World) -> None:
    words = {
        word for user in world.users.values() for word in (user.first_name, user.last_name, user.username, user.phone)
    }
    words |= {world.title(peer) for peer in world.histories} | set(world.usernames) | {"tobs_link", "Link to the moon"}
    numbers = {*world.users, *world.chats, *world.shelf.specs, *map(abs, world.histories)}
    words |= {str(number) for number in numbers}
    words |= {
        str(value) for value in json.loads((run / "run.json").read_text())["plan"].values() if isinstance(value, str)
    }
    said = set(re.findall(r"[\w@.+-]+", made))
    found = [word for word in words if word and (word in said or (" " in word and word in made))]
    assert found == []
    assert len(words) > 30


def test_every_figure_says_what_it_rests_on(made: str) -> None:
    figures = [
        line for line in made.splitlines() if re.match(r"(messages|files|photos|home|rtt_ms|side_messages)\b", line)
    ]
    assert len(figures) == 7
    assert all(re.search(r"# .*(measured|assumed|stand as one)", line) for line in figures)


def test_the_command_writes_the_scenario_once(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine" / "twin.toml"
    assert tobs("lab", "calibrate", run, "-o", out, "--json").value["scenario"] == str(out)
    before = out.read_text()
    again = tobs("lab", "calibrate", run, "-o", out)
    assert (again.code, again.out) == (2, "")
    assert "exists already" in again.err
    assert out.read_text() == before


def test_a_run_is_found_by_the_beginning_of_its_name(own_state: Path) -> None:
    for name in ("20260101T1-7", "20260101T1-8", "20260202T1-7"):
        (own_state / "runs" / name).mkdir(parents=True)
    assert find("202602") == own_state / "runs" / "20260202T1-7" / METRICS
    with pytest.raises(UsageError, match="2 exports begin with '202601'"):
        find("202601")
    with pytest.raises(UsageError, match="no run 'nothing'"):
        find("nothing")


def test_a_run_that_is_not_whole_has_no_twin(tmp_path: Path) -> None:
    for complete, why in ((False, "not complete"), (True, "fetched no messages")):
        file = tmp_path / f"{complete}" / METRICS
        Telemetry.start(meters=Meters(), resource={}, file=file, interval=3600).close(complete=complete)
        with pytest.raises(TobsError, match=why):
            calibrate(file, tmp_path / "twin.toml")
    with pytest.raises(TobsError, match="no metrics at"):
        calibrate(tmp_path, tmp_path / "twin.toml")
    assert not (tmp_path / "twin.toml").exists()


Numbers = dict[str, dict[frozenset[tuple[str, Any]], tuple[tuple[float, float], ...]]]


def metrics(
    numbers: dict[str, list[tuple[dict[str, Any], Any]]], histograms: dict[str, list[tuple[dict[str, Any], Histogram]]]
) -> RunMetrics:
    """Metrics of a run of 30 s that was asked of nobody: series are numbers or pairs of seconds and number."""
    kept: Numbers = {names.RUN_DURATION: {frozenset(): ((30.0, 30.0),)}}
    for name, series in numbers.items():
        kept[name] = {
            frozenset(key.items()): tuple(given) if isinstance(given, list) else ((30.0, float(given)),)
            for key, given in series
        }
    held = {name: {frozenset(key.items()): one for key, one in found} for name, found in histograms.items()}
    return RunMetrics({}, 1, torn=False, numbers=kept, histograms=held)


def spread(values: Iterable[float]) -> Histogram:
    """A distribution as an instrument keeps it."""
    taken = list(values)
    buckets = Counter(math.ceil(math.log2(value) * 32) - 1 for value in taken)
    return Histogram(len(taken), sum(taken), min(taken), max(taken), 5, 0, dict(buckets))


def link_of(trips: dict[int, float], take: Callable[[float], float], used: int, mb_per_s: float) -> RunMetrics:
    """20 s of parts from these data centres, each of which took its round trip and `take(bytes)` seconds."""
    parts, sizes, small, came = [], [], [], []
    for dc, trip in trips.items():
        small.append(({names.METHOD: "users.getUsers", names.DC: dc, names.OUTCOME: "ok"}, spread([trip] * 30)))
        for size in (65_536, 524_288):
            parts.append(({names.DC: dc, names.SIZE: size}, spread([trip + take(size)] * 40)))
            sizes.append(({names.DC: dc, names.SIZE: size}, size * 40))
        each = mb_per_s * 1e6 / len(trips)
        came.append(({names.METHOD: PART, names.DC: dc}, [(float(second), each * second) for second in range(21)]))
    asked = [({names.METHOD: HISTORY, names.DC: min(trips), names.OUTCOME: "ok"}, 5)]
    asked += [({names.METHOD: PART, names.DC: dc, names.OUTCOME: "ok"}, 80) for dc in trips]
    return metrics(
        {
            names.REQUESTS: asked,
            names.PART_IO: sizes,
            names.IO: came,
            names.CONNECTIONS: [({names.DC: dc}, used) for dc in trips],
        },
        {names.RPC_DURATION: small, names.PART_DURATION: parts},
    )


@given(st.floats(0.005, 0.3), st.floats(0.005, 0.3), st.floats(0.2e6, 20e6))
def test_parts_asked_in_turn_give_round_trips_and_rate(near: float, far: float, rate: float) -> None:
    run = link_of({2: near, 4: far}, lambda size: size / rate, 1, 1.0)
    found = link.throttle(run).value
    assert found.connection == pytest.approx(rate, rel=0.02)
    assert found.account is None
    trips = link.trips(run)
    assert trips[2].value.mean == pytest.approx(near, rel=0.05)
    assert trips[4].value.mean == pytest.approx(far, rel=0.05, abs=0.002)


sizes = st.lists(st.integers(1, 5_000_000_000), max_size=30)


@given(sizes, sizes, st.integers(1, 5))
def test_whatever_sizes_files_have_the_twin_can_be_loaded(
    tmp_path_factory: pytest.TempPathFactory, photos: list[int], stickers: list[int], dc: int
) -> None:
    held = [
        ({names.KIND: kind, names.DC: dc}, spread(found))
        for kind, found in (("photo", photos), ("sticker", stickers))
        if found
    ]
    asked = [({names.METHOD: HISTORY, names.DC: dc, names.OUTCOME: "ok"}, 5)]
    run = metrics({names.REQUESTS: asked, names.MESSAGES: [({}, 100)]}, {names.FILE_SIZE: held})
    file = tmp_path_factory.mktemp("sizes") / "twin.toml"
    file.write_text(twin(run))
    dataset = load(file).dataset
    assert (dataset.photos.count, dataset.stickers.count) == (len(photos), len(stickers))
    assert dataset.messages == 100


@pytest.mark.parametrize("extra", [lambda size: size / 500e6, lambda size: size * 1e-8])
def test_a_link_that_holds_nothing_up_has_no_throttle(extra: Callable[[float], float]) -> None:
    run = link_of({2: 0.05}, extra, 4, 30.0)
    assert link.throttle(run).value == link.Throttle(None, None)


def test_connections_that_do_not_add_up_tell_of_a_throttle_of_the_account() -> None:
    """Eight connections, the first parts of each at 4 MB/s, later ones behind seven others."""
    queued = spread([0.05 + 524_288 / 4e6] + [0.05 + 8 * 524_288 / 4e6] * 99)
    run = metrics(
        {
            names.REQUESTS: [
                ({names.METHOD: HISTORY, names.DC: 2, names.OUTCOME: "ok"}, 5),
                ({names.METHOD: PART, names.DC: 2, names.OUTCOME: "ok"}, 100),
            ],
            names.PART_IO: [({names.DC: 2, names.SIZE: 524_288}, 524_288 * 100)],
            names.IO: [({names.METHOD: PART, names.DC: 2}, [(float(second), 4e6 * second) for second in range(14)])],
            names.CONNECTIONS: [({names.DC: 2}, 8)],
        },
        {
            names.RPC_DURATION: [
                ({names.METHOD: "users.getUsers", names.DC: 2, names.OUTCOME: "ok"}, spread([0.05] * 3))
            ],
            names.PART_DURATION: [({names.DC: 2, names.SIZE: 524_288}, queued)],
        },
    )
    found = link.throttle(run).value
    assert found.connection is None
    assert found.account == pytest.approx(4e6, rel=0.05)


def test_refusals_tell_of_a_bucket() -> None:
    """40 at once and 2 a second: refused after 10 s and 60 answers, for 5 s and later for 9."""
    served = [(1.0, 40.0), (10.0, 60.0), (16.0, 62.0), (25.0, 80.0), (26.0, 81.0)]
    waits = [(1.0, 0.0), (10.0, 1.0), (25.0, 2.0)]
    history = {names.METHOD: HISTORY}
    run = metrics(
        {
            names.REQUESTS: [({**history, names.OUTCOME: "ok", names.DC: 2}, served)],
            names.FLOOD_WAITS: [(history, waits)],
            names.FLOOD_TIME: [(history, 5)],
        },
        {names.FLOOD_DURATION: [(history, spread([5.0, 9.0]))]},
    )
    found = link.bucket(run, HISTORY)
    assert found is not None
    assert found.value.refill == pytest.approx(21 / 13)
    assert found.value.burst == pytest.approx(60 - 10 * 21 / 13, abs=1)
    assert found.value.wait == (5, 9)
    assert link.bucket(run, PART) is None


def test_failures_are_shares_of_all_requests() -> None:
    outcomes = {
        "ok": 90,
        "lost": 4,
        "RPC_CALL_FAIL": 3,
        "INTERDC_2_CALL_ERROR": 1,
        "Timeout": 1,
        "FILE_MIGRATE": 1,
        "FLOOD_WAIT": 0,
    }
    run = metrics({names.REQUESTS: [({names.OUTCOME: name}, count) for name, count in outcomes.items()]}, {})
    assert link.share(run, "fault").value == pytest.approx(0.05)
    assert link.share(run, "lost").value == pytest.approx(0.04)


@pytest.mark.campaign
@pytest.mark.parametrize(("scenario", "scale", "arm"), RUNS)
def test_an_arm_takes_as_long_on_the_twin(scenario: str, scale: float, arm: str, tmp_path: Path) -> None:
    loop = close(scenario, scale, arm, tmp_path)
    assert loop.again == pytest.approx(loop.seconds, rel=0.25), loop.twin
