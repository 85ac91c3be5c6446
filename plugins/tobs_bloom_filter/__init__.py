"""bloom_filter: what a rescan brings just as the archive holds it is neither made into rows nor written again."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="bloom_filter",
    summary="Remembers what the archive holds in small filters by id range; a rescan leaves out what is unchanged.",
    load="tobs_bloom_filter.plugin:BloomFilter",
    knobs=(
        Knob(
            "kind",
            "auto",
            "What is in memory of a range: a Bloom filter, its ids, the smaller of these, or all in one set.",
            choices=("auto", "bloom", "exact", "set"),
        ),
        Knob(
            "false_positives",
            0.01,
            "Share of unknown messages for which a Bloom filter has a look into the archive.",
            low=1e-6,
            high=0.5,
            log=True,
        ),
        Knob(
            "range",
            4096,
            "Messages of an id range at most; a fuller one is divided.",
            low=64,
            high=65_536,
            log=True,
            unit="messages",
        ),
    ),
    expects=(
        Expectation(
            "tobs.seen.memory:down",
            "down",
            0.15,
            0.25,
            "incremental_million",
            ("all bloom_filter.kind=set", "all"),
        ),
    ),
    default=False,
)
