"""Answers kept under a request's key, so that a request that is sent again is told what it was told first.

An answer is written in the transaction of the change that it speaks of. Nobody looks for it before: a
change that happens a second time collides with the first one's answer, and is undone.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self, cast, overload

from sqlalchemy import Connection, bindparam, delete, exists, insert, select

from tunesmith.errors import ConflictError
from tunesmith.model import StudyRecord, Trial, TrialState
from tunesmith.storage.base import KeyReusedError, Reply
from tunesmith.storage.schema import answer

__all__ = ["HandedOut", "Question", "find", "forget_before", "keep", "one_request"]


@dataclass(frozen=True, slots=True)
class _Request:
    key: str
    content: str
    answered: dict[str, int] = field(default_factory=dict)  # how many answers each verb has had


_request: ContextVar[_Request | None] = ContextVar("tunesmith_request", default=None)


@contextmanager
def one_request(key: str, content: str) -> Iterator[None]:
    """Let the changes that this thread makes within belong to the request ``key``."""
    before = _request.set(_Request(key, content))
    try:
        yield
    finally:
        _request.reset(before)


@dataclass(frozen=True, slots=True)
class Question:
    """One verb's call as part of a request.

    Attributes:
        key: The request's.
        content: What the request asks.
        verb: The verb, and the number of the trial it is about.
        position: How many answers the verb has had before in this request.
    """

    key: str
    content: str
    verb: str
    position: int

    @classmethod
    def now(cls, verb: str, number: int | None) -> Self | None:
        """Return what the verb is asked as; None outside of any request."""
        request = _request.get()
        if request is None:
            return None
        verb = verb if number is None else f"{verb} {number}"
        return cls(request.key, request.content, verb, request.answered.get(verb, 0))

    def answered(self) -> None:
        """Note that this call has had its answer."""
        request = _request.get()
        assert request is not None
        request.answered[self.verb] = self.position + 1


_SAME_KEY = select(answer.c.fingerprint, answer.c.verb, answer.c.position, answer.c.answer).where(
    answer.c.key == bindparam("of")
)
_ANOTHER = exists().where(
    answer.c.key == bindparam("of", type_=answer.c.key.type),
    answer.c.fingerprint != bindparam("request", type_=answer.c.fingerprint.type),
)
_KEEP = (
    insert(answer)
    .from_select(
        ["key", "verb", "position", "fingerprint", "answer", "at"],
        select(
            bindparam("of", type_=answer.c.key.type),
            bindparam("asked", type_=answer.c.verb.type),
            bindparam("nth", type_=answer.c.position.type),
            bindparam("request", type_=answer.c.fingerprint.type),
            bindparam("said", type_=answer.c.answer.type),
            bindparam("when", type_=answer.c.at.type),
        ).where(~_ANOTHER),
    )
    .execution_options(preserve_rowcount=True)
)


def keep(connection: Connection, said: Iterable[tuple[Question, object]], now: float) -> None:
    """Keep answers.

    Raises:
        IntegrityError: a question has been answered.
        ConflictError: a key stands for another request; see `find`.
    """
    rows = [
        {
            "of": question.key,
            "asked": question.verb,
            "nth": question.position,
            "request": question.content,
            "said": _text(value),
            "when": now,
        }
        for question, value in said
    ]
    if rows and connection.execute(_KEEP, rows).rowcount < len(rows):
        raise ConflictError("A key stands for another request.")


def find(connection: Connection, question: Question) -> tuple[object] | None:
    """Return the answer that the question had; None if it had none.

    Raises:
        KeyReusedError: its key stands for another request.
    """
    for content, verb, position, said in connection.execute(_SAME_KEY, {"of": question.key}):
        _check_same(question.key, content, question.content)
        if (verb, position) == (question.verb, question.position):
            return (_value(said),)
    return None


def forget_before(connection: Connection, when: float) -> int:
    """Forget the answers given before ``when``; return how many."""
    return connection.execute(delete(answer).where(answer.c.at < when)).rowcount


class HandedOut(Sequence[Trial]):
    """The trials that run because of a request's earlier calls, looked for when they are first wanted."""

    def __init__(self, look: Callable[[], Sequence[Trial]]) -> None:
        self._look = look
        self._found: Sequence[Trial] | None = None

    @classmethod
    def under(
        cls, key: str, content: str, reading: Callable[[Callable[[Connection], Any]], Any]
    ) -> Self:
        """Return those of the request ``key``."""

        def look(connection: Connection) -> Sequence[Trial]:
            rows = sorted(
                (position, verb, said)
                for request, verb, position, said in connection.execute(_SAME_KEY, {"of": key})
                if _check_same(key, request, content) and verb in ("claim", "add_trials")
            )
            values = [_value(said) for _, _, said in rows]
            trials = [t for v in values for t in (v if isinstance(v, list) else [v])]
            return [t for t in trials if isinstance(t, Trial) and t.state is TrialState.RUNNING]

        return cls(lambda: reading(look))

    def _all(self) -> Sequence[Trial]:
        if self._found is None:
            self._found = self._look()
        return self._found

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | Sequence[Trial]:
        return self._all()[index]


def _check_same(key: str, known: str, given: str) -> bool:
    if known != given:
        msg = f"The key {key!r} was used for another request. Use a new key for every new request."
        raise KeyReusedError(msg)
    return True


def _text(value: object) -> str:
    """Return an answer as a document that says what kind of value it stands for."""
    from tunesmith.storage import wire  # noqa: PLC0415 - only servers keep answers

    document: object = None
    match value:
        case Trial():
            document = {"trial": wire.trial_document(value)}
        case Reply():
            document = {"reply": wire.reply_document(value)}
        case StudyRecord():
            document = {"record": wire.record_document(value)}
        case [*trials]:
            document = {"trials": [wire.trial_document(cast("Trial", t)) for t in trials]}
    return wire.pack(document).decode()


def _value(text: str) -> object:
    """Return the answer that a text stands for."""
    from tunesmith.storage import wire  # noqa: PLC0415 - only servers keep answers

    match json.loads(text):
        case {"trial": trial}:
            return wire.trial_from(trial)
        case {"reply": reply}:
            return wire.reply_from(reply)
        case {"record": record}:
            return wire.record_from(record)
        case {"trials": trials}:
            return [wire.trial_from(trial) for trial in trials]
    return None
