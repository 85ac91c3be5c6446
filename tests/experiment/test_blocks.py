"""Order and seeds of blocks follow from the experiment's seed alone, and favour no arm."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tobs.experiment.blocks import SEEDS, Block, draw_block


@given(st.integers(0, 2**31), st.integers(0, 300), st.integers(2, 18))
def test_a_block_is_drawn_alike_whenever_it_is_drawn(seed: int, number: int, arms: int) -> None:
    block = draw_block(seed, number, arms)
    assert block == draw_block(seed, number, arms)
    assert sorted(block.order) == list(range(arms))
    assert 0 < block.seed < SEEDS


def test_each_block_has_a_seed_of_its_own_and_each_order_its_share() -> None:
    blocks = [draw_block(1, number, 3) for number in range(1, 601)]
    assert len({block.seed for block in blocks}) == 600
    orders = Counter(block.order for block in blocks)
    assert len(orders) == 6
    assert min(orders.values()) > 60


def test_this_very_block_never_changes() -> None:
    """Stored experiments are resumed by later versions: what a seed means is a promise."""
    assert draw_block(1, 1, 4) == Block(1, 1062463203, (1, 3, 2, 0))
    assert draw_block(1, 2, 2) == Block(2, 189876793, (0, 1))
