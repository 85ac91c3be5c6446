"""Scenarios and experiments that several tests use."""

from __future__ import annotations

from pathlib import Path

from tobs.experiment.definition import Definition, Wanted, define

SCENARIOS = Path(__file__).parent / "scenarios"
TINY = str(SCENARIOS / "tiny.toml")
FIRST, SECOND, THIRD = "baseline", "baseline connections=5", "baseline connections=6"
"""Arms whose plans differ and need no plugin."""


def defined(*arms: str, blocks: int | None = None, seed: int = 1, metrics: tuple[str, ...] = ("wall",)) -> Definition:
    """An experiment of these arms on the tiny scenario."""
    return define(Wanted("test", TINY, arms or (FIRST, SECOND), metrics, seed=seed, blocks=blocks))
