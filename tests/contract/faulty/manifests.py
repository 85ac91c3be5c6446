"""Manifests of the plugins here; their entry points are made by the tests."""

from tobs.api import Expectation, Knob, Manifest

HERE = "tests.contract.faulty"

drops = Manifest(
    "drops",
    "Loses a message of every page where it is turned up.",
    f"{HERE}.history:Drops",
    knobs=(Knob("amount", 1, "How many.", low=0, high=2),),
    provides=("write",),
    default=False,
)
hurries = Manifest(
    "hurries", "Keeps a span before its messages.", f"{HERE}.history:Hurries", provides=("write",), default=False
)
swallows = Manifest(
    "swallows", "Goes on after a failure.", f"{HERE}.history:Swallows", provides=("runner",), default=False
)
flips = Manifest("flips", "Changes a byte on its way.", f"{HERE}.files:Flips", default=False)
misplaces = Manifest(
    "misplaces", "Writes other bytes than it is given.", f"{HERE}.files:Misplaces", provides=("disk",), default=False
)
repeats = Manifest("repeats", "Asks for every part twice.", f"{HERE}.files:Repeats", provides=("parts",), default=False)
hammers = Manifest("hammers", "Asks again while it must wait.", f"{HERE}.around:Hammers", default=False)
leaves = Manifest("leaves", "Leaves a task behind.", f"{HERE}.around:Leaves", default=False)
hangs = Manifest("hangs", "Waits for nothing.", f"{HERE}.around:Hangs", default=False)
raises = Manifest("raises", "Raises.", f"{HERE}.around:Raises", default=False)
exchanged = Manifest(
    "exchanged",
    "Has a knob with its ends exchanged.",
    f"{HERE}.around:Raises",
    knobs=(Knob("ends", 5, "What for.", low=5, high=1),),
    default=False,
)
wordless = Manifest("wordless", "Does not help.", f"{HERE}.around:Raises", knobs=(Knob("tea", 1, ""),), default=False)
elsewhere = Manifest(
    "elsewhere",
    "Promises what it has no part in.",
    f"{HERE}.around:Raises",
    expects=(Expectation("seconds", "down", 0.1, 0.9, "text_far", ("baseline", "baseline")),),
    default=False,
)
