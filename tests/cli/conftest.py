"""The labs of these tests."""

from __future__ import annotations

from tests.export.labs import long, serve, small

__all__ = ["long", "serve", "small"]
