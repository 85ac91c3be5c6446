"""Packets that no client would send, made from a seed: the same seed gives the same packet."""

from __future__ import annotations

import gzip
import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from telethon.crypto import AES
from telethon.extensions import BinaryReader
from telethon.tl import functions, types
from telethon.tl.alltlobjects import tlobjects
from telethon.tl.core import GzipPacked, MessageContainer

from tests.lab.fakes import CHANNEL_ID, FAR_FILE, FILES, FRIEND_ID, GROUP_ID, NEAR_FILE
from tests.lab.wires import FIRST
from tobs.lab.rpc import METHODS
from tobs.lab.service_messages import SERVICE
from tobs.lab.tl import pack_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

EXTREMES = [0, 1, 2, 255, 0x7F, 0xFF, 2**15, 2**16, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 16, 0x1CB5C415]
PLAUSIBLE: list[Any] = [
    types.InputPeerSelf(),
    types.InputPeerEmpty(),
    types.InputPeerChannel(CHANNEL_ID, 21),
    types.InputPeerChannel(CHANNEL_ID, 0),
    types.InputPeerUser(FRIEND_ID, 12),
    types.InputPeerChat(GROUP_ID),
    types.InputChannel(CHANNEL_ID, 21),
    types.InputUser(FRIEND_ID, 12),
    types.InputUserSelf(),
    types.InputMessageID(3),
    types.InputMessagesFilterEmpty(),
    types.InputDocumentFileLocation(NEAR_FILE, 77, FILES[NEAR_FILE].file_reference, ""),
    types.InputDocumentFileLocation(FAR_FILE, 77, FILES[FAR_FILE].file_reference, "y"),
    types.InputDialogPeer(types.InputPeerSelf()),
    types.ChannelMessagesFilterEmpty(),
    types.ChannelParticipantsRecent(),
    functions.help.GetConfigRequest(),
]


class Drawn(BinaryReader):  # type: ignore[misc]
    """A reader that makes up what it is asked for, so that any class can be read from it."""

    def __init__(self, random: Random) -> None:
        super().__init__(b"")
        self._random = random
        self._depth = 0

    def read(self, length: int = -1) -> bytes:
        """Any bytes."""
        return self._random.randbytes(max(0, length))

    def read_byte(self) -> int:
        """A byte."""
        return self._random.randrange(256)

    def read_int(self, signed: bool = True) -> int:  # noqa: FBT002  the codec's signature
        """A small number: it may be the length of a vector."""
        return self._random.choice([0, 1, 2, 3, 5, 100, self._random.randrange(2**12)] if signed else [0, 1, 7, 4095])

    def read_long(self, signed: bool = True) -> int:  # noqa: FBT002
        """A number of 64 bits, often one that names something."""
        drawn = self._random.choice([CHANNEL_ID, FRIEND_ID, NEAR_FILE, 21, 12, 77, self._random.randrange(2**63)])
        return drawn if signed else abs(drawn)

    def tgread_bytes(self) -> bytes:
        """A few bytes."""
        return self._random.randbytes(self._random.choice([0, 1, 9, 300]))

    def tgread_string(self) -> str:
        """A few characters, also of what is rarely seen."""
        return self._random.choice(["", "fakes", "12345", "\0", "\U0001f680", "a" * 5000, "%s", "../../etc"])

    def tgread_bool(self) -> bool:
        """Either."""
        return self._random.random() < 0.5

    def tgread_date(self) -> int:
        """A time as the codec writes it."""
        return self._random.randrange(2**31)

    def tgread_object(self) -> Any:
        """Something that could be meant, or any object at all."""
        self._depth += 1
        if self._depth > 4 or self._random.random() < 0.8:
            found = self._random.choice(PLAUSIBLE)
        else:
            found = self._random.choice(ALL).from_reader(self)
        self._depth -= 1
        return found

    def tgread_vector(self) -> list[Any]:
        """A few of them."""
        return [self.tgread_object() for _ in range(self._random.randrange(4))]


BOMBS = [gzip.compress(bytes(size)) for size in (100, 2_000_000, 50_000_000)]
BOMBS += [gzip.compress(struct.pack("<I", GzipPacked.CONSTRUCTOR_ID) + pack_bytes(bomb)) for bomb in BOMBS]
ALL = sorted(tlobjects.values(), key=lambda kind: kind.CONSTRUCTOR_ID)
KNOWN = sorted({*METHODS, functions.auth.BindTempAuthKeyRequest}, key=lambda kind: kind.CONSTRUCTOR_ID)


def words(random: Random, most: int = 60) -> bytes:
    """Whole words, some of them extreme."""
    return b"".join(
        struct.pack("<I", random.choice(EXTREMES) if random.random() < 0.3 else random.randrange(2**32))
        for _ in range(random.randrange(most))
    )


def _object(random: Random, kinds: list[Any]) -> bytes:
    while True:
        try:
            return bytes(random.choice(kinds).from_reader(Drawn(random)))
        except Exception:  # noqa: BLE001  what was drawn cannot be written
            continue


def method(random: Random) -> bytes:
    """A method that the lab serves, with any arguments."""
    return _object(random, KNOWN)


def _spoiled(random: Random) -> bytes:
    body = bytearray(method(random) if random.random() < 0.7 else bytes(FIRST))
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(body) // 4) * 4
        body[at : at + 4] = struct.pack("<I", random.choice(EXTREMES))
    return bytes(body[: random.randrange(4, len(body) + 1) // 4 * 4 or 4] if random.random() < 0.3 else body)


def _anything(random: Random) -> bytes:
    return struct.pack("<I", random.choice(ALL).CONSTRUCTOR_ID) + words(random)


def _service(random: Random) -> bytes:
    return struct.pack("<I", random.choice(sorted(SERVICE))) + words(random)


def _packed(data: bytes) -> bytes:
    return struct.pack("<I", GzipPacked.CONSTRUCTOR_ID) + pack_bytes(data)


def _bomb(random: Random) -> bytes:
    inside = _packed(random.choice([*BOMBS, b"no gzip", BOMBS[0][:20]]))
    if random.random() < 0.5:
        return inside
    return struct.pack("<Ii", functions.InvokeWithLayerRequest.CONSTRUCTOR_ID, 229) + inside


def _nested(random: Random) -> bytes:
    depth = random.choice([1, 40, 3_000, 10_000])
    wrapper = random.choice(
        [
            struct.pack("<Ii", functions.InvokeWithLayerRequest.CONSTRUCTOR_ID, 229),
            struct.pack("<I", functions.InvokeWithoutUpdatesRequest.CONSTRUCTOR_ID),
            struct.pack("<Ii", 0x1CB5C415, random.choice([1, 2**31 - 1])),
        ]
    )
    return wrapper * depth + bytes(functions.help.GetConfigRequest())


def _endless(random: Random) -> bytes:
    """A container inside of a method, whose only message says that the next one begins where it began."""
    inside = struct.pack("<IiqiiI", MessageContainer.CONSTRUCTOR_ID, 2**31 - 1, 4, 1, -16, 0x997275B5)
    wrapper = random.choice([functions.InvokeWithLayerRequest, functions.InvokeWithTakeoutRequest])
    return struct.pack("<Iq", wrapper.CONSTRUCTOR_ID, 229)[: 8 if "Layer" in wrapper.__name__ else 12] + inside


def _container(random: Random, msg_id: int) -> bytes:
    count = random.choice([0, 1, 2, 1024, 1025, -1, 2**31 - 1])
    parts = b""
    for _ in range(random.randrange(4)):
        body = random.choice([_spoiled, _anything, _service, _bomb])(random)
        length = random.choice([len(body), len(body), len(body), len(body) + 4, -16, 0, 2**31 - 1, -(2**31)])
        number = random.choice([msg_id - 8, msg_id - 4, msg_id, msg_id + 4, msg_id - 3, -1, 0])
        parts += struct.pack("<qii", number, random.choice([0, 1, 2, 3, -1, 2**31 - 1]), length) + body
    head = struct.pack("<Ii", MessageContainer.CONSTRUCTOR_ID, count)
    # as the argument of a method it reaches the codec, which would follow its lengths backwards
    around = struct.pack("<Ii", functions.InvokeWithLayerRequest.CONSTRUCTOR_ID, 229) if random.random() < 0.3 else b""
    return around + head + parts


BODIES: list[Callable[[Random], bytes]] = [
    method, method, method, method, _spoiled, _spoiled, _anything, _service, _bomb, _nested, _endless, words,
]  # fmt: skip


def message(random: Random, state: Any) -> bytes:
    """One encrypted packet of whoever `state` (Telethon's) belongs to, wrong in one way or another."""
    msg_id = state._get_new_msg_id()
    body = _container(random, msg_id) if random.random() < 0.15 else random.choice(BODIES)(random)
    sequence = state._get_seq_no(True) if random.random() < 0.9 else random.randrange(-4, 9)  # noqa: FBT003
    length = len(body)
    if random.random() < 0.1:
        msg_id = random.choice([0, -4, msg_id + (60 << 32), msg_id - (900 << 32), msg_id + 1, 2**63 - 4])
    if random.random() < 0.05:
        length = random.choice([0, -4, 3, length + 4, length + 1200, 2**31 - 1])
    salt, session = state.salt, state.id
    if random.random() < 0.05:
        salt, session = random.randrange(2**63), random.randrange(2**63)
    packet = _encrypted(state, struct.pack("<qqqii", salt, session, msg_id, sequence, length) + body, random)
    if random.random() < 0.1:
        at = random.randrange(len(packet))
        packet = packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :]
    if random.random() < 0.05:
        packet = packet[: random.randrange(8, len(packet)) // 4 * 4]
    return packet


def _encrypted(state: Any, plain: bytes, random: Random) -> bytes:
    padding = random.randbytes(-(len(plain) + 12) % 16 + 12 + random.choice([0] * 20 + [16, 1008, 1024, 4096]))
    if random.random() < 0.03:
        padding = padding[: random.randrange(12) // 16 * 16]
    plain += padding
    plain += bytes(-len(plain) % 16)
    key = state.auth_key
    msg_key = sha256(key.key[88:120] + plain).digest()[8:24]
    aes_key, aes_iv = state._calc_key(key.key, msg_key, client=True)
    return struct.pack("<Q", key.key_id) + msg_key + bytes(AES.encrypt_ige(plain, aes_key, aes_iv))


def exchange(random: Random) -> bytes:
    """One unencrypted packet: a step of the key exchange at the wrong time or with anything in it."""
    steps = [
        functions.ReqPqRequest, functions.ReqPqMultiRequest, functions.ReqDHParamsRequest,
        functions.SetClientDHParamsRequest, types.MsgsAck, types.PQInnerDataDc, functions.help.GetConfigRequest,
    ]  # fmt: skip
    body = random.choice([_object(random, steps), _spoiled(random), words(random)])
    length = random.choice([len(body), len(body), len(body), 0, len(body) - 4, 2**31 - 1, 2**32 - 1]) % 2**32
    return bytes(8) + struct.pack("<qI", random.randrange(2**62), length) + body
