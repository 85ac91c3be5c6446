"""State: small values that outlive a run, whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from typing import IO, TYPE_CHECKING

import pytest

from tobs.engine.state import FolderState, MemoryState

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.ports import State


@pytest.fixture(params=["folder", "memory"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    return FolderState(tmp_path / "account" / "state") if request.param == "folder" else MemoryState()


def test_what_is_kept_is_read_back(state: State) -> None:
    assert state.get("pace") == {}
    state.put("pace", {"rate": 1.5, "name": "é"})
    state.put("other", {"x": 1})
    assert state.get("pace") == {"rate": 1.5, "name": "é"}
    state.put("pace", {"rate": 2})
    assert state.get("pace") == {"rate": 2}
    assert state.get("other") == {"x": 1}


def test_another_run_reads_it(tmp_path: Path) -> None:
    FolderState(tmp_path).put("pace", {"rate": 1})
    assert FolderState(tmp_path).get("pace") == {"rate": 1}


def test_what_cannot_be_kept_leaves_nothing_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    state = FolderState(tmp_path)
    state.put("pace", {"rate": 1})
    monkeypatch.setattr("tobs.engine.state.json.dump", full)
    state.put("pace", {"rate": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["pace.json"]
    assert state.get("pace") == {"rate": 1}


def test_an_empty_value_takes_no_room(tmp_path: Path) -> None:
    state = FolderState(tmp_path)
    state.put("pace", {"rate": 1})
    state.put("pace", {})
    state.put("never", {})
    assert list(tmp_path.iterdir()) == []
    assert state.get("pace") == {}


def test_it_is_for_its_owners_eyes_only(tmp_path: Path) -> None:
    state = FolderState(tmp_path / "state")
    state.put("keys", {"4": "secret"})
    assert stat.S_IMODE((tmp_path / "state" / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"7", b"null", b"\xff\xfe", b'{"rate": 1'])
def test_a_damaged_file_is_nothing_kept(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "pace.json").write_bytes(damage)
    state = FolderState(tmp_path)
    assert state.get("pace") == {}
    state.put("pace", {"rate": 1})
    assert state.get("pace") == {"rate": 1}


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_the_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    FolderState(tmp_path / "state").put("pace", {})
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_write_that_fails_leaves_the_old_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = FolderState(tmp_path)
    state.put("pace", {"rate": 1})

    def half(_: object, file: IO[str], **_how: object) -> None:
        file.write('{"r')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", half)
    state.put("pace", {"rate": 2})
    assert state.get("pace") == {"rate": 1}
    assert "No space left on device" in caplog.text


def test_a_place_that_cannot_be_a_folder_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    state = FolderState(tmp_path / "file" / "state")
    state.put("pace", {"rate": 1})
    assert state.get("pace") == {}
    assert "pace cannot be kept" in caplog.text


def test_only_whole_files_have_the_name(tmp_path: Path) -> None:
    FolderState(tmp_path).put("pace", {"rate": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["pace.json"]
    assert json.loads((tmp_path / "pace.json").read_text()) == {"rate": 1}
