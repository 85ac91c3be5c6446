"""The labs of these tests."""

from __future__ import annotations

from tests.export.labs import serve, small

__all__ = ["serve", "small"]
