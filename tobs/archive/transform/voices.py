"""Waveforms of voice messages, with PyAV. Imported in child processes alone."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from av.audio.resampler import AudioResampler

from tobs.archive.transform.opening import opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BLOCK = 160
"""Samples of which the loudest is kept while a message is decoded: it bounds memory."""
HEIGHT = 32
WIDTH = 3
"""Of a bar with the gap after it."""


def waveform(source: Path, target: Path, settings: Mapping[str, int]) -> None:
    """Bars that say how loud a message is over its time."""
    bars = reduced(_blocks(source, settings["hertz"]), settings["bars"])
    loudest = max(bars, default=0) or 1
    drawn = []
    for number, bar in enumerate(bars):
        high = max(2, round(bar / loudest * HEIGHT))
        drawn.append(f"M{number * WIDTH + 1} {(HEIGHT - high) / 2:g}v{high}")
    width = settings["bars"] * WIDTH
    target.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">'
        f'<path d="{"".join(drawn)}" stroke="currentColor" stroke-width="2"/></svg>\n',
        encoding="utf-8",
    )


def reduced(blocks: array[int], bars: int) -> list[int]:
    """The loudest of each of so many stretches; few blocks are stretched."""
    if not blocks:
        raise ValueError("there is no sound in it")
    count = len(blocks)
    return [
        max(blocks[number * count // bars : max((number + 1) * count // bars, number * count // bars + 1)])
        for number in range(bars)
    ]


def _blocks(source: Path, hertz: int) -> array[int]:
    """The loudest sample of each block."""
    found = array("H")
    with opened(source) as container:
        if not container.streams.audio:
            raise ValueError("there is no sound in it")
        to_mono = AudioResampler("s16", "mono", hertz)
        left = array("h")
        for frame in container.decode(container.streams.audio[0]):
            for mono in to_mono.resample(frame):
                left.frombytes(bytes(mono.planes[0])[: mono.samples * left.itemsize])
            whole = len(left) - len(left) % BLOCK
            found.extend(_loudest(left[at : at + BLOCK]) for at in range(0, whole, BLOCK))
            del left[:whole]
        if left:
            found.append(_loudest(left))
    return found


def _loudest(samples: array[int]) -> int:
    return max(abs(max(samples)), abs(min(samples)))
