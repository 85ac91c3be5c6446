"""Every check of the house as a session: `nox` runs all but the matrix and the benchmarks, `nox -s lint` one.

With `--no-venv` the checks run in the environment that is active, as continuous integration does.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "imports", "docs", "tests", "wheel"]

HERE = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
BENCHMARKS = "experiments/bench_*.py"


def install(session: nox.Session) -> None:
    """Put TOBS and what its checks need into the session's environment, unless it has none of its own."""
    if session.venv_backend != "none":
        session.install("--editable", ".[dev]")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over everything."""
    install(session)
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Which room may import which, and which library is known where."""
    install(session)
    session.run("lint-imports", "--no-logo", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """Links, generated blocks and commands of the pages."""
    install(session)
    session.run("python", "docs/generate.py", "--check")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, on the Python that nox runs on."""
    install(session)
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def matrix(session: nox.Session) -> None:
    """The tests, on every supported Python that is installed."""
    install(session)
    session.run("pytest", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and use it as a newcomer would: in a fresh environment, away from the checkout."""
    with tempfile.TemporaryDirectory(prefix="tobs-wheel-") as folder:
        dist, fresh = Path(folder, "dist"), Path(folder, "venv")
        session.run("python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(dist), str(HERE))
        (built,) = dist.glob("tobs-*.whl")
        session.run("python", "-m", "zipfile", "--list", str(built), silent=True)
        session.run("python", "-m", "venv", str(fresh))
        scripts = fresh / ("Scripts" if sys.platform == "win32" else "bin")
        session.run(str(scripts / "python"), "-m", "pip", "install", "--quiet", str(built), external=True)
        tobs = str(scripts / "tobs")
        with session.chdir(folder):
            session.run(str(scripts / "python"), "-c", "import tobs, tobs.lab", external=True)
            session.run(tobs, "--help", external=True)
            told = session.run(tobs, "demo", "--json", external=True, silent=True, stderr=None)
        session.log(told)
        if json.loads(str(told))["ok"] is not True:
            session.error("tobs demo ended without a complete archive")


@nox.session(default=False)
def campaign(session: nox.Session) -> None:
    """The tests that need minutes of real runs."""
    install(session)
    session.run("pytest", "-m", "campaign", "--timeout", "900", "-n", "0", *session.posargs)


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Two hundred exports that are killed, out of space and out of reach; takes twenty minutes or more."""
    install(session)
    session.run("python", "experiments/chaos.py", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """The pages that TOBS writes, looked at in a real Chromium, which has to be installed."""
    install(session)
    session.run("pytest", "-m", "browser", "-n", "0", *session.posargs)


@nox.session(default=False)
def postgres(session: nox.Session) -> None:
    """Workers that share a study in a real PostgreSQL, which has to be installed; and Optuna's dashboard on it."""
    if session.venv_backend != "none":
        session.install("--editable", ".[dev,postgres]", "optuna-dashboard>=0.21")
    session.run("pytest", "-m", "postgres", "-n", "0", *session.posargs)


@nox.session(default=False)
def promises(session: nox.Session) -> None:
    """Every A/B file to its record in experiments/results/promises; takes hours, goes on where it was stopped."""
    install(session)
    session.run("python", "-m", "tobs.experiment.promises", *session.posargs)


@nox.session(default=False)
def efficiency(session: nox.Session) -> None:
    """How near everything together comes to the limit of the scenarios that have a bar; takes a quarter of an hour."""
    install(session)
    session.run("python", "experiments/efficiency.py", *session.posargs)


@nox.session(default=False)
def random(session: nox.Session) -> None:
    """The same on three scenarios drawn at random: `nox -s random -- --seed 7`."""
    install(session)
    session.run("python", "experiments/random_scenarios.py", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Half an hour of clients of every kind on one lab; its memory must stay flat."""
    install(session)
    session.run("python", "experiments/soak.py", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks, one after the other; each prints one JSON value."""
    install(session)
    for script in sorted(HERE.glob(BENCHMARKS)):
        session.run("python", os.fspath(script.relative_to(HERE)), *session.posargs)
