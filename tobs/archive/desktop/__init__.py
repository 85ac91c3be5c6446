"""Telegram Desktop's machine-readable format (result.json), made from TL objects as JSON.

Key names, their order and what is left out follow the source of Telegram Desktop's export, including that
`invoice_information` and the `peers` of a requested peer are JSON inside a string. `_` names TL classes as
Telethon does.
"""
