"""disk_io: fewer and larger writes, files that end together synced and settled together, all in threads."""

from tobs.api import Expectation, Knob, Manifest

manifest = Manifest(
    name="disk_io",
    summary="Gathers writes in threads, syncs and settles files that end together at once, and tunes SQLite.",
    load="tobs_disk_io.plugin:DiskIO",
    provides=("disk", "write"),
    knobs=(
        Knob(
            "gather_kb",
            2048,
            "Bytes of a file that are gathered for one write.",
            low=4,
            high=65_536,
            log=True,
            unit="KB",
        ),
        Knob("buffer_mb", 32, "Bytes of all files that may wait to be written.", low=1, high=1024, log=True, unit="MB"),
        Knob("threads", 4, "Threads that write; half of them may sync.", low=1, high=16, log=True, unit="threads"),
        Knob(
            "group",
            3,
            "Files that end together from which on one sync of the file system serves all (Linux); 0: never.",
            low=0,
            high=64,
            unit="files",
        ),
        Knob(
            "linger_ms", 5, "Time a finished file may wait for others to be settled with.", low=0, high=1000, unit="ms"
        ),
        Knob("batch", 64, "Files settled in one transaction at most.", low=1, high=1000, log=True, unit="files"),
        Knob(
            "preallocate_mb",
            8,
            "Size from which on a file's space is taken before it comes; 0: never (Linux).",
            low=0,
            high=4096,
            unit="MB",
        ),
        Knob(
            "direct_mb",
            8,
            "Size from which on a file is written past the page cache (O_DIRECT); 0: never (Linux).",
            low=0,
            high=4096,
            unit="MB",
        ),
        Knob(
            "page_kb",
            16,
            "Page size of a new archive's database, rounded down to a power of two.",
            low=1,
            high=64,
            log=True,
            unit="KB",
        ),
        Knob(
            "log_mb",
            32,
            "Length of SQLite's log at which it is moved into the database.",
            low=1,
            high=1024,
            log=True,
            unit="MB",
        ),
        Knob(
            "journal",
            "wal",
            "SQLite's journal; with truncate nobody can read the archive during a commit, and each is synced.",
            choices=("wal", "truncate"),
            tune=False,
        ),
        Knob(
            "synchronous",
            "normal",
            "SQLite's syncs; with full no commit is lost in a power cut.",
            choices=("normal", "full"),
            tune=False,
        ),
    ),
    expects=(
        Expectation("io_calls", "down", 0.1, 0.99, "files_loopback", ("all -disk_io", "all")),
        Expectation("wall", "down", 0.1, 0.99, "files_loopback", ("all -disk_io", "all")),
    ),
)
