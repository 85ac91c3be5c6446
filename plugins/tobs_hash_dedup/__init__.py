"""hash_dedup: a file whose content is in the archive under another id is not downloaded again."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="hash_dedup",
    summary="Compares a file's block hashes with stored files of its size; what is here under another id is kept once.",
    load="tobs_hash_dedup.plugin:HashDedup",
    knobs=(
        Knob("min_kb", 32, "Smallest file whose hashes are asked for.", low=1, high=1_000_000, log=True, unit="KB"),
        Knob(
            "ahead",
            4,
            "Requests for one file's hashes at once, 1 MB of it each.",
            low=1,
            high=32,
            log=True,
            unit="requests",
        ),
        Knob(
            "waiting",
            8,
            "Files that may wait at once for one in motion that looks equal.",
            low=0,
            high=64,
            unit="files",
        ),
    ),
    expects=(Expectation("bytes_received", "down", 0.1, 0.2, "duplicates_home", ("baseline", "baseline +hash_dedup")),),
)
