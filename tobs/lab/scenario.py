"""A scenario: dataset x network x limits x faults, one seed. Times in seconds, sizes in bytes, rates a second."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from tobs.errors import UsageError
from tobs.lab.dataset import MEGABYTE, Dataset, read_dataset
from tobs.lab.faults import FAULTLESS, Faults, read_faults
from tobs.lab.table import Table

MOST_CENTRES = 5
MEGABIT = 125_000
"""Bytes in a megabit."""


@dataclass(frozen=True, slots=True)
class DataCentre:
    """One data centre, `[[network.dc]]`: `id`, `rtt_ms`, `jitter_ms` (uniform +-, drawn from the seed)."""

    id: int
    rtt: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """A request bucket of (account, method): `burst` requests at once, then `per_second`.

    Overflow costs a FLOOD_WAIT_X, whose X is drawn from the seed in `wait = [low, high]`, whole seconds.
    """

    burst: int
    refill: float
    wait: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """A capacity that changes in mid-run, `[[network.change]]`: `at` seconds after the first accepted connection.

    The rates of `Network` that it names hold from then on (TOML: `connection_mb_per_s`, `account_mb_per_s`,
    `down_mbit`); None leaves a rate as it was.
    """

    at: float
    connection_rate: float | None = None
    account_rate: float | None = None
    down_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Where the data centres are and how fast, `[network]`.

    TOML keys: `home` data centre; `connection_mb_per_s` for each TCP connection, `account_mb_per_s` for each
    (account, data centre), both downstream, absent: unlimited; `throttle`: "connection", "account" or "both"
    (default) says which of the two figures hold; `down_mbit` and `up_mbit`: the client's own line, which all its
    connections share, in Mbit/s; `connections`: TCP connections a data centre takes, absent: unlimited;
    `media_only`: each data centre has a second address for files alone; `nearest`: the data centre that
    NETWORK_MIGRATE sends a client to that logs in anywhere else (absent: none). 1 MB is 1,000,000 bytes.
    """

    home: int
    dcs: tuple[DataCentre, ...]
    connection_rate: float | None
    account_rate: float | None
    connections: int | None
    down_rate: float | None = None
    up_rate: float | None = None
    media_only: bool = False
    nearest: int | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Premium:
    """FLOOD_PREMIUM_WAIT_X on upload.getFile, `[limits.premium]`: each time `after` bytes (`after_mb`) were served.

    X is drawn from the seed in `wait = [low, high]`, whole seconds.
    """

    after: int
    wait: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Takeout:
    """What a takeout session changes, `[limits.takeout]`.

    `factor`: how much wider the history and file buckets are for requests inside it (1); `delay`: seconds of
    TAKEOUT_INIT_DELAY_X from the first asking on (0: none); `ranges` (1): into how many the messages of private
    chats and basic groups are split.
    """

    factor: float = 1.0
    delay: int = 0
    ranges: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Request buckets `[limits.history]`, `[limits.file]`, `[limits.export]`; absent: no limit.

    `file_hashes`: share of files (drawn by file) that have block hashes (1).
    """

    history: Bucket | None
    file: Bucket | None
    export: Bucket | None
    premium: Premium | None = None
    takeout: Takeout = Takeout()
    file_hashes: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a lab serves and how. The same value gives the same bytes, delays and refusals in any process.

    TOML keys: `name` (default: that of the file), `seed` (1), and the tables `[dataset]`, `[network]`, `[limits]`
    and `[faults]`. `profile` names a shipped one (`experiments/profiles/`) or a TOML file with any of the last
    three: its keys hold where this file gives none. `faults = false` in place of the table switches all of them
    off, those of the profile too. `time_scale` (1) divides every lifetime and interval of `[faults]`, so that
    what takes hours can be seen in a short run.
    """

    name: str
    seed: int
    dataset: Dataset
    network: Network
    limits: Limits
    faults: Faults = FAULTLESS


def load(source: str | Path, *, scale: float = 1.0, seed: int | None = None) -> Scenario:
    """Read a scenario from a TOML file or by the name of a shipped one.

    `scale` multiplies messages and files, `seed` replaces the file's own. Raises UsageError, naming file, key
    and what is allowed.
    """
    if not (math.isfinite(scale) and 0 < scale <= 1_000):
        raise UsageError(f"the scale {scale:g} is not above 0 and at most 1000", hint="Give a scale such as 0.1.")
    name, file, text = _find(source)
    values = _parsed(text, file)
    scenario = _read(Table(_with_profile(values, file), file=file), name)
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    if scale == 1.0:
        return scenario
    return replace(scenario, dataset=scenario.dataset.scaled(scale))


def shipped(kind: str = "scenarios") -> list[str]:
    """The names of the scenarios (or "profiles") that come with TOBS, sorted."""
    return sorted(
        {
            entry.name.removesuffix(".toml")
            for folder in _folders(kind)
            for entry in folder.iterdir()
            if entry.name.endswith(".toml")
        }
    )


def _folders(kind: str) -> list[Path]:
    """The folders of shipped files that exist: the wheel's package data, then the checkout's."""
    package = Path(str(resources.files("tobs")))
    folders = (package / "experiment" / kind, package.parent / "experiments" / kind)
    return [folder for folder in folders if folder.is_dir()]


def _find(source: str | Path, kind: str = "scenarios") -> tuple[str, str, str]:
    """Name, file as shown, and text of a scenario or profile: an existing path first, then a shipped name."""
    path = Path(source)
    for candidate in (path, *(folder / f"{source}.toml" for folder in _folders(kind))):
        if candidate.is_file():
            try:
                return candidate.stem, str(candidate), candidate.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(
                    f"{candidate} cannot be read: {error}", hint="Give a readable UTF-8 TOML file."
                ) from error
    raise UsageError(
        f"there is no {kind.removesuffix('s')} {str(source)!r}",
        hint=f"Give the path of a TOML file or one of: {', '.join(shipped(kind))}.",
    )


def _parsed(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no valid TOML: {error}", hint="Correct the file at that place.") from error


def _with_profile(values: dict[str, Any], file: str) -> dict[str, Any]:
    """The scenario's values over those of the profile that it names; tables are merged key by key."""
    named = values.get("profile")
    if named is None:
        return values
    if not isinstance(named, str) or not named.strip():
        raise UsageError(f"{file}: profile is {named!r}, allowed is a name or a path", hint=f"Correct it in {file}.")
    near = Path(file).parent / named
    _, at, text = _find(near if near.is_file() else named, "profiles")
    profile = _parsed(text, at)
    unknown = sorted(set(profile) - {"network", "limits", "faults"})
    if unknown:
        raise UsageError(f"{at}: {unknown[0]} is no key of a profile", hint=f"Remove or correct {unknown[0]} in {at}.")
    return _merged(profile, {key: value for key, value in values.items() if key != "profile"})


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _read(table: Table, name: str) -> Scenario:
    network = _read_network(table.table("network"))
    scenario = Scenario(
        name=table.word("name", name),
        seed=table.whole("seed", 1, low=0, high=2**63 - 1),
        dataset=read_dataset(table.table("dataset"), home=network.home, centres=tuple(dc.id for dc in network.dcs)),
        network=network,
        limits=_read_limits(table.table("limits")),
        faults=read_faults(
            table,
            time_scale=table.number("time_scale", 1.0, low=0, high=1e6, above=True),
            centres=tuple(dc.id for dc in network.dcs),
        ),
    )
    table.finish()
    return scenario


def _read_network(table: Table) -> Network:
    dcs = []
    for entry in table.tables("dc"):
        rtt = entry.number("rtt_ms", 0.0, low=0, high=60_000) / 1_000
        jitter = entry.number("jitter_ms", 0.0, low=0, high=60_000) / 1_000
        if jitter > rtt:
            raise entry.fail("jitter_ms", "at most rtt_ms")
        dcs.append(DataCentre(entry.whole("id", None, low=1, high=MOST_CENTRES), rtt, jitter))
        entry.finish()
    ids = [dc.id for dc in dcs]
    if len(set(ids)) < len(ids):
        raise table.fail("dc", "each data centre once")
    home = table.whole("home", ids[0], low=1, high=MOST_CENTRES)
    if home not in ids:
        raise table.fail("home", f"the id of a data centre of this scenario ({', '.join(map(str, ids))})")
    throttle = table.word("throttle", "both", of=("connection", "account", "both"))
    nearest = table.optional_whole("nearest", low=1, high=MOST_CENTRES)
    if nearest is not None and nearest not in ids:
        raise table.fail("nearest", f"the id of a data centre of this scenario ({', '.join(map(str, ids))})")
    connection_rate, account_rate, down_rate = _read_rates(table, throttle)
    network = Network(
        home=home,
        dcs=tuple(sorted(dcs, key=lambda dc: dc.id)),
        connection_rate=connection_rate,
        account_rate=account_rate,
        connections=table.optional_whole("connections", low=1, high=10_000),
        down_rate=down_rate,
        up_rate=_rate(table.optional_number("up_mbit", low=0, high=1e6), MEGABIT),
        media_only=table.switch("media_only", default=False),
        nearest=nearest,
        changes=_read_changes(table, throttle),
    )
    table.finish()
    return network


def _read_rates(table: Table, throttle: str) -> tuple[float | None, float | None, float | None]:
    """Bytes a second of each connection, of account and data centre, and of the client's line; None: no such limit."""
    connection = _rate(table.optional_number("connection_mb_per_s", low=0, high=100_000), MEGABYTE)
    account = _rate(table.optional_number("account_mb_per_s", low=0, high=100_000), MEGABYTE)
    down = _rate(table.optional_number("down_mbit", low=0, high=1e6), MEGABIT)
    return None if throttle == "account" else connection, None if throttle == "connection" else account, down


def _read_changes(table: Table, throttle: str) -> tuple[Change, ...]:
    if not table.has("change"):
        return ()
    changes = []
    for entry in table.tables("change"):
        changes.append(Change(entry.number("at", None, low=0, high=1e6), *_read_rates(entry, throttle)))
        entry.finish()
    return tuple(sorted(changes, key=lambda change: change.at))


def _rate(given: float | None, unit: float) -> float | None:
    return None if given is None else given * unit


def _read_limits(table: Table) -> Limits:
    def bucket(key: str) -> Bucket | None:
        entry = table.table(key)
        if not table.has(key):
            return None
        value = Bucket(
            burst=entry.whole("burst", None, low=1, high=1_000_000),
            refill=entry.number("per_second", None, low=0, high=1e6, above=True),
            wait=entry.pair("wait", low=1, high=86_400),
        )
        entry.finish()
        return value

    def premium() -> Premium | None:
        entry = table.table("premium")
        if not table.has("premium"):
            return None
        after = entry.number("after_mb", None, low=0, high=1e9, above=True)
        value = Premium(after=max(1, round(after * MEGABYTE)), wait=entry.pair("wait", low=1, high=86_400))
        entry.finish()
        return value

    def takeout() -> Takeout:
        entry = table.table("takeout")
        value = Takeout(
            factor=entry.number("factor", 1.0, low=0, high=1_000, above=True),
            delay=entry.whole("delay", 0, low=0, high=86_400),
            ranges=entry.whole("ranges", 1, low=1, high=100),
        )
        entry.finish()
        return value

    limits = Limits(
        history=bucket("history"),
        file=bucket("file"),
        export=bucket("export"),
        premium=premium(),
        takeout=takeout(),
        file_hashes=table.number("file_hashes", 1.0, low=0, high=1),
    )
    table.finish()
    return limits
