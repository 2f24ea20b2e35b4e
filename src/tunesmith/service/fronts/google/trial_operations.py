"""The operations by which clients are given trials and told whether one should stop.

Their names say what they came to: ``s-3-4`` has given trials 3 and 4, ``c-3-1`` has said of trial 3 that it
should stop. With a ``b`` before them they are told in the words of v1beta1.
"""

import re
from collections.abc import Sequence

from fastapi import Response

from tunesmith.errors import NotFoundError
from tunesmith.service.call import Call, Reader, Worker, answer
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.operations import (
    TYPE,
    ApiVersion,
    deleted_before,
    done,
    message,
)
from tunesmith.service.fronts.google.orders import papers_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.studies import Named, state_of
from tunesmith.service.fronts.google.trial_answers import document_of
from tunesmith.service.strict import Router

__all__ = ["checked", "router", "suggested"]

_PLACE = "/projects/{project}/locations/{location}"
_OLDER = _PLACE + "/operations/{operation}"
_OF_STUDY = _PLACE + "/studies/{id}/operations/{operation}"
_OF_TRIAL = _PLACE + "/studies/{id}/trials/{number}/operations/{operation}"
_ID = re.compile(r"(b?)(?:(s)((?:-\d{1,10})*)|(c)-(\d{1,10})-([01]))")

router = Router(tags=["google"])


def suggested(call: Call, version: ApiVersion, paper: Paper, numbers: Sequence[int]) -> Document:
    """Return the operation that has given trials to a client."""
    response = {
        "@type": TYPE + _message(version, paper, "SuggestTrialsResponse"),
        "trials": [document_of(call, paper, number) for number in numbers],
        "studyState": state_of(call, paper),
    }
    name = _name(version, paper, "-".join(["s", *map(str, numbers)]))
    return done(name, response, _message(version, paper, "SuggestTrialsMetadata"))


def checked(version: ApiVersion, paper: Paper, number: int, *, stops: bool) -> Document:
    """Return the operation that has found out whether a trial should stop."""
    response = {
        "@type": TYPE + _message(version, paper, "CheckTrialEarlyStoppingStateResponse"),
        "shouldStop": stops,
    }
    name = _name(version, paper, f"c-{number}-{int(stops)}", within=number)
    # The service's own message has this name.
    metadata = "CheckTrialEarlyStoppingStateMetatdata"
    return done(name, response, _message(version, paper, metadata))


@router.get(_OF_STUDY)
@router.get(_OF_TRIAL)
@router.post(_OF_STUDY + ":wait")
@router.post(_OF_TRIAL + ":wait")
def get_operation(call: Reader, paper: Named, operation: str) -> Response:
    """Answer with what an operation came to; there is nothing to wait for."""
    return answer(_answered(call, paper, operation))


@router.get(_OLDER)
@router.post(_OLDER + ":wait")
def get_older_operation(project: str, location: str, operation: str, call: Reader) -> Response:
    """Answer with what an operation came to, where its name alone says of which study."""
    return answer(_found(call, f"projects/{project}/locations/{location}", operation))


@router.delete(_OF_STUDY)
@router.delete(_OF_TRIAL)
@router.post(_OF_STUDY + ":cancel")
@router.post(_OF_TRIAL + ":cancel")
def let_go(call: Worker, paper: Named, operation: str) -> Response:
    """Take it that a client does not wait for an operation; it has ended anyway."""
    _answered(call, paper, operation)
    return answer({})


@router.delete(_OLDER)
@router.post(_OLDER + ":cancel")
def let_older_go(project: str, location: str, operation: str, call: Worker) -> Response:
    """Take it that a client does not wait for an operation; it has ended anyway."""
    _found(call, f"projects/{project}/locations/{location}", operation)
    return answer({})


def _found(call: Call, parent: str, operation: str) -> Document:
    if (found := deleted_before(parent, operation)) is not None:
        return found
    study, _, rest = operation.partition("-")
    if not re.fullmatch(r"([0-9a-f]{2})+", study):
        raise _no_operation(operation)
    try:
        paper = papers_of(call).get("studies", bytes.fromhex(study).decode(), parent)
    except (NotFoundError, UnicodeDecodeError):
        raise _no_operation(operation) from None
    return _answered(call, paper, rest)


def _answered(call: Call, paper: Paper, operation: str) -> Document:
    match = _ID.fullmatch(operation)
    if match is None:
        raise _no_operation(operation)
    beta, suggests, numbers, _, number, stops = match.groups()
    version: ApiVersion = "v1beta1" if beta else "v1"
    if suggests:
        return suggested(call, version, paper, [int(n) for n in numbers.split("-")[1:]])
    return checked(version, paper, int(number), stops=stops == "1")


def _name(version: ApiVersion, paper: Paper, id_: str, *, within: int = 0) -> str:
    if paper.is_older:
        return f"{paper.parent}/operations/{paper.id.encode().hex()}-{id_}"
    trial = f"/trials/{within}" if within else ""
    return f"{paper.name}{trial}/operations/{'b' if version == 'v1beta1' else ''}{id_}"


def _message(version: ApiVersion, paper: Paper, word: str) -> str:
    return f"google.cloud.ml.v1.{word}" if paper.is_older else message(version, word)


def _no_operation(operation: str) -> NotFoundError:
    return NotFoundError(f"There is no operation {operation[:100]!r}.")
