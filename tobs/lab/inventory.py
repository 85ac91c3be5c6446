"""All files of a world as a few numbers each; everything else about a file is drawn when it is asked for."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tobs.lab.dataset import MEGABYTE, SMALLEST, Dataset, Files
from tobs.lab.draws import Draws, key_digest, seeded_bytes
from tobs.lab.fitting import SMALLEST_ROOM, choices, fit, join
from tobs.lab.paper import Zipped, pdf
from tobs.lab.references import reference
from tobs.lab.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.lab.stream import Content
    from tobs.lab.templates import Template

LARGEST = 4_000_000_000
"""Bytes of a file at most: what Telegram takes from subscribers."""
LARGEST_PAPER = MEGABYTE
"""Documents up to this size in bytes are PDF, ZIP, PNG or WebP files; larger ones are PDF or bytes without a form."""
LOOKALIKE = 400_000
"""Bytes of the smallest file that another one resembles: its first and last 128 KiB are apart from its middle."""
PAPERS = ("pdf", "zip", "pdf", "zip", "pdf", "zip", "picture", "picture")
MIDDLE_PAPERS = ("pdf", "pdf", "picture")
"""No ZIP: its checksum stands at the beginning, where a lookalike must not differ."""
LARGE_PAPERS = ("bin", "bin", "pdf")
KEPT = 512
"""Files whose description is kept in memory."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The content of file `number`, which `draw` makes when it is read: most files are only spoken of.

    Two of one inventory are equal where their bytes are.
    """

    draw: Callable[[int], Content]
    number: int

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        return self.draw(self.number).read(offset, limit)

    def sha256(self) -> str:
        """The hash of the whole in hex."""
        return self.draw(self.number).sha256()


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file: what `upload.getFile` needs to check a request and to answer it.

    `kind` is "photo" (an InputPhotoFileLocation names it), or else one of `Dataset.kinds` (an
    InputDocumentFileLocation does). A preview has its file's id negated: what is counted or kept by id tells the two
    apart.
    """

    id: int
    access_hash: int
    file_reference: bytes
    dc: int
    size: int
    kind: str
    content: Content

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, in any order; fewer at the end, none behind it. A few GB/s."""
        if offset < 0 or limit < 0:
            raise ValueError(f"a file has no {limit} bytes at {offset}")
        return self.content.read(offset, limit)

    def sha256(self) -> str:
        """The hash of the whole in hex; that of a large file takes long once, and is kept in the cache."""
        return self.content.sha256()


def draw_sizes(files: Files, draws: Draws) -> list[int]:
    """`files.count` sizes in bytes, log-normal, that sum to `files.total` if that is given."""
    ceiling = files.largest or LARGEST
    sizes = [min(max(SMALLEST, round(draws.lognormal(files.median, files.sigma))), ceiling) for _ in range(files.count)]
    _meet_total(sizes, range(len(sizes)), files)
    return sizes


def _meet_total(sizes: list[int], places: Sequence[int], files: Files) -> None:
    """Change the sizes at `places` so that all sum to `files.total`, as far as its bounds allow."""
    if files.total is None or not places:
        return
    ceiling = files.largest or LARGEST
    aim = files.total - (sum(sizes) - sum(sizes[place] for place in places))
    for _ in range(20):  # scaling meets the floor and the ceiling, so it takes a few rounds
        reached = sum(sizes[place] for place in places)
        if reached == aim:
            return
        ratio = aim / reached
        for place in places:
            sizes[place] = min(max(SMALLEST, round(sizes[place] * ratio)), ceiling)
    rest = aim - sum(sizes[place] for place in places)
    for place in sorted(places, key=lambda place: (-sizes[place], place)):
        if not rest:
            return
        changed = min(max(SMALLEST, sizes[place] + rest), ceiling)
        rest -= changed - sizes[place]
        sizes[place] = changed


def draw_centres(count: int, shares: Sequence[tuple[int, float]], draws: Draws) -> list[int]:
    """A data centre for each of `count` files, by percent (exact to one file), in drawn order."""
    centres: list[int] = []
    reached = 0.0
    for centre, share in shares:
        reached += share
        centres += [centre] * (round(count * reached / 100) - len(centres))
    draws.shuffle(centres)
    return centres


def draw_twins(sizes: list[int], files: Files, dataset: Dataset, draws: Draws) -> tuple[list[int], set[int]]:
    """Whose content each file of a kind has (most often its own), and which files differ from that in the middle.

    `sizes` are changed accordingly.
    """
    origins = list(range(files.count))
    copies = origins[1:]
    draws.shuffle(copies)
    copies = copies[: round(files.count * dataset.duplicates)]
    own = sorted(set(origins) - set(copies))
    _follow(origins, sizes, copies, own, draws)
    copied = {origins[place] for place in copies}
    large = [place for place in own if sizes[place] >= LOOKALIKE and place not in copied]
    alike = large[1:]
    draws.shuffle(alike)
    alike = alike[: round(files.count * dataset.lookalikes)]
    _follow(origins, sizes, alike, sorted(set(large) - set(alike)), draws)
    if copies or alike:
        shared = {origin for place, origin in enumerate(origins) if place != origin}
        _meet_total(sizes, [place for place in own if origins[place] == place and place not in shared], files)
    return origins, set(alike)


def _follow(origins: list[int], sizes: list[int], places: list[int], models: list[int], draws: Draws) -> None:
    """Give each of `places` one of the `models` before it as its origin, and all of an origin the smallest size."""
    for place in places:
        origin = models[draws.below(bisect_right(models, place))]
        origins[place] = origin
        sizes[origin] = min(sizes[origin], sizes[place])
    for place in places:
        sizes[place] = sizes[origins[place]]


def _preview_form(template: Template) -> tuple[str, int]:
    """Form and bytes of a preview, which has as little padding as can be."""
    form = "webp" if template.kind == "sticker" else "jpg"
    return form, len(template.preview) + SMALLEST_ROOM[form]


class Inventory:
    """The files of a dataset by number, those of a kind together in the order of `Dataset.kinds`.

    Takes 14 bytes a file, and 5 us to draw one. `start` is the Unix time of all uploads.
    """

    def __init__(self, dataset: Dataset, seed: int, start: int) -> None:
        self.seed = seed
        self.start = start
        self.hostile = dataset.hostile
        self._kinds: list[str] = []
        self._firsts: list[int] = []
        self._sizes = array("Q")
        self._centres = array("B")
        self._origins = array("I")
        self._alike = bytearray()
        for kind, files in dataset.kinds:
            first = len(self._sizes)
            sizes = draw_sizes(files, Draws(seed, "sizes", kind))
            origins, alike = draw_twins(sizes, files, dataset, Draws(seed, "twins", kind))
            self._kinds.append(kind)
            self._firsts.append(first)
            self._sizes.extend(sizes)
            self._centres.extend(draw_centres(files.count, dataset.files, Draws(seed, "centres", kind)))
            self._origins.extend(first + origin for origin in origins)
            self._alike += bytes(place in alike for place in range(files.count))
        self.spec = lru_cache(KEPT)(self._spec)
        self.content = lru_cache(KEPT)(self._content)
        self.find = lru_cache(KEPT)(self._find)
        self.template = lru_cache(KEPT)(self._template)
        self.preview = lru_cache(KEPT)(self._preview)

    def __len__(self) -> int:
        return len(self._sizes)

    def kind(self, number: int) -> str:
        """What file `number` is."""
        return self._kinds[bisect_right(self._firsts, number) - 1]

    def key(self, number: int) -> str:
        """The name that everything about file `number` is drawn by."""
        at = bisect_right(self._firsts, number) - 1
        return f"{self._kinds[at]}-{number - self._firsts[at]}"

    def file_id(self, number: int) -> int:
        """The id of file `number`, which tells number and data centre."""
        return self._named(number, self._identity(number))

    def _named(self, number: int, identity: bytes) -> int:
        return (5 << 60) + (self._centres[number] << 56) + (number << 24) + int.from_bytes(identity[:3], "big")

    def _find(self, file_id: int) -> int | None:
        """The number of the file with this id, or None."""
        number = file_id >> 24 & 0xFFFFFFFF
        return number if number < len(self) and self.file_id(number) == file_id else None

    def _identity(self, number: int) -> bytes:
        return seeded_bytes(11, "file", self.seed, self.key(number))

    def _template(self, number: int) -> Template | None:
        """What file `number` is made of; None for a PDF, a ZIP or a stream."""
        number = self._origins[number]
        kind, size = self.kind(number), self._sizes[number]
        if kind == "document" and self._paper(number) != "picture":
            return None
        fitting = choices(kind, size)
        return fitting[self._choice(number) % len(fitting)]

    def form(self, number: int) -> str:
        """The extension that the name of file `number` has."""
        template = self.template(number)
        return template.form if template else self._paper(self._origins[number])

    def _choice(self, number: int) -> int:
        return int.from_bytes(key_digest("form", self.seed, self.key(number))[:8], "big")

    def _paper(self, number: int) -> str:
        size = self._sizes[number]
        forms = LARGE_PAPERS if size > LARGEST_PAPER else MIDDLE_PAPERS if size >= LOOKALIKE else PAPERS
        return forms[(self._choice(number) >> 32) % len(forms)]

    def _spec(self, number: int) -> FileSpec:
        """File `number`."""
        identity = self._identity(number)
        return FileSpec(
            id=self._named(number, identity),
            access_hash=int.from_bytes(identity[3:11], "big", signed=True),
            file_reference=reference(self.seed, self.key(number)),
            dc=self._centres[number],
            size=self._sizes[number],
            kind=self.kind(number),
            content=Drawn(self.content, number if self._alike[number] else self._origins[number]),
        )

    def _content(self, number: int) -> Content:
        """What file `number` consists of."""
        origin = self._origins[number]
        twist = self.key(number) if self._alike[number] else ""
        stream = Stream(self.seed, self.key(origin), self._sizes[number], twist)
        template = self.template(number)
        if template is not None:
            return fit(template.data, template.form, stream)
        form = self._paper(origin)
        if form == "zip":
            return Zipped(stream)
        return stream if form == "bin" else join(pdf(stream), f"pdf-{self.seed}-{stream.key}-{stream.size}-{twist}")

    def _preview(self, number: int) -> FileSpec | None:
        """The preview of size "m" of file `number`: None for sound, PDF, ZIP and streams."""
        template = self.template(number)
        if template is None or not template.preview:
            return None
        _, size = _preview_form(template)
        spec = self.spec(number)
        return replace(spec, id=-spec.id, size=size, content=Drawn(self._preview_content, number))

    def _preview_content(self, number: int) -> Content:
        template = self.template(number)
        assert template is not None
        form, size = _preview_form(template)
        stream = Stream(self.seed, f"preview of {self.key(number)}", size)
        return fit(template.preview, form, stream)
