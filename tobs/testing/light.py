"""What importing a plugin's entry point brings with it: run in an interpreter of its own, prints a JSON list of faults.

`python -m tobs.testing.light NAME`
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def faults(name: str) -> Iterator[str]:
    """What stands in the way of a plugin's being listed at no cost."""
    for entry in importlib.metadata.entry_points(group="tobs", name=name):
        import tobs.api  # noqa: F401, PLC0415 - what it brings is no plugin's doing

        before = set(sys.modules)
        manifest = entry.load()
        new = set(sys.modules) - before
        implementation = str(manifest.load).partition(":")[0]
        if implementation == entry.module:
            yield f"{entry.value} is the module of the implementation; the manifest belongs in another one"
        elif implementation in sys.modules:
            yield f"{entry.value} imports the implementation, {implementation}"
        own = entry.module.partition(".")[0]
        for top in sorted({module.partition(".")[0] for module in new} - {own, "tobs"} - sys.stdlib_module_names):
            yield f"{entry.value} imports {top}; what the implementation needs is imported there"
        for module in sorted(module for module in new if module.startswith("tobs.")):
            yield f"{entry.value} imports {module}; plugins import tobs.api"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(list(faults(sys.argv[1]))))
