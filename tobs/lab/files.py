"""The files of a world: as the lab serves them, and as messages carry them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from tobs.lab.descriptions import describe
from tobs.lab.inventory import FileSpec, Inventory, draw_centres, draw_sizes

if TYPE_CHECKING:
    from tobs.lab.dataset import Dataset

__all__ = ["FileSpec", "Posting", "Shelf", "draw_centres", "draw_files", "draw_sizes"]


@dataclass(frozen=True, slots=True)
class Posting:
    """File `number` as a message carries it. Its TL objects are made whenever they are asked for."""

    inventory: Inventory
    number: int

    @property
    def kind(self) -> str:
        """What it is, as `Dataset.kinds` names it."""
        return self.inventory.kind(self.number)

    @property
    def spec(self) -> FileSpec:
        """The file as it is served."""
        return self.inventory.spec(self.number)

    @property
    def media(self) -> Any:
        """The MessageMedia of a message."""
        return describe(self.inventory, self.number)

    @property
    def photo(self) -> Any:
        """The bare Photo for a service message; None where the file is none."""
        return self.media.photo if self.kind == "photo" else None

    @property
    def can_join_album(self) -> bool:
        """Whether albums may hold it."""
        return self.kind in ("photo", "video")


@dataclass(frozen=True, slots=True)
class Shelf:
    """All files of a world: `postings` by number, `specs` and `previews` (size "m") by file id."""

    postings: Sequence[Posting]
    specs: Mapping[int, FileSpec]
    previews: Mapping[int, FileSpec]


@dataclass(frozen=True, slots=True)
class _Postings(Sequence[Posting]):
    inventory: Inventory

    def __len__(self) -> int:
        return len(self.inventory)

    @overload
    def __getitem__(self, place: int) -> Posting: ...
    @overload
    def __getitem__(self, place: slice) -> list[Posting]: ...
    def __getitem__(self, place: int | slice) -> Posting | list[Posting]:
        found = range(len(self))[place]
        if isinstance(found, int):
            return Posting(self.inventory, found)
        return [Posting(self.inventory, number) for number in found]


@dataclass(frozen=True, slots=True)
class _Specs(Mapping[int, FileSpec]):
    inventory: Inventory

    def __len__(self) -> int:
        return len(self.inventory)

    def __iter__(self) -> Iterator[int]:
        return map(self.inventory.file_id, range(len(self.inventory)))

    def __getitem__(self, file_id: int) -> FileSpec:
        number = self.inventory.find(file_id)
        if number is None:
            raise KeyError(file_id)
        return self.inventory.spec(number)


@dataclass(frozen=True, slots=True)
class _Previews(Mapping[int, FileSpec]):
    inventory: Inventory

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[int]:
        for number in range(len(self.inventory)):
            if self.inventory.preview(number) is not None:
                yield self.inventory.file_id(number)

    def __getitem__(self, file_id: int) -> FileSpec:
        number = self.inventory.find(file_id)
        preview = None if number is None else self.inventory.preview(number)
        if preview is None:
            raise KeyError(file_id)
        return preview


def draw_files(dataset: Dataset, seed: int, start: int) -> Shelf:
    """Every file of `dataset`; `start` is the Unix time of their upload. 100,000 files take a second and 2 MB."""
    inventory = Inventory(dataset, seed, start)
    return Shelf(_Postings(inventory), _Specs(inventory), _Previews(inventory))
