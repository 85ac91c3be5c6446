"""A manifest that brings its implementation and more with it."""

import telethon

from tests.contract.faulty import around
from tobs.api import Manifest
from tobs.engine import media

heavy = Manifest(
    "heavy", f"Knows {telethon.__name__} and {media.__name__}.", f"{around.__name__}:Raises", default=False
)
