"""log_rate_limit: log records are limited at each call site, kept unformatted and written many at once."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="log_rate_limit",
    summary="Limits each log call site, formats late and writes many records at once; warnings pass at once.",
    load="tobs_log_rate_limit.plugin:LogRateLimit",
    knobs=(
        Knob(
            "rate",
            2.0,
            "Records a second that one call site may write in the long run.",
            low=0.01,
            high=10_000,
            log=True,
            unit="records/s",
            tune=False,
        ),
        Knob(
            "burst",
            20,
            "Records that one call site may write at once.",
            low=1,
            high=100_000,
            log=True,
            unit="records",
            tune=False,
        ),
        Knob(
            "flush",
            1.0,
            "Time after which a record that was kept is written at the latest.",
            low=0.01,
            high=60,
            log=True,
            unit="s",
            tune=False,
        ),
        Knob(
            "batch", 256, "Records that are kept before they are written.", low=1, high=4096, log=True, unit="records"
        ),
        Knob(
            "sites",
            1024,
            "Call sites that are told apart; the one longest known makes room for another.",
            low=1,
            high=65_536,
            log=True,
            unit="call sites",
            tune=False,
        ),
    ),
    expects=(
        Expectation("cpu_seconds", "down", 0.05, 0.10, "text_loopback", ("baseline", "baseline +log_rate_limit")),
        Expectation("log_writes", "down", 0.01, 1.0, "text_loopback", ("baseline", "baseline +log_rate_limit")),
    ),
)
