"""Names of files: decided by the file alone, and harmless on every file system whatever the network says."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.archive.rows import photo
from tobs.archive.naming import FOLDERS, LONGEST, base36, place

if TYPE_CHECKING:
    from tobs.values import MediaRef

RESERVED = {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9", "CONIN$"}
HOSTILE = st.one_of(
    st.text(max_size=400),
    st.text(alphabet='./\\:*?"<>| \u202e\u200f\x00\x1f\n~$aA\u0301é🎉', max_size=400),
    st.sampled_from(["../../etc/passwd", "CON", "con.txt", "COM1.tar.gz", "a" * 300 + ".pdf", "…" * 200, ". .", "x."]),
)


def ref(name: str | None, kind: str = "file", mime: str = "application/pdf", file_id: int = 35) -> MediaRef:
    return photo(1, file_id)._replace(kind=kind, name=name, mime=mime)


@pytest.mark.parametrize(
    ("given_ref", "expected"),
    [
        (photo(1, 35), "media/photos/photo_2024-01-31_12-00-00_z.jpg"),
        (ref("Report.PDF"), "media/files/Report_z.PDF"),
        (ref("archive.tar.gz"), "media/files/archive.tar_z.gz"),
        (ref("no extension"), "media/files/no extension_z.pdf"),
        (ref("README", mime="application/octet-stream"), "media/files/README_z"),
        (ref(None, "voice_message", "audio/ogg"), "media/voice_messages/audio_2024-01-31_12-00-00_z.ogg"),
        (ref(None, "video_message", "video/mp4"), "media/round_video_messages/video_2024-01-31_12-00-00_z.mp4"),
        (ref("song.mp3", "audio_file"), "media/files/song_z.mp3"),
        (ref("../../etc/passwd"), "media/files/_.._etc_passwd_z.pdf"),
        (ref("CON"), "media/files/_CON_z.pdf"),
        (ref("nul.tar.gz"), "media/files/_nul.tar_z.gz"),
        (ref("gpj.\u202eexe.txt"), "media/files/gpj.exe_z.txt"),
        (ref("..."), "media/files/file_2024-01-31_12-00-00_z.pdf"),
        (ref("x", file_id=-1), "media/files/x_3w5e11264sgsf.pdf"),
    ],
)
def test_names_are_telegram_desktops_and_end_in_the_files_id(given_ref: MediaRef, expected: str) -> None:
    assert place(given_ref) == expected


@given(HOSTILE, st.sampled_from([*FOLDERS, "audio_file", "file", "unheard_of"]), st.integers(-(1 << 63), (1 << 63) - 1))
@example("a\u200d\u0301.pdf", "file", 1)
@example(".part", "file", 1)
def test_no_name_leaves_its_folder_or_harms_a_file_system(name: str, kind: str, file_id: int) -> None:
    path = place(ref(name, kind, file_id=file_id))
    media, folder, last = PurePosixPath(path).parts
    assert media == "media"
    assert folder in {*FOLDERS.values(), "files"}
    assert len(last.encode()) <= LONGEST
    assert unicodedata.is_normalized("NFC", last)
    assert not last.startswith((".", " "))
    assert not last.endswith((".", " "))
    assert not set('/\\:*?"<>|\t\n\r') & set(last)
    assert all(unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in last)
    assert last.split(".")[0].rstrip().upper() not in RESERVED
    assert PureWindowsPath(last).name == last
    assert base36(file_id) in last


@given(HOSTILE, st.integers(1, 9), st.integers(1, 9))
def test_a_name_depends_on_the_file_alone(name: str, first: int, second: int) -> None:
    one = ref(name)._replace(message_id=first, chat_id=1, reference=b"a", access_hash=4)
    two = ref(name)._replace(message_id=second, chat_id=2, reference=b"b", access_hash=5)
    assert place(one) == place(two)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_base36_is_a_number_again(number: int) -> None:
    assert int(base36(number), 36) == number % (1 << 64)


@given(HOSTILE, st.integers(), st.integers())
def test_two_files_never_share_a_name(name: str, first: int, second: int) -> None:
    if (first - second) % (1 << 64):
        one, two = place(ref(name, file_id=first)), place(ref(name, file_id=second))
        assert one.casefold() != two.casefold()
