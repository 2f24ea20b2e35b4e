"""A job's file that tunes nothing, in ``run``: its job runs once, in front of the person who started it."""

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, pass_on, say
from tunesmith.cli.plan import Overrides, source_folders
from tunesmith.cli.printed import STREAMS
from tunesmith.cli.site import JobSite, SiteChoice, open_site
from tunesmith.errors import StorageError
from tunesmith.execution import Ended, Outcome
from tunesmith.execution.cluster import replicas
from tunesmith.execution.single import NOTHING, ONLY, SingleRun
from tunesmith.reporting import duration, iso_time, json_text
from tunesmith.specs.google import SingleJob
from tunesmith.study.worker import own_name

if TYPE_CHECKING:
    from tunesmith.storage.manifest import Stream

__all__ = ["JOBS", "open_single", "run_single"]

JOBS = "jobs"
"""The folder for the files of such jobs; no study has it."""

_MOST_BYTES = 1 << 20
_STATUS = re.compile(r"exit status (\d+)\b")
_DIED = re.compile(r"(?:died by|killed from outside by|preempted:) (SIG\w+)\b")


def open_single(
    single: SingleJob,
    file: Path,
    wanted: Overrides,
    choice: SiteChoice,
    *,
    root: Path,
    environments: Path | None = None,
) -> AbstractContextManager[JobSite]:
    """Find all that the job needs; see `open_site`.

    Args:
        single: The job.
        file: Its file.
        wanted: What options say instead.
        choice: What they say of this machine.
        root: The folder for trials' files.
        environments: The folder for environments with packages; one in ``root`` if None.
    """
    return open_site(
        single.job,
        single.program,
        choice.before(single.site),
        root=root,
        environments=environments or root / "environments",
        folders=source_folders(file, wanted),
    )


def run_single(site: JobSite, name: str, *, root: Path, as_json: bool, quiet: int) -> int:
    """Run a job once, show what it prints as it prints it, and return its primary's exit status.

    Args:
        site: The job, with all that it needs.
        name: What it is called; the next free number is added if there is such a job, or has been.
        root: The folder for trials' files.
        as_json: Whether to print events as JSON lines.
        quiet: 1 for the last line only, 2 for nothing.
    """
    began = time.monotonic()
    place = root / JOBS
    name = _take_name(place / "trials", name)
    worker = own_name()
    executor = site.executor(study=name, spec=NOTHING, root=place, worker=worker, tuning=False)
    directory = executor.directory(ONLY.number)
    tell = _tell_events(name) if as_json else _tell_plainly(quiet)
    if as_json:
        _event("job_started", job=name, directory=str(directory))
    elif not quiet:
        say(f"tunesmith: job {name} runs once, in {directory}")
    names = [member.name for member in replicas(site.job)]
    output = _Output(directory, names, tell, in_lines=as_json)
    single = SingleRun(
        executor, retries=site.program.retries, look=output.copy, again=output.begin_again
    )
    with _signals(single) as signals:
        ended = single.run()
    output.copy(whole=True)
    status = _exit_status(ended, signals)
    took_s = time.monotonic() - began
    if as_json:
        ending = {"outcome": ended.outcome.name.lower(), "reason": ended.reason}
        _event("job_finished", job=name, **ending, exit_status=status, took_s=round(took_s, 3))
    elif quiet < 2:
        how = f": {ended.reason}" if ended.reason else ""
        say(f"tunesmith: job {name} {_WORDS[ended.outcome]} after {duration(took_s)}{how}")
    return status


_WORDS = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.INFEASIBLE: "failed",
    Outcome.STOPPED: "was stopped",
    Outcome.PAUSED: "was stopped",
    Outcome.PREEMPTED: "was stopped",
    Outcome.INTERRUPTED: "was stopped",
    Outcome.LOST: "failed",
}


def _take_name(folder: Path, name: str) -> str:
    """Return the first free one of ``name``, ``name-2``, …, and make its folder: nobody else gets it."""
    for number in count(1):
        numbered = name if number == 1 else f"{name}-{number}"
        try:
            (folder / numbered).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            msg = f"Can't write to the jobs' folder {folder}: {error.strerror}."
            raise StorageError(msg) from error
        return numbered
    raise AssertionError


def _exit_status(ended: Ended, signals: "_Signals") -> int:
    """Return the primary's exit status, or 128 and the signal it died by; 5 where it has none of its own."""
    if ended.outcome is Outcome.SUCCEEDED:
        return Exit.DONE
    if ended.outcome is Outcome.INTERRUPTED:
        return Exit.TERMINATED if signals.terminated else Exit.INTERRUPTED
    if (match := _STATUS.match(ended.reason)) is not None:
        return int(match[1])
    if (match := _DIED.match(ended.reason)) is not None:
        return 128 + signal.Signals[match[1]]
    return Exit.STUDY_FAILED


# What it prints

_Tell = Callable[[str, "Stream", bytes], None]


@dataclass(slots=True)
class _Output:
    """Copies what replicas have printed since the last look.

    Attributes:
        directory: Where their files are.
        replicas: Their names, the primary's first.
        tell: Takes what one of them has printed.
        in_lines: Whether the primary's output, too, is only passed on in whole lines.
    """

    directory: Path
    replicas: Sequence[str]
    tell: _Tell
    in_lines: bool
    _places: dict[tuple[str, str], int] = field(default_factory=dict)

    def copy(self, *, whole: bool = False) -> None:
        """Pass on what is new; unless all of it is wanted, a last line that is not finished has to wait."""
        for name in self.replicas:
            for stream in STREAMS:
                self._copy(name, stream, whole=whole)

    def begin_again(self, reason: str) -> None:
        """Say that the job starts again, whose files begin anew."""
        self.copy(whole=True)
        self._places.clear()
        say(f"tunesmith: {reason}; it starts again")

    def _copy(self, name: str, stream: "Stream", *, whole: bool) -> None:
        primary = name == self.replicas[0]
        path = self.directory / (stream if primary else f"{stream}-{name}")
        while True:
            place = self._places.get((name, stream), 0)
            try:
                with path.open("rb") as file:
                    file.seek(place)
                    data = file.read(_MOST_BYTES)
            except FileNotFoundError:
                return
            # A line of the primary may stand unfinished, such as that of a progress bar.
            is_piece = len(data) == _MOST_BYTES
            if is_piece or (not whole and (self.in_lines or not primary)):
                end = data.rfind(b"\n") + 1
                data = data[:end] if end or not is_piece else data
            if not data:
                return
            self._places[name, stream] = place + len(data)
            self.tell("" if primary else name, stream, data)


def _tell_plainly(quiet: int) -> _Tell:
    """Return what prints the primary's output as it is, and that of others with their names."""

    def tell(name: str, stream: "Stream", data: bytes) -> None:
        if quiet:
            return
        if name:
            lines = data.splitlines(keepends=True)
            data = b"".join(f"{name}: ".encode() + line for line in lines)
        pass_on(data, sys.stdout if stream == "stdout" else sys.stderr)

    return tell


def _tell_events(job: str) -> _Tell:
    def tell(name: str, stream: "Stream", data: bytes) -> None:
        text = data.decode(errors="replace")
        _event("job_printed", job=job, replica=name, stream=stream, text=text)

    return tell


def _event(event: str, **fields: object) -> None:
    head = {"schema": "tunesmith.events/1", "event": event, "time": iso_time(time.time())}
    out(json_text({**head, **fields}))


# Signals


class _Signals:
    """What signals have asked for so far."""

    def __init__(self) -> None:
        self.count = 0
        self.terminated = False


@contextmanager
def _signals(single: SingleRun) -> Iterator[_Signals]:
    """Have the first signal ask the job to end, and a second one kill it."""
    seen = _Signals()

    def asked(number: int, _frame: FrameType | None) -> None:
        seen.count += 1
        seen.terminated = number != signal.SIGINT
        single.hurry(by_force=seen.count > 1)

    before = {
        **{n: signal.signal(n, asked) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)},
        # A reader who has gone must not take the job with him.
        signal.SIGPIPE: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
    }
    if before[signal.SIGHUP] is signal.SIG_IGN:  # under nohup
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
