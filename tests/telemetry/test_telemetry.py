"""A run's telemetry: what is recorded comes back from the file, under the names that experiments ask for."""

from __future__ import annotations

import errno
import http.server
import importlib
import logging
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tobs.errors import UsageError
from tobs.meters import MeteredQueue, Meters
from tobs.telemetry import Telemetry, names, read
from tobs.telemetry.instruments import HISTOGRAMS, INSTRUMENTS, io_calls, memory_peak
from tobs.telemetry.otlp import LineExporter
from tobs.values import Attempt, Batch, Chat, MediaRef, MessageRow, Page, Settled, Span, Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEVER = 3600.0
RESOURCE: dict[str, str | int] = {"tobs.run": "r1", "tobs.arm": "baseline", "tobs.seed": 7, "tobs.plan.hash": "ab12"}


def attempt(outcome: str = "ok", seconds: float = 0.1, **more: Any) -> Attempt:
    given = {"method": "messages.getHistory", "traffic": Traffic.HISTORY, "dc": 2, "size": 1000, "in_flight": 1}
    return Attempt(seconds=seconds, outcome=outcome, **{**given, **more})


def part(seconds: float = 0.2, outcome: str = "ok", dc: int = 4) -> Attempt:
    return attempt(outcome, seconds, method="upload.getFile", traffic=Traffic.MEDIA, dc=dc, size=500)


def page(messages: int) -> tuple[Page, Batch]:
    row = MessageRow(1, 1, "2024-01-31T12:00:00+00:00", None, "", "message", None, None, None, None, None, None, "{}")
    chat = Chat(1, "user", "Some")
    return (
        Page(chat, Span(1, messages), [], [], messages, ended=True, doubtful=False, size=10),
        Batch(1, Span(1, messages), [row] * messages, [], []),
    )


def settled(status: str, size: int = 0) -> Settled:
    ref = MediaRef(1, 1, "photo", 1, 2, size, None, "image/jpeg", "", "photo", 1, b"", "y")
    return Settled(ref, status, size=size)


def start(file: Path | None, meters: Meters | None = None, **more: Any) -> Telemetry:
    return Telemetry.start(meters=meters or Meters(), resource=RESOURCE, file=file, interval=NEVER, **more)


def export_now(telemetry: Telemetry) -> None:
    """Write a line, as the end of an interval does."""
    assert telemetry._output is not None
    telemetry._output._readers[0].force_flush()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run" / "metrics.jsonl"


def test_attempts_are_counted_by_method_data_centre_and_outcome(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    for seen in (attempt(), attempt(), attempt("FLOOD_WAIT"), attempt("lost"), attempt("cancelled"), part()):
        telemetry.probe.attempt(seen)
    telemetry.probe.attempt(part(outcome="FILE_MIGRATE", dc=2))
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.total(names.REQUESTS) == 7
    assert metrics.by(names.REQUESTS, names.METHOD) == {"messages.getHistory": 5, "upload.getFile": 2}
    assert metrics.by(names.REQUESTS, names.OUTCOME, {names.METHOD: "messages.getHistory"}) == {
        "ok": 2,
        "FLOOD_WAIT": 1,
        "lost": 1,
        "cancelled": 1,
    }
    assert metrics.by(names.REQUESTS, names.DC) == {2: 6, 4: 1}
    assert metrics.by(names.ERRORS, names.OUTCOME) == {"lost": 1}, "floods and migrations are no errors"


def test_bytes_are_counted_by_traffic_and_as_stored(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    telemetry.probe.attempt(attempt())
    telemetry.probe.attempt(part())
    telemetry.probe.file(settled("done", 450), 0.5)
    telemetry.close(complete=True)
    assert read(file).by(names.IO, names.STAGE) == {"history": 1000, "media": 500, "store": 450}


def test_parts_are_told_apart_by_data_centre_and_size(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    for size, seconds in ((511, 0.1), (512, 0.2), (1000, 0.4)):
        telemetry.probe.attempt(attempt(seconds=seconds, method="upload.getFile", dc=4, size=size))
    telemetry.probe.attempt(attempt("lost", method="upload.getFile", dc=4, size=0))
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.by(names.PART_IO, names.SIZE, {names.DC: 4}) == {256: 511, 512: 1512}
    assert metrics.histogram(names.PART_DURATION, {names.SIZE: 512}).count == 2
    assert metrics.histogram(names.PART_DURATION, {names.DC: 4}).sum == pytest.approx(0.7)


def test_connections_are_those_that_carried_requests(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    for dc, connection in ((2, 71), (2, 72), (2, 71), (4, 73), (0, 0)):
        telemetry.probe.attempt(attempt(dc=dc, connection=connection))
    telemetry.close(complete=True)
    assert read(file).by(names.CONNECTIONS, names.DC) == {2: 2, 4: 1}


def test_file_sizes_and_waits_are_distributions(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    for size, seconds in ((100, 0.5), (10_000, 1.5)):
        telemetry.probe.file(settled("done", size), seconds)
    telemetry.probe.file(settled("missing", 7), 0.5)
    for seconds in (3.0, 12.0):
        telemetry.probe.flood("upload.getFile", seconds)
    telemetry.close(complete=True)
    metrics = read(file)
    sizes = metrics.histogram(names.FILE_SIZE, {names.KIND: "photo", names.DC: 2})
    assert (sizes.count, sizes.sum, sizes.low, sizes.high) == (2, 10_100, 100, 10_000)
    times = metrics.histogram(names.FILE_DURATION, {names.KIND: "photo", names.DC: 2})
    assert (times.count, times.low, times.high) == (2, 0.5, 1.5)
    waits = metrics.histogram(names.FLOOD_DURATION, {names.METHOD: "upload.getFile"})
    assert (waits.count, waits.low, waits.high) == (2, 3.0, 12.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the counts are those of Linux")
def test_system_calls_are_counted_as_the_kernel_has_them(file: Path, tmp_path: Path) -> None:
    before = io_calls()
    telemetry = start(file)
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x")
    telemetry.close(complete=True)
    metrics, after = read(file), io_calls()
    assert before is not None
    assert after is not None
    counted = metrics.total(names.IO_CALLS, {names.DIRECTION: "write"})
    assert before["write"] + 50 <= counted <= after["write"]
    broken = tmp_path / "io"
    broken.write_text("rchar: 1\n")
    assert io_calls(broken) is None
    assert io_calls(tmp_path / "nothing") is None


def test_batches_files_and_floods_are_counted(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    telemetry.probe.batch(*page(100), 0.25)
    telemetry.probe.batch(*page(40), 0.5)
    telemetry.probe.file(settled("done", 10), 1.5)
    telemetry.probe.file(settled("missing"), 0.5)
    telemetry.probe.flood("upload.getFile", 3.0)
    telemetry.probe.flood("upload.getFile", 4.0)
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.total(names.MESSAGES) == 140
    assert metrics.total(names.PAGES) == 2
    assert metrics.total(names.BATCH_TIME) == 0.75
    assert metrics.by(names.FILES, names.OUTCOME) == {"done": 1, "missing": 1}
    assert metrics.total(names.FILE_TIME) == 2.0
    assert metrics.by(names.FLOOD_TIME, names.METHOD) == {"upload.getFile": 7.0}
    assert metrics.total(names.FLOOD_WAITS) == 2


def test_durations_are_distributions(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    for millisecond in range(1, 1001):
        telemetry.probe.attempt(attempt(seconds=millisecond / 1000))
    telemetry.probe.attempt(part(2.0))
    telemetry.probe.attempt(part(2.0, outcome="lost"))
    telemetry.close(complete=True)
    metrics = read(file)
    history = metrics.histogram(names.RPC_DURATION, {names.METHOD: "messages.getHistory"})
    assert history.count == 1000
    assert history.sum == pytest.approx(500.5)
    assert (history.low, history.high) == (0.001, 1.0)
    for share in (0.1, 0.5, 0.9, 0.99):
        assert history.quantile(share) == pytest.approx(share, rel=0.05)
    assert metrics.histogram(names.RPC_DURATION).count == 1002
    assert metrics.histogram(names.PART_DURATION).count == 1, "a part that did not come has no duration"


def test_stages_and_queues_are_read_from_the_meters(file: Path) -> None:
    meters = Meters()
    telemetry = start(file, meters)
    stage = meters.stage("commit", workers=3)
    stage.busy, stage.wait_get, stage.blocked_put, stage.items = 1.5, 0.5, 0.25, 12
    queue = meters.queue("pages", 8)
    queue.change(+3)
    queue.change(-1)
    meters.seen["known"] = 4096
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.value(names.SEEN_MEMORY, {names.STAGE: "known"}) == 4096
    which = {names.STAGE: "commit"}
    assert metrics.total(names.BUSY, which) == 1.5
    assert metrics.total(names.WAIT_GET, which) == 0.5
    assert metrics.total(names.BLOCKED_PUT, which) == 0.25
    assert metrics.total(names.ITEMS, which) == 12
    assert metrics.value(names.WORKERS, which) == 3
    assert metrics.value(names.QUEUE_DEPTH, {names.STAGE: "pages"}) == 2
    assert metrics.value(names.QUEUE_CAPACITY, {names.STAGE: "pages"}) == 8
    assert metrics.total(names.QUEUE_INTEGRAL) == queue.integral > 0


def test_levels_tell_what_is_held_the_most_that_was_and_the_limit(file: Path) -> None:
    meters = Meters()
    telemetry = start(file, meters)
    level = meters.level("pages", 100)
    level.change(+70)
    level.change(+20)
    level.change(-60)
    assert meters.level("pages", 80) is level
    telemetry.close(complete=True)
    metrics = read(file)
    which = {names.STAGE: "pages"}
    assert [metrics.value(name, which) for name in (names.HELD, names.HELD_PEAK, names.HELD_LIMIT)] == [30, 90, 80]


def test_steps_and_what_was_under_way_share_out_the_run(file: Path) -> None:
    meters = Meters()
    telemetry = start(file, meters)
    media, write = meters.step("media", 4), meters.step("write")
    media.begin()
    with write:
        pass
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.total(names.STEPS, {names.STAGE: "media", names.DC: 4}) == 1
    assert metrics.total(names.STEP_TIME, {names.STAGE: "write"}) == write.integral > 0
    assert metrics.total(names.STEP_ACTIVE) == write.active + media.active
    assert metrics.value(names.STEP_PEAK, {names.STAGE: "media", names.DC: 4}) == 1
    shared_out = metrics.by(names.ACTIVITY, names.ACTIVE)
    assert shared_out["media+write"] == pytest.approx(write.active)
    assert shared_out["media"] > 0, "what is under way at the end belongs to the run as well"
    assert sum(shared_out.values()) <= metrics.seconds


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells")
def test_what_the_loop_s_thread_ran_is_told(file: Path) -> None:
    telemetry = start(file, Meters())
    spent = time.thread_time() + 0.02
    while time.thread_time() < spent:
        pass
    telemetry.close(complete=True)
    told = read(file).by(names.LOOP, names.MODE)
    assert told.keys() == {"cpu", "runnable"}
    assert told["cpu"] >= 0.02


async def test_each_item_s_wait_in_a_queue_is_recorded_and_littles_law_holds(file: Path) -> None:
    meters = Meters()
    telemetry = start(file, meters)
    queue: MeteredQueue[int] = MeteredQueue(meters, "pages", 4, meters.stage("fetch"), meters.stage("commit"))
    for turn in range(10):
        for number in range(turn % 4 + 1):
            await queue.put(number)
        for _ in range(turn % 4 + 1):
            await queue.get()
    telemetry.close(complete=True)
    metrics = read(file)
    waits = metrics.histogram(names.QUEUE_WAIT, {names.STAGE: "pages"})
    assert waits.count == 23
    assert waits.sum == pytest.approx(metrics.total(names.QUEUE_INTEGRAL)), "items times wait is depth times time"


def test_an_item_taken_before_its_giver_noted_it_waited_for_nothing(file: Path) -> None:
    meters = Meters()
    telemetry = start(file, meters)
    queue = meters.queue("pages", 1)
    queue.change(-1)
    queue.change(+1)
    telemetry.close(complete=True)
    waits = read(file).histogram(names.QUEUE_WAIT)
    assert (waits.count, waits.zeros, waits.sum) == (1, 1, 0.0)


def test_limits_and_requests_in_flight_are_gauges(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    telemetry.limit("connections", lambda: 4)
    telemetry.probe.attempt(attempt(in_flight=5))
    telemetry.probe.attempt(attempt(in_flight=2))
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.value(names.LIMIT, {names.STAGE: "connections"}) == 4
    assert metrics.value(names.IN_FLIGHT) == 2
    assert metrics.value(names.IN_FLIGHT_PEAK) == 5


def test_the_process_tells_its_processor_time_and_its_memory(file: Path) -> None:
    before = sum(os.times()[:4])  # of children, too
    start(file).close(complete=True)
    metrics = read(file)
    assert set(metrics.by(names.CPU, names.MODE)) == {"user", "system"}
    assert before - 0.1 <= metrics.total(names.CPU) <= sum(os.times()[:4]) + 0.1
    peak = metrics.value(names.MEMORY_PEAK)
    assert (peak is None) == (sys.platform != "linux")
    assert peak is None or peak > 10_000_000


def test_where_the_system_does_not_tell_the_peak_there_is_none(tmp_path: Path) -> None:
    assert memory_peak(tmp_path / "absent") is None
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    1234 kB\nVmRSS:\t    1000 kB\n")
    expected = 1234 * 1024 if sys.platform == "linux" else None
    assert memory_peak(tmp_path / "status") == expected


def test_whose_figures_these_are_stands_in_the_resource(file: Path) -> None:
    start(file).close(complete=True)
    assert read(file).resource == RESOURCE


@pytest.mark.parametrize("complete", [True, False])
def test_a_run_says_how_it_ended(file: Path, complete: bool) -> None:
    telemetry = start(file)
    telemetry.close(complete=complete)
    telemetry.close(complete=not complete)
    metrics = read(file)
    assert metrics.complete is complete
    assert metrics.value(names.RUN_COMPLETE) == int(complete)
    assert metrics.seconds > 0


def test_the_last_line_is_the_total_and_the_others_are_the_way_there(file: Path) -> None:
    telemetry = start(file)
    assert telemetry.probe is not None
    for _ in range(3):
        export_now(telemetry)
        telemetry.probe.batch(*page(10), 0.0)
    telemetry.close(complete=True)
    metrics = read(file)
    grown = metrics.series(names.MESSAGES)
    assert metrics.exports >= 4
    assert [value for _, value in grown] == [0, 10, 20, 30], "the end, written twice, is one moment"
    assert [when for when, _ in grown] == sorted(when for when, _ in grown)
    assert metrics.total(names.MESSAGES) == 30


def test_a_preference_for_deltas_in_the_environment_changes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA")
    telemetry = start(file)
    assert telemetry.probe is not None
    telemetry.probe.batch(*page(10), 0.0)
    telemetry.probe.attempt(attempt())
    export_now(telemetry)
    telemetry.close(complete=True)
    metrics = read(file)
    assert metrics.total(names.MESSAGES) == 10
    assert metrics.histogram(names.RPC_DURATION).count == 1


def test_a_line_is_written_every_interval(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = threading.Semaphore(0)
    before = LineExporter.export

    def export(self: LineExporter, *args: Any, **more: Any) -> Any:
        result = before(self, *args, **more)
        written.release()
        return result

    monkeypatch.setattr(LineExporter, "export", export)
    telemetry = Telemetry.start(meters=Meters(), resource={}, file=file, interval=0.01)
    assert all(written.acquire(timeout=30) for _ in range(3))
    telemetry.close(complete=False)
    assert read(file).exports >= 3


def test_off_is_absent(tmp_path: Path) -> None:
    telemetry = Telemetry.off()
    assert telemetry.probe is None
    assert telemetry.probes == ()
    telemetry.limit("connections", lambda: 4)
    telemetry.close(complete=True)
    assert list(tmp_path.iterdir()) == []
    program = "import sys, tobs.telemetry; tobs.telemetry.Telemetry.off(); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_a_file_that_cannot_be_made_is_warned_of_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    telemetry = start(tmp_path / "taken" / "metrics.jsonl")
    assert telemetry.probe is not None
    telemetry.probe.attempt(attempt())
    telemetry.close(complete=True)
    assert [seen.name for seen in caplog.records if seen.levelno >= logging.WARNING] == ["tobs.telemetry"]


def test_a_full_disk_is_warned_of_once_and_leaves_whole_lines(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = start(file)
    export_now(telemetry)
    tries: list[str] = []

    class Full:
        """A disk with room for half a line."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def write(self, data: bytes) -> int:
            tries.append("write")
            if len(tries) % 2:
                return int(self.inner.write(bytes(data[: len(data) // 2])))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    before = LineExporter.export

    def export(self: LineExporter, *args: Any, **more: Any) -> Any:
        if not isinstance(self._file, Full):
            self._file = Full(self._file)  # type: ignore[assignment]
        return before(self, *args, **more)

    monkeypatch.setattr(LineExporter, "export", export)
    for _ in range(3):
        export_now(telemetry)
    assert len(tries) == 6
    telemetry.close(complete=True)
    warned = [seen.getMessage() for seen in caplog.records if seen.levelno >= logging.WARNING]
    assert len(warned) == 1
    assert os.strerror(errno.ENOSPC) in warned[0]
    metrics = read(file)
    assert not metrics.torn
    assert not metrics.complete, "a run whose last line is missing does not pass for complete"


def test_a_killed_run_is_not_complete(file: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from tobs.meters import Meters
from tobs.telemetry import Telemetry
telemetry = Telemetry.start(meters=Meters(), resource={{}}, file=Path({str(file)!r}), interval=3600)
telemetry._output._readers[0].force_flush()
print("written", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "written\n"
        run.kill()
    metrics = read(file)
    assert metrics.value(names.RUN_COMPLETE) is None
    assert not metrics.complete


def test_opentelemetrys_loggers_are_left_as_they_were(file: Path) -> None:
    logger = logging.getLogger("opentelemetry")
    before = (logger.propagate, logger.level, list(logger.handlers))
    start(file).close(complete=True)
    assert (logger.propagate, logger.level, list(logger.handlers)) == before


@pytest.mark.parametrize("address", ["localhost:4318", "ftp://localhost", "", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="no address of a collector"):
        start(None, endpoint=address)


def test_without_the_extra_the_hint_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UsageError) as caught:
        start(None, endpoint="http://localhost:4318")
    assert "tobs[otlp]" in caught.value.hint


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    taken: list[tuple[str, bytes]] = []

    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()
        thread.join()


def test_metrics_go_to_a_collector_on_request(collector: tuple[str, list[tuple[str, bytes]]], file: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otlp is not installed")
    service: Any = importlib.import_module("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    address, taken = collector
    telemetry = start(file, endpoint=address)
    assert telemetry.probe is not None
    telemetry.probe.batch(*page(10), 0.0)
    telemetry.close(complete=True)
    assert {path for path, _ in taken} == {"/v1/metrics"}
    sent = service.ExportMetricsServiceRequest.FromString(taken[-1][1])
    (resource,) = sent.resource_metrics
    (scope,) = resource.scope_metrics
    values = {metric.name: metric for metric in scope.metrics}
    assert values[names.MESSAGES].sum.data_points[0].as_int == 10
    assert read(file).total(names.MESSAGES) == 10, "the file is written all the same"


def test_a_collector_that_is_away_is_warned_of_once_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otlp is not installed")
    telemetry = start(None, endpoint="http://127.0.0.1:1")
    telemetry.close(complete=True)
    assert len([seen for seen in caplog.records if seen.levelno >= logging.WARNING]) == 1


def test_every_name_is_an_instrument_and_every_instrument_has_a_name() -> None:
    made = {instrument.name for instrument in INSTRUMENTS} | {name for name, _, _ in HISTOGRAMS}
    attributes = {
        names.STAGE,
        names.METHOD,
        names.DC,
        names.OUTCOME,
        names.MODE,
        names.SIZE,
        names.KIND,
        names.DIRECTION,
        names.ACTIVE,
    }
    declared = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    assert made == declared - attributes
