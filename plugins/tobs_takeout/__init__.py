"""takeout: the run's requests inside one takeout session, and private chats by the server's split ranges."""

from tobs.api import Expectation, Knob, Manifest

ARMS = ("baseline", "baseline +takeout")

manifest = Manifest(
    name="takeout",
    summary="Exports inside a takeout session, whose limits are wider; you allow it once on another of your devices.",
    load="tobs_takeout.plugin:Takeout",
    knobs=(
        Knob(
            "required", default=False, help="Fail where no takeout can be had, rather than go on without.", tune=False
        ),
        Knob("ranges", default=True, help="Read private chats and basic groups by the server's split ranges."),
    ),
    default=False,
    expects=(Expectation("messages_per_second", "up", 0.1, 0.2, "text_flood_x1_5", ARMS),),
)
