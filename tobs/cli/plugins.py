"""`tobs plugins`: what is installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import answer, fail_softly
from tobs.cli.shared_options import AsJson, Config
from tobs.errors import UsageError

if TYPE_CHECKING:
    from tobs.host.plugins import Found
    from tobs.host.resolve import Plan
    from tobs.manifest import Manifest

app = typer.Typer(help="See the plugins that are installed, and their knobs.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _begin(context: typer.Context) -> None:
    """See the plugins that are installed, and their knobs."""
    if context.invoked_subcommand is None:
        fail_softly(show_all)()


def show_all(config: Config = None, as_json: AsJson = False) -> None:
    """List the plugins, and which of them are on as the settings stand.

    Example: tobs plugins list
    """
    found, plan = _here(config)
    if as_json:
        rows = [_row(manifest, plan) for manifest in found.manifests.values()]
        rows += [
            {"name": name, "summary": "", "on": False, "knobs": [], "broken": why} for name, why in found.broken.items()
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    wide = max((len(name) for name in (*found.manifests, *found.broken)), default=0)
    for name, manifest in found.manifests.items():
        typer.echo(f"{'on ' if name in plan.plugins else 'off'}  {name:<{wide}}  {manifest.summary}")
    for name, why in found.broken.items():
        typer.echo(f"BAD  {name:<{wide}}  {why}")
    if not (found.manifests or found.broken):
        typer.echo("No plugin is installed.")


def info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one plugin: what it promises, what it fills, and its knobs.

    Example: tobs plugins info parallel_media
    """
    from tobs.host.settings import suggest

    found, plan = _here(config)
    if name in found.broken:
        raise UsageError(f"plugin {name} is broken: {found.broken[name]}", hint="Mend or reinstall it.")
    if name not in found.manifests:
        raise UsageError(f"no plugin is called {name!r}", hint=suggest(name, found.manifests))
    manifest = found.manifests[name]
    if as_json:
        answer(**_row(manifest, plan), **_more(manifest))
        return
    typer.echo(f"{name} ({'on' if name in plan.plugins else 'off'}): {manifest.summary}")
    for title, words in _more(manifest).items():
        if words and title not in {"expects", "default"}:
            typer.echo(f"  {title}: {words if isinstance(words, str) else ', '.join(words)}")
    for promise in manifest.expects:
        against, measured = promise.arms
        typer.echo(
            f"  promise: {promise.metric} {promise.direction} by {promise.low:g} to {promise.high:g} "
            f"on {promise.scenario}, {measured!r} against {against!r}"
        )
    for knob in manifest.knobs:
        typer.echo(f"  {name}.{knob.name} = {knob.default}: {knob.help} Takes {knob.takes()}.")


def schema() -> None:
    """Print the JSON schema of the settings file, for editors that check TOML.

    Example: tobs plugins schema > tobs.schema.json
    """
    from tobs.host.plugins import discover
    from tobs.host.space import schema as made

    typer.echo(json.dumps(made(discover().manifests), ensure_ascii=False, indent=1))


def _here(config: Any) -> tuple[Found, Plan]:
    from tobs.host import settings as settings_room
    from tobs.host.plugins import discover
    from tobs.host.resolve import resolve

    found = discover()
    return found, resolve(found.manifests, settings_room.load(config, check=False).wanted, found.broken)


def _row(manifest: Manifest, plan: Plan) -> dict[str, Any]:
    values = plan.knobs.get(manifest.name, {})
    return {
        "name": manifest.name,
        "summary": manifest.summary,
        "on": manifest.name in plan.plugins,
        "knobs": [
            {
                "name": knob.name,
                "default": knob.default,
                "value": values[knob.name].value if knob.name in values else knob.default,
                "low": knob.low,
                "high": knob.high,
                "log": knob.log,
                "unit": knob.unit,
                "choices": list(knob.choices),
                "tune": knob.tune,
                "help": knob.help,
            }
            for knob in manifest.knobs
        ],
    }


def _more(manifest: Manifest) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "load": manifest.load,
        "provides": list(manifest.provides),
        "needs": list(manifest.needs),
        "requires": list(manifest.requires),
        "conflicts": list(manifest.conflicts),
        "default": manifest.default,
        "expects": [asdict(promise) for promise in manifest.expects],
    }


app.command("list")(fail_softly(show_all))
app.command("info")(fail_softly(info))
app.command("schema")(fail_softly(schema))
