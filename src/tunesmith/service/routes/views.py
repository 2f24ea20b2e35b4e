"""Studies to look at: columns, curves, what is best, what matters; all that a page needs to stay up to date."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError
from tunesmith.model import Curve, Front, History, StudyRecord, Trial
from tunesmith.reporting import (
    Outlook,
    outlook_document,
    seconds_per_step,
)
from tunesmith.service.call import Call, Reader, answer
from tunesmith.service.columns import COLUMNS, columns, page
from tunesmith.service.decimate import decimated
from tunesmith.service.events import Event, EventStream
from tunesmith.service.faults import Refused
from tunesmith.service.parts import Parts
from tunesmith.service.routes.parameters import StudyName
from tunesmith.service.strict import Router
from tunesmith.storage import Measured
from tunesmith.storage.wire import (
    FrontDocument,
    Number,
    TrialDocument,
    metrics_document,
    trial_document,
)

__all__ = ["router"]

router = Router(tags=["look"])

_SHOWN = 500  # trials that an event names; who wants to know of more reads the columns
_TIMED = 50  # trials from which it is told how long a step takes

Since = Annotated[
    int,
    Query(ge=-1, le=2**62, description="The revision that the reader knows; -1 for none."),
]


class StandDocument(TypedDict):
    """How a study stands."""

    study: str
    created: float
    revision: int
    state: str
    reason: str
    size: int


class ColumnsDocument(StandDocument):
    """Trials that have changed, as columns.

    Ask again with ``since`` = ``cursor``; at once if there are ``more``. Where ``created`` is another
    than before, the study was made anew.
    """

    cursor: int
    more: bool
    columns: dict[str, Any]


class CurveDocument(TypedDict):
    """What one trial measured, by step, joined over its attempts."""

    number: int
    of: int
    steps: list[int]
    values: list[Number]
    elapsed_s: list[float]


class CurvesDocument(TypedDict):
    """Learning curves; those that changed, if ``since`` was given."""

    metric: str
    revision: int
    curves: list[CurveDocument]


class BestDocument(TypedDict):
    """Trials, the best first."""

    trials: list[TrialDocument]


@router.get("/studies/{study}/columns", response_model=ColumnsDocument)
async def trial_columns(
    *,
    study: StudyName,
    call: Reader,
    since: Since = -1,
    names: Annotated[
        str,
        Query(
            max_length=10_000,
            description=f"Which ones, separated by commas: {', '.join(COLUMNS)}, values, metrics, or"
            " one of those such as values.lr; all by default.",
        ),
    ] = "",
    limit: Annotated[int, Query(ge=1, le=100_000, description="Trials at once.")] = 10_000,
) -> Response:
    """Give trials as columns, those that changed since a revision: what a page reads to stay up to date."""
    record, trials = await _snapshot(call, study)
    wanted = [name.strip() for name in names.split(",") if name.strip()]

    def make() -> Response:
        known = since if since <= record.revision else -1
        found = page(trials, known, record.revision, limit)
        return answer(
            {
                **_stand(record),
                "cursor": found.cursor,
                "more": found.more,
                "columns": columns(found.trials, record.spec, wanted),
            }
        )

    return await run_in_threadpool(make)


@router.get("/studies/{study}/curves", response_model=CurvesDocument)
def curves(
    *,
    study: StudyName,
    call: Reader,
    metric: Annotated[
        str, Query(max_length=200, description="The first objective by default.")
    ] = "",
    points: Annotated[int, Query(ge=4, le=10_000, description="At most so many each.")] = 200,
    trials: Annotated[
        str,
        Query(
            pattern=r"^([1-9][0-9]{0,9}(,[1-9][0-9]{0,9}){0,499})?$",
            description="Numbers, separated by commas.",
        ),
    ] = "",
    newest: Annotated[
        int, Query(ge=1, le=500, description="So many of the newest, if none are named.")
    ] = 100,
    since: Since = -1,
) -> Response:
    """Give learning curves of a metric, thinned out so that every peak and valley stays."""
    storage = call.storage
    changes = storage.changes(study, since, curves=True) if since >= 0 else None
    record = storage.study(study) if changes is None else changes.record
    numbers = {int(n) for n in trials.split(",") if n and int(n) <= record.size}
    if not trials:
        numbers = set(range(max(1, record.size - newest + 1), record.size + 1))
    if changes is not None:
        touched = {m.number for m in changes.measurements} | {t.number for t in changes.trials}
        numbers &= touched
    wanted = metric or record.spec.objective.metric
    found = [_curve(n, storage.measured(study, n), wanted, points) for n in sorted(numbers)]
    return answer(
        {
            "metric": wanted,
            "revision": record.revision,
            "curves": [curve for curve in found if curve["of"]],
        }
    )


@router.get("/studies/{study}/best", response_model=BestDocument)
def best(
    study: StudyName,
    call: Reader,
    count: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 10,
) -> Response:
    """Give the best trials: those that keep all constraints first, by the first objective."""
    found = call.storage.trials(study, order="best", limit=count)
    return answer({"trials": list(map(trial_document, found))})


@router.get("/studies/{study}/front", response_model=FrontDocument)
def front(study: StudyName, call: Reader) -> Response:
    """Give the Pareto front; with one objective it is the best trial alone."""
    summary = call.storage.summary(study)
    if summary.front is None:
        alone = () if summary.best is None else (summary.best,)
        return answer(_front(Front(alone, hypervolume=None)))
    return answer(_front(summary.front))


@router.get("/studies/{study}/importance", response_model=dict[str, Any])
async def importance(
    study: StudyName,
    call: Reader,
    metric: Annotated[
        str, Query(max_length=200, description="Any that was measured; the first objective.")
    ] = "",
    top: Annotated[
        float | None,
        Query(gt=0, lt=1, description="Only this better part of the space: 0.25 for a quarter."),
    ] = None,
) -> Response:
    """Say which parameters matter: each one's share of the metric's variance.

    Takes seconds in a study of hundreds of trials; kept until another trial ends.
    """
    record, trials = await _snapshot(call, study)
    document = await call.parts.analyses.importance(
        call.caller.project, record, trials, metric or None, top
    )
    return answer(document)


@router.get("/studies/{study}/outlook", response_model=dict[str, Any])
def outlook(study: StudyName, call: Reader) -> Response:
    """Say what the study takes in all: rungs, steps, time, as far as that can be told."""
    storage, record = call.storage, call.storage.study(study)
    history = History(record.spec, storage.trials(study))
    for number in range(max(1, record.size - _TIMED + 1), record.size + 1):
        for measured in storage.measured(study, number):
            history.measure(number, measured.attempt, measured.measurement)
    return answer(outlook_document(Outlook.of(record.spec, seconds_per_step(history))))


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events, as they happen.", "content": {"text/event-stream": {}}}
}


@router.get("/studies/{study}/events", response_class=EventStream, responses=_STREAM)
async def study_events(
    study: StudyName,
    request: Request,
    call: Reader,
    last_event_id: Annotated[
        str | None, Header(description="Where to go on: the id of an event.")
    ] = None,
) -> Response:
    """Send an event `study` whenever the study changes: how it stands and which trials changed.

    An event's id is the revision; who comes again with it as Last-Event-ID misses nothing. `gone` ends
    the stream: the study was deleted.
    """
    _refuse_more_streams(call.parts)
    record = await run_in_threadpool(call.storage.study, study)
    known = record.revision
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        known = min(int(last_event_id[:18]), record.revision)
    return EventStream(_study_events(request, call, record, known))


@router.get("/events", response_class=EventStream, responses=_STREAM)
async def project_events(request: Request, call: Reader) -> Response:
    """Send an event `studies` whenever a study of the project changes, is made or deleted.

    Its `revisions` has the revision of each study that changed, null for one that is gone; the first
    event has all studies, so nothing is missed by who comes again.
    """
    _refuse_more_streams(call.parts)
    return EventStream(_project_events(request, call))


async def _project_events(request: Request, call: Call) -> AsyncGenerator[Event, None]:
    with call.parts.figures.stream():
        async for news in call.parts.watch.news(call.storage):
            if not await _is_still_welcome(request, call):
                return
            yield Event("studies", {"revisions": news}) if news else Event()


async def _study_events(
    request: Request, call: Call, record: StudyRecord, known: int
) -> AsyncGenerator[Event, None]:
    with call.parts.figures.stream():
        yield _study_event(record, ())
        async for news in call.parts.watch.news(call.storage, record.name):
            if not await _is_still_welcome(request, call):
                return
            if not news:
                yield Event()
                continue
            try:
                changes = await run_in_threadpool(call.storage.changes, record.name, known)
            except NotFoundError:
                changes = None
            if changes is None or changes.record.created != record.created:
                yield Event("gone", {"study": record.name})
                return
            if changes.record.revision > known:
                known = changes.record.revision
                yield _study_event(changes.record, changes.trials)


def _study_event(record: StudyRecord, trials: Sequence[Trial]) -> Event:
    shown = [{"number": t.number, "state": t.state, "attempt": t.attempt} for t in trials[:_SHOWN]]
    more = len(trials) > _SHOWN
    return Event("study", {**_stand(record), "trials": shown, "more": more}, str(record.revision))


async def _is_still_welcome(request: Request, call: Call) -> bool:
    """Whether the token is good: a stream is no longer than what it was begun with."""
    address = request.client.host if request.client else ""
    try:
        await call.parts.access.caller(request.headers, address)
    except Refused:
        return False
    return True


def _refuse_more_streams(parts: Parts) -> None:
    if parts.watch.count >= parts.settings.limits.streams:
        message = "There are as many streams as the server takes. Close some."
        raise Refused(429, "TooMany", message, headers={"Retry-After": "10"})


async def _snapshot(call: Call, study: str) -> tuple[StudyRecord, Sequence[Trial]]:
    """Return a study's record and all its trials as they are now, from memory where that is up to date."""
    return await call.counter(study).tell(lambda live: (live.record, list(live.history.trials)))


def _stand(record: StudyRecord) -> dict[str, object]:
    return {
        "study": record.name,
        "created": record.created,
        "revision": record.revision,
        "state": record.state,
        "reason": record.reason,
        "size": record.size,
    }


def _curve(number: int, found: Sequence[Measured], metric: str, points: int) -> CurveDocument:
    curve = Curve((m.attempt, m.measurement) for m in sorted(found, key=lambda m: m.attempt))
    kept = [m for m in curve.measurements if metric in m.metrics]
    chosen = [kept[i] for i in decimated([m.metrics[metric] for m in kept], points)]
    values = [metrics_document(m.metrics)[metric] for m in chosen]
    return {
        "number": number,
        "of": len(kept),
        "steps": [m.step for m in chosen],
        "values": values,
        "elapsed_s": [m.elapsed_s for m in chosen],
    }


def _front(found: Front) -> FrontDocument:
    return {
        "trials": list(map(trial_document, found.trials)),
        "reference": metrics_document(found.reference),
        "hypervolume": found.hypervolume,
    }
