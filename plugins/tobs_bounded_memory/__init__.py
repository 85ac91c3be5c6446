"""bounded_memory: the whole run within a number of megabytes, by back-pressure and by giving memory back."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="bounded_memory",
    summary="Keeps the process within a number of MB: pages and parts wait for room, and what is free is given back.",
    load="tobs_bounded_memory.plugin:BoundedMemory",
    provides=("budget",),
    knobs=(
        Knob(
            "memory_mb",
            256,
            "Resident memory of the process that is aimed at; the program itself takes some 70 MB of it.",
            low=16,
            high=16_384,
            log=True,
            unit="MB",
            tune=False,
        ),
        Knob(
            "database_mb",
            2,
            "Memory for the pages of the database.",
            low=1,
            high=256,
            log=True,
            unit="MB",
        ),
    ),
    expects=(
        Expectation("peak_rss", "down", 0.2, 0.3, "million_loopback", ("all -bounded_memory", "all")),
        Expectation("peak_rss", "down", 0.2, 0.3, "media_home", ("all -bounded_memory", "all")),
    ),
)
