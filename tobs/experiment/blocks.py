"""Blocks: each runs every arm once, in random order, on one scenario seed. All of it follows from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

SEEDS = 2**31
"""Scenario seeds lie below this."""
WARM_UP = 0
"""The number of the block whose runs are discarded."""


@dataclass(frozen=True, slots=True)
class Block:
    """Block `number`: the scenario's `seed`, and the arms' places in the experiment in the `order` they run in."""

    number: int
    seed: int
    order: tuple[int, ...]


def draw_block(seed: int, number: int, arms: int) -> Block:
    """Block `number` of the experiment with this seed, whatever was drawn before."""
    draws = random.Random(f"{seed}/{number}")  # noqa: S311 - to be repeated, not to be secret
    scenario_seed = draws.randrange(1, SEEDS)
    order = list(range(arms))
    draws.shuffle(order)
    return Block(number, scenario_seed, tuple(order))
