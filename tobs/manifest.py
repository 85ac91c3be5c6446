"""What a plugin says of itself without its implementation being imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.knobs import Knob


@dataclass(frozen=True, slots=True)
class Expectation:
    """The promise a plugin makes: `metric` should move in `direction` by `low` to `high` (shares of 1).

    Tested by running `arms` (the first is compared against) on `scenario`.
    """

    metric: str
    direction: str
    low: float
    high: float
    scenario: str
    arms: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A plugin's declaration.

    `load` is `module:Class`; the class is called with the plugin's knobs (name to value) when the plugin is on, and
    its methods that are hooks are called once while the run is assembled. `provides` names the slots it fills
    (see `tobs.hookspecs.SLOTS`) and other capabilities; `needs` capabilities that somebody must provide; `requires`
    and `conflicts` name plugins.
    """

    name: str
    summary: str
    load: str
    knobs: tuple[Knob, ...] = ()
    provides: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    expects: tuple[Expectation, ...] = ()
    default: bool = True
