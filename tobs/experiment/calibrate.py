"""A twin of the user's own link: a real run's metrics as a scenario that the lab serves.

The file holds numbers alone. Nothing of what was exported is in it, for the metrics know nothing of that: no chat, no
name, no id, no account. Every figure has a comment, measured from so many samples or assumed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from tobs.errors import TobsError, UsageError
from tobs.experiment import link
from tobs.experiment.launch import METRICS
from tobs.host import folders
from tobs.telemetry import names, read
from tobs.telemetry.probe import PART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.telemetry.histogram import Histogram
    from tobs.telemetry.reading import RunMetrics

MEGABYTE = 1e6
SMALLEST, LEAST_LARGEST, LARGEST_FILE = 4_000, 10_001, 4_000_000_000
"""Bytes that no file of a lab is below, that its largest of a kind may be at least, and that none is above."""
LARGEST = {"stickers": 256_000}
"""The last for kinds that have their own."""
MOST_CENTRES = 5
KINDS = {
    "photos": "photo",
    "documents": "file",
    "videos": "video_file",
    "voices": "voice_message",
    "audios": "audio_file",
    "rounds": "video_message",
    "animations": "animation",
    "stickers": "sticker",
}
"""A scenario's kinds of files, and what an archive calls each."""
HALF = 0.5
SPREAD = (0.1587, 0.8413)
"""Shares of a normal distribution below one standard deviation under and over its middle."""


def calibrate(run: str | Path, out: Path) -> Path:
    """Write the twin of `run` (see `find`) to `out`, and return it.

    Raises `UsageError` if there is no such run or `out` exists, `TobsError` if its metrics are not complete.
    """
    text = twin(read_whole(find(run)))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{out} exists already", hint="Give another file with -o, or move that one away.") from None
    except OSError as error:
        raise TobsError(f"{out} cannot be written: {error.strerror}", hint="Give another file with -o.") from error
    return out


def find(run: str | Path) -> Path:
    """The metrics of a run: the path of its folder or of the file itself, or the name of an export's folder.

    A name may be cut short as long as one export alone begins with it. Raises `UsageError`.
    """
    path = Path(run).expanduser()
    if path.is_dir() or path.is_file():
        return path / METRICS if path.is_dir() else path
    kept = folders.state() / "runs"
    found = sorted(folder for folder in kept.glob("*") if str(run) and folder.name.startswith(str(run)))
    if len(found) == 1:
        return found[0] / METRICS
    said = f"{len(found)} exports begin with {str(run)!r}" if found else f"there is no run {str(run)!r}"
    raise UsageError(said, hint="`tobs runs` lists them: give a folder that it shows, or the last part of its path.")


def read_whole(file: Path) -> RunMetrics:
    """The metrics of a run that ended well. Raises `TobsError` for any other."""
    run = read(file)
    if not run.complete:
        raise TobsError(
            f"the run of {file} is not complete, so it tells neither its length nor its limits",
            hint="Run the export to its end, then calibrate from that one (`tobs runs` lists them).",
        )
    if not run.total(names.MESSAGES) or not link.home(run):
        raise TobsError(
            f"the run of {file} fetched no messages, so there is nothing to make a twin of",
            hint="Calibrate from a run that exported into a new archive.",
        )
    if run.total(names.FILES, {names.OUTCOME: "done"}) and not run.histogram(names.FILE_SIZE).count:
        raise TobsError(
            f"the run of {file} does not tell the sizes of its files", hint="An older TOBS made it: export once more."
        )
    return run


def twin(run: RunMetrics) -> str:
    """The scenario of a complete run, as TOML."""
    return "\n".join([*_head(run), *_dataset(run), *_network(run), *_limits(run), *_faults(run)]) + "\n"


def _head(run: RunMetrics) -> Iterator[str]:
    yield "# The twin of one run, made from its metrics by `tobs lab calibrate`: what was measured, what is assumed."
    yield f"# The run took {run.seconds:.2f} s. The same arm on this scenario should take about as long."
    yield 'name = "twin"'
    yield "seed = 1"


def _dataset(run: RunMetrics) -> Iterator[str]:
    messages = round(run.total(names.MESSAGES))
    sizes = {kind: run.histogram(names.FILE_SIZE, {names.KIND: word}) for kind, word in KINDS.items()}
    files = sum(held.count for held in sizes.values())
    yield ""
    yield "[dataset]  # kinds of messages, texts, senders and gaps between ids: assumed"
    yield f"messages = {max(messages, files + 1)}  # measured"
    yield "side_messages = 0  # all chats of the run stand as one"
    lying = {dc: run.histogram(names.FILE_SIZE, {names.DC: dc}).count for dc in link.centres(run)}
    held = {dc: count for dc, count in lying.items() if count and dc <= MOST_CENTRES}
    if held:
        *first, last = held
        shares = {dc: round(100 * held[dc] / sum(held.values()), 2) for dc in first}
        shares[last] = round(100 - sum(shares.values()), 2)
        written = ", ".join(f"{dc} = {share:g}" for dc, share in shares.items())
        yield f"files = {{ {written} }}  # measured from {sum(held.values())} files"
    for kind, found in sizes.items():
        if found.count:
            yield f"{kind} = {_files(found, LARGEST.get(kind, LARGEST_FILE))}"


def _files(found: Histogram, ceiling: float) -> str:
    """Count, and a log-normal distribution with the same middle, spread and sum, no file above `ceiling` bytes."""
    median = min(max(float(SMALLEST), found.quantile(HALF)), ceiling)
    low, high = (max(1.0, found.quantile(share)) for share in SPREAD)
    sigma = min(4.0, max(0.0, math.log(high / low) / 2))
    largest = min(math.ceil(max(found.high, LEAST_LARGEST)), ceiling)
    total = min(max(found.sum, found.count * SMALLEST), found.count * largest)
    keys = {
        "count": f"{found.count}",
        "median_kb": f"{median / 1e3:.3f}",
        "sigma": f"{sigma:.3f}",
        "total_mb": f"{total / MEGABYTE:.6f}",
        "largest_mb": f"{largest / MEGABYTE:.6f}",
    }
    body = ", ".join(f"{key} = {value}" for key, value in keys.items())
    return f"{{ {body} }}  # measured; log-normal through its middle two thirds"


def _network(run: RunMetrics) -> Iterator[str]:
    at_home = link.home(run)
    found = link.throttle(run)
    yield ""
    yield "[network]"
    yield f"home = {at_home}  # measured: it served the history"
    yield f"# The throttle is {found.why}."
    if found.value.connection is not None:
        yield f"connection_mb_per_s = {found.value.connection / MEGABYTE:.4g}"
    if found.value.account is not None:
        yield f"account_mb_per_s = {found.value.account / MEGABYTE:.4g}"
    used = run.by(names.CONNECTIONS, names.DC)
    most = ", ".join(f"{int(count)} to data centre {dc}" for dc, count in sorted(used.items()) if dc)
    yield f"# How many connections a data centre takes is not known; the run used {most or 'few'}. None is assumed."
    yield "# The client's own line is not told apart from the throttle: assumed wide enough."
    for dc, trips in link.trips(run).items():
        if dc <= MOST_CENTRES:
            yield ""
            yield "[[network.dc]]"
            yield f"id = {dc}"
            yield f"rtt_ms = {trips.value.mean * 1e3:.2f}  # {trips.why}"
            yield f"jitter_ms = {math.floor(trips.value.jitter * 1e5) / 1e2:.2f}"


def _limits(run: RunMetrics) -> Iterator[str]:
    for key, method in (("history", link.HISTORY), ("file", PART)):
        yield ""
        found = link.bucket(run, method)
        if found is None:
            yield f"# No [limits.{key}]: {method} was never refused, so no bucket is assumed."
            continue
        yield f"[limits.{key}]  # {found.why}"
        yield f"burst = {found.value.burst}"
        yield f"per_second = {found.value.refill:.4g}"
        yield f"wait = [{found.value.wait[0]}, {found.value.wait[1]}]"
    yield ""
    yield "# Buckets of a takeout and of auth.exportAuthorization, premium waits: not seen by a run, none assumed."


def _faults(run: RunMetrics) -> Iterator[str]:
    errors, lost = link.share(run, "fault"), link.share(run, "lost")
    yield ""
    if not errors.value and not lost.value:
        yield f"# No [faults]: none of {run.total(names.REQUESTS):.0f} requests failed."
        return
    yield "[faults]  # stalls, outages and expiring references: not told apart, none assumed"
    yield f"errors = {errors.value:.6f}  # {errors.why}"
    yield f"lost = {lost.value:.6f}  # {lost.why}, dropped connections among them"
