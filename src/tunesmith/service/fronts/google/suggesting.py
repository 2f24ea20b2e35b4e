"""How a client that runs trials itself comes by them."""

import secrets
from collections.abc import Mapping, Sequence

import numpy as np
from fastapi.concurrency import run_in_threadpool

from tunesmith.errors import ConflictError, SpaceError, StudyEnded
from tunesmith.model import StudySpec, Suggestion, Trial, TrialState
from tunesmith.service.call import Call
from tunesmith.service.fronts.google.bodies import Ask, completed, field_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.trials import worker_of
from tunesmith.storage import Claim

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
    """Return trials that have given values; what is not given is drawn at random."""
    spec = call.storage.study(paper.study).spec
    rng = np.random.default_rng(secrets.randbits(64))
    found = []
    for place, values in enumerate(ask.contexts):
        with field_of(f"contexts[{place}].parameters"):
            point = spec.space.complete(values, rng)
        found.append(_added(call, paper, point, claim))
    return found


def _added(call: Call, paper: Paper, values: Mapping[str, object], claim: Claim | None) -> Trial:
    suggestion = Suggestion(values, "user")  # type: ignore[arg-type]  # the space has made them
    while True:
        after = call.storage.study(paper.study).size
        try:
            with call.once():
                return call.storage.add_trials(paper.study, [suggestion], after=after, claim=claim)[
                    0
                ]
        except ConflictError:  # another client was faster
            continue


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
    return _added(call, paper, point, claim)
