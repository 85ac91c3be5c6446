"""`upload.*`: parts of files and their hashes, by the rules of https://core.telegram.org/api/files."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab.methods.photos import profile_photo
from tobs.lab.parts import LeftPart
from tobs.lab.rpc import Call, Reply, Result, RpcFault, method
from tobs.lab.tl import bytes_head, bytes_tail, vector

if TYPE_CHECKING:
    from tobs.lab.world import FileSpec

BLOCK = 1 << 20
"""A request stays inside one block of this size."""

HASHED = 131_072
HASHES = 8
MAX_HASHES = 65_536
"""Block hashes that are remembered (32 bytes each)."""

_JPEG = struct.pack("<III", types.upload.File.CONSTRUCTOR_ID, types.storage.FileJpeg.CONSTRUCTOR_ID, 0)
_OTHER = struct.pack("<III", types.upload.File.CONSTRUCTOR_ID, types.storage.FileUnknown.CONSTRUCTOR_ID, 0)


def check_range(offset: int, limit: int, *, precise: bool) -> None:
    """Refuse a range that Telegram would not serve: OFFSET_INVALID or LIMIT_INVALID."""
    unit = 1024 if precise else 4096
    if offset < 0 or offset % unit:
        raise RpcFault("OFFSET_INVALID")
    if not 0 < limit <= BLOCK or limit % unit or (not precise and BLOCK % limit):
        raise RpcFault("LIMIT_INVALID")
    if offset // BLOCK != (offset + limit - 1) // BLOCK:
        raise RpcFault("LIMIT_INVALID")


def located(call: Call, location: Any) -> FileSpec:
    """The file behind an input location, if everything in it is right and it lies in this data centre."""
    if isinstance(location, types.InputPeerPhotoFileLocation):
        return _here(call, profile_photo(call, location))
    if not isinstance(location, types.InputDocumentFileLocation | types.InputPhotoFileLocation):
        raise RpcFault("LOCATION_INVALID")
    is_photo = isinstance(location, types.InputPhotoFileLocation)
    spec = call.service.world.file(location.id, location.thumb_size)
    if spec is None or spec.access_hash != location.access_hash or (spec.kind == "photo") != is_photo:
        raise RpcFault("LOCATION_INVALID")
    given = location.file_reference
    if not call.service.references.accepts(given, spec.file_reference):
        if not given:
            raise RpcFault("FILE_REFERENCE_EMPTY")
        if len(given) != len(spec.file_reference):
            raise RpcFault("FILE_REFERENCE_INVALID")
        call.service.mishaps.counted["references"] += call.service.references.expire
        raise RpcFault("FILE_REFERENCE_EXPIRED")
    return _here(call, spec)


def _here(call: Call, spec: FileSpec) -> FileSpec:
    """The file, if it lies in this data centre."""
    if spec.dc != call.dc:
        call.service.counters.migrations += 1
        raise RpcFault(f"FILE_MIGRATE_{spec.dc}", 303)
    return spec


@method(functions.upload.GetFileRequest, limit="file")
def get_file(call: Call) -> Result:
    """A part of a file; nothing past its end."""
    request, service = call.request, call.service
    check_range(request.offset, request.limit, precise=bool(request.precise))
    spec = located(call, request.location)
    data = whole = spec.read(request.offset, request.limit) if request.offset < spec.size else b""
    if service.mishaps.spoils:
        data = service.mishaps.spoil(call.client, whole, has_hashes=service.has_hashes(spec.id))
    size = len(data)
    if (premium := service.premium_wait(call.client)) is not None:
        premium.grant(size)
    head = (_JPEG if spec.kind == "photo" else _OTHER) + bytes_head(size)
    body = (head, data, bytes_tail(size))
    part = LeftPart(spec.id, spec.size, request.offset, size, spoilt=data is not whole)
    asked = (call.user_id, spec.id, request.offset, request.limit)

    def served() -> None:
        service.parts.left(part)
        if part.spoilt:
            service.counters.served_spoilt_part(size)
        else:
            service.counters.served_part(*asked, size)

    return Reply(body, served, acknowledged=part.acknowledge)


@method(functions.upload.GetFileHashesRequest)
def get_file_hashes(call: Call) -> Result:
    """SHA-256 of up to 8 blocks of 131072 bytes, from the one that holds `offset`; none for a file without hashes."""
    offset = call.request.offset
    if offset < 0:
        raise RpcFault("OFFSET_INVALID")
    spec = located(call, call.request.location)
    if not call.service.has_hashes(spec.id):
        return vector(())
    first = offset // HASHED
    known = call.service.block_hashes
    hashes = []
    for block in range(first, min(first + HASHES, -(-spec.size // HASHED))):
        key = (spec.id, block)
        if key not in known:
            known[key] = sha256(spec.read(block * HASHED, HASHED)).digest()
            if len(known) > MAX_HASHES:
                known.popitem(last=False)
        length = min(HASHED, spec.size - block * HASHED)
        hashes.append(bytes(types.FileHash(block * HASHED, length, known[key])))
    return vector(hashes)
