"""How a client that runs trials itself comes by them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from fastapi.concurrency import run_in_threadpool

from tunesmith.errors import ConflictError, SpaceError, StudyEnded
from tunesmith.model import StudySpec, Suggestion, Trial, TrialState
from tunesmith.search import make_searcher, position_rng
from tunesmith.service.call import Call
from tunesmith.service.fronts.google.bodies import Ask, completed, field_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.trials import worker_of
from tunesmith.storage import Claim
from tunesmith.study import Study

__all__ = ["add_trial", "suggest"]


async def suggest(call: Call, paper: Paper, ask: Ask) -> Sequence[Trial]:
    """Return trials for a client: those it has not ended first, then new ones; none where there are none.

    Raises:
        StudyWaiting: there are none before others end.
    """
    claim = Claim(worker_of(ask.client))
    if ask.contexts:
        return await run_in_threadpool(_with_values, call, paper, ask, claim)
    held = await run_in_threadpool(_held, call, paper, claim)
    found = held[: ask.count]
    if len(found) < ask.count:
        counter = call.counter(paper.study)
        missing = ask.count - len(found)
        try:
            more = await counter.suggest(claim, missing, call.once, is_keyed=bool(call.key))
        except StudyEnded:
            if not found:
                raise
            more = []
        found = [*found, *more]
    return found


def _held(call: Call, paper: Paper, claim: Claim) -> list[Trial]:
    trials = call.storage.trials(paper.study)
    return [t for t in trials if t.state is TrialState.RUNNING and t.worker == claim.worker]


def _with_values(call: Call, paper: Paper, ask: Ask, claim: Claim) -> Sequence[Trial]:
    """Return trials that have given values: those the client has not ended first, then new ones."""
    study = Study.load(paper.study, call.storage)
    study.refresh()
    for place, context in enumerate(ask.contexts):
        with field_of(f"contexts[{place}].parameters"):
            study.space.complete(context)
    held = _held(call, paper, claim)
    found = [_taken(held, context) for context in ask.contexts]
    wanted = [context for context, trial in zip(ask.contexts, found, strict=True) if trial is None]
    points = iter(_searched(study, wanted))
    with call.once():  # all of them, for one request tells its trials apart by their order
        return [trial or _added(call, paper, next(points), claim) for trial in found]


def _taken(held: list[Trial], context: Mapping[str, object]) -> Trial | None:
    """Take a trial that has these values, if one is there."""
    for trial in held:
        if context.items() <= trial.values.items():
            held.remove(trial)
            return trial
    return None


def _searched(
    study: Study, contexts: Sequence[Mapping[str, object]]
) -> Iterator[Mapping[str, object]]:
    """Yield a point for each context, whose open values are those that the searcher would try next."""
    if not contexts:
        return
    space, rng = study.space, position_rng(study.spec.seed, len(study.history.trials))
    suggestions = make_searcher(study.spec.algorithm).suggest(study.history, len(contexts), rng)
    for context, suggestion in zip_longest(contexts, suggestions):
        values = {**(suggestion.values if suggestion else {}), **context}
        active = {*space.active(values), *context}
        yield space.complete({n: v for n, v in values.items() if n in active}, rng)


def _added(call: Call, paper: Paper, values: Mapping[str, object], claim: Claim | None) -> Trial:
    suggestion = Suggestion(values, "user")  # type: ignore[arg-type]  # the space has made them
    while True:
        after = call.storage.study(paper.study).size
        try:
            added = call.storage.add_trials(paper.study, [suggestion], after=after, claim=claim)
        except ConflictError:  # another client was faster
            continue
        return added[0]


def add_trial(
    call: Call, paper: Paper, spec: StudySpec, values: Mapping[str, object], claim: Claim | None
) -> Trial:
    """Add a trial of a client's own: waiting for who asks, or running for ``claim``."""
    point = completed(values, spec.space)
    missing = [name for name in point if name not in values]
    if missing:
        with field_of("parameters"):
            msg = f"Parameter {paper.names.get(missing[0], missing[0])!r} is active, but has no value."
            raise SpaceError(msg)
    with call.once():
        return _added(call, paper, point, claim)
