"""The plugin on the page about plugins works as it stands there."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from docs.generate import ROOT
from tests.export.labs import serve, small
from tobs.hookspecs import Hooks
from tobs.host import run, settings
from tobs.host.arm import parse_arm
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.telegram.account import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served
    from tobs.values import Settled

__all__ = ["serve", "small"]

LARGE = 100 * 1024
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, where Python finds them."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


async def test_the_plugin_of_the_page_exports_the_truth(package: Path, small: Served) -> None:
    announced = tomllib.loads((package / "pyproject.toml").read_text())["project"]["entry-points"]["tobs"]
    found = discover(EntryPoint(name, place, "tobs") for name, place in announced.items())
    assert found.broken == {}
    settled: list[tuple[int, bool]] = []

    class Order:
        def batch(self, page: object, batch: object, seconds: float) -> None: ...

        def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
            settled.append((outcome.ref.message_id, outcome.ref.size >= LARGE))

        def attempt(self, attempt: object) -> None: ...

        def flood(self, method: str, seconds: float) -> None: ...

    asked = run.Request([str(small.chat)], package / "archive", state=package / "state")
    plan = resolve(found.manifests, parse_arm("baseline +small_first small_first.large_kb=100"))
    report = await run.export(load(small.server), settings.load(environment={}), asked, [Order()], plan)

    assert report.digest == small.child.truth(small.chat)["digest"]
    assert report.plan.plugins == ("small_first",)
    assert settled != sorted(settled, reverse=True), "large files did not wait for newer small ones"
    assert sum(large for _, large in settled) in range(1, len(settled))


def test_the_settings_file_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(arm = .*?)```", PAGE, re.DOTALL)
    file = tmp_path / "config.toml"
    file.write_text(text)
    wanted = settings.load(file, environment={}).wanted
    assert resolve(discover().manifests, wanted).problems == ()


def test_every_hook_has_a_row() -> None:
    hooks = [name for name in vars(Hooks) if name.startswith("tobs_")]
    assert [name for name in hooks if f"| `{name}` |" not in PAGE] == []
