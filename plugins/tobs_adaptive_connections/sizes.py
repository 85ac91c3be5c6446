"""How many bytes of a file one request asks for.

A request may ask for 1 MB at most and stays inside one block of 1 MB; with `precise` set its bounds are multiples of
1 KB (https://core.telegram.org/api/files). Requests are counted by the server, so there shall be few; but a part is as
much as is fetched again when an answer is lost, and as long as a connection is bound at the end of a run.
"""

from __future__ import annotations

LARGEST = 1 << 20
SMALLEST = 128 * 1024
UNKNOWN = 512 * 1024
"""Part of a large file while no rate is known."""
VAST = 32 << 20
"""Files from this size on begin in the largest parts: they keep them, and small ones empty a bucket of requests."""
STEP = 4096
WHOLE, LARGE = 2.0, 1.0
"""Seconds that a part may take: of a file that fits into one request, and of a larger one."""
DEAR = 4.0
"""Seconds that any part may take where requests are dear."""


def part_size(size: int, rate: float, *, dear: bool) -> int:
    """Bytes to ask for at once, of a file of `size`, where a connection brings `rate` bytes a second (0: unknown).

    `dear` means that the server has made us wait for the number of our requests.
    """
    if size <= _largest(rate, DEAR if dear else WHOLE, LARGEST):
        return max(STEP, -(-size // STEP) * STEP)
    if dear:
        return _largest(rate, DEAR, LARGEST)
    return _largest(rate, LARGE, LARGEST if size >= VAST else UNKNOWN)


def _largest(rate: float, seconds: float, unknown: int) -> int:
    """The largest power of two that takes so many seconds at most; it divides 1 MB, so no part leaves its block."""
    if not rate:
        return unknown
    return min(LARGEST, max(SMALLEST, 1 << (max(1, int(rate * seconds)).bit_length() - 1)))
