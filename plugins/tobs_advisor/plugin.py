"""The hook: one advice on one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import TobsError, hook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.api import Advice, RunRecord, Value


class Advisor:
    """See the manifest. In a run it has nothing to do: what it reads is what a run has left."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        """Made without knobs."""

    @hook
    def tobs_advise(self, run: RunRecord) -> Advice:
        """The bottleneck of the run and what to do about it. Raises `TobsError` for a run that tells too little."""
        # Imported here, so that a run in which the plugin is on does not pay for it.
        from tobs_advisor.advise import advise  # noqa: PLC0415

        if not run.numbers.get("tobs.run.duration"):
            raise TobsError(
                "these metrics do not say how long the run took", hint="Run it again with telemetry: tobs export …"
            )
        return advise(run)
