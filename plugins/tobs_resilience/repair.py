"""The layer of band REPAIR: a file that fails is asked for again, and only what is missing or wrong of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs.api import LostError, RpcError, Same, UnreachableError
from tobs_resilience.copies import Copy, Watching
from tobs_resilience.hashes import Hashes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tobs.api import Bytes, Context, Fetch, MediaRef, Part, Sink
    from tobs_resilience.copies import Copies
    from tobs_resilience.told import Told

log = logging.getLogger(__name__)
MIGRATE = "FILE_MIGRATE"


@dataclass(frozen=True, slots=True)
class Care:
    """`check` is always, resumed or never; one file is mended `repairs` times, after pauses as `retry` has them."""

    check: str
    repairs: int
    base: float
    cap: float


class Repaired:
    """Implements `Fetch` around another."""

    def __init__(self, inner: Fetch, ctx: Context, copies: Copies, care: Care, chance: Random, told: Told) -> None:
        self._inner = inner
        self._ctx = ctx
        self._copies = copies
        self._care = care
        self._chance = chance
        self._told = told

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        """Fetch the file, mended where need be.

        Raises what the fetch below raises when it brings nothing more, and `LostError` for blocks that stay wrong.
        """
        copy = self._copies.of(ref.file_id)
        given: Sequence[Part] = ()
        if copy is None:  # a file that our journal was not told of
            copy, given = Copy(ref.size), have
            sink = Watching(sink, copy)
        file = _File(copy, given, Hashes(self._ctx, ref))
        check = self._care.check
        if ref.size and (check == "always" or (check == "resumed" and have)):
            file.asking = asyncio.ensure_future(file.hashes.all())
        try:
            return await self._bring(file, sink, have)
        finally:
            self._told.renewed += file.hashes.renewed
            if file.asking is not None:
                file.asking.cancel()
                await asyncio.wait([file.asking])

    async def _bring(self, file: _File, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        for left in range(self._care.repairs, -1, -1):
            used, known = file.hashes.ref, len(file.copy.blocks)
            try:
                got = await self._inner(used, sink, have)
                if isinstance(got, Same) or not await file.find_wrong():
                    return got
                self._told.mended += len(file.wrong)
                if not left:
                    raise LostError(f"file {used.file_id}: blocks stay other than their hashes say")
            except UnreachableError:
                raise  # it was waited for as long as it may be
            except RpcError as error:
                if not left or not await self._may_mend(error, file, used):
                    raise
            except LostError:
                if not left or (len(file.copy.blocks) <= known and not file.wrong):
                    raise  # it was tried again, and brings nothing more
            have = file.have()
            await self._pause(self._care.repairs - left)
        raise AssertionError  # the last round returns or raises

    async def _may_mend(self, error: RpcError, file: _File, used: MediaRef) -> bool:
        """Whether a refusal may be another one next time."""
        if error.is_stale:
            return await file.hashes.renew(used)
        return error.name == MIGRATE  # data centres that do not agree where it lives may be moving it

    async def _pause(self, number: int) -> None:
        """None at first: what is mended is mostly mended at once."""
        most = min(self._care.cap, self._care.base * 2.0 ** min(number - 1, 64)) if number else 0.0
        await asyncio.sleep(self._chance.uniform(0, most))


class _File:
    """One file that is being fetched: its copy, stretches that were given with it, its hashes, and its wrong blocks."""

    def __init__(self, copy: Copy, given: Sequence[Part], hashes: Hashes) -> None:
        self.copy = copy
        self.hashes = hashes
        self.asking: asyncio.Future[dict[int, bytes]] | None = None
        self.wrong: dict[int, bytes] = {}
        self._given = given

    def have(self) -> list[Part]:
        """What need not be asked for."""
        return [*self._given, *self.copy.stretches()]

    async def find_wrong(self) -> bool:
        """Whether blocks are other than the server says; these are forgotten, to be asked for again.

        What comes twice the same is what the server means: it is its hash that is wrong.
        """
        self.wrong, before = {}, self.wrong
        if self.asking is None:
            return False
        for block, sha256 in (await asyncio.shield(self.asking)).items():
            found = self.copy.blocks.get(block)
            if found is None or found == sha256:
                continue
            if before.get(block) == found:
                log.warning(
                    "file %d: block %d came twice alike and other than its hash says: it is kept", self.id, block
                )
                continue
            self.wrong[block] = found
            del self.copy.blocks[block]
        return bool(self.wrong)

    @property
    def id(self) -> int:
        """The file's."""
        return self.hashes.ref.file_id
