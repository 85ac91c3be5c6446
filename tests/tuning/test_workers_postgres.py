"""The same on a real PostgreSQL: what workers share, what a kill costs, what is said when the server is away."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.tuning.simulated import Simulated, defined
from tests.tuning.synthetic import wanted
from tests.tuning.test_workers import one_is_killed, shared_by_two
from tests.tuning.working import STUDY
from tobs.errors import TobsError, UsageError
from tobs.tuning import journal as journals
from tobs.tuning.beats import Watch
from tobs.tuning.journal import PROPOSED, WINNER, Journal
from tobs.tuning.place import NOTE, RESULT
from tobs.tuning.storage import connected
from tobs.tuning.tune import tune
from tobs.tuning.worker import work

if sys.platform != "win32":
    from postgres import PASSWORD, QUOTED, Cluster, cluster, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tobs.experiment.launch import Result, Trial, Truth

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'tobs[postgres]'")
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("quick"),
    pytest.mark.skipif(sys.platform == "win32" or bool(missing()), reason="no PostgreSQL: apt-get install postgresql"),
]
RANGES = wanted().ranges


@pytest.fixture
def server() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


def test_two_processes_share_it(server: Cluster) -> None:
    shared_by_two(server.url)


def test_a_worker_that_is_killed_loses_its_running_trial_alone(
    server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_is_killed(server.url, monkeypatch)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What these return when they are begun at the same moment."""
    barrier, found = threading.Barrier(len(calls)), {}

    def run(place: int, call: Callable[[], Any]) -> None:
        barrier.wait(30)
        found[place] = call()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[place] for place in range(len(calls))]


def test_several_may_begin_it_at_once(server: Cluster) -> None:
    def begin(name: str) -> int:
        with connected(server.url) as storage:
            return Journal(storage, STUDY, 1, worker=name).ask(RANGES).number

    assert sorted(at_once(*[partial(begin, name) for name in "abcd"])) == [0, 1, 2, 3]


def test_what_one_gives_back_or_takes_no_other_does(server: Cluster) -> None:
    with ExitStack() as stack:
        storages = [stack.enter_context(connected(server.url)) for _ in "zabcd"]
        dead, *others = (
            Journal(storage, STUDY, 1, worker=name, watch=Watch(0, iter(range(10**6)).__next__))
            for name, storage in zip("zabcd", storages, strict=True)
        )
        _given_back(dead, others)


def _given_back(dead: Journal, others: list[Journal]) -> None:
    for _ in range(5):
        dead.enqueue(wanted().start, WINNER)
        lost = dead.ask(RANGES)
        at_once(*[one.others for one in others])
        at_once(*[one.others for one in others])
        again = at_once(*[partial(one.ask, RANGES) for one in others[:3]])
        assert sorted(one.kind for one in again) == [PROPOSED, PROPOSED, WINNER]
        assert [one.values for one in again if one.kind == WINNER] == [lost.values]
        for journal, asked in zip(others, again, strict=False):
            journal.give_up(asked.number)


def test_a_worker_joins_and_who_began_it_confirms(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "REST", 0.01)
    worked: list[Any] = []
    thread = threading.Thread(
        target=lambda: worked.append(work(server.url, None, tmp_path / "w", lambda _: None, Simulated()))
    )

    class Begins(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if not self.trials:
                thread.start()
            return super().__call__(trial, truth)

    said: list[str] = []
    tuning = tune(defined(), tmp_path / "t", said.append, Begins(), storage=server.url)
    thread.join(60)
    assert tuning.adopted
    assert worked[0].own
    assert worked[0].name in tuning.found.workers
    kept = [(tmp_path / "t" / name).read_text() for name in (NOTE, RESULT)]
    for text in [*said, *kept, (tmp_path / "w" / NOTE).read_text()]:
        assert PASSWORD not in text
        assert QUOTED not in text
    assert json.loads(kept[0])["storage"].startswith("postgresql://tobs@127.0.0.1:")


def test_a_server_that_goes_away_costs_the_running_trial_alone(server: Cluster, tmp_path: Path) -> None:
    class Cut(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if len(self.trials) == 4:
                server.stop()
            return super().__call__(trial, truth)

    first = Cut()
    with pytest.raises(TobsError, match="failed") as told:
        tune(defined(), tmp_path / "t", lambda _: None, first, storage=server.url)
    assert PASSWORD not in str(told.value)
    assert QUOTED not in str(told.value)
    assert "the same command goes on" in told.value.hint
    with pytest.raises(TobsError, match="failed"):
        work(server.url, None, None, lambda _: None, Simulated())
    server.start()
    rest = Simulated()
    tuning = tune(defined(), tmp_path / "t", lambda _: None, rest, storage=server.url)
    assert tuning.adopted
    assert len(first.trials) == 5
    searched = [one for one in rest.trials if one.folder.parent.name == "trials"]
    assert len(searched) == len(tuning.found.trials) - 4


def test_where_no_study_was_begun_there_is_none_to_join(server: Cluster) -> None:
    with pytest.raises((UsageError, TobsError)) as told:
        work(server.url, None, None, lambda _: None, Simulated())
    assert "tobs@127.0.0.1" in str(told.value)
    assert PASSWORD not in str(told.value)
    with pytest.raises(TobsError) as refused, connected(server.url.replace(QUOTED, "wr0ng")):
        pass
    assert "wr0ng" not in str(refused.value)


def test_the_dashboard_opens_it(server: Cluster, tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    for number, storage in enumerate((server.url, str(tmp_path / "study.journal"))):
        tune(defined(trials=4), tmp_path / str(number), lambda _: None, Simulated(), storage=storage)
        with connected(storage) as opened:
            assert studies(dashboard.wsgi(opened)) == [defined().name]


def studies(app: Callable[..., Iterable[bytes]]) -> list[str]:
    """What the dashboard lists."""
    status: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "SERVER_NAME": "x", "SERVER_PORT": "1"}
    body = b"".join(app({**environ, "wsgi.url_scheme": "http"}, lambda code, *_: status.append(code)))
    assert status == ["200 OK"]
    return [one["study_name"] for one in json.loads(body)["study_summaries"]]
