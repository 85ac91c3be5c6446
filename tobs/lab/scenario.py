"""A scenario: dataset x network x limits, one seed. Times in seconds, sizes in bytes, rates a second."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from tobs.errors import UsageError
from tobs.lab.dataset import MEGABYTE, Dataset, read_dataset
from tobs.lab.table import Table

MOST_CENTRES = 5


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
class Network:
    """Where the data centres are and how fast, `[network]`.

    TOML keys: `home` data centre; `connection_mb_per_s` for each TCP connection, `account_mb_per_s` for each
    (account, data centre), both downstream, absent: unlimited; `throttle`: "connection", "account" or "both"
    (default) says which of the two figures hold; `connections`: TCP connections a data centre takes, absent:
    unlimited. 1 MB is 1,000,000 bytes.
    """

    home: int
    dcs: tuple[DataCentre, ...]
    connection_rate: float | None
    account_rate: float | None
    connections: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Request buckets `[limits.history]`, `[limits.file]`, `[limits.export]`; absent: no limit."""

    history: Bucket | None
    file: Bucket | None
    export: Bucket | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a lab serves and how. The same value gives the same bytes, delays and refusals in any process.

    TOML keys: `name` (default: that of the file), `seed` (1), and the tables `[dataset]`, `[network]`, `[limits]`.
    """

    name: str
    seed: int
    dataset: Dataset
    network: Network
    limits: Limits


def load(source: str | Path, *, scale: float = 1.0, seed: int | None = None) -> Scenario:
    """Read a scenario from a TOML file or by the name of a shipped one.

    `scale` multiplies messages and files, `seed` replaces the file's own. Raises UsageError, naming file, key
    and what is allowed.
    """
    if not (math.isfinite(scale) and 0 < scale <= 1_000):
        raise UsageError(f"the scale {scale:g} is not above 0 and at most 1000", hint="Give a scale such as 0.1.")
    name, file, text = _find(source)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no valid TOML: {error}", hint="Correct the file at that place.") from error
    scenario = _read(Table(values, file=file), name)
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    if scale == 1.0:
        return scenario
    return replace(scenario, dataset=scenario.dataset.scaled(scale))


def shipped() -> list[str]:
    """The names of the scenarios that come with TOBS, sorted."""
    return sorted(
        {
            entry.name.removesuffix(".toml")
            for folder in _folders()
            for entry in folder.iterdir()
            if entry.name.endswith(".toml")
        }
    )


def _folders() -> list[Path]:
    """The folders of shipped scenarios that exist: the wheel's package data, then the checkout's."""
    package = Path(str(resources.files("tobs")))
    folders = (package / "experiment" / "scenarios", package.parent / "experiments" / "scenarios")
    return [folder for folder in folders if folder.is_dir()]


def _find(source: str | Path) -> tuple[str, str, str]:
    """Name, file as shown, and text of a scenario: an existing path first, then a shipped name."""
    path = Path(source)
    for candidate in (path, *(folder / f"{source}.toml" for folder in _folders())):
        if candidate.is_file():
            try:
                return candidate.stem, str(candidate), candidate.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(
                    f"{candidate} cannot be read: {error}", hint="Give a readable UTF-8 TOML file."
                ) from error
    raise UsageError(
        f"there is no scenario {str(source)!r}",
        hint=f"Give the path of a TOML file or one of: {', '.join(shipped())}.",
    )


def _read(table: Table, name: str) -> Scenario:
    network = _read_network(table.table("network"))
    scenario = Scenario(
        name=table.word("name", name),
        seed=table.whole("seed", 1, low=0, high=2**63 - 1),
        dataset=read_dataset(table.table("dataset"), home=network.home, centres=tuple(dc.id for dc in network.dcs)),
        network=network,
        limits=_read_limits(table.table("limits")),
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
    connection_rate = _rate(table.optional_number("connection_mb_per_s", low=0, high=100_000))
    account_rate = _rate(table.optional_number("account_mb_per_s", low=0, high=100_000))
    network = Network(
        home=home,
        dcs=tuple(sorted(dcs, key=lambda dc: dc.id)),
        connection_rate=None if throttle == "account" else connection_rate,
        account_rate=None if throttle == "connection" else account_rate,
        connections=table.optional_whole("connections", low=1, high=10_000),
    )
    table.finish()
    return network


def _rate(megabytes: float | None) -> float | None:
    return None if megabytes is None else megabytes * MEGABYTE


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

    limits = Limits(history=bucket("history"), file=bucket("file"), export=bucket("export"))
    table.finish()
    return limits
