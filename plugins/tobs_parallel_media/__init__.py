"""parallel_media: several files and several parts of a large file at once, small files first."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="parallel_media",
    summary="Files and parts fill the room of each data centre; small files first, a large one beside them.",
    load="tobs_parallel_media.plugin:ParallelMedia",
    provides=("agenda", "parts"),
    knobs=(
        Knob("files", 0, "Files at once from one data centre; 0: as many as fill its room.", low=0, high=64),
        Knob("parts", 0, "Parts of one file in flight at most; 0: as many as its data centre has room for.", 0, 64),
        Knob(
            "reserve",
            0.125,
            "Share of a data centre's room that its largest waiting file has while small ones go first.",
            low=0.0,
            high=0.5,
        ),
        Knob("backlog", 2000, "Files that may wait before history has to.", low=1, high=10_000, log=True, unit="files"),
        Knob(
            "ageing",
            1_000_000,
            "Bytes by which a second of waiting makes a file count as smaller; 0 lets large files wait for ever.",
            low=0,
            high=1_000_000_000,
            unit="bytes/s",
        ),
        Knob(
            "shares",
            "",
            "Weights of media kinds, for example photo=2,video_file=1; a kind that is not named weighs 1.",
            tune=False,
        ),
    ),
    expects=(
        Expectation("bytes_per_second", "up", 0.15, 20.0, "media_home", ("baseline", "baseline +parallel_media")),
        Expectation(
            "time_to_half_of_files", "down", 0.15, 0.99, "media_home", ("baseline", "baseline +parallel_media")
        ),
    ),
)
