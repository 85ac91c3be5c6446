"""Writes the blocks of the pages that are made from code, or with `--check` says which are out of date.

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is a key of `BLOCKS`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tobs.experiment.priorities import rows
from tobs.experiment.priorities_report import markdown
from tobs.host.settings import CORE
from tobs.lab import changes, dataset, faults, scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tobs.knobs import Knob

ROOT = Path(__file__).resolve().parent.parent
PORTS = ("requests", "history", "media", "files", "run")
"""The modules of `tobs.ports`, in the order in which data passes them."""
_BLOCK = re.compile(r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)
_KIND = re.compile(r"\s*\b(Slot|Layers|Observers)\.(?=\s|$)")


class Port(NamedTuple):
    """A row of the table of ports; `kind` is slot, layers, observers, or a dash if the docstring has none."""

    name: str
    kind: str
    says: str
    offers: tuple[str, ...]


def pages(root: Path = ROOT) -> list[Path]:
    """Every Markdown page of the project, sorted; hidden folders and what is built are left out."""
    found = {
        *root.glob("*.md"),
        *(path for top in ("docs", "plugins") for path in (root / top).rglob("*.md")),
    }
    return sorted(found)


def read_ports(source: str) -> Iterator[Port]:
    """The ports that a module declares, in its order: its protocols, and its documented type aliases."""
    body = ast.parse(source).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef) and any(_named(base) == "Protocol" for base in node.bases):
            offers = tuple(name for part in node.body if (name := _function(part)) not in {"", "__call__"})
            yield _port(node.name, ast.get_docstring(node) or "", offers)
        elif isinstance(node, ast.AnnAssign) and _named(node.annotation) == "TypeAlias":
            text = _string(following)
            if text:
                yield _port(_named(node.target), text, ())


def ports_table() -> str:
    """The table of ports, from the docstrings of `tobs/ports`."""
    rows = ["| port | kind | what it does | methods |", "|---|---|---|---|"]
    for module in PORTS:
        for port in read_ports((ROOT / "tobs" / "ports" / f"{module}.py").read_text(encoding="utf-8")):
            offers = ", ".join(f"`{offer}`" for offer in port.offers) or "called"
            rows.append(f"| `{port.name}` | {port.kind} | {port.says} | {offers} |")
    return "\n".join(rows)


def bands_list() -> str:
    """The bands around a request, outermost first, from `InvokeBand`."""
    tree = ast.parse((ROOT / "tobs" / "ports" / "requests.py").read_text(encoding="utf-8"))
    (bands,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "InvokeBand")
    named = [_named(part.targets[0]) for part in bands.body if isinstance(part, ast.Assign)]
    return "`" + " > ".join(named) + "`"


def hooks_table() -> str:
    """The table of hooks, from the docstrings of `tobs/hookspecs.py`."""
    tree = ast.parse((ROOT / "tobs" / "hookspecs.py").read_text(encoding="utf-8"))
    (hooks,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Hooks")
    rows = ["| hook | kind | takes | what it is for |", "|---|---|---|---|"]
    for node in hooks.body:
        if isinstance(node, ast.FunctionDef):
            kind, _, says = " ".join((ast.get_docstring(node) or "").split()).partition(" ")
            takes = ", ".join(f"`{argument.arg}`" for argument in node.args.args[1:])
            says = (says[:1].upper() + says[1:]).replace("|", "\\|")
            rows.append(f"| `{node.name}` | {kind.rstrip(':').lower()} | {takes} | {says} |")
    return "\n".join(rows)


def knobs_tables() -> str:
    """A table of knobs for the core and each plugin of this project, from their declarations."""
    tables = [_knobs("core", "", CORE)]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name, place in sorted(settings["project"]["entry-points"]["tobs"].items()):
        module, _, attribute = place.partition(":")
        if (ROOT / "plugins" / module / "__init__.py").is_file():
            manifest = getattr(importlib.import_module(module), attribute)
            tables.append(_knobs(name, manifest.summary, manifest.knobs))
    return "\n\n".join(tables)


def _knobs(owner: str, summary: str, knobs: Sequence[Knob]) -> str:
    rows = [f"**{owner}**" + (f": {summary}" if summary else ""), ""]
    if not knobs:
        return "\n".join([*rows, "No knobs."])
    rows += ["| knob | default | takes | tuned | what it does |", "|---|---|---|---|---|"]
    for knob in knobs:
        default = str(knob.default).lower() if isinstance(knob.default, bool) else str(knob.default)
        cells = [
            f"`{knob.name}`",
            f"`{default}`" if default else "empty",
            knob.takes(),
            ("log" if knob.log else "yes") if knob.tune else "no",
            knob.help,
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


SCENARIO = (
    ("the file", scenario.Scenario),
    ("`[dataset]`", dataset.Dataset),
    ("`[dataset.photos]` and its like", dataset.Files),
    ("`[dataset.live]`", changes.Live),
    ("`[network]`", scenario.Network),
    ("`[[network.dc]]`", scenario.DataCentre),
    ("`[[network.change]]`", scenario.Change),
    ("`[limits]`", scenario.Limits),
    ("`[limits.history]` and its like", scenario.Bucket),
    ("`[limits.premium]`", scenario.Premium),
    ("`[limits.takeout]`", scenario.Takeout),
    ("`[faults]`", faults.Faults),
    ("`[[faults.outage]]`", faults.Outage),
)
"""Where a key stands, and the dataclass whose docstring tells of it."""


def scenario_keys() -> str:
    """The keys of a scenario, from the docstrings of the dataclasses that they end in."""
    told = []
    for where, made in SCENARIO:
        paragraphs = [" ".join(part.split()) for part in (inspect.getdoc(made) or "").split("\n\n")]
        told.append("\n\n".join([f"**{where}**: {paragraphs[0]}", *paragraphs[1:]]))
    return "\n\n".join(told)


def profiles_table() -> str:
    """What each shipped profile sets."""
    shipped = {
        path.stem: dict(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))
        for path in sorted((ROOT / "experiments" / "profiles").glob("*.toml"))
    }
    rows = [f"| | {' | '.join(shipped)} |", "|---" * (len(shipped) + 1) + "|"]
    keys = dict.fromkeys(key for values in shipped.values() for key in values)
    rows += [f"| `{key}` | {' | '.join(values.get(key, '') for values in shipped.values())} |" for key in keys]
    return "\n".join(rows)


def _flat(table: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and values in words; of an array of tables each key once, its values one after the other."""
    for key, value in table.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _flat(value, where)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for inner in dict.fromkeys(inner for entry in value for inner in entry):
                yield f"{where}.{inner}", ", ".join(_said(entry.get(inner, "")) for entry in value)
        else:
            yield where, _said(value)


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_said, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def priorities_tables() -> str:
    """What was promised beside what was measured, from the checkout's records."""
    return markdown(rows())


BLOCKS: dict[str, Callable[[], str]] = {
    "ports": ports_table,
    "bands": bands_list,
    "hooks": hooks_table,
    "knobs": knobs_tables,
    "priorities": priorities_tables,
    "scenario-keys": scenario_keys,
    "profiles": profiles_table,
}


def renew(text: str) -> str:
    """The same page with every generated block as it must be. Raises KeyError for a name not in `BLOCKS`."""
    return _BLOCK.sub(lambda block: f"{block['head']}{BLOCKS[block['name']]()}\n{block['tail']}", text)


def main(arguments: list[str] | None = None) -> int:
    """Write, or with `--check` only look; returns how many pages differed when they were only looked at."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is out of date")
    check = parser.parse_args(arguments).check
    stale = [page for page in pages() if renew(text := page.read_text(encoding="utf-8")) != text]
    for page in stale:
        where = page.relative_to(ROOT).as_posix()
        if check:
            sys.stderr.write(f"{where} is out of date: run `python docs/generate.py`\n")
        else:
            page.write_text(renew(page.read_text(encoding="utf-8")), encoding="utf-8")
            sys.stdout.write(f"{where} written\n")
    return int(check and bool(stale))


def _port(name: str, docstring: str, offers: tuple[str, ...]) -> Port:
    """`docstring`'s first paragraph without the word for the kind, which becomes the kind."""
    text = " ".join(docstring.partition("\n\n")[0].split())
    kind = _KIND.search(" ".join(docstring.split()))
    says = _KIND.sub("", text).replace("|", "\\|")
    return Port(name, kind[1].lower() if kind else "-", says, offers)


def _function(node: ast.stmt) -> str:
    return node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ""


def _named(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _named(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


if __name__ == "__main__":
    sys.exit(main())
