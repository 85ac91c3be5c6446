"""TOBS exports Telegram chats completely and fast, and proves what makes it fast."""

__version__ = "0.1.0"
