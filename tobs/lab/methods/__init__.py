"""The methods the lab answers, one module a family; importing them registers them with `tobs.lab.rpc`."""

from __future__ import annotations

from tobs.lab.methods import auth, channels, help_, messages, takeout, updates, upload, users

__all__ = ["auth", "channels", "help_", "messages", "takeout", "updates", "upload", "users"]
