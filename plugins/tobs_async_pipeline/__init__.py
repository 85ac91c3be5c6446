"""async_pipeline: several history requests in flight, and fetch, normalise, commit and media overlapped."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="async_pipeline",
    summary="Several history requests in flight; fetch, normalise, commit and media overlap through bounded queues.",
    load="tobs_async_pipeline.plugin:AsyncPipeline",
    provides=("source", "runner"),
    knobs=(
        Knob("depth", 0, "History requests in flight; 0 sets it from the first page's round trip.", low=0, high=64),
        Knob("page_queue", 0, "Pages that may wait to be normalised; 0 finds it.", low=0, high=256, unit="pages"),
        Knob("batch_queue", 0, "Batches that may wait to be committed; 0 finds it.", low=0, high=256, unit="batches"),
        Knob(
            "media_queue",
            0,
            "Batches whose media may wait to be accepted; 0 finds it.",
            low=0,
            high=256,
            unit="batches",
        ),
    ),
    expects=(
        Expectation("messages_per_second", "up", 0.5, 20.0, "text_far", ("baseline", "baseline +async_pipeline")),
        Expectation("page_latency", "down", 0.3, 0.99, "text_far", ("baseline", "baseline +async_pipeline")),
    ),
)
