"""The desk: a live study for each that is asked for, at which many clients are served together.

Each study has lines of clients. In the first they ask for trials, served by one thread: who asks at the same
time shares one thought, whose trials are put in the queue, and then takes one in the second. In the third
they report and complete. The second and third are served by several threads, whose changes the storage
takes together. So a study that thinks for long holds up neither other studies nor its own reports.
"""

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from tunesmith.errors import NotFoundError, TunesmithError
from tunesmith.model import Trial
from tunesmith.storage import Claim, ServedStorage
from tunesmith.study import Study

__all__ = ["Counter", "Desk", "Once"]


Once = Callable[[], AbstractContextManager[Sequence[Trial]]]
Answer = TypeVar("Answer")


def _simply() -> AbstractContextManager[Sequence[Trial]]:
    return nullcontext(())


_THREADS = 64  # of each kind; most of them wait, for a database or for others
_TOGETHER = 64  # who comes later is served next, so that nobody waits for everybody
_AT_ONCE = 24  # threads for one line of one study
_STUDIES = 256
_REMEMBERED = 20_000


class Desk:
    """Serves the clients of all studies. Its methods are called in the server's one event loop.

    Args:
        thought: Is told how many seconds each thought about new trials took.
    """

    def __init__(self, thought: Callable[[float], None]) -> None:
        self._thought = thought
        self._thinkers = ThreadPoolExecutor(_THREADS, thread_name_prefix="tunesmith-think")
        self._clerks = ThreadPoolExecutor(_THREADS, thread_name_prefix="tunesmith-desk")
        self._counters: OrderedDict[tuple[str, str], Counter] = OrderedDict()

    def counter(self, storage: ServedStorage, study: str) -> "Counter":
        """Return the counter of a study; that there is such a study is not known yet."""
        key = (storage.project, study)
        found = self._counters.get(key)
        if found is None:
            self._make_room()
            found = Counter(storage, study, self._thinkers, self._clerks, self._thought)
            self._counters[key] = found
        self._counters.move_to_end(key)
        return found

    def close(self) -> None:
        """Wait for what is being done; nothing is asked afterwards."""
        self._thinkers.shutdown()
        self._clerks.shutdown()

    def _make_room(self) -> None:
        """Forget the study that was asked for least recently; what is stored of it is all there is."""
        for key, counter in list(self._counters.items()):
            if len(self._counters) < _STUDIES:
                return
            if counter.is_idle:
                del self._counters[key]


@dataclass(slots=True, eq=False)
class _Job(Generic[Answer]):
    """What one client wants, and what became of it."""

    once: Once
    work: Callable[[Study], Answer] | None = None
    claim: Claim | None = None
    count: int = 0
    is_keyed: bool = False
    fresh: bool = False
    fault: TunesmithError | None = None
    promised: int = 0
    came: float = field(default_factory=time.monotonic)
    answer: Answer | None = None
    error: BaseException | None = None
    done: "asyncio.Future[Answer]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class _Line:
    """Clients that wait to be served.

    Args:
        pool: The threads that serve them.
        serve: Serves some of them.
        together: How many are served by one thread together.
        at_once: How many threads serve at once.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        serve: Callable[[Sequence[_Job[object]]], None],
        *,
        together: int = 1,
        at_once: int = 1,
    ) -> None:
        self._pool = pool
        self._serve = serve
        self._together = together
        self._at_once = at_once
        self._busy = 0
        self._waiting: deque[_Job[object]] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether anybody is being served."""
        return self._busy > 0

    def put(self, job: _Job[object]) -> None:
        """Let a client stand in line."""
        self._waiting.append(job)
        if self._busy < self._at_once:
            self._begin()

    def _begin(self) -> None:
        count = min(self._together, len(self._waiting))
        jobs = [self._waiting.popleft() for _ in range(count)]
        self._busy += 1
        served = asyncio.get_running_loop().run_in_executor(self._pool, self._serve, jobs)
        served.add_done_callback(lambda _: self._end(jobs))

    def _end(self, jobs: Sequence[_Job[object]]) -> None:
        self._busy -= 1
        for job in jobs:
            if job.done.cancelled():  # the client has gone
                continue
            if job.error is not None:
                job.done.set_exception(job.error)
            else:
                job.done.set_result(job.answer)
        if self._waiting:
            self._begin()


class Counter:
    """Where the clients of one study are served.

    It has two live studies, for two lines: the one that thinks holds a lock meanwhile. What the one
    knows the other reads from the storage, as another process would.

    Args:
        storage: The studies of its project.
        name: The study.
        thinkers: The threads in which it thinks.
        clerks: Those for everything else.
        thought: Is told how many seconds each thought took.
    """

    def __init__(
        self,
        storage: ServedStorage,
        name: str,
        thinkers: ThreadPoolExecutor,
        clerks: ThreadPoolExecutor,
        thought: Callable[[float], None],
    ) -> None:
        self._thought = thought
        self._storage = storage
        self._name = name
        self._asked: Study | None = None
        self._told: Study | None = None
        self._highest = 0  # trial that was handed out here
        self._promised = 0  # trials that wait for those who ask
        self._promising = threading.Lock()
        self._reading = threading.Lock()
        self._read_at = 0.0
        self._asking = _Line(thinkers, self._provide, together=_TOGETHER)
        self._taking = _Line(clerks, self._hand_out, at_once=_AT_ONCE)
        self._telling = _Line(clerks, self._listen, at_once=_AT_ONCE)
        self._handed: OrderedDict[int, tuple[Trial, Claim]] = OrderedDict()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is being served."""
        return not (self._asking.is_busy or self._taking.is_busy or self._telling.is_busy)

    async def suggest(
        self, claim: Claim, count: int, once: Once, *, is_keyed: bool
    ) -> Sequence[Trial]:
        """Return up to ``count`` trials for a client to run.

        Args:
            claim: Who takes them, and for how long.
            count: How many are wanted.
            once: What they are handed out in.
            is_keyed: Whether the client has a name for its request.

        Raises:
            StudyWaiting: there is nothing to run until running trials report or end.
            StudyEnded: there is nothing more to run.
            NotFoundError: there is no such study.
        """
        while True:
            asked = _Job[Sequence[Trial]](once, claim=claim, count=count, is_keyed=is_keyed)
            self._asking.put(asked)  # type: ignore[arg-type]  # a line takes jobs of all kinds
            taken = await asked.done
            if not taken:
                taking = _Job[Sequence[Trial]](once, claim=claim, count=count, fault=asked.fault)
                try:
                    self._taking.put(taking)  # type: ignore[arg-type]  # as above
                    taken = await taking.done
                finally:
                    self._promise(-asked.promised)
            for trial in taken:
                self._handed[trial.number] = (trial, claim)
                self._highest = max(self._highest, trial.number)
            while len(self._handed) > _REMEMBERED:
                self._handed.popitem(last=False)
            if taken:  # or else others were faster
                return taken

    async def tell(
        self, work: Callable[[Study], Answer], once: Once = _simply, *, fresh: bool = True
    ) -> Answer:
        """Have something done with the live study, behind what others want of it.

        Args:
            work: What is done, in a thread.
            once: What it is done in.
            fresh: Whether it goes by what is stored now; if not, by what was read last.
        """
        job = _Job(once, work=work, fresh=fresh)
        self._telling.put(job)  # type: ignore[arg-type]  # as above
        return await job.done

    def held(self, study: Study, number: int, attempt: int) -> tuple[Trial, Claim | None]:
        """Return a trial as the client holds it that names this attempt, and the client's claim.

        Whether it really does hold it, the storage finds out.
        """
        known, claim = self._handed.get(number, (None, None))
        if known is None or known.attempt != attempt:
            known, claim = study.storage.trial(self._name, number), None
        return replace(known, attempt=attempt), claim

    def forget(self, number: int) -> None:
        """Forget who holds a trial, since it has ended."""
        self._handed.pop(number, None)

    @property
    def may_be_at_its_end(self) -> bool:
        """Whether the end of a trial may be that of the study, as far as is known without reading."""
        study = self._told
        if study is None or study.judges_trials or study.is_exhausted:
            return True
        if self._asked is not None and self._asked.is_exhausted:
            return True
        most = study.limit
        known = max(len(study.history.trials), self._highest)
        return study.ends_by_results or (most is not None and known >= most)

    def _promise(self, count: int) -> None:
        with self._promising:
            self._promised += count

    # In threads

    def _provide(self, jobs: Sequence[_Job[object]]) -> None:
        """See that trials wait for those who ask; who asks alone may be given them at once."""
        began = time.perf_counter()
        alone = jobs[0] if len(jobs) == 1 else None
        try:
            if alone is not None and alone.is_keyed:
                # Many who ask at once are not looked up one by one: if one of them asks again, a trial
                # too many waits for the next.
                with alone.once() as before:
                    alone.answer = list(before)
            if alone is not None and not alone.is_keyed:
                claim, count = alone.claim, alone.count
                assert claim is not None, "who asks has one"
                with alone.once():
                    alone.answer = self._think(lambda study: study.ask_for(claim, count))
            elif alone is None or not alone.answer:
                # What waits is for those who were promised it, and have not taken it yet.
                wanted = sum(job.count for job in jobs) + self._promised
                self._think(lambda study: study.fill(wanted))
                for job in jobs:
                    job.promised = job.count
                    self._promise(job.count)
            self._thought(time.perf_counter() - began)
        except TunesmithError as error:  # perhaps trials were handed out for the request before
            for job in jobs:
                job.fault = error
        except Exception as error:
            self._asked = None
            for job in jobs:
                job.error = error

    def _hand_out(self, jobs: Sequence[_Job[object]]) -> None:
        """Give the trials that wait to those who ask.

        Under a key nothing but claims hands out trials, so that the same claims give the same trials.
        """
        for job in jobs:
            taken: list[Trial] = []
            assert job.claim is not None, "who asks has one"
            try:
                with job.once() as before:
                    if job.fault is not None:
                        taken.extend(before)
                        if not taken:
                            raise job.fault
                    while len(taken) < job.count and job.fault is None:
                        trial = self._storage.claim(self._name, job.claim)
                        if trial is None:
                            break
                        taken.append(trial)
                job.answer = taken
            except Exception as error:
                job.answer, job.error = taken, None if taken else error

    def _think(self, thought: Callable[[Study], Answer]) -> Answer:
        if self._asked is not None:
            try:
                return thought(self._asked)
            except NotFoundError:  # it has been deleted; there may be another of that name
                self._asked = self._told = None
                self._handed = OrderedDict()
        self._asked = self._open()
        return thought(self._asked)

    def _listen(self, jobs: Sequence[_Job[object]]) -> None:
        """Serve those who report and complete."""
        for job in jobs:
            assert job.work is not None, "who has nothing to say does not stand in this line"
            study: Study | None = None
            try:
                study = self._current(job)
                with job.once():
                    job.answer = job.work(study)
            except NotFoundError as error:  # perhaps of the study: then it is opened anew
                if self._told is study:
                    self._told = None
                job.error = error
            except Exception as error:
                job.error = error

    def _current(self, job: _Job[object]) -> Study:
        """Return the study; as it was when the client came, or later, if it is to be fresh."""
        study = self._told
        if study is not None and (not job.fresh or self._read_at > job.came):
            return study
        with self._reading:
            study = self._told
            if (
                study is not None and self._read_at > job.came
            ):  # somebody else has read it meanwhile
                return study
            began = time.monotonic()
            if study is not None:
                try:
                    study.refresh()
                except NotFoundError:  # as above
                    study = None
            if study is None:
                self._told = None
                study = self._open()
                study.refresh()
            if self._asked is not None and self._asked.is_exhausted:
                study.is_exhausted = True
            self._told, self._read_at = study, began
            return study

    def _open(self) -> Study:
        return Study.load(self._name, self._storage)
