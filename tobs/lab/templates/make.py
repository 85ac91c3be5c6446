"""Makes the templates anew: `python -m tobs.lab.templates.make` (needs PyAV, of the `dev` extra).

The files lie in the package because coded sound and pictures depend on the versions of the coders, while the
truth of a scenario must not. Whoever runs this changes the digests of all scenarios with files.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.lab.templates import coding, scenes
from tobs.lab.templates.coding import Moving, Sound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

FOLDER = Path(__file__).parent
H264 = {"crf": "34", "preset": "veryslow", "profile": "main"}
VP9 = {"crf": "45", "b": "0", "deadline": "good", "auto-alt-ref": "0"}
PHOTOS = (3_500, 3_501, 8_001, 8_002, 20_000, 20_001, 20_002, 60_000, 60_001)
"""Bytes of each at most; the remainder by three says which of the shapes it has."""
SHAPES = ((1280, 960), (960, 1280), (1280, 720))
"""Telegram scales photos down to 1280 pixels."""
VIDEOS = (((160, 90), 4, 2), ((320, 180), 12, 36), ((640, 360), 15, 75), ((480, 854), 15, 60), ((1280, 720), 10, 20))
"""Width and height, pictures a second, pictures."""
ROUNDS = (((384, 384), 4, 2), ((384, 384), 15, 45), ((384, 384), 20, 100))
ANIMATIONS = (((240, 180), 4, 3), ((320, 240), 15, 45), ((480, 270), 20, 60), ((320, 568), 25, 50))
VOICES = (0.8, 2.5, 6.0, 13.0)
SONGS = (
    ("mp3", "mp3", "libmp3lame", 0.5, 32_000, 24_000, "Ada & the Engines", "Note G"),
    ("mp3", "mp3", "libmp3lame", 4.0, 64_000, 44_100, "Søren", "Øre №5"),
    ("m4a", "ipod", "aac", 5.0, 48_000, 44_100, "美咲", "桜 🌸"),
    ("m4a", "ipod", "aac", 1.5, 32_000, 44_100, "Hedy", "Hopping / Frequencies"),
    ("flac", "flac", "flac", 1.0, 0, 22_050, "Grace", "Nanosecond"),
)
"""Form, muxer, coder, seconds, bits and samples a second, performer and title."""
FACES = ("😀", "🦊", "👍", "❤", "🎉")

Made = tuple[str, str, bytes, dict[str, Any], bytes]
"""Kind, form, content, facts, preview."""


def _picture_facts(image: Image.Image) -> tuple[dict[str, Any], bytes]:
    """What is said of a picture's previews, and that of size "m"."""
    small = scenes.reduce(image)
    facts = {"small": small.size, "stripped": base64.b64encode(scenes.strip(image)).decode()}
    return facts, scenes.jpeg(small, quality=45)


def photos() -> Iterator[Made]:
    """JPEG of several sizes, progressive as Telegram's are."""
    for number, size in enumerate(PHOTOS):
        image, data = scenes.photo(size, SHAPES[size % len(SHAPES)], f"photo-{number}")
        facts, small = _picture_facts(image)
        yield "photo", "jpg", data, {"shape": image.size, "scans": scenes.scan_ends(data)} | facts, small


def pictures() -> Iterator[Made]:
    """PNG and WebP, which Telegram knows as documents."""
    for number, (form, shape, grain) in enumerate(
        (("png", (48, 36), 12), ("png", (240, 160), 24), ("webp", (160, 120), 16), ("webp", (1024, 768), 24))
    ):
        image = scenes.pattern(*shape, grain, f"picture-{number}")
        out = io.BytesIO()
        if form == "png":
            image.quantize(32).save(out, "PNG", optimize=True)
        else:  # an Exif block makes it the extended layout, in which a chunk may be added
            image.save(out, "WEBP", quality=70, method=6, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
        facts, small = _picture_facts(image)
        yield "document", form, out.getvalue(), {"shape": image.size} | facts, small


def clips() -> Iterator[Made]:
    """MP4: videos with sound, round ones, and animations without sound."""
    for kind, shapes in (("video", VIDEOS), ("round", ROUNDS), ("animation", ANIMATIONS)):
        for number, (shape, fps, frames) in enumerate(shapes):
            film = list(scenes.film(*shape, frames, number))
            moving = Moving("libx264", film, shape, fps, "yuv420p", H264 if number else H264 | {"crf": "44"})
            seconds = frames / fps
            plain = 8_000 if number == 0 else 24_000
            sound = Sound("aac", seconds, plain, number, 48_000 if number else 16_000)
            data = coding.code(
                "mp4",
                moving=moving,
                sound=None if kind == "animation" else sound,
                options={"movflags": "+faststart"},
            )
            facts, small = _picture_facts(film[0])
            yield kind, "mp4", data, {"shape": shape, "seconds": seconds} | facts, small


def sounds() -> Iterator[Made]:
    """Voice notes in OGG/Opus, and music."""
    for number, seconds in enumerate(VOICES):
        data = coding.code("ogg", sound=Sound("libopus", seconds, 16_000, number))
        yield "voice", "ogg", data, {"seconds": seconds, "waveform": coding.waveform(seconds, number)}, b""
    for number, (form, muxer, coder, seconds, bit_rate, rate, performer, title) in enumerate(SONGS):
        sound = Sound(coder, seconds, bit_rate, number, rate)
        data = coding.code(muxer, sound=sound, tags={"title": title, "artist": performer})
        yield "audio", form, data, {"seconds": seconds, "performer": performer, "title": title}, b""


def stickers() -> Iterator[Made]:
    """WebP, TGS and WebM."""
    for number, (form, frames, fps) in enumerate(
        (("webp", 1, 1), ("webp", 1, 1), ("tgs", 90, 60), ("tgs", 180, 60), ("webm", 20, 20), ("webm", 60, 30))
    ):
        image = scenes.emblem(512, number)
        small = io.BytesIO()
        scenes.reduce(image, 128).save(small, "WEBP", quality=60, method=6)
        facts: dict[str, Any] = {"shape": (512, 512), "emoji": FACES[number % len(FACES)], "small": (128, 128)}
        if form == "webp":
            out = io.BytesIO()
            image.save(out, "WEBP", quality=40 + 40 * number, method=6)
            data = out.getvalue()
        elif form == "tgs":
            data = gzip.compress(json.dumps(_lottie(frames, fps, number)).encode(), mtime=0)
        else:
            film = [scenes.emblem(512, number, frame / frames) for frame in range(frames)]
            data = coding.code("webm", moving=Moving("libvpx-vp9", film, (512, 512), fps, "yuva420p", VP9))
            facts["seconds"] = frames / fps
        yield "sticker", form, data, facts, small.getvalue()


def _lottie(frames: int, fps: int, number: int) -> dict[str, Any]:
    """A disc that bounces, as Lottie describes it and TGS restricts it: 512x512 pixels, no more than 3 s."""
    colour = [part / 255 for part in scenes.BACKGROUNDS[number % len(scenes.BACKGROUNDS)]]
    ease = {"i": {"x": 0.6, "y": 1}, "o": {"x": 0.3, "y": 0}}
    steps = range(0, frames + 1, frames // (4 + 8 * (number % 2)))
    places = [{"t": at, "s": [256, 140 + 230 * (step % 2), 0], **ease} for step, at in enumerate(steps)]
    still = {"o": {"a": 0, "k": 100}, "r": {"a": 0, "k": 0}, "a": {"a": 0, "k": [0, 0, 0]}}
    shape = [
        {"ty": "el", "p": {"a": 0, "k": [0, 0]}, "s": {"a": 0, "k": [220, 220]}},
        {"ty": "fl", "c": {"a": 0, "k": [*colour, 1]}, "o": {"a": 0, "k": 100}},
        {"ty": "tr", "p": {"a": 0, "k": [0, 0]}, "s": {"a": 0, "k": [100, 100]}}
        | {"a": {"a": 0, "k": [0, 0]}, "r": {"a": 0, "k": 0}, "o": {"a": 0, "k": 100}},
    ]
    layer = {"ty": 4, "ind": 1, "ip": 0, "op": frames, "st": 0, "sr": 1, "ddd": 0, "nm": "disc"}
    layer |= {"ks": still | {"p": {"a": 1, "k": places}, "s": {"a": 0, "k": [100, 100, 100]}}}
    layer |= {"shapes": [{"ty": "gr", "it": shape}]}
    head = {"tgs": 1, "v": "5.5.2", "fr": fps, "ip": 0, "op": frames, "w": 512, "h": 512, "ddd": 0, "assets": []}
    return head | {"layers": [layer]}


def make(folder: Path = FOLDER) -> None:
    """Write all templates, their previews and `index.json` into `folder`."""
    index: list[dict[str, Any]] = []
    for makers in (photos, pictures, clips, sounds, stickers):
        for kind, form, data, facts, small in makers():
            number = sum(entry["kind"] == kind for entry in index)
            entry = {"kind": kind, "form": form, "file": f"{kind}-{number}.{form}"} | facts
            (folder / entry["file"]).write_bytes(data)
            if small:
                entry["preview"] = f"{kind}-{number}.small"
                (folder / entry["preview"]).write_bytes(small)
            index.append(entry)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in index)
    (folder / "index.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    make()
