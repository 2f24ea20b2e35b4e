"""Tuning over HTTP: the server thinks; whoever speaks HTTP asks for trials, reports, and says how they ended."""

from collections.abc import Callable, Mapping
from typing import Annotated, Self

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from tunesmith.errors import SpaceError, TunesmithError
from tunesmith.model import Measurement, Trial, TrialState
from tunesmith.service.call import Call, Worker, Writer, answer
from tunesmith.service.routes.parameters import Metrics, Reason, StudyName, TrialNumber, Values
from tunesmith.service.strict import Router
from tunesmith.stopping import Verdict
from tunesmith.storage import Claim
from tunesmith.storage.wire import Number, TrialDocument, metrics_from, trial_document
from tunesmith.study import Study, check_metrics, check_step

__all__ = ["router"]

router = Router(prefix="/studies/{study}", tags=["tune"])

_LEASE_S = 3600.0

Attempt = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="The trial's attempt, as `suggest` gave it.")
]
Lease = Annotated[float, Field(gt=0, le=1e8)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SuggestRequest(_Request):
    """Who asks for trials, and how many."""

    worker: Annotated[str, Field(min_length=1, max_length=200, description="A name of your own.")]
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    lease_s: Annotated[
        Lease | None,
        Field(
            description="Seconds after which a trial of which nothing was heard is given to others;"
            " null for never."
        ),
    ] = _LEASE_S


class MeasurementRequest(_Request):
    """What was measured at a step."""

    step: Annotated[int, Field(ge=0, le=2**62)]
    metrics: Metrics
    elapsed_s: Annotated[float, Field(ge=0, le=1e12)] = 0.0


class ReportRequest(_Request):
    """What a running trial measured: at one step, or at several."""

    attempt: Attempt
    step: Annotated[int | None, Field(ge=0, le=2**62)] = None
    metrics: Metrics | None = None
    elapsed_s: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    measurements: Annotated[list[MeasurementRequest] | None, Field(max_length=10_000)] = None
    lease_s: Annotated[Lease | None, Field(description="As for suggest; by default as it was.")] = (
        None
    )

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        single = self.step is not None and self.metrics is not None
        if single == (self.measurements is not None) or (self.step is None) != (
            self.metrics is None
        ):
            msg = "give step and metrics, or else measurements"
            raise ValueError(msg)
        return self

    def read(self) -> list[Measurement]:
        """Return the measurements."""
        if self.measurements is None:
            assert self.step is not None
            assert self.metrics is not None
            return [_measurement(self.step, self.metrics, self.elapsed_s)]
        return [_measurement(m.step, m.metrics, m.elapsed_s) for m in self.measurements]


class CompleteRequest(_Request):
    """How a trial ended: with metrics, or what it had reported; or else why without."""

    attempt: Attempt
    metrics: Metrics | None = None
    error: Annotated[Reason | None, Field(description="Why it failed.")] = None
    infeasible: Annotated[Reason | None, Field(description="Why these values can't be tried.")] = (
        None
    )
    paused: Annotated[Reason | None, Field(description="Why it pauses; it may be resumed.")] = None

    @model_validator(mode="after")
    def _has_one_end(self) -> Self:
        ends = (self.metrics, self.error, self.infeasible, self.paused)
        if sum(end is not None for end in ends) > 1:
            msg = "give one of metrics, error, infeasible and paused"
            raise ValueError(msg)
        return self


class ReasonRequest(_Request):
    """Why."""

    reason: Reason = ""


class EnqueueRequest(_Request):
    """A point to try."""

    values: Values
    repeat: Annotated[bool, Field(description="Whether to try it although it was tried.")] = False


class ContinueRequest(_Request):
    """How far a trial is to go on."""

    steps: Annotated[int, Field(ge=1, le=2**31 - 1, description="In all, those before included.")]


class BudgetRequest(_Request):
    """How much a study may spend; what is left out stays."""

    max_trials: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    parallel_trials: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None


class TrialsAnswer(TypedDict):
    """Trials to run."""

    trials: list[TrialDocument]


class VerdictAnswer(TypedDict):
    """Whether a trial goes on.

    ``stop`` and ``pause`` say that it should end here; then complete it without metrics, or with
    ``paused``. ``budget`` is how many steps it may train now, null for as many as before.
    """

    stop: bool
    pause: bool
    reason: str
    budget: int | None


@router.post("/suggest", response_model=TrialsAnswer)
async def suggest(study: StudyName, body: SuggestRequest, call: Worker) -> Response:
    """Give trials to run: waiting ones first, then new ones.

    Answers 409 with `StudyWaiting` and Retry-After when there is none before others report or end, and
    409 with `StudyEnded` when there will be none.
    """
    claim = Claim(body.worker, body.lease_s)
    trials = await call.counter(study).suggest(
        claim, body.count, call.once, is_keyed=bool(call.key)
    )
    return answer({"trials": list(map(trial_document, trials))})


@router.post("/trials/{number}/report", response_model=VerdictAnswer)
async def report(
    study: StudyName, number: TrialNumber, body: ReportRequest, call: Worker
) -> Response:
    """Store what a running trial measured, renew its lease, and say whether it goes on."""
    counter = call.counter(study)

    def work(live: Study) -> Verdict:
        held, claim = counter.held(live, number, body.attempt)
        if claim is None:
            claim = Claim(held.worker, None if held.lease_until is None else _LEASE_S)
        if body.lease_s is not None:
            claim = Claim(held.worker, body.lease_s)
        lasting = None if claim.lease_s is None else claim
        return live.record_measurements(held, body.read(), claim=lasting)

    verdict = await counter.tell(work, call.once, fresh=False)
    return answer(
        {
            "stop": bool(verdict) and not verdict.pause,
            "pause": verdict.pause,
            "reason": verdict.reason,
            "budget": verdict.budget,
        }
    )


@router.post("/trials/{number}/complete", response_model=TrialDocument)
async def complete(
    study: StudyName, number: TrialNumber, body: CompleteRequest, call: Worker
) -> Response:
    """End a trial: with its metrics, with what it had reported, or with why there are none.

    A trial that was told to stop is `stopped`; one that has trained its budget but not its whole is
    `paused`. Metrics without the study's objective are refused.
    """
    counter = call.counter(study)

    def work(live: Study) -> Trial:
        held, _ = counter.held(live, number, body.attempt)
        if body.paused is not None:
            return live.pause_running(held, body.paused)
        if body.error is not None:
            return live.fail(held, body.error)
        if body.infeasible is not None:
            return live.end(held, TrialState.INFEASIBLE, body.infeasible)
        return live.conclude(held, check_metrics(metrics_from(body.metrics or {})))

    ended = await counter.tell(work, call.once, fresh=counter.may_be_at_its_end)
    counter.forget(number)
    return answer(trial_document(ended))


# What people want of a study


@router.post("/enqueue", response_model=TrialDocument, status_code=201)
async def enqueue(study: StudyName, body: EnqueueRequest, call: Writer) -> Response:
    """Queue a point of your own; missing parameters get their default or their middle."""
    return await _trial(
        call, study, lambda live: _enqueued(live, body, again=bool(call.key)), status=201
    )


@router.post("/pause", status_code=204)
async def pause(study: StudyName, body: ReasonRequest, call: Writer) -> None:
    """Start no new trials until the study is resumed; those that run go on."""
    await call.counter(study).tell(
        lambda live: live.pause(body.reason or "a person paused it"), call.once
    )


@router.post("/resume", status_code=204)
async def resume(study: StudyName, body: ReasonRequest, call: Writer) -> None:  # noqa: ARG001 - an empty body is a body
    """Let the study ask for trials again, up to its budget."""
    await call.counter(study).tell(lambda live: live.resume(), call.once)


@router.post("/stop", status_code=204)
async def stop(study: StudyName, body: ReasonRequest, call: Writer) -> None:
    """Start no new trials; those that run go on to their end."""
    await call.counter(study).tell(
        lambda live: live.stop(body.reason or "a person stopped it"), call.once
    )


@router.post("/budget", status_code=204)
async def budget(study: StudyName, body: BudgetRequest, call: Writer) -> None:
    """Change how much the study may spend; one that had spent it goes on."""
    await call.counter(study).tell(
        lambda live: live.set_budget(
            max_trials=body.max_trials, parallel_trials=body.parallel_trials
        ),
        call.once,
    )


@router.post("/trials/{number}/stop", response_model=TrialDocument)
async def stop_trial(
    study: StudyName, number: TrialNumber, body: ReasonRequest, call: Writer
) -> Response:
    """Cancel a trial that waits; ask the worker of one that runs to end it."""
    reason = body.reason or "a person stopped it"
    return await _trial(call, study, lambda live: live.request_stop(number, reason))


@router.post("/trials/{number}/pause", response_model=TrialDocument)
async def pause_trial(
    study: StudyName, number: TrialNumber, body: ReasonRequest, call: Writer
) -> Response:
    """Hold a trial that waits; ask the worker of one that runs to pause it."""
    reason = body.reason or "a person paused it"
    return await _trial(call, study, lambda live: live.request_pause(number, reason))


@router.post("/trials/{number}/resume", response_model=TrialDocument)
async def resume_trial(
    study: StudyName, number: TrialNumber, body: ReasonRequest, call: Writer
) -> Response:
    """Put a paused trial back in the queue; it goes on from its checkpoint."""
    reason = body.reason or "a person resumed it"
    return await _trial(call, study, lambda live: live.resume_trial(number, reason))


@router.post("/trials/{number}/again", response_model=TrialDocument)
async def run_again(
    study: StudyName,
    number: TrialNumber,
    body: ReasonRequest,  # noqa: ARG001 - as above
    call: Writer,
) -> Response:
    """Put an ended trial back in the queue, with the same values."""
    return await _trial(call, study, lambda live: live.retry(number))


@router.post("/trials/{number}/continue", response_model=TrialDocument, status_code=201)
async def continue_trial(
    study: StudyName, number: TrialNumber, body: ContinueRequest, call: Writer
) -> Response:
    """Queue a new trial that goes on where an ended one left off, with the same values."""
    return await _trial(
        call, study, lambda live: live.continue_trial(number, body.steps), status=201
    )


async def _trial(
    call: Call, study: str, work: Callable[[Study], Trial], *, status: int = 200
) -> Response:
    """Have something done with a study's live object, and answer with the trial that it returns."""
    changed = await call.counter(study).tell(work, call.once)
    return answer(trial_document(changed), status)


def _enqueued(live: Study, body: EnqueueRequest, *, again: bool) -> Trial:
    """Return the trial with a point of somebody's own; where that is asked again, the same trial."""
    try:
        return live.enqueue(body.values, repeat=body.repeat)
    except SpaceError:
        if not again:
            raise
        try:  # perhaps it is the first call's success that is in the way: the storage knows
            return live.storage.add_trials(live.name, [], after=-1)[0]
        except TunesmithError:
            pass
        raise


def _measurement(step: int, metrics: Mapping[str, Number], elapsed_s: float) -> Measurement:
    return Measurement(check_step(step), check_metrics(metrics_from(metrics)), elapsed_s)
