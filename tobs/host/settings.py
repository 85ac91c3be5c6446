"""Settings: defaults, then the settings file, then the environment, then the command line; the last one wins.

On the command line a profile comes first: what it holds was measured together, and the name was given for this run.

An arm that a later layer names takes the place of an earlier layer's whole choice of plugins; within a layer the
arm's own settings come after those of tables and variables, and `--set` comes last of all.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.archive.transform import recipes
from tobs.archive.transform.recipes import ALL, BY_NAME
from tobs.engine.graph import MEGABYTE, CoreSettings
from tobs.engine.pool import PoolLimits
from tobs.errors import UsageError
from tobs.host import folders, profiles
from tobs.host.arm import CORE_OWNER, Arm, Setting, Toggle, parse_arm, parse_setting
from tobs.knobs import Knob, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CORE = (
    Knob("connections", 4, "Connections a data centre may have at most.", low=1, high=16, log=True),
    Knob("in_flight", 2, "Media requests at once on one connection.", low=1, high=32, log=True),
    Knob("history_in_flight", 16, "History requests at once.", low=1, high=64, log=True),
    Knob("part_kb", 512, "Size of one media request.", low=4, high=1024, log=True, unit="KB, a divisor of 1024"),
    Knob(
        "deadline",
        30.0,
        "Time an answer may take before the attempt counts as lost.",
        low=1,
        high=600,
        unit="s",
        tune=False,
    ),
    Knob("retries", 5, "Further attempts after a lost one.", low=0, high=100, tune=False),
    Knob("retry_pause", 1.0, "Pause between two attempts.", low=0, high=60, unit="s", tune=False),
    Knob(
        "history_budget_mb",
        64,
        "Bytes of history that may be in memory.",
        low=1,
        high=4096,
        log=True,
        unit="MB",
    ),
    Knob(
        "media_budget_mb",
        256,
        "Bytes of media parts that may be in memory.",
        low=1,
        high=4096,
        log=True,
        unit="MB",
    ),
    Knob(
        "transforms",
        "",
        f"Files derived from media: {', '.join(BY_NAME)}, joined by commas, or {ALL}.",
        tune=False,
    ),
    Knob(
        "transform_workers",
        0,
        "Processes that derive files; 0 is one for each processor.",
        low=0,
        high=64,
        tune=False,
    ),
    Knob(
        "transform_memory_mb",
        1024,
        "Memory that one of them may use.",
        low=256,
        high=65536,
        unit="MB",
        tune=False,
    ),
    Knob("transform_seconds", 60, "Time that one file may take.", low=1, high=3600, unit="s", tune=False),
)
_PLAIN = ("api_id", "api_hash", "account")
_CHOICE = ("arm", "core", "plugins", profiles.ORIGIN)
_TABLES = (*_PLAIN, *_CHOICE)
_KNOWN = "Known: api_id, api_hash, account, arm, [core], [plugins], [plugins.NAME], [profile]."


@dataclass(frozen=True, slots=True)
class Chosen:
    """A knob's value and where it came from: default, the file's path, a variable, a profile, --arm or --set."""

    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something that was asked for cannot be, and what to do about it."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run is told beside its chats. `wanted` holds the arm with all layers' settings, core's too."""

    core: dict[str, Chosen]
    api_id: int | None = None
    api_hash: str | None = field(default=None, repr=False)
    account: str | None = None
    wanted: Arm = field(default_factory=Arm)

    def engine(self) -> CoreSettings:
        """The core knobs as the engine takes them."""
        return core_settings(self.core)


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one place says: `standing` settings count before those of its arm, `sets` after them."""

    arm: Arm | None = None
    toggles: Sequence[Toggle] = ()
    standing: Sequence[Setting] = ()
    sets: Sequence[Setting] = ()


def load(
    file: Path | None = None,
    sets: Iterable[str] = (),
    environment: Mapping[str, str] = os.environ,
    *,
    arm: str | None = None,
    on: Iterable[str] = (),
    off: Iterable[str] = (),
    profile: str | None = None,
    check: bool = True,
) -> Settings:
    """Read all layers. `sets` are KNOB=VALUE or PLUGIN.KNOB=VALUE, `on` and `off` name plugins.

    `profile` names one of `tobs.host.profiles`.

    Raises `UsageError` naming where a wrong setting stands. Wrong values of core knobs are left to `resolve` with
    `check=False`, as those of plugins always are: it reports them together.
    """
    path = file or (Path(environment["TOBS_CONFIG"]) if "TOBS_CONFIG" in environment else None)
    where = str(path or folders.config() / "config.toml")
    table = _read(Path(where), required=path is not None)
    for name in table:
        if name not in _TABLES:
            raise UsageError(f"{where}: {name!r} is no setting", hint=_KNOWN)
    if not isinstance(table.get(profiles.ORIGIN, {}), dict):
        hint = "To use a profile, name it on the command line: --profile NAME."
        raise UsageError(f"{where}: [profile] is the table that says where settings came from", hint=hint)
    layers = [_of_file(table, where), _of_environment(environment)]
    if profile is not None:
        layers.append(_of_profile(profile))
    wanted = _joined([*layers, _of_command(arm, on, off, sets)])
    core, problems = choose(CORE_OWNER, CORE, wanted.settings)
    if check:
        refuse(problems)
    api_id, api_hash, account = (_plain(name, table, where, environment) for name in _PLAIN)
    return Settings(
        core=core,
        api_id=None if api_id is None else int(api_id),
        api_hash=api_hash,
        account=account,
        wanted=wanted,
    )


def of_arm(text: str) -> Settings:
    """The shipped defaults and an arm, whatever this machine's files and environment say: for experiments."""
    wanted = parse_arm(text)
    core, problems = choose(CORE_OWNER, CORE, wanted.settings)
    refuse(problems)
    return Settings(core=core, wanted=wanted)


def of_profile(name: str) -> Settings:
    """The shipped defaults and a profile, whatever else this machine says. Raises `UsageError` as `load` does."""
    wanted = _joined([_of_profile(name)])
    core, _ = choose(CORE_OWNER, CORE, wanted.settings)
    return Settings(core=core, wanted=wanted)


def _plain(name: str, table: Mapping[str, Any], where: str, environment: Mapping[str, str]) -> str | None:
    """A setting of one place: its variable's, else the file's."""
    variable = f"TOBS_{name.upper()}"
    value = environment.get(variable, table.get(name))
    origin = variable if variable in environment else where
    if name == "api_id":
        if value is not None and not str(value).isdecimal():
            hint = "Yours is at https://my.telegram.org/apps."
            raise UsageError(f"{origin}: api_id is a whole number, not {value!r}", hint=hint)
        return None if value is None else str(value)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{origin}: {name} is text", hint=f'Put it in quotes: {name} = "…".')
    return value


def choose(owner: str, knobs: Sequence[Knob], given: Iterable[Setting]) -> tuple[dict[str, Chosen], list[Problem]]:
    """Values of an owner's knobs by name, and what is wrong with the settings; settings of others are passed over."""
    known = {knob.name: knob for knob in knobs}
    chosen = {knob.name: Chosen(knob.default, "default") for knob in knobs}
    problems = []
    for setting in given:
        if setting.owner != owner:
            continue
        if setting.knob not in known:
            whose = "no knob is called" if owner == CORE_OWNER else f"plugin {owner} has no knob"
            problems.append(Problem(f"{setting.origin}: {whose} {setting.knob!r}", suggest(setting.knob, known)))
            continue
        try:
            value = known[setting.knob].parse(setting.value, where=setting.origin)
        except UsageError as error:
            problems.append(Problem(str(error), error.hint))
        else:
            chosen[setting.knob] = Chosen(value, setting.origin)
    transforms = chosen.get("transforms") if owner == CORE_OWNER else None
    if transforms is not None:
        try:
            recipes.chosen(str(transforms.value))
        except UsageError as error:
            problems.append(Problem(f"{transforms.origin}: {error}", error.hint))
    part = chosen.get("part_kb") if owner == CORE_OWNER else None
    if part is not None and 1024 % int(part.value):
        remedy = "A request must stay inside one megabyte: 64, 128, 256, 512 or 1024 do."
        problems.append(Problem(f"{part.origin}: part_kb = {part.value} does not divide 1024", remedy))
    return chosen, problems


def suggest(name: str, known: Iterable[str]) -> str:
    """What may have been meant, and what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return (f"Did you mean {close[0]}? " if close else "") + f"Known: {', '.join(names) or 'none'}."


def refuse(problems: Sequence[Problem]) -> None:
    """Raise one `UsageError` that says all of the problems, if there are any."""
    if len(problems) == 1:
        raise UsageError(problems[0].text, hint=problems[0].remedy)
    if problems:
        lines = [f"  {problem.text}\n    {problem.remedy}".rstrip() for problem in problems]
        raise UsageError(f"{len(problems)} things are wrong:\n" + "\n".join(lines))


def core_settings(core: Mapping[str, Chosen]) -> CoreSettings:
    """Values of core's knobs as the engine takes them."""
    value: dict[str, Any] = {name: chosen.value for name, chosen in core.items()}
    return CoreSettings(
        pool=PoolLimits(
            connections=value["connections"],
            in_flight=value["in_flight"],
            history_in_flight=value["history_in_flight"],
            part=value["part_kb"] * 1024,
            deadline=value["deadline"],
        ),
        retries=value["retries"],
        retry_pause=value["retry_pause"],
        history_budget=value["history_budget_mb"] * MEGABYTE,
        media_budget=value["media_budget_mb"] * MEGABYTE,
        knobs=value,
    )


def _joined(layers: Iterable[_Layer]) -> Arm:
    """One arm of all layers; the last one that names an arm decides the word, and forgets earlier toggles."""
    layers = list(layers)
    arm = next((layer.arm for layer in reversed(layers) if layer.arm is not None), Arm())
    toggles: list[Toggle] = []
    settings: list[Setting] = []
    for layer in layers:
        if layer.arm is not None:
            toggles = list(layer.arm.toggles)
        toggles += layer.toggles
        settings += [*layer.standing, *(arm.settings if layer.arm is arm else ()), *layer.sets]
    return Arm(arm.word, arm.origin, tuple(toggles), tuple(settings))


def _of_file(table: Mapping[str, Any], where: str) -> _Layer:
    arm, plugins = table.get("arm"), table.get("plugins", {})
    if arm is not None and not isinstance(arm, str):
        raise UsageError(f"{where}: arm is text", hint='For example arm = "default -NAME".')
    if not isinstance(plugins, dict):
        raise UsageError(f"{where}: plugins is a table, written [plugins]", hint=_KNOWN)
    toggles, standing = [], _standing(CORE_OWNER, table.get("core", {}), where)
    for name, value in plugins.items():
        if name not in {"on", "off"}:
            standing += _standing(name, value, where)
        elif isinstance(value, list) and all(isinstance(plugin, str) for plugin in value):
            toggles += [Toggle(plugin, name == "on", f"{where}: plugins.{name}") for plugin in value]
        else:
            raise UsageError(f"{where}: plugins.{name} is a list of names", hint=f'For example {name} = ["x"].')
    return _Layer(None if arm is None else parse_arm(arm, origin=f"{where}: arm"), toggles, standing)


def _of_profile(name: str) -> _Layer:
    where = f"profile {name}"
    table = _read(profiles.existing(name), required=True)
    for key in table:
        if key not in _CHOICE:
            hint = "A profile holds arm, [core] and [plugins]; the rest belongs into the settings file."
            raise UsageError(f"{where}: {key!r} is no setting of a profile", hint=hint)
    return _of_file(table, where)


def _standing(owner: str, given: object, where: str) -> list[Setting]:
    if not isinstance(given, dict):
        name = owner if owner == CORE_OWNER else f"plugins.{owner}"
        raise UsageError(f"{where}: {name} is a table, written [{name}]", hint=_KNOWN)
    return [Setting(owner, knob, value, where, standing=True) for knob, value in given.items()]


def _of_environment(environment: Mapping[str, str]) -> _Layer:
    standing = []
    for name, value in environment.items():
        owner, twice, knob = name.removeprefix("TOBS_").partition("__")
        if name.startswith("TOBS_") and twice:
            standing.append(Setting(owner.lower(), knob.lower(), value, name, standing=True))
    text = environment.get("TOBS_ARM")
    return _Layer(parse_arm(text, origin="TOBS_ARM") if text else None, (), standing)


def _of_command(arm: str | None, on: Iterable[str], off: Iterable[str], sets: Iterable[str]) -> _Layer:
    on, off = list(on), list(off)
    if both := sorted({*on} & {*off}):
        raise UsageError(f"{', '.join(both)}: both --with and --without", hint="Leave one of them out.")
    return _Layer(
        None if arm is None else parse_arm(arm),
        [Toggle(name, name in on, f"--with{'' if name in on else 'out'} {name}") for name in (*on, *off)],
        sets=[parse_setting(text, origin=f"--set {text}") for text in sets],
    )


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise UsageError(f"the settings file {path} does not exist") from None
        return {}
    except OSError as error:
        raise UsageError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="Mend that line, or move the file away.") from None
