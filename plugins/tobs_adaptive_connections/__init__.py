"""adaptive_connections: connections, requests in flight, part sizes and deadlines found while running."""

from tobs.api import Expectation, Knob, Manifest

_ARMS = ("all -adaptive_connections", "all")

manifest = Manifest(
    name="adaptive_connections",
    summary="Finds connections, requests in flight, part sizes and deadlines for each data centre while running.",
    load="tobs_adaptive_connections.plugin:AdaptiveConnections",
    provides=("pool",),
    knobs=(
        Knob("connections", 16, "Connections a data centre may have at most.", low=1, high=32, tune=False),
        Knob("start", 4, "Connections that the first work for a data centre opens at once.", low=1, high=16),
        Knob("in_flight", 32, "Media requests at once on one connection at most.", low=1, high=64, tune=False),
        Knob("shortest_deadline", 10.0, "Time that every answer may take.", low=1.0, high=60.0, unit="s", tune=False),
    ),
    expects=(
        Expectation("bytes_per_second", "up", 0.05, 0.15, "media_throttled_connection", _ARMS),
        Expectation("bytes_per_second", "up", 0.05, 0.15, "media_throttled_account", _ARMS),
    ),
)
