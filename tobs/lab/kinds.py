"""Every kind of message that layer 229 has, beyond plain text and files: what each carries."""

from __future__ import annotations

from tobs.lab.kinds_media import MEDIA
from tobs.lab.kinds_polls import POLLS
from tobs.lab.kinds_text import TEXTS
from tobs.lab.kinds_traits import TRAITS

KINDS = (*MEDIA, *POLLS, *TRAITS, *TEXTS)
"""In the order in which a chat goes through them."""
