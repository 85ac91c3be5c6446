"""`tobs tune --worker`: what a study tells a worker, whom it refuses, and what the whole comes to."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from tests.tuning.simulated import ROOT, TINY, Simulated, defined
from tobs.cli.main import app
from tobs.errors import TobsError, UsageError
from tobs.experiment import surroundings
from tobs.tuning import journal as journals
from tobs.tuning.definition import define
from tobs.tuning.journal import CONTROL, START
from tobs.tuning.place import BEST, NOTE, RESULT, WORKERS, claimed, index, noted
from tobs.tuning.shared import RESULT as KEPT_RESULT
from tobs.tuning.shared import as_kept, taking_part, wanted
from tobs.tuning.storage import journal_file, reached, shown
from tobs.tuning.tune import tune
from tobs.tuning.worker import Worked, as_json, lines, work

if TYPE_CHECKING:
    from tobs.experiment.launch import Result, Trial, Truth

pytestmark = pytest.mark.usefixtures("quick")
POOR = ROOT / "experiments" / "tune" / "poor.toml"


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for others."""
    monkeypatch.setattr(journals, "REST", 0.01)


def begun(file: Path, **more: Any) -> str:
    """A study that is begun and then broken off; its storage."""

    class Broken(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if len(self.trials) == 3:
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    with pytest.raises(KeyboardInterrupt):
        tune(defined(**more), file.parent / f"begun-{file.name}", lambda _: None, Broken(), storage=str(file))
    return str(file)


def joined(storage: str, launch: Simulated, **more: Any) -> Worked:
    return work(storage, None, None, lambda _: None, launch, **more)


def test_a_worker_joins_while_the_other_is_at_it_and_the_other_confirms(tmp_path: Path) -> None:
    storage, worked, joins = str(tmp_path / "j"), [], Simulated()
    thread = threading.Thread(target=lambda: worked.append(joined(storage, joins)))

    class Begins(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if not self.trials:
                thread.start()
            return super().__call__(trial, truth)

    tuning = tune(defined(), tmp_path / "t", lambda _: None, Begins(), storage=storage)
    thread.join(60)
    (worker,) = worked
    assert tuning.adopted
    assert worker.name in tuning.found.workers
    assert {one.worker for one in tuning.found.trials} == {worker.name, noted(tmp_path / "t")["worker"]}
    assert sum(one.kind == START for one in tuning.found.trials) == 1
    assert joins.trials, "it has runs of its own"
    assert all(one.folder.is_relative_to(worker.folder) for one in joins.trials)
    told = json.loads(json.dumps(as_json(worker)))
    assert told["trials"] == len(worker.own) == len(joins.trials)
    assert told["machine_factor"] == pytest.approx(1.0, abs=0.05)
    assert any("machine factor" in line for line in lines(worker))


def test_workers_alone_end_a_search_and_who_began_it_confirms_it_later(tmp_path: Path) -> None:
    storage = begun(tmp_path / "j")
    worked = joined(storage, Simulated())
    assert sum(one.kind != CONTROL for one in worked.found.trials) == 20
    launch = Simulated()
    tuning = tune(defined(), tmp_path / "begun-j", lambda _: None, launch, storage=storage)
    assert tuning.adopted
    assert not [one for one in launch.trials if one.folder.parent.name == "trials"]
    assert (tmp_path / "begun-j" / BEST).is_file()
    result = json.loads((tmp_path / "begun-j" / RESULT).read_text())
    assert result["ratio"] == tuning.gain.ratio if tuning.gain else None
    with taking_part(defined(), storage, "reader") as journal:
        assert journal.noted(KEPT_RESULT) == result


def test_a_worker_that_starts_again_is_who_it_was(tmp_path: Path) -> None:
    class Stopped(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if len(self.trials) == 2:
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    storage = begun(tmp_path / "j")
    with pytest.raises(KeyboardInterrupt):
        joined(storage, Stopped())
    first = index() / WORKERS / f"{defined().id}-1"
    name = noted(first)["worker"]
    again = joined(storage, Simulated())
    assert (again.name, again.folder) == (name, first)
    assert CONTROL in {one.kind for one in again.own}
    with claimed(first, defined().id, again.study, storage):
        assert joined(storage, Simulated()).folder.name.endswith("-2")


def test_files_travel_with_the_study(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(Path(TINY).read_text().replace("seed = 5", "seed = 6"))
    definition = defined(arm=None, file=POOR, scenario=str(other), further=(TINY,), knobs=("connections",))
    kept = json.loads(json.dumps(as_kept(definition)))
    other.unlink()
    there = define(wanted(kept, tmp_path / "there"))
    assert (there.id, there.name) == (definition.id, definition.name)
    assert there.start == definition.start
    assert str(tmp_path / "there") in there.wanted.scenario


def test_other_versions_and_other_code_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = begun(tmp_path / "j")
    with monkeypatch.context() as patch:
        patch.setattr(surroundings, "versions", lambda: {"python": "4.0", "tobs": "9"})
        with pytest.raises(TobsError, match=r"python 4\.0 here") as refused:
            joined(storage, Simulated())
        assert "Install the same release" in refused.value.hint
        with pytest.raises(TobsError, match="other code"), taking_part(defined(), storage, "late"):
            pass
    monkeypatch.setattr(surroundings, "fingerprint", lambda _=(): "other code")
    with pytest.raises(TobsError, match="other code, plugins or profiles"):
        joined(storage, Simulated())


def test_a_start_that_fails_on_one_machine_ends_that_worker_alone(tmp_path: Path) -> None:
    storage = begun(tmp_path / "j")
    with pytest.raises(TobsError, match="cannot be measured"):
        joined(storage, Simulated(spoilt=0))
    assert joined(storage, Simulated()).found.why == "all 20 trials are done"


def test_which_study_is_joined_is_said_where_there_are_several(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        joined(str(tmp_path / "j"), Simulated())
    journal_file(tmp_path / "j")
    with pytest.raises(UsageError, match="holds no study"):
        joined(str(tmp_path / "j"), Simulated())
    begun(tmp_path / "j")
    (tmp_path / "begun-j" / NOTE).unlink()
    storage = begun(tmp_path / "j", seed=2)
    with pytest.raises(UsageError, match="holds 2 studies"):
        joined(storage, Simulated())
    study = defined(seed=2).name
    assert work(storage, study, tmp_path / "w", lambda _: None, Simulated()).study == study
    with pytest.raises(UsageError, match="holds no study nothing"):
        work(storage, "nothing", None, lambda _: None, Simulated())


def test_a_folder_keeps_to_its_storage(tmp_path: Path) -> None:
    begun(tmp_path / "j")
    with pytest.raises(UsageError, match="is kept in"):
        tune(defined(), tmp_path / "begun-j", lambda _: None, Simulated(), storage=str(tmp_path / "k"))


@pytest.mark.parametrize(
    ("url", "as_shown"),
    [
        ("postgresql://tobs:s3cret@db.example:5433/tunings", "postgresql://tobs@db.example:5433/tunings"),
        ("postgresql://db.example/tunings?user=tobs&password=s3cret", "postgresql://db.example/tunings"),
        ("postgresql://tobs:a@b%40s3cret@db.example/tunings", "postgresql://tobs@db.example/tunings"),
        ("some/study.journal", "some/study.journal"),
    ],
)
def test_a_password_is_not_shown(url: str, as_shown: str) -> None:
    assert shown(url) == as_shown


def test_what_a_database_says_is_told_without_the_password() -> None:
    url = "postgresql://tobs:s3%20cret@db.example/tunings"
    with pytest.raises(TobsError) as told, reached(url):
        raise OperationalError("SELECT", {}, Exception("no entry for tobs:s3 cret (s3%20cret)"))
    assert "cret" not in str(told.value)
    assert "postgresql://tobs@db.example/tunings failed: no entry for tobs:*** (***)" in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--worker"], "a worker needs the study's storage"),
        (["--worker", "--storage", "x", "--scenario", TINY], "takes what is run from the study"),
        (["--worker", "--storage", "nowhere.journal"], "nowhere.journal does not exist"),
        (["--worker", "--storage", "sqlite:///x.db"], "cannot be kept in sqlite://"),
        (["--worker", "--storage", "mysql://me:s3cret@host/x"], "cannot be kept in mysql://"),
        (["--scenario", TINY, "--study", "x"], "--study is for a worker"),
        ([], "no scenario to tune for"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["tune", *words])
    assert told.exit_code == 2
    assert complaint in told.stderr
    assert "s3cret" not in told.output
    assert list(tmp_path.glob("*.journal")) == []
