"""The way of a user: export, calibrate a twin of the link, tune on it, keep a profile, export with that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.export.labs import tobs
from tobs.lab.scenario import load

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.export.labs import Served

ARM = "baseline +async_pipeline +parallel_media"


def test_from_an_export_to_a_profile_and_back(
    small: Served, tmp_path: Path, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOBS_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("TOBS_STATE", str(own_state))
    first = tobs("export", small.chat, "-o", tmp_path / "first", "--server", small.server, "--arm", ARM, "--json").value

    (run,) = (own_state / "runs").iterdir()
    twin, place = tmp_path / "twin.toml", tmp_path / "tuned"
    assert tobs("lab", "calibrate", run.name, "-o", twin).code == 0
    assert load(twin).dataset.messages == first["messages"]

    asked = ("--scenario", twin, "--arm", ARM, "--knob", "connections", "--knob", "parallel_media.files")
    ended = tobs("tune", *asked, "--trials", 2, "--blocks", 1, "-o", place, "--json")
    value = ended.value
    assert (ended.code, value["failed"], len(value["trials"])) == (0, 0, 2)
    assert all(trial["value"] > 0 for trial in value["trials"])
    assert not value["adopted"], "one block proves nothing"

    assert tobs("profiles", "add", "home", place / "best.toml").code == 0
    (row,) = json.loads(tobs("profiles", "list", "--json").out)
    assert row["origin"]["scenarios"] == [str(twin)]
    assert (row["origin"]["trials"], row["origin"]["adopted"]) == (2, False)

    plan = tobs("plan", "--profile", "home", "--json").value
    assert plan["knobs"]["core"]["connections"]["origin"] == "profile home"
    second = tobs(
        "export", small.chat, "-o", tmp_path / "second", "--server", small.server, "--profile", "home", "--json"
    ).value
    assert second["digest"] == first["digest"]
    assert second["plan_hash"] == plan["hash"]
    assert second["plugins"] == ["async_pipeline", "parallel_media"]
