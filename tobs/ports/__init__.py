"""The ports: every seam of an export, in the order in which data passes them.

What moves is a `Batch` (a history page of at most 100 messages) or a `Part` of a file, never one message.
A port is a plain async callable or a small protocol; its baseline lives in `tobs.engine` (or in `tobs.telegram`
and `tobs.archive`, where it needs their library). A **slot** holds one strategy, **layers** wrap one another in
a fixed order of bands.

What passes them stands in `tobs.values`, but for the two values that name a port, `Range` and `Call`. Times are
seconds, sizes bytes. Every name is imported from here; the modules only group them.
"""

from tobs.ports.files import Disk, Journal, Note, Sink, Syncs
from tobs.ports.history import ArchiveWrite, Filter, Range, Ranges, Source, Write
from tobs.ports.media import Agenda, Closes, Drains, Fetch, FetchBand, Lanes, Parts, ReadPart, Submit, Transform
from tobs.ports.requests import Call, Dial, Invoke, InvokeBand, Pool, Sender
from tobs.ports.run import Budget, Context, Flow, Ledger, Probe, Runner, State

__all__ = [
    "Agenda",
    "ArchiveWrite",
    "Budget",
    "Call",
    "Closes",
    "Context",
    "Dial",
    "Disk",
    "Drains",
    "Fetch",
    "FetchBand",
    "Filter",
    "Flow",
    "Invoke",
    "InvokeBand",
    "Journal",
    "Lanes",
    "Ledger",
    "Note",
    "Parts",
    "Pool",
    "Probe",
    "Range",
    "Ranges",
    "ReadPart",
    "Runner",
    "Sender",
    "Sink",
    "Source",
    "State",
    "Submit",
    "Syncs",
    "Transform",
    "Write",
]
