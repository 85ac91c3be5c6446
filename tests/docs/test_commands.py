"""Every command that a page shows exists, with the options it is shown with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
import typer

from docs.generate import ROOT, pages
from tests.docs.markdown import commands
from tobs.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HELP = frozenset({"-h", "--help"})


def complain(command: Any, words: Sequence[str]) -> str | None:
    """What is wrong with a command line below `command` (a click command or group), or None."""
    options = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    values = 0
    for place, word in enumerate(words):
        if values:
            values -= 1
        elif word == "--":
            return None
        elif word.startswith("-") and len(word) > 1 and not word[1:2].isdigit():
            name = word.partition("=")[0] if word.startswith("--") else word[:2]
            if name in HELP - options.keys():
                continue
            if name not in options or options[name].param_type_name != "option":
                return f"{command.name} has no option {name}"
            option = options[name]
            given = len(word) > len(name)
            values = 0 if given or option.is_flag or option.count else option.nargs
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"{command.name} has no subcommand {word}"
            return complain(command.commands[word], words[place + 1 :])
    return f"{words[-1]} wants a value" if values else None


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_exist(page: Path) -> None:
    root = typer.main.get_command(app)
    shown = list(commands(page.read_text(encoding="utf-8"), "tobs"))
    assert [(at, why) for at, words in shown if (why := complain(root, words[1:]))] == []


PAGE = """
Text with `tobs inline`.

```sh
python3 -m venv .venv && .venv/bin/tobs brew green --cups 2  # tobs comment --x
$ TEA_SERVER=x tobs brew green \\
    --cups=3 > out.txt
tobs pour -- tobs --any thing
python -m tobs pour -c 1 --hot
```

```python
tobs = brew
```
"""


def test_commands_are_found_where_a_shell_would_run_them() -> None:
    assert [(at, " ".join(words[1:])) for at, words in commands(PAGE, "tobs")] == [
        (5, "brew green --cups 2"),
        (6, "brew green --cups=3"),
        (8, "pour -- tobs --any thing"),
        (9, "pour -c 1 --hot"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("pot brew green --cups 2", None),
        ("pot brew -100123 -c2 --no-hot", None),
        ("pot brew --help", None),
        ("pot -h", None),
        ("wash -- --anything", None),
        ("pot drink", "pot has no subcommand drink"),
        ("wash --cups 2", "wash has no option --cups"),
        ("pot brew green --sugar=2", "brew has no option --sugar"),
        ("pot brew green --cups", "--cups wants a value"),
        ("pot brew -x", "brew has no option -x"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, complaint: str | None) -> None:
    shop, pot = typer.Typer(), typer.Typer()
    shop.add_typer(pot, name="pot")

    @pot.command()
    def brew(
        tea: str,
        cups: Annotated[int, typer.Option("-c", "--cups")] = 1,
        *,
        hot: Annotated[bool, typer.Option()] = True,
    ) -> None: ...

    @pot.command()
    def empty() -> None: ...

    @shop.command()
    def wash(words: list[str]) -> None: ...

    assert complain(typer.main.get_command(shop), line.split()) == complaint
