"""What a running server is made of, and how its routes come by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.service.access import Access
from tunesmith.service.analyses import Analyses
from tunesmith.service.desk import Desk
from tunesmith.service.figures import Figures
from tunesmith.service.settings import Settings
from tunesmith.service.shelves import Shelves
from tunesmith.service.turns import Turns
from tunesmith.service.watch import Watch
from tunesmith.storage import ServedStorage
from tunesmith.storage.jobs import Job

__all__ = ["Launch", "Parts"]

Launch = Callable[[Job], tuple[Sequence[str], Mapping[str, str]]]


@dataclass(slots=True)
class Parts:
    """A server's parts; routes have them as ``call.parts``.

    Attributes:
        storage: Where the studies of all projects are.
        settings: How the server was started.
        access: Knows the tokens.
        shelves: The files of all projects.
        desk: Serves those who tune over HTTP.
        figures: Counts what the server does, for those who watch over it.
        analyses: Makes those that take seconds.
        watch: Tells of studies that have changed.
        turns: Whose turn it is to think, for those who think themselves.
        starts: What is called when it starts, in order; threads belong here.
        stops: What is called when it ends, in the opposite order.
        chores: What is called every few minutes, each in a thread.
        launches: How jobs are run that are no study's file, by the name of their file: each returns the
            words of a command and variables for it.
        is_ready: Whether new requests are welcome.
        address: By which URL programs on this machine reach the server; known once it listens.
    """

    storage: ServedStorage
    settings: Settings
    access: Access
    shelves: Shelves
    figures: Figures
    desk: Desk
    analyses: Analyses = field(default_factory=Analyses)
    watch: Watch = field(default_factory=Watch)
    turns: Turns = field(default_factory=Turns)
    starts: list[Callable[[], None]] = field(default_factory=list)
    stops: list[Callable[[], None]] = field(default_factory=list)
    chores: list[Callable[[], object]] = field(default_factory=list)
    launches: dict[str, Launch] = field(default_factory=dict)
    is_ready: bool = True
    address: str = ""
