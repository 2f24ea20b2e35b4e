"""How trials come, move and end: their numbers, their states, and how many there are."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tunesmith.model import FINAL, MOVES, StudyState, Trial, TrialState
from tunesmith.testing.invariants.same import end, same_trial
from tunesmith.testing.seen import Call, Run, Seen

__all__ = [
    "all_ended",
    "budget_is_kept",
    "ends_are_final",
    "moves_are_allowed",
    "numbers_have_no_gap",
    "revisions_rise",
    "slots_are_kept",
]


@dataclass(frozen=True, slots=True)
class _Step:
    """One trial as it became, and as it was before; what was asked for, if that was seen."""

    before: Trial
    after: Trial
    call: Call | None


def numbers_have_no_gap(seen: Seen) -> Iterator[str]:
    """Trials are numbered 1, 2, …, and never vanish."""
    numbers = [t.number for t in seen.trials]
    if numbers != list(range(1, seen.record.size + 1)):
        yield f"there are {seen.record.size} trials with the numbers {numbers}"
    size = 0
    for changes in seen.changes:
        if changes.record.size < size:
            yield f"at revision {changes.record.revision} it had {changes.record.size} trials, and {size} before"
        for trial in changes.trials:
            if trial.number > changes.record.size:
                yield f"trial {trial.number} was there when there were {changes.record.size}"
        size = changes.record.size


def revisions_rise(seen: Seen) -> Iterator[str]:
    """Every change has a higher revision than all before it, and so has what was changed by it."""
    since = 0
    for changes in seen.changes:
        revision = changes.record.revision
        if revision <= since:
            yield f"revision {revision} came after {since}"
        for trial in changes.trials:
            if not since < trial.revision <= revision:
                yield f"trial {trial.number} of revision {trial.revision} came between {since} and {revision}"
        for m in changes.measurements:
            if not since < m.measurement.revision <= revision:
                yield f"a measurement of trial {m.number} of revision {m.measurement.revision} came between {since} and {revision}"
        since = revision
    latest = max((t.revision for t in seen.trials), default=0)
    if latest > seen.record.revision:
        yield f"a trial has revision {latest}, and the study {seen.record.revision}"


def moves_are_allowed(seen: Seen) -> Iterator[str]:
    """A trial moves as the table of moves says; its values stay; each start is one attempt more."""
    for step in _steps(seen):
        before, after = step.before, step.after
        moved = seen.calls and after.state != before.state  # without them, by way of states unseen
        if moved and after.state not in MOVES[before.state]:
            yield f"trial {after.number} went from {before.state} to {after.state}"
        if (before.values, before.origin, before.parent) != (
            after.values,
            after.origin,
            after.parent,
        ):
            yield f"trial {after.number} has other values than before: {after.values}"
        started = after.state is TrialState.RUNNING and (
            before.state is not TrialState.RUNNING or after.attempt != before.attempt
        )
        if seen.calls and after.attempt != before.attempt + started:
            yield f"trial {after.number} went from {before.state}, attempt {before.attempt}, to {after.state}, attempt {after.attempt}"


def ends_are_final(seen: Seen) -> Iterator[str]:
    """What has ended stays as it is, unless a person says retry."""
    for step in _steps(seen):
        before, after, call = step.before, step.after, step.call
        if before.state not in FINAL:
            continue
        if call is not None and call.verb == "retry" and after.state is TrialState.QUEUED:
            continue
        if not seen.calls and after.state not in FINAL:
            continue  # somebody may have asked for it
        if not same_trial(replace(after, revision=before.revision), before):
            yield f"trial {after.number} had ended as {end(before)} and then was {end(after)}"


def budget_is_kept(seen: Seen) -> Iterator[str]:
    """There are no more trials than ``max_trials`` when one is added; cancelled ones don't count."""
    known: dict[int, Trial] = {}
    counted = 0
    for changes in seen.changes:
        known |= {t.number: t for t in changes.trials}
        now = sum(t.state is not TrialState.CANCELLED for t in known.values())
        limit = changes.record.spec.max_trials
        if limit is not None and counted < now > limit:
            yield f"at revision {changes.record.revision} it had {now} trials, and may have {limit}"
        counted = now
    if not seen.changes and (limit := seen.record.spec.max_trials) is not None:
        counted = sum(t.state is not TrialState.CANCELLED for t in seen.trials)
        if counted > limit:
            yield f"it has {counted} trials, and may have {limit}"


def slots_are_kept(seen: Seen) -> Iterator[str]:
    """No tuner runs more programs at once than it may."""
    parallel = [c.record.spec.parallel_trials for c in seen.changes]
    most = max(parallel, default=seen.record.spec.parallel_trials)
    most = most if seen.slots is None else min(most, seen.slots)
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in seen.runs:
        runs[run.tuner].append(run)
    for tuner, own in runs.items():
        moments = sorted(
            [(r.began, 1) for r in own] + [(r.ended, -1) for r in own if r.ended is not None]
        )
        at_once = 0
        for moment, change in moments:
            at_once += change
            if at_once > most:
                yield f"{tuner} ran {at_once} programs at {moment:.3f}, and may run {most}"
                break


def all_ended(seen: Seen) -> Iterator[str]:
    """When nobody runs the study any more, it has come to its end, and all its trials with it."""
    state = seen.record.state
    if state is StudyState.ACTIVE:
        yield "nobody runs the study, and it is active"
    for trial in seen.trials:
        waits = state in (StudyState.STOPPED, StudyState.FAILED) and trial.state in (
            TrialState.QUEUED,
            TrialState.PAUSED,
        )
        if not trial.is_final and not waits:
            yield f"nobody runs the study, which is {state}, and trial {trial.number} is {trial.state}"


def _steps(seen: Seen) -> Iterator[_Step]:
    calls = {c.changes.record.revision: c for c in seen.calls if c.changes is not None}
    known: dict[int, Trial] = {}
    for changes in seen.changes:
        for trial in changes.trials:
            if trial.number in known:
                yield _Step(known[trial.number], trial, calls.get(changes.record.revision))
            known[trial.number] = trial
