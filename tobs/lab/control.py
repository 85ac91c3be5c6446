"""A side door to a running lab, for whoever runs it; clients under test never use it.

One JSON value a line each way, on a loopback port of its own that stands in `control.json` beside the server
file. A request is `{"do": "counters" | "reset" | "parts" | "truth" | "allow_takeout" | "revoke_sessions" |
"quit"}`, where `truth` takes a marked id as `"chat"` too, a reply `{"ok": true, "value": ...}` or `{"ok": false,
"error": text}`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.lab.truth import truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.server import Lab

CONTROL_FILE = "control.json"
MAX_LINE = 65_536


async def open_control(lab: Lab, quit_: Callable[[], None], host: str) -> tuple[asyncio.Server, int]:
    """Listen for commands on a free port: the server and its port. `quit_` ends the lab."""

    async def tell_truth(command: dict[str, Any]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        return dataclasses.asdict(await loop.run_in_executor(None, truth, lab.world, command.get("chat")))

    simple: dict[str, Callable[[], Any]] = {
        "counters": lab.counters,
        "reset": lab.reset,
        "parts": lab.parts,
        "allow_takeout": lab.allow_takeout,
        "revoke_sessions": lab.revoke_sessions,
        "quit": quit_,
    }

    async def run(command: dict[str, Any]) -> Any:
        what = command.get("do")
        if what == "truth":
            return await tell_truth(command)
        if what not in simple:
            raise ValueError(f"unknown command {what!r}")
        return simple[what]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    reply = {"ok": True, "value": await run(json.loads(line))}
                except (ValueError, AttributeError, TobsError) as error:
                    reply = {"ok": False, "error": str(error)}
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # whoever asked has gone, or sent a line without an end
        finally:
            writer.close()

    server = await asyncio.start_server(talk, host, 0, limit=MAX_LINE)
    return server, server.sockets[0].getsockname()[1]
