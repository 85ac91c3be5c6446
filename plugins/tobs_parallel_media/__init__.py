"""parallel_media: several files and several parts of a large file at once, small files first."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="parallel_media",
    summary="Several files and parts in flight; small files first, large ones in parallel parts, kinds share fairly.",
    load="tobs_parallel_media.plugin:ParallelMedia",
    provides=("agenda", "parts"),
    knobs=(
        Knob("files", 12, "Files at once from one data centre.", low=1, high=64, log=True, unit="files"),
        Knob("parts", 0, "Parts of one file in flight; 0 fills its data centre's connections.", low=0, high=64),
        Knob("backlog", 200, "Files that may wait before history has to.", low=1, high=10_000, log=True, unit="files"),
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
