"""Whose failure an unexpected exception is: the plugin's whose code is innermost in its traceback, or ours."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tobs.errors import PluginError, TobsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tobs.host.resolve import Plan
    from tobs.manifest import Manifest

OURS = "This is a bug in TOBS: no plugin took part."


@contextmanager
def blame(plan: Plan) -> Iterator[None]:
    """Turn what nobody raised on purpose into a `PluginError` that names the plugin, where it was one's.

    What is ours stays what it is, with a note. Of a group that has an error for the user, that one is raised.
    """
    try:
        yield
    except TobsError:
        raise
    except Exception as error:
        first = root(error)
        if isinstance(first, TobsError):
            raise first from None
        plugin = culprit(first, plan.manifests) or culprit(error, plan.manifests)
        if plugin is None:
            error.add_note(OURS)
            raise
        raise PluginError(plugin, f"failed: {type(first).__name__}: {first}".rstrip(": ")) from error


def culprit(error: BaseException, manifests: Mapping[str, Manifest]) -> str | None:
    """The plugin whose code is innermost in an error's traceback, if any's is."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        plugin = _owner(str(frame.f_globals.get("__name__", "")), manifests)
        if plugin is not None:
            return plugin
    return None


def _owner(module: str, manifests: Mapping[str, Manifest]) -> str | None:
    """The plugin that a module belongs to: its implementation, or the package around that.

    None where several plugins live in that package, unless the module is one's implementation.
    """
    loaded = {name: manifest.load.partition(":")[0] for name, manifest in manifests.items()}
    exact = [name for name, own in loaded.items() if module == own or module.startswith(own + ".")]
    around = [
        name
        for name, own in loaded.items()
        if (package := own.rpartition(".")[0]) and (module == package or module.startswith(package + "."))
    ]
    for found in (exact, around):
        if len(found) == 1:
            return found[0]
    return None


def root(error: BaseException) -> BaseException:
    """The error of a group to tell of: the first that is meant for the user, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [root(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, TobsError)), leaves[0])
