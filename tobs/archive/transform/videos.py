"""Pictures and previews of videos, with PyAV and Pillow. Imported in child processes alone."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.video.reformatter import Interpolation

from tobs.archive.transform.opening import opened
from tobs.archive.transform.pictures import save_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image


def poster(source: Path, target: Path, settings: Mapping[str, int]) -> None:
    """The picture at some percent of the duration, or the first one."""
    with opened(source) as container:
        stream = _stream(container)
        if container.duration:
            container.seek(container.duration * settings["at_percent"] // 100)
        frame = next(container.decode(stream), None)
        if frame is None:  # some containers cannot be entered in the middle
            container.seek(0)
            frame = next(container.decode(stream), None)
        if frame is None:
            raise ValueError("there is no picture in it")
        save_jpeg(_upright(frame, settings["side"], even=False), target, settings["quality"])


def preview(source: Path, target: Path, settings: Mapping[str, int]) -> None:
    """The beginning, small and without sound."""
    rate = settings["rate"]
    with opened(source) as container, av.open(f"file:{target}", "w", format="mp4", options=_PLAIN) as out:
        coder = out.add_stream("libx264", rate=rate)
        coder.pix_fmt = "yuv420p"
        coder.options = {"crf": str(settings["crf"]), "preset": "veryfast", "threads": "1", "x264-params": REPEATABLE}
        for step, frame in _sampled(container, rate, settings["seconds"]):
            image = _upright(frame, settings["side"], even=True)
            picture: VideoFrame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
            if step == 0:
                coder.width, coder.height = picture.width, picture.height
            # A stream whose pictures change their size goes on at that of the first.
            picture = picture.reformat(coder.width, coder.height, "yuv420p")
            picture.pts = step
            picture.time_base = Fraction(1, rate)
            out.mux(coder.encode(picture))
        if not coder.codec_context.is_open:
            raise ValueError("there is no picture in it")
        out.mux(coder.encode(None))


_PLAIN = {"movflags": "+faststart", "fflags": "+bitexact"}
REPEATABLE = "mbtree=0"
"""With macroblock trees x264 gives other bytes each time, for pictures whose width is no multiple of 32 (measured)."""


def _stream(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise ValueError("there is no video in it")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # each thread holds pictures, and the machine is shared out by processes
    return stream


def _sampled(container: InputContainer, rate: int, seconds: int) -> Iterator[tuple[int, VideoFrame]]:
    """Pictures of the first seconds, at most so many a second, each with its time in such steps."""
    first: float | None = None
    last = -1
    for frame in container.decode(_stream(container)):
        if frame.pts is None:
            continue
        first = frame.time if first is None else first
        step = int((frame.time - first) * rate + 1e-6)
        if step >= seconds * rate:
            return
        if step > last:
            last = step
            yield step, frame


def _upright(frame: VideoFrame, side: int, *, even: bool) -> Image.Image:
    """A frame at most `side` pixels wide and high, turned as it is to be seen; H.264 wants even sizes."""
    scale = min(1.0, side / max(frame.width, frame.height))
    step = 2 if even else 1
    width, height = (max(step, round(size * scale) // step * step) for size in (frame.width, frame.height))
    small = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA)
    image: Image.Image = small.to_image()  # type: ignore[no-untyped-call]
    return image.rotate(frame.rotation, expand=True)
