"""The storage of a Tunesmith server: the same verbs, asked over HTTP.

Each verb is one request; the server does it in its own storage. What the two say to each other is in
`wire`, and patience, tokens and errors of the way are the `HttpClient`'s.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from tunesmith.errors import ConflictError, NotFoundError, StorageError
from tunesmith.model import (
    Ending,
    Measurement,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.storage import wire
from tunesmith.storage.address import Address
from tunesmith.storage.base import Changes, Claim, Measured, Order, Reply
from tunesmith.storage.http_client import HttpClient, NotAllowedError, decoded, own_version
from tunesmith.storage.transport import Transport

__all__ = ["RemoteStorage"]

_Decoded = TypeVar("_Decoded")

_TURN_S = 5.0  # waiting longer for one's turn costs more than thinking beside another


class RemoteStorage:
    """Keeps studies on a server; see `Storage` for the verbs.

    The server is asked at once who it is and which project is meant.

    Args:
        url: Where it is; see `Address`.
        create: Has no meaning here: a server makes its own database.
        transport: What sends a request; by default connections of its own.

    Raises:
        StorageError: it can't be reached, is no Tunesmith server, or does not take the token.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = True,  # noqa: ARG002 - as every storage takes it
        transport: Transport | None = None,
    ) -> None:
        self._client = HttpClient(Address.parse(url), transport=transport)
        self._seen: dict[str, tuple[str, StudyRecord]] = {}  # a study's record, with its ETag
        who = self._ask(lambda document: document, "GET", "/whoami")
        project = who.get("project", "") if isinstance(who, dict) else ""
        self._url = self._client.address.of_project(project if project != "*" else "").url

    @property
    def url(self) -> str:
        """Where it is, with the project and without the token."""
        return self._url

    @property
    def client(self) -> HttpClient:
        """What asks the server."""
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # Studies

    def create_study(self, name: str, spec: StudySpec, *, command: str = "") -> StudyRecord:
        """Make an empty study; raise `ConflictError` if the name is taken."""
        document = {"name": name, "spec": wire.spec_document(spec), "command": command}
        try:
            return self._ask(wire.record_from, "POST", "/studies", document)
        except NotAllowedError as error:
            # Who may only run trials may still join a study that is there.
            if name not in self.study_names():
                raise
            msg = f"There is a study {name!r} already."
            raise ConflictError(msg) from error

    def study(self, name: str) -> StudyRecord:
        """Return one study's record."""
        return self._ask(wire.record_from, "GET", _study(name))

    def study_names(self) -> Sequence[str]:
        """Return the names of all studies, the last used first."""
        return self._ask(
            lambda document: [study["name"] for study in document["studies"]],
            "GET",
            "/studies?fields=names",
        )

    def summary(self, name: str) -> StudySummary:
        """Return one study with what its trials add up to."""
        return self._ask(wire.summary_from, "GET", f"{_study(name)}/summary")

    def import_study(self, name: str, whole: Changes) -> None:
        """Make a study of what `changes` since -1, with curves, gave of another."""
        self._tell("POST", f"{_study(name)}/import", wire.changes_document(whole))

    def delete_study(self, name: str) -> None:
        """Delete a study, its trials and their measurements."""
        self._tell("DELETE", _study(name))
        self._seen.pop(name, None)

    def set_state(
        self, study: str, state: StudyState, reason: str = "", *, at: int | None = None
    ) -> None:
        """Set whether the study asks for more trials, and why."""
        document = {"state": state, "reason": reason, "at": at}
        self._tell("POST", f"{_study(study)}/state", document)

    def set_budget(
        self,
        study: str,
        *,
        max_trials: int | None = None,
        parallel_trials: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        """Change the budget of a living study; what is None stays as it is."""
        document = {
            "max_trials": max_trials,
            "parallel_trials": parallel_trials,
            "ending": None if ending is None else wire.ending_document(ending),
        }
        self._tell("PATCH", _study(study), document)

    def touch(self, study: str, command: str = "") -> None:
        """Note that the study is being run now, and by what command."""
        self._tell("POST", f"{_study(study)}/touch", {"command": command})

    # A trial's life

    def add_trials(
        self,
        study: str,
        suggestions: Sequence[Suggestion],
        *,
        after: int,
        claim: Claim | None = None,
    ) -> Sequence[Trial]:
        """Add trials ``after + 1, after + 2, …``: queued, or running for ``claim``."""
        document = {
            "suggestions": [wire.suggestion_document(suggestion) for suggestion in suggestions],
            "after": after,
            "claim": None if claim is None else wire.claim_document(claim),
        }
        return self._ask(_trials, "POST", f"{_study(study)}/trials", document)

    @contextmanager
    def asking(self, study: str) -> Iterator[None]:
        """Let one at a time think about a study's next trials, as far as the server can tell them.

        The server takes a turn back from who keeps it for long, so who dies lets go.
        """
        turn = f"{_study(study)}/asking/{secrets.token_urlsafe(12)}"
        wait = f"{turn}?{urlencode({'wait_s': _TURN_S})}"
        self._try("POST", wait, timeout_s=2 * _TURN_S)
        try:
            yield
        finally:
            # Also where no answer came: the server may have given the turn all the same.
            self._try("DELETE", turn, timeout_s=_TURN_S)

    def _try(self, method: str, path: str, *, timeout_s: float) -> None:
        """Send what nothing relies on: for a server that is away the next verb waits."""
        with suppress(StorageError, NotFoundError):
            self._client.ask(method, path, timeout_s=timeout_s, patience_s=0.0)

    def claim(self, study: str, claim: Claim) -> Trial | None:
        """Hand out the first queued trial, or one whose lease ran out; None if there is neither."""
        found: Sequence[Trial] = self._ask(
            _trials, "POST", f"{_study(study)}/claim", wire.claim_document(claim)
        )
        return found[0] if found else None

    def renew(self, study: str, claim: Claim) -> None:
        """Begin anew the lease of every running trial that this worker holds."""
        self._tell("POST", f"{_study(study)}/renew", wire.claim_document(claim))

    def report(
        self,
        study: str,
        number: int,
        attempt: int,
        measurements: Sequence[Measurement],
        *,
        superseded: frozenset[str] = frozenset(),
        of_attempt: int | None = None,
        claim: Claim | None = None,
    ) -> Reply:
        """Store measurements; return what a person wants of the trial."""
        document = {
            "attempt": attempt,
            "measurements": [wire.measurement_document(m) for m in measurements],
            "superseded": sorted(superseded),
            "of_attempt": of_attempt,
            "claim": None if claim is None else wire.claim_document(claim),
        }
        path = f"{_trial(study, number)}/measurements"
        return self._ask(wire.reply_from, "POST", path, document)

    def finish(
        self,
        study: str,
        number: int,
        attempt: int,
        state: TrialState,
        *,
        metrics: Mapping[str, float],
        step: int | None = None,
        reason: str = "",
    ) -> Trial:
        """Move a running or paused trial to a final state; a second delivery changes nothing."""
        document = {
            "attempt": attempt,
            "state": state,
            "metrics": wire.metrics_document(metrics),
            "step": step,
            "reason": reason,
        }
        return self._change(study, number, "finish", document)

    def pause(
        self,
        study: str,
        number: int,
        attempt: int,
        reason: str,
        *,
        metrics: Mapping[str, float],
        step: int | None = None,
    ) -> Trial:
        """Pause a running trial with what it measured so far; a second delivery changes nothing."""
        document = {
            "attempt": attempt,
            "reason": reason,
            "metrics": wire.metrics_document(metrics),
            "step": step,
        }
        return self._change(study, number, "hold", document)

    def resume(
        self, study: str, number: int, reason: str = "", *, budget: int | None = None
    ) -> Trial:
        """Put a paused trial back in the queue, whoever paused it; with ``budget`` it trains so far."""
        return self._change(study, number, "release", {"reason": reason, "budget": budget})

    def extend(self, study: str, number: int, attempt: int, budget: int) -> Trial:
        """Let a running trial train further."""
        return self._change(study, number, "extend", {"attempt": attempt, "budget": budget})

    def requeue(
        self, study: str, number: int, attempt: int, reason: str, *, fault: bool = False
    ) -> None:
        """Put a running trial back in the queue; ``fault`` counts it against the allowed retries."""
        document = {"attempt": attempt, "reason": reason, "fault": fault}
        self._tell("POST", f"{_trial(study, number)}/requeue", document)

    def retry(self, study: str, number: int) -> None:
        """Put an ended trial back in the queue; raise `StateError` if its state does not allow it."""
        self._tell("POST", f"{_trial(study, number)}/retry")

    def request_stop(self, study: str, number: int, reason: str) -> Trial:
        """Cancel a trial that does not run; ask the worker of one that runs to stop it."""
        return self._change(study, number, "request-stop", {"reason": reason})

    def request_pause(self, study: str, number: int, reason: str) -> Trial:
        """Hold a trial that does not run; ask the worker of one that runs to pause it."""
        return self._change(study, number, "request-pause", {"reason": reason})

    # Reading

    def changes(self, study: str, since: int, *, curves: bool = False) -> Changes:
        """Return the record, and the trials changed after revision ``since`` in number order.

        While nothing changes, only that is said: a record says more than most changes do.
        """
        query = urlencode({"since": since, "curves": "true"} if curves else {"since": since})
        etag, seen = self._seen.get(study, ("", None))
        known = seen is not None and seen.revision <= since
        answer = self._client.ask(
            "GET",
            f"{_study(study)}/changes?{query}",
            headers={"If-None-Match": etag} if known else {},
            expected={304},
        )
        if answer.status == 304:
            assert seen is not None, "only who knows a record asks whether it has changed"
            return Changes(seen, (), (), self._time(answer.headers))
        changes = self._read(wire.changes_from, decoded(answer, self._client.address))
        if etag := answer.headers.get("etag", ""):
            self._seen[study] = (etag, changes.record)
        return changes

    def trial(self, study: str, number: int) -> Trial:
        """Return one trial."""
        return self._ask(wire.trial_from, "GET", _trial(study, number))

    def trials(
        self, study: str, *, order: Order = "number", limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials by number, newest first, or best first (only those that count)."""
        query = urlencode({"order": order} if limit is None else {"order": order, "limit": limit})
        return self._ask(_trials, "GET", f"{_study(study)}/trials?{query}")

    def measurements(
        self, study: str, number: int, *, attempt: int | None = None
    ) -> Sequence[Measurement]:
        """Return what an attempt measured, by step; by default all of them, joined to one curve."""
        query = "" if attempt is None else f"?attempt={attempt}"
        return self._ask(
            lambda document: list(map(wire.measurement_from, document["measurements"])),
            "GET",
            f"{_trial(study, number)}/measurements{query}",
        )

    def measured(self, study: str, number: int) -> Sequence[Measured]:
        """Return what all attempts of a trial measured, in the order in which it was stored."""
        return self._ask(
            lambda document: list(map(wire.measured_from, document["measurements"])),
            "GET",
            f"{_trial(study, number)}/measured",
        )

    # Inside

    def _change(self, study: str, number: int, verb: str, document: object) -> Trial:
        return self._ask(wire.trial_from, "POST", f"{_trial(study, number)}/{verb}", document)

    def _tell(self, method: str, path: str, document: object = None) -> None:
        self._client.ask(method, path, document)

    def _ask(
        self, decode: Callable[[Any], _Decoded], method: str, path: str, document: object = None
    ) -> _Decoded:
        return self._read(decode, self._client.document(method, path, document))

    def _read(self, decode: Callable[[Any], _Decoded], document: object) -> _Decoded:
        try:
            return decode(document)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._riddle(f"{type(error).__name__}: {error}") from error

    def _time(self, headers: Mapping[str, str]) -> float:
        try:
            return float(headers["tunesmith-time"])
        except (LookupError, ValueError) as error:
            raise self._riddle("its time is missing") from error

    def _riddle(self, what: str) -> StorageError:
        return StorageError(
            f"The server {self._client.address.base} answered with what this Tunesmith"
            f" ({own_version()}) does not understand ({what}). Upgrade the older of the two."
        )


def _study(name: str) -> str:
    return f"/studies/{quote(name, safe='', errors='replace')}"


def _trial(study: str, number: int) -> str:
    return f"{_study(study)}/trials/{number}"


def _trials(document: Mapping[str, Any]) -> list[Trial]:
    return list(map(wire.trial_from, document["trials"]))
