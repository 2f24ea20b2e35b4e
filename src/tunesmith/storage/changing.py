"""Changes of studies, one after another, several of them in one transaction.

A transaction first locks the study's row. So changes of one study happen one after another and in the
order of their revisions: who reads "what changed since r" misses nothing, and no trial is handed out
twice.

While one thread commits, others that want to change the same study wait anyway. They put what they
want into a queue, and the next thread that has the turn carries out all that is in the queue in one
transaction: a hundred workers share the wait for the disk and the way to the server. Each change has
its own revision, its own result and its own error.
"""

import os
import sqlite3
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tunesmith.errors import TunesmithError
from tunesmith.storage import answers
from tunesmith.storage.answers import Question
from tunesmith.storage.engine import Database, Now
from tunesmith.storage.locked import Locked, can_name, look_up, no_study
from tunesmith.storage.schema import answer, study
from tunesmith.storage.writes import Writes

__all__ = ["KEPT_S", "Changer", "Work"]

T = TypeVar("T")

Work = Callable[[Connection, Locked], T]
"""Changes a study whose row is locked; returns what the verb answers."""

_TOGETHER = 64  # so many changes share a transaction at most
_SWEEP_EVERY = 10_000  # transactions
KEPT_S = 3 * 86400.0
"""For how long answers are kept."""

# What is wrong with the database, and not with one change of a batch.
_NOBODYS = (OperationalError, InterfaceError, PoolTimeoutError, sqlite3.Error, OSError)

_LOCK = (
    select(
        study.c.id,
        study.c.revision,
        study.c.size,
        study.c.max_trials,
        study.c.spec,
        Now().label("now"),
    )
    .where(study.c.project == bindparam("project"), study.c.name == bindparam("study_name"))
    .with_for_update()
)
_SET_STUDY = update(study).where(study.c.id == bindparam("sid"))
_LEAVE_RECEIPT = insert(answer)
_FIND_RECEIPT = select(answer.c.at).where(answer.c.key == bindparam("of"))


@dataclass(eq=False, slots=True)
class _Change:
    """What one thread wants changed, and what came of it."""

    work: Work[Any]
    question: Question | None
    number: int | None
    durable: bool
    value: object = None
    fault: Exception | None = None
    changed: bool = False
    done: bool = False
    receipt: "_Receipt | None" = None  # of a transaction of which nobody knows if it was committed
    turn: threading.Event = field(default_factory=threading.Event)


class _Receipt:
    """A row that a transaction leaves: who is not told of the commit can see whether it happened."""

    def __init__(self) -> None:
        self._key = f"~{uuid.uuid4().hex}"

    def leave(self, connection: Connection, now: float) -> None:
        row = {"key": self._key, "verb": "commit", "position": 0}
        connection.execute(_LEAVE_RECEIPT, {**row, "fingerprint": "", "answer": "", "at": now})

    def is_there(self, connection: Connection) -> bool:
        return connection.execute(_FIND_RECEIPT, {"of": self._key}).first() is not None


class Changer:
    """Carries out the changes of a database's studies."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._transactions = 0
        self._begin()
        _begin_anew_after_forks(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], deque[_Change]] = {}

    def change(
        self,
        of: tuple[str, str],
        verb: str,
        work: Work[T],
        *,
        number: int | None = None,
        durable: bool = False,
    ) -> T:
        """Carry out ``work``, whole or not at all; return what it returns.

        Args:
            of: The project and the name of the study.
            verb: What is done, as `ServedStorage.once` keeps it.
            work: Is given the study's row, locked. It may be repeated in another transaction.
            number: The trial that it is about.
            durable: Whether the change survives even a power cut.
        """
        if not can_name(of[1]):
            raise no_study(of[1])
        change = _Change(work, Question.now(verb, number), number, durable)
        with self._database.faults():
            self._wait_for(of, change)
            return cast("T", self._answer(change))

    def make(self, verb: str, work: Callable[[Connection], T]) -> T:
        """Carry out what is no change of a study that is there; it may be repeated after it happened."""
        question = Question.now(verb, None)
        change = _Change(lambda connection, _: work(connection), question, None, durable=True)

        def transaction() -> None:
            with self._database.session(durable=True) as connection:
                change.value, change.changed = work(connection), True
                if question is not None:
                    now = self._database.now(connection.execute(select(Now())).scalar())
                    answers.keep(connection, [(question, change.value)], now)

        with self._database.faults():
            try:
                self._database.patiently(transaction)
            except Exception as fault:  # raised again, unless there is an answer
                change.fault, change.changed = fault, False
            return cast("T", self._answer(change))

    def _answer(self, change: _Change) -> object:
        """Return what is answered; the first time's answer, if this is not the first time."""
        question, fault = change.question, change.fault
        if question is None:
            if fault is not None:
                raise fault
            return change.value
        # Also where nothing was changed there may be an answer: of the time when something was.
        if not change.changed and (
            fault is None or isinstance(fault, TunesmithError | IntegrityError)
        ):
            kept = self._database.reading(lambda connection: answers.find(connection, question))
            if kept is not None:
                question.answered()
                return kept[0]
        if fault is not None:
            raise fault
        if change.changed:
            question.answered()
        return change.value

    def _wait_for(self, of: tuple[str, str], change: _Change) -> None:
        """Return when the change was carried out, by this thread or by another."""
        with self._lock:
            queue = self._waiting.get(of)
            first = queue is None
            if queue is None:
                queue = self._waiting[of] = deque()
            queue.append(change)
        if not first:
            change.turn.wait()
            if change.done:
                return
        # This thread has the turn. What it carries out has itself at the head.
        with self._lock:
            batch = [queue.popleft() for _ in range(min(_TOGETHER, len(queue)))]
        try:
            self._carry_out(of, batch)
        finally:
            # Interrupted, perhaps while it committed: the others' changes are for the next who has the turn.
            undone = [c for c in batch if not c.done and c is not change]
            with self._lock:
                queue.extendleft(reversed(undone))
                if queue:
                    queue[0].turn.set()
                else:
                    del self._waiting[of]
            for other in batch:
                if other.done:
                    other.turn.set()

    def _carry_out(self, of: tuple[str, str], batch: list[_Change]) -> None:
        """Carry out changes in one transaction; each in its own, if they can't be together."""
        try:
            self._database.patiently(lambda: self._transaction(of, batch))
        except Exception as fault:  # it is raised in the thread that it belongs to
            if len(batch) > 1 and not isinstance(fault, _NOBODYS):
                for change in batch:
                    self._carry_out(of, [change])
                return
            for change in batch:
                change.fault, change.changed = fault, False
        for change in batch:
            change.done = True

    def _transaction(self, of: tuple[str, str], batch: list[_Change]) -> None:
        with self._database.session(durable=any(c.durable for c in batch)) as connection:
            row = connection.execute(_LOCK, {"project": of[0], "study_name": of[1]}).first()
            # Who had the lock before, even an earlier self, has committed by now or never will.
            undone = [c for c in batch if c.receipt is None or not c.receipt.is_there(connection)]
            for change in undone:
                change.value, change.fault, change.changed = None, None, False
            if row is None:
                for change in undone:
                    change.fault = no_study(of[1])
                return
            now = self._database.now(row.now)
            locked = Locked(
                Writes(connection),
                of[1],
                row.id,
                row.revision + 1,
                row.size,
                row.max_trials,
                row.spec,
                now,
                together=len(undone),
            )
            if len(about := {c.number for c in undone if c.number is not None}) > 1:
                look_up(connection, locked, about)
            for change in undone:
                _do(change, connection, locked)
            locked.writes.all()
            said = [(c.question, c.value) for c in undone if c.changed and c.question is not None]
            answers.keep(connection, said, now)
            if locked.changed:
                values = {"revision": locked.revision - 1, **locked.columns}
                connection.execute(_SET_STUDY, {"sid": locked.id, **values})
                if self._database.loses_connections:
                    self._leave_receipt(connection, undone, now)

    def _leave_receipt(self, connection: Connection, batch: list[_Change], now: float) -> None:
        receipt = _Receipt()
        receipt.leave(connection, now)
        for change in batch:
            change.receipt = receipt
        self._transactions += 1
        if self._transactions % _SWEEP_EVERY == 0:
            answers.forget_before(connection, now - KEPT_S)


def _do(change: _Change, connection: Connection, locked: Locked) -> None:
    try:
        locked.begin()
        change.value = change.work(connection, locked)
    except TunesmithError as fault:
        if locked.touched:
            raise  # all is undone, and what others in this transaction wanted is done again
        change.fault = fault
    else:
        change.changed = locked.touched
        locked.end()


def _begin_anew_after_forks(changer: Changer) -> None:
    """Forget, in a child, the turns of threads that are on the other side of the fork."""
    still_there = weakref.ref(changer)

    def begin() -> None:
        if (changer := still_there()) is not None:
            changer._begin()  # noqa: SLF001 - this module's

    os.register_at_fork(after_in_child=begin)
