"""An executor whose trials can go on anywhere: a server has their files and what they print.

It stands before another executor and looks like one, so neither the tuner nor the executor knows of
it. A trial starts once the checkpoints it needs are here; it has ended once those it left are at the
server, for at that moment another machine may go on with it. All else happens beside: what it prints
is sent as it grows, and so are the checkpoints of one that runs, now and then.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tunesmith.errors import LeaseLostError, NotFoundError, StorageError
from tunesmith.execution.base import Ended, Executor, Outcome, Reported
from tunesmith.execution.keeping import FileStore, Keeper
from tunesmith.execution.outputs import OutputSender
from tunesmith.execution.workdir import CHECKPOINTS, earlier_directory, put_aside
from tunesmith.model import StudyRecord, Trial
from tunesmith.storage import Storage

__all__ = ["MirroredExecutor", "mirrored"]

_LOG = logging.getLogger("tunesmith")

_SNAPSHOT_S = 30.0
_LOOK_S = 1.0
_SHARE = 10.0  # a trial's checkpoints are sent again after so many times what sending them took
_PARENT_S = 15.0  # how long a child waits for what its parent has not sent yet
_POLL_S = 0.3
_AT_ONCE = 4  # transfers; more would only share the line
_LAST_OUTPUT_S = 10.0
_SLICE_S = 0.02  # how soon the end of a transfer is noticed
_AFTER_FAULT_S = 1.0
_TRIES = 5  # to send or fetch files, after which a trial does not wait for them any longer

_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Held:
    """A trial that runs, or has ended while its files are being sent."""

    trial: Trial
    look_at: float
    sending: "Future[bool] | None" = None
    end: Ended | None = None
    tries: int = 0
    began: float = 0.0


@dataclass(slots=True)
class _Awaited:
    """A trial whose checkpoints are being fetched."""

    trial: Trial
    fetching: "Future[None]"
    tries: int = 1


def mirrored(
    executor: Executor,
    storage: Storage,
    study: StudyRecord,
    *,
    say: Callable[[str], None] = _LOG.warning,
) -> Executor:
    """Return an executor whose trials can go on on other machines, if the storage is a server.

    Args:
        executor: Runs the trials; returned as it is if the storage keeps no files.
        storage: Where the study is.
        study: The study.
        say: Is told what could not be kept, by the thread that calls `Executor.wait`.
    """
    client = getattr(storage, "client", None)
    if client is None:
        return executor
    from tunesmith.storage.remote_files import RemoteFiles  # noqa: PLC0415 - loads an HTTP client

    return MirroredExecutor(executor, RemoteFiles(client), study, say=say)


class MirroredExecutor:
    """Runs trials on another executor, and keeps their files and outputs on a server.

    Args:
        executor: Runs the trials.
        store: Keeps the files.
        study: The study.
        say: Is told what could not be kept, by the thread that calls `wait`.
        snapshot_s: How often the checkpoints of a running trial are sent at least, if they change; more
            often if that takes little time.
    """

    def __init__(
        self,
        executor: Executor,
        store: FileStore,
        study: StudyRecord,
        *,
        say: Callable[[str], None] = lambda _: None,
        snapshot_s: float = _SNAPSHOT_S,
    ) -> None:
        self._executor = executor
        self._say = say
        self._snapshot_s = snapshot_s
        self._remarks: SimpleQueue[str] = SimpleQueue()
        self._keeper = Keeper(store, study=study.name, created=study.created)
        self._outputs = OutputSender(store, study=study.name, say=self._remarks.put)
        self._transfers = _Transfers(_AT_ONCE)
        self._awaited: dict[int, _Awaited] = {}
        self._held: dict[int, _Held] = {}
        self._cancelled: list[Ended] = []
        self._forced = False

    @property
    def slots(self) -> int | None:
        """How many trials it can run at once; None for as many as are wanted."""
        return self._executor.slots

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        return self._executor.directory(number)

    def start(self, trial: Trial) -> None:
        """Start a trial once its checkpoints are here; its end comes from `wait`."""
        directory = self.directory(trial.number)
        here = self._keeper.was_here(directory)
        # Metric files of an earlier attempt must not be taken for this one's while it waits.
        put_aside(directory, here)
        if here:
            aside = earlier_directory(directory, here)
            self._outputs.move(trial.number, here, aside)
            if here == trial.attempt - 1:  # a tuner that died may have left some unsent
                self._outputs.follow(trial.number, here, aside, ended=True)
        if trial.attempt == 1 and trial.parent is None:
            self._begin(trial)
            return
        fetching = self._transfers.run(partial(self._fetch, trial))
        self._awaited[trial.number] = _Awaited(trial, fetching)

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return what happens next, or None after ``timeout_s`` seconds in which nothing did."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._begin_fetched()
            self._look_at_checkpoints()
            while not self._remarks.empty():
                self._say(self._remarks.get())
            if (ended := self._next_sent()) is not None:
                return ended
            left = deadline - time.monotonic()
            busy = self._awaited or any(h.end is not None for h in self._held.values())
            event = self._executor.wait(max(0.0, min(left, _SLICE_S) if busy else left))
            if isinstance(event, Ended):
                event = self._hold(event)
            if event is not None or time.monotonic() >= deadline:
                return event

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end (SIGTERM), then make them (SIGKILL); it ends as ``outcome``."""
        if number in self._awaited:
            del self._awaited[number]
            self._cancelled.append(Ended(number, outcome, reason))
        else:
            self._executor.stop(number, outcome, reason)

    def kill(self) -> None:
        """End all processes at once, without grace, and wait for no transfer."""
        self._forced = True
        self._executor.kill()

    def close(self) -> None:
        """End what still runs and leave nothing behind; send what was printed, as far as that goes."""
        self._executor.close()
        self._outputs.close(0.0 if self._forced else _LAST_OUTPUT_S)

    # Starting

    def _fetch(self, trial: Trial) -> None:
        directory = self.directory(trial.number)
        if trial.attempt > 1:
            self._keeper.fetch(trial.number, directory)
        if trial.parent is not None and not (directory / CHECKPOINTS).exists():
            self._fetch_parent(trial, trial.parent)

    def _fetch_parent(self, trial: Trial, parent: int) -> None:
        """Bring a parent's checkpoints here; it may run elsewhere and be about to send its first."""
        directory = self.directory(parent)
        deadline = time.monotonic() + _PARENT_S
        while not self._keeper.fetch(parent, directory):
            if time.monotonic() > deadline:
                self._remarks.put(
                    f"trial {trial.number} starts without checkpoints: its parent, trial {parent}, has sent none"
                )
                (directory / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
                return
            time.sleep(_POLL_S)

    def _begin_fetched(self) -> None:
        for number, awaited in list(self._awaited.items()):
            if not awaited.fetching.done():
                continue
            error = awaited.fetching.exception()
            trial = awaited.trial
            # Contents may have been replaced between looking for them and fetching them.
            if isinstance(error, StorageError | NotFoundError) and awaited.tries < _TRIES:
                awaited.tries += 1
                awaited.fetching = self._transfers.run(partial(self._fetch, trial))
                continue
            if error is not None:
                self._say(f"trial {number} starts without its checkpoints: {error}")
            del self._awaited[number]
            self._begin(trial)

    def _begin(self, trial: Trial) -> None:
        directory = self.directory(trial.number)
        self._executor.start(trial)
        self._keeper.note(directory, trial.attempt)
        self._outputs.follow(trial.number, trial.attempt, directory)
        self._held[trial.number] = _Held(trial, time.monotonic() + min(_LOOK_S, self._snapshot_s))

    # Running

    def _look_at_checkpoints(self) -> None:
        now = time.monotonic()
        for number, held in self._held.items():
            if held.end is not None or now < held.look_at:
                continue
            if held.sending is not None:
                if (
                    held.sending.done()
                ):  # what failed is tried again, and told of when the trial ends
                    held.sending = None
                    held.look_at = now + min(self._snapshot_s, _SHARE * (now - held.began))
                continue
            held.began = now
            if self._keeper.changed(number, self.directory(number)):
                held.sending = self._send(held.trial)
            spent_s = time.monotonic() - now
            held.look_at = now + min(self._snapshot_s, max(_LOOK_S, _SHARE**2 * spent_s))

    def _send(self, trial: Trial) -> "Future[bool]":
        return self._transfers.run(partial(self._keeper.send, trial, self.directory(trial.number)))

    # Ending

    def _hold(self, ended: Ended) -> Ended | None:
        """Return the end of a trial, or None if it has to wait until its files are sent."""
        self._outputs.end(ended.number)
        held = self._held[ended.number]
        if held.sending is None and not self._keeper.changed(
            ended.number, self.directory(ended.number)
        ):
            return self._released(ended)
        held.end = ended
        return None

    def _next_sent(self) -> Ended | None:
        """Return the end of a trial whose files have been sent, or can't be; None if there is none."""
        if self._cancelled:
            return self._cancelled.pop()
        for held in self._held.values():
            if held.end is not None and (self._forced or self._is_through(held)):
                return self._released(held.end)
        return None

    def _is_through(self, held: _Held) -> bool:
        """Whether an ended trial need not wait any longer; else its files are on their way."""
        why = "something still writes them"
        if held.sending is not None:
            if not held.sending.done():
                return False
            fault = held.sending.exception()
            held.sending = None
            if isinstance(fault, NotFoundError | LeaseLostError):  # nobody wants them any more
                return True
            if fault is not None:
                why = str(fault)
                held.tries = held.tries if isinstance(fault, StorageError) else _TRIES
        number = held.trial.number
        if not self._keeper.changed(number, self.directory(number)):
            return True
        if held.tries >= _TRIES:
            self._say(f"the files of trial {number} are kept on this machine only: {why}")
            return True
        held.tries += 1
        held.sending = self._send(held.trial)
        return False

    def _released(self, ended: Ended) -> Ended:
        del self._held[ended.number]
        self._keeper.forget(ended.number)
        return ended


class _Transfers:
    """Runs functions in threads, a few at once, which do not keep the process from ending."""

    def __init__(self, at_once: int) -> None:
        self._free = threading.Semaphore(at_once)

    def run(self, function: Callable[[], _Result]) -> "Future[_Result]":
        """Run a function; return what will hold its result."""
        future: Future[_Result] = Future()

        def work() -> None:
            with self._free:
                try:
                    future.set_result(function())
                except Exception as error:  # whoever takes the result gets it
                    if isinstance(error, StorageError):
                        time.sleep(_AFTER_FAULT_S)
                    future.set_exception(error)

        threading.Thread(target=work, daemon=True, name="tunesmith-transfer").start()
        return future
