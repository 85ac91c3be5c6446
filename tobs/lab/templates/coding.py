"""Coding of clips with PyAV, which only the maker of the templates needs."""

from __future__ import annotations

import math
import tempfile
from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import Image

RATE = 48_000


@dataclass(frozen=True, slots=True)
class Sound:
    """A melody: `codec` and `options` code it at `rate` samples a second and `bit_rate`, one channel."""

    codec: str
    seconds: float
    bit_rate: int
    number: int
    rate: int = RATE
    options: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Moving:
    """Pictures at `fps`, coded by `codec` in `form` (a pixel format)."""

    codec: str
    frames: Iterable[Image.Image]
    shape: tuple[int, int]
    fps: int
    form: str
    options: dict[str, str]


def samples(seconds: float, number: int, rate: int = RATE) -> array[int]:
    """Notes that swell and fade, 16 bits a sample."""
    notes = (220, 277, 330, 440, 392, 349)
    values = array("h")
    for at in range(round(seconds * rate)):
        time = at / rate
        note = notes[(int(time * 4) + number) % len(notes)]
        loud = 0.2 + 0.6 * abs(math.sin(math.pi * (time * 4 % 1))) * abs(math.sin(time + number))
        values.append(round(12_000 * loud * math.sin(2 * math.pi * note * time)))
    return values


def waveform(seconds: float, number: int) -> list[int]:
    """100 loudnesses of 0 to 31 of the melody, as a voice note shows them."""
    values = samples(seconds, number, 4_000)
    step = len(values) / 100
    peaks = [max(map(abs, values[int(at * step) : max(int(at * step) + 1, int((at + 1) * step))])) for at in range(100)]
    return [round(31 * peak / max(peaks)) for peak in peaks]


def code(
    form: str,
    *,
    moving: Moving | None = None,
    sound: Sound | None = None,
    options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> bytes:
    """One file in the container `form` (a muxer of FFmpeg)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made"
        with av.open(str(path), "w", format=form, options={"fflags": "+bitexact"} | (options or {})) as out:
            out.metadata.update(tags or {})
            streams: list[tuple[Any, Iterable[Any]]] = []
            if moving:
                streams.append((_picture_stream(out, moving), _pictures(moving)))
            if sound:
                streams.append((_sound_stream(out, sound), _sounds(sound)))
            packets = [packet for stream, frames in streams for packet in _packets(stream, frames)]
            for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
                out.mux(packet)
        return path.read_bytes()


def _packets(stream: Any, frames: Iterable[Any]) -> list[Any]:
    packets = [packet for frame in frames for packet in stream.encode(frame)]
    return packets + list(stream.encode(None))


def _picture_stream(out: Any, moving: Moving) -> Any:
    stream = out.add_stream(moving.codec, rate=moving.fps, options=moving.options)
    stream.width, stream.height = moving.shape
    stream.pix_fmt = moving.form
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    stream.codec_context.thread_count = 1
    return stream


def _pictures(moving: Moving) -> Iterable[Any]:
    for number, image in enumerate(moving.frames):
        picture: Any = av.VideoFrame
        frame = picture.from_image(image).reformat(format=moving.form)
        frame.pts = number
        frame.time_base = Fraction(1, moving.fps)
        yield frame


def _sound_stream(out: Any, sound: Sound) -> Any:
    stream = out.add_stream(sound.codec, rate=sound.rate, layout="mono", options=sound.options or {})
    stream.bit_rate = sound.bit_rate
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream


def _sounds(sound: Sound) -> Iterable[Any]:
    values = samples(sound.seconds, sound.number, sound.rate)
    for start in range(0, len(values), 960):
        piece = values[start : start + 960]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(piece))
        frame.planes[0].update(piece.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = sound.rate
        frame.pts = start
        frame.time_base = Fraction(1, sound.rate)
        yield frame
