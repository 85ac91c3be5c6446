"""dc_routing: files are asked of their own data centre, over connections that are there before they are needed."""

from tobs.api import Expectation, Knob, Manifest

ARMS = ("baseline", "baseline +dc_routing")

manifest = Manifest(
    name="dc_routing",
    summary="Asks each file's own data centre; connections are opened ahead, their keys are kept from run to run.",
    load="tobs_dc_routing.plugin:DcRouting",
    provides=("lanes",),
    knobs=(
        Knob(
            "strategy",
            "smart",
            "Which data centre is served next: the one with most left, the same until it has none, or each in turn.",
            choices=("smart", "sticky", "round_robin"),
        ),
        Knob(
            "ahead_kb",
            2048,
            "Waiting files of a data centre for which one more connection is opened ahead.",
            low=64,
            high=1 << 20,
            log=True,
            unit="KB",
        ),
        Knob(
            "keep_alive",
            60.0,
            "Time after which a connection that nothing was asked of is pinged; 0 pings none.",
            low=0,
            high=600,
            unit="s",
            tune=False,
        ),
    ),
    expects=(
        Expectation(
            "tobs.file.duration:p50:down", "down", 0.1, 0.99, "media_multi_dc", ("baseline", "baseline +dc_routing")
        ),
        Expectation("bytes_per_second", "up", 0.1, 20.0, "media_multi_dc", ARMS),
    ),
)
