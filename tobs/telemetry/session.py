"""A run's telemetry: on from its start to its end, or off and absent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from tobs.telemetry import names
from tobs.telemetry.probe import RunProbe
from tobs.telemetry.queues import TimedQueues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tobs.meters import Meters
    from tobs.ports import Probe
    from tobs.telemetry.instruments import Board
    from tobs.telemetry.provider import Output


class Telemetry:
    """What measures one run. `probe` is to be among the run's probes; when off it is None.

    Made by `start` or `off`; a process starts it after it was forked, because threads do not survive that.
    """

    def __init__(self, probe: RunProbe | None = None, board: Board | None = None, output: Output | None = None) -> None:
        self.probe = probe
        self._board = board
        self._output = output

    @classmethod
    def start(
        cls,
        *,
        meters: Meters,
        resource: Mapping[str, str | int],
        file: Path | None = None,
        endpoint: str | None = None,
        interval: float = 1.0,
    ) -> Self:
        """Measure from now on.

        `meters` are the run's, given before its queues are made; `resource` says whose figures these are (run, arm,
        trial, seed, plan hash). `file` is written anew as OTLP JSON, a line every `interval` seconds and the last at
        the end; `endpoint` is a collector's OTLP/HTTP address. A file that cannot be written is warned of once and
        fails nothing. Raises `UsageError` for an address that is none, or if the extra `otlp` is not installed.
        """
        # Imported here, so that a run that is not measured does not load OpenTelemetry.
        from tobs.telemetry.instruments import HISTOGRAMS, Board, register  # noqa: PLC0415
        from tobs.telemetry.provider import Output  # noqa: PLC0415

        output = Output(resource, file, endpoint, interval)
        made = {name: output.meter.create_histogram(name, unit, says) for name, unit, says in HISTOGRAMS}
        probe = RunProbe(
            rpc=made[names.RPC_DURATION],
            part=made[names.PART_DURATION],
            wait=made[names.FLOOD_DURATION],
            file_size=made[names.FILE_SIZE],
            file_duration=made[names.FILE_DURATION],
        )
        meters.queues = TimedQueues(meters.queues, made[names.QUEUE_WAIT])
        board = Board(probe, meters)
        register(output.meter, board)
        return cls(probe, board, output)

    @classmethod
    def off(cls) -> Self:
        """Measure nothing: no probe, no thread, no import."""
        return cls()

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probe, or nothing."""
        return () if self.probe is None else (self.probe,)

    def limit(self, name: str, read: Callable[[], float]) -> None:
        """Have `read` asked for a limit in force, for example the connections that a pool may open.

        It is called from another thread once an interval, and must not raise.
        """
        if self._board is not None:
            self._board.limits[name] = read

    def close(self, *, complete: bool) -> None:
        """Write the run's totals and whether it is `complete`; never raises. Closing again does nothing."""
        if self._board is None or self._output is None or self._board.ended is not None:
            return
        self._board.ended = time.perf_counter()
        self._board.complete = complete
        self._output.close()
