"""The pages of an experiment and a tuning in a real Chromium: on a desk, on a phone, on paper."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.experiment.reported import conducted
from tests.tuning.simulated import Simulated, defined
from tobs.experiment.page import page
from tobs.tuning.page import page as page_of_study
from tobs.tuning.told import tell
from tobs.tuning.tune import tune

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
)
FRAME = """<!doctype html><body><iframe src="report.html" style="width: {width}px; height: 900px"></iframe>
<script>
document.querySelector("iframe").onload = event => {{
  const inner = event.target.contentDocument;
  const texts = [...inner.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width);
  document.body.dataset.told = [inner.documentElement.scrollWidth, Math.min(...texts), inner.images.length].join(" ");
}};
</script></body>"""


def _tuned(folder: Path) -> str:
    tune(defined(knobs=()), folder, lambda _: None, Simulated())
    return page_of_study(tell(str(folder), None))


@pytest.fixture(params=["experiment", "tuning"])
def written(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a page."""
    monkeypatch.setenv("TOBS_STATE", str(tmp_path / "state"))
    text = page(conducted(tmp_path / "x")) if request.param == "experiment" else _tuned(tmp_path / "x")
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    return tmp_path


def chromium(folder: Path, *words: str) -> str:
    """Run Chromium and return its standard output."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found is not None, "this session needs Chromium: apt-get install chromium"
    command = [found, *QUIET, f"--user-data-dir={folder / 'profile'}", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=90).stdout


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_screen(written: Path, width: int) -> None:
    frame = written / "frame.html"
    frame.write_text(FRAME.format(width=width))
    dom = chromium(written, "--virtual-time-budget=5000", "--dump-dom", frame.as_uri())
    told = re.search(r'data-told="([^"]*)"', dom)
    assert told is not None
    scroll, narrowest, _ = map(float, told[1].split())
    assert scroll <= width
    assert narrowest > min(width / 3, 250)


def test_it_can_be_printed(written: Path) -> None:
    chromium(written, f"--print-to-pdf={written / 'page.pdf'}", (written / "report.html").as_uri())
    printed = (written / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12


def test_it_can_be_looked_at(written: Path) -> None:
    picture = written / "page.png"
    chromium(written, "--window-size=1000,2400", f"--screenshot={picture}", (written / "report.html").as_uri())
    assert picture.read_bytes().startswith(b"\x89PNG")
