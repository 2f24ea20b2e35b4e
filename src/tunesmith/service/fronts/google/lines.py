"""What the processes of a job printed, in the order in which it came here.

What is printed goes to files, and a line has no time of its own. So whoever asks for lines has the files looked
at, and what is new in one of them is noted in the job's ledger, with the time at which the file was last
written: at that moment, at the latest, the lines were there. What is noted stays, and what is new gets a later
time than all that was noted before. So who has read up to some moment and asks for what is later, misses
nothing and is told nothing twice, however many ask and however often.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from tunesmith.execution.workdir import study_directory
from tunesmith.service.call import Call
from tunesmith.service.fronts.google.orders import papers_of, trials_folder
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.web import task_names
from tunesmith.service.jobs import job_folder
from tunesmith.storage.jobs import Job

__all__ = ["SERVICE", "Block", "Line", "Source", "blocks_of", "lines_of", "look", "sources_of"]

SERVICE = "service"
"""The task whose lines are the job's own."""

_PIECE = 2**17
_LONGEST = 2**16  # of a line that has not ended, after which it counts as one
_DIRECTORY = re.compile(
    r"(\d+)(?:-attempt-\d+(?:\.\d+)?)?"
)  # of an attempt; see `execution.workdir`
_FILE = re.compile(r"(stdout|stderr)(?:-(.+))?")

Severity = Literal["INFO", "ERROR"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file with what one process printed.

    Attributes:
        path: The file; another attempt of its trial may move it, and it stays the same source.
        task: The process: a replica's name, or `SERVICE`.
        trial: The trial's number; 0 for a job's own, or one that tunes nothing.
        severity: How the service would mark its lines.
    """

    path: Path
    task: str
    trial: int
    severity: Severity


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of a source that were noted together.

    Attributes:
        at: When they were here, in microseconds since the epoch.
        serial: The source's place among the sources of its job.
        begin: Where they begin in the file.
        end: Where they end.
        source: The source.
    """

    at: int
    serial: int
    begin: int
    end: int
    source: Source


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line.

    Attributes:
        at: When it was here, in microseconds since the epoch.
        serial: The source's place among the sources of its job.
        begin: Where it begins in the file.
        text: What it says.
    """

    at: int
    serial: int
    begin: int
    text: str = ""


def blocks_of(call: Call, paper: Paper, job: Job, *, now: int) -> Sequence[Block]:
    """Return all that a job and its trials have printed so far, in order.

    Args:
        call: The request.
        paper: The job.
        job: The server's job, as it was before.
        now: The time, in microseconds since the epoch.
    """
    ledger = papers_of(call).ledger(paper)
    return look(ledger, sources_of(call, paper, job), now=now, ended=job.has_ended)


def sources_of(call: Call, paper: Paper, job: Job) -> Sequence[Source]:
    """Return the files with what a job and its trials have printed."""
    folder = job_folder(call.parts, job)
    found = [Source(folder / name, SERVICE, 0, "INFO") for name in ("stdout", "stderr")]
    if not paper.study:
        return found
    primary = task_names(paper)[0]
    root = trials_folder(call.parts, call.caller.project)
    for place in sorted(study_directory(root, paper.study).glob("*/std*")):
        directory, file = _DIRECTORY.fullmatch(place.parent.name), _FILE.fullmatch(place.name)
        if directory and file and _is_of(place, paper):
            number = int(directory[1]) if paper.tunes else 0
            severity: Severity = "ERROR" if file[1] == "stderr" else "INFO"
            found.append(Source(place, file[2] or primary, number, severity))
    return found


def _is_of(place: Path, paper: Paper) -> bool:
    """Return whether a file is not one that a deleted job of that name has left."""
    try:
        return place.lstat().st_mtime >= paper.created
    except OSError:
        return False


def _opened(path: Path) -> BinaryIO:
    """Open a file for reading; its program may have put a link or a pipe in its place."""
    safely = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.fdopen(os.open(path, safely), "rb")


def look(ledger: Path, sources: Sequence[Source], *, now: int, ended: bool) -> Sequence[Block]:
    """Note what is new in files, and return all that is known of them, in order.

    Args:
        ledger: The file in which it is noted; made by the first look.
        sources: The files.
        now: The time, in microseconds since the epoch.
        ended: Whether nothing more will be printed, so that a last line needs no end.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        notes = _Notes(_read(file))
        found = {}
        for source in sources:
            try:
                with _opened(source.path) as printed:
                    status = os.fstat(printed.fileno())
                    # A file that is moved stays the same; an attempt's that takes its place does not.
                    name = f"{source.trial} {source.path.name} {status.st_ino}"
                    cuts = list(_cuts(printed, notes.end(name), status.st_size, ended=ended))
            except OSError:
                continue
            notes.add(name, cuts, min(status.st_mtime_ns // 1000, now))
            found[name] = source
        for note in notes.new:
            file.write(json.dumps(note).encode() + b"\n")
    return sorted(notes.blocks(found), key=lambda block: (block.at, block.serial, block.begin))


class _Notes:
    """What a ledger says: of each file, up to where it was read when."""

    def __init__(self, known: Sequence[tuple[str, int, int]]) -> None:
        self._all = list(known)
        self._known = len(known)
        self._ends = {name: end for name, end, _ in known}
        self._latest = max((at for _, _, at in known), default=-1)

    @property
    def new(self) -> Sequence[tuple[str, int, int]]:
        """What the ledger did not say before."""
        return self._all[self._known :]

    def end(self, name: str) -> int:
        """Return up to where a file was read."""
        return self._ends.get(name, 0)

    def add(self, name: str, cuts: Sequence[int], at: int) -> None:
        """Note that a file was read up to each of several places."""
        # What is new came after all that was noted at an earlier look, whatever the clocks say.
        self._all += [(name, cut, max(at, self._latest + 1)) for cut in cuts]

    def blocks(self, sources: dict[str, Source]) -> Iterator[Block]:
        """Give the lines of files that are there."""
        serials: dict[str, int] = {}
        begins: dict[str, int] = {}
        for name, end, at in self._all:
            serial = serials.setdefault(name, len(serials))
            begin, begins[name] = begins.get(name, 0), end
            if name in sources:
                yield Block(at, serial, begin, end, sources[name])


def _read(file: BinaryIO) -> list[tuple[str, int, int]]:
    """Return what a ledger says; what a crash has left half written is cut off."""
    file.seek(0)
    data = file.read()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        file.truncate(whole)
    return [(name, end, at) for name, end, at in map(json.loads, data[:whole].splitlines())]


def _cuts(file: BinaryIO, begin: int, size: int, *, ended: bool) -> Iterator[int]:
    """Give the places at which what is new in a file is cut into pieces of whole lines."""
    while begin < size:
        upto = min(begin + _PIECE, size)
        start = max(begin, upto - _LONGEST)
        file.seek(start)
        newline = file.read(upto - start).rfind(b"\n")
        if newline >= 0:
            begin = start + newline + 1
        elif upto == size and not ended and size - begin < _LONGEST:
            return
        else:
            begin = upto
        yield begin


def lines_of(block: Block) -> list[Line]:
    """Return the lines of a block; raise `FileNotFoundError` if its file has just been moved."""
    with _opened(block.source.path) as file:
        file.seek(block.begin)
        data = file.read(block.end - block.begin)
    found, place = [], block.begin
    for line in data.split(b"\n"):
        text = line.removesuffix(b"\r").decode(errors="replace")
        found.append(Line(block.at, block.serial, place, text))
        place += len(line) + 1
    return found[:-1] if data.endswith(b"\n") else found
