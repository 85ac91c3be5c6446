"""The contract that every plugin keeps, as a class of tests that its author subclasses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

import pytest

from tobs.host.arm import written
from tobs.host.plugins import discover
from tobs.testing import arms
from tobs.testing.exports import planned, whole
from tobs.testing.stops import stop_at_every_commit

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.manifest import Manifest
    from tobs.testing.arms import Turned
    from tobs.testing.served import ServedChat

FEWEST = 5
"""Commits at which an export of the lab's chat must have been stopped: it has four pages and nine files."""
WITHIN = 60
"""Seconds for an interpreter of its own."""


class PluginContract:
    """Subclass it under a name that pytest collects, and set `plugin` to the name that the entry point announces.

    The package must be installed (`pip install -e .`). What holds for every plugin: it can be listed without its
    implementation being imported; switched off it leaves no trace; with it, alone and among others, with every knob at
    every end, and stopped at any commit and continued, an export gives the same archive, asks for nothing twice, sends
    nothing during a flood wait and leaves nothing running.
    """

    plugin: ClassVar[str] = ""

    @classmethod
    def manifest(cls) -> Manifest:
        """The plugin's manifest. Fails the test where none is installed, or it is broken."""
        found = discover()
        assert cls.plugin not in found.broken, f"plugin {cls.plugin}: {found.broken[cls.plugin]}"
        assert cls.plugin in found.manifests, f"no installed package announces a plugin {cls.plugin!r} in group tobs"
        return found.manifests[cls.plugin]

    @classmethod
    def alone(cls) -> str:
        """The arm with the plugin on the baseline, and with what it requires or needs."""
        return arms.alone(discover().manifests, cls.manifest().name)

    @classmethod
    def among(cls) -> str:
        """The arm with the plugin in the default set, without those whose place it takes."""
        return arms.among(discover().manifests, cls.manifest().name)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each end of each knob."""
        if "turned" not in metafunc.fixturenames:
            return
        manifest = discover().manifests.get(self.plugin)
        found = [] if manifest is None else list(arms.turns(manifest))
        marks = [[pytest.mark.skip(reason=turned.why)] if turned.value is None else [] for turned in found]
        cases = [pytest.param(turned, id=turned.label, marks=mark) for turned, mark in zip(found, marks, strict=True)]
        metafunc.parametrize("turned", cases or [pytest.param(None, marks=pytest.mark.skip(reason="no knobs"))])

    def test_the_manifest_is_valid(self) -> None:
        """Its texts are there, its knobs' defaults and ends are values that they take, its arms can run."""
        manifest = self.manifest()
        assert manifest.summary.strip(), "the summary is empty"
        for knob in manifest.knobs:
            assert knob.help.strip(), f"{knob.name} has no help"
            ends = [end for end in (knob.low, knob.high) if end is not None]
            for value in (knob.default, *ends, *knob.choices):
                knob.parse(value, where=self.plugin)
            assert ends == sorted(ends), f"{knob.name}: low {knob.low} is above high {knob.high}"
        for promise in manifest.expects:
            assert promise.direction in {"up", "down"}, f"{promise.metric}: direction {promise.direction!r}"
            assert 0 <= promise.low <= promise.high, f"{promise.metric}: {promise.low} to {promise.high}"
            for arm in promise.arms:
                planned(arm)
            assert self.plugin in planned(promise.arms[1]).plugins, f"{promise.arms[1]!r} leaves the plugin off"

    def test_the_manifest_is_light(self) -> None:
        """Listing the plugin imports neither its implementation nor anything of weight."""
        self.manifest()
        _no_faults("tobs.testing.light", self.plugin)

    def test_off_leaves_no_trace(self) -> None:
        """Switched off, its implementation is not imported and the graph is that of a machine without it."""
        self.manifest()
        _no_faults("tobs.testing.off", self.plugin)

    def test_alone_the_archive_is_the_same(self, tobs_lab: ServedChat, tmp_path: Path) -> None:
        """On the baseline."""
        report = whole(tobs_lab, self.alone(), tmp_path)
        assert self.plugin in report.plan.plugins

    def test_among_others_the_archive_is_the_same(self, tobs_lab: ServedChat, tmp_path: Path) -> None:
        """In the default set."""
        report = whole(tobs_lab, self.among(), tmp_path)
        assert self.plugin in report.plan.plugins

    def test_at_every_end_of_a_knob_the_archive_is_the_same(
        self, tobs_small_lab: ServedChat, tmp_path: Path, turned: Turned
    ) -> None:
        """On the baseline with one knob at its lowest, highest or another choice."""
        assert turned.value is not None
        whole(tobs_small_lab, f"{self.alone()} {self.plugin}.{turned.knob}={written(turned.value)}", tmp_path)

    def test_stopped_at_every_commit_it_goes_on_to_the_same_archive(
        self, tobs_small_lab: ServedChat, tmp_path: Path
    ) -> None:
        """On the baseline; see `tobs.testing.stops.stop_at_every_commit`."""
        stops = stop_at_every_commit(tobs_small_lab, self.alone(), tmp_path)
        assert stops >= FEWEST, f"only {stops} commits passed the archive's own write"

    def test_it_sends_nothing_during_a_flood_wait(self, tobs_flooding_lab: ServedChat, tmp_path: Path) -> None:
        """In the default set, where the server makes it wait, for history and for files."""
        whole(tobs_flooding_lab, self.among(), tmp_path)


def _no_faults(module: str, plugin: str) -> None:
    """Run a check in an interpreter of its own, which finds the packages that this one does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # The command is this interpreter and a module of ours; a plugin's name is all that it is given.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", module, plugin],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    faults = json.loads(done.stdout)
    assert faults == [], "\n".join(faults)
