"""Telegram through Telethon's connection and TL layers. Telethon's own retries, floods and sleeps stay off."""
