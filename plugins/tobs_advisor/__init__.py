"""advisor: what limits a run, what would change that, and by how much, from its metrics alone."""

from tobs.api import Manifest

manifest = Manifest(
    name="advisor",
    summary="Names a run's bottleneck from its metrics, what to change, and the gain to expect; see tobs advise.",
    load="tobs_advisor.plugin:Advisor",
    provides=("advice",),
)
