"""Names, words and file names that the lab's people use, hostile ones among them."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Hedy", "Claude", "Émilie",
    "Søren", "Мария", "محمد", "美咲", "🦊 Fox",
)  # fmt: skip
LAST_NAMES = (
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Lamarr",
    "Shannon",
    "du Châtelet",
    "Øst",
    "Петрова",
)
USERNAMES = ("ada", "grace", "alan", "edsger", "barbara", "donald", "hedy", "claude", "emilie", "soren")

HOSTILE_NAMES = (
    "../../etc/passwd",
    "..\\..\\Windows\\System32\\cmd.exe",
    "/etc/shadow",
    "C:\\boot.ini",
    "CON",
    "nul.txt",
    "COM1.pdf",
    "long-" + "x" * 295 + ".pdf",
    "длинное-имя-" + "я" * 288 + ".zip",
    "photo\u202egpj.exe",
    "new\nline\tand\x01control.pdf",
    "nul\x00byte.pdf",
    ".",
    "..",
    "",
    " ",
    "  spaces around .pdf ",
    "dots at the end...",
    'quotes "and" <tags> | ? * : .zip',
    "<script>alert(1)</script>.pdf",
    "-rf",
    "~root",
    "emoji 🎉👩\u200d🚀.zip",
    "decomposed e\u0301.pdf",
    "composed \u00e9.pdf",
    "Report.PDF",
    "report.pdf",
    ".hidden",
    "tobs.sqlite",
)

WORDS = (
    "the", "a", "we", "export", "chat", "message", "history", "page", "archive",
    "server", "today", "tomorrow", "again", "never", "because", "slow", "fast",
    "measure", "window", "request", "answer", "wait", "flood", "photo", "see", "please",
    "thanks", "agreed", "why", "not", "really", "number", "42", "3.14", "yes", "no",
    "perhaps", "seven", "naïve", "café", "straße", "Ünïcödé", "привет", "мир",
    "сообщение", "שלום", "עולם", "مرحبا", "العالم", "你好", "世界", "こんにちは", "안녕", "नमस्ते",
    "e\u0301te\u0301", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐍈", "🎉", "😀", "👍🏽", "👩\u200d👩\u200d👧\u200d👦", "🇩🇪",  # noqa: RUF001 (letters outside the basic plane)
    "❤\ufe0f", "1\ufe0f⃣",
)  # fmt: skip
"""Plain words, accents, right-to-left scripts, characters outside the basic plane, all sorts of emoji."""
