"""result_cache: what was derived from a file once is not derived again, for whatever archive."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="result_cache",
    summary="Keeps what was derived from media (thumbnails, conversions) by content, for all archives.",
    load="tobs_result_cache.plugin:ResultCache",
    knobs=(
        Knob(
            "limit_gb",
            5.0,
            "Size of the cache; what was not used for longest makes room.",
            low=0.001,
            high=10_000,
            unit="GB",
            tune=False,
        ),
    ),
    expects=(
        Expectation(
            "wall",
            "down",
            0.3,
            0.5,
            "transforms_repeat",
            ("all -result_cache transforms=all", "all transforms=all"),
        ),
    ),
)
