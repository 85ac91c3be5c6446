"""deferred_media: all messages are in, and the archive readable, long before the media."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="deferred_media",
    summary="Messages do not wait for media: these come beside and after the history, with fresh file references.",
    load="tobs_deferred_media.plugin:DeferredMedia",
    knobs=(
        Knob(
            "backlog",
            20_000,
            "Files that may wait in memory; what is more waits in the archive until all messages are in.",
            low=0,
            high=1_000_000,
            unit="files",
        ),
        Knob(
            "start",
            "now",
            "When media begin: now (while history is read) or after it (when all messages are in).",
            choices=("now", "after"),
        ),
        Knob(
            "refresh_after",
            1800.0,
            "Age from which file references are read again, a hundred messages at once, before they are used.",
            low=0,
            high=86_400,
            unit="s",
            tune=False,
        ),
    ),
    expects=(
        Expectation("time_to_all_messages", "down", 0.2, 0.3, "mixed_home", ("baseline", "baseline +deferred_media")),
        Expectation("bytes_per_second", "up", 0.2, 0.3, "mixed_home", ("baseline", "baseline +deferred_media")),
    ),
)
