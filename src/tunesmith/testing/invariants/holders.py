"""Who holds a trial: each attempt is one worker's, until its lease is over."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tunesmith.errors import StorageError
from tunesmith.model import Trial, TrialState
from tunesmith.testing.seen import Call, Seen

__all__ = ["fences_hold", "handed_out_once", "leases_exclude", "suggested_once"]

_OF_AN_ATTEMPT = frozenset({"report", "finish", "pause", "extend", "requeue"})


def handed_out_once(seen: Seen) -> Iterator[str]:
    """Each attempt of a trial is given to one worker, once."""
    given: dict[tuple[int, int], tuple[str, str]] = {}
    for call in seen.calls:
        for trial in call.taken:
            whom = (call.caller, call.key or str(id(call)))
            first = given.setdefault((trial.number, trial.attempt), whom)
            if first != whom:
                yield f"attempt {trial.attempt} of trial {trial.number} was given to {first[0]} and again to {call.caller}"
    ran = Counter((r.number, r.attempt) for r in seen.runs)
    for (number, attempt), times in ran.items():
        if times > 1:
            yield f"attempt {attempt} of trial {number} was run {times} times"


def suggested_once(seen: Seen) -> Iterator[str]:
    """No point is tried twice, unless a person or a schedule says so, or the searcher may repeat them."""
    if seen.record.spec.repeats:
        return
    space = seen.record.spec.space
    first: dict[object, int] = {}
    for trial in seen.trials:
        if trial.parent is not None or trial.origin in ("user", "continued"):
            continue
        known = first.setdefault(space.key(trial.values), trial.number)
        if known != trial.number:
            yield f"trial {trial.number} was suggested what trial {known} has: {dict(trial.values)}"


@dataclass(slots=True)
class _Leases:
    """Who runs which trial, and until when nobody else may have it."""

    running: dict[int, Trial] = field(default_factory=dict)
    until: dict[int, float | None] = field(default_factory=dict)

    def over(self, trial: Trial, time: float) -> bool:
        """Whether a trial may be given to somebody else."""
        if trial.number not in self.running:
            return True
        until = self.until[trial.number]
        return until is not None and until < time

    def follow(self, call: Call) -> None:
        """Take in what a call changed."""
        for trial in () if call.changes is None else call.changes.trials:
            before = self.running.pop(trial.number, None)
            if trial.state is TrialState.RUNNING:
                self.running[trial.number] = trial
                if before is None or before.attempt != trial.attempt:
                    self.until[trial.number] = trial.lease_until
        claim = call.claim
        if claim is None or claim.lease_s is None:
            return
        if call.verb == "report" and call.number in self.running:
            self.until[call.number] = call.time + claim.lease_s
        if call.verb == "renew":
            for number, trial in self.running.items():
                if trial.worker == claim.worker:
                    self.until[number] = call.time + claim.lease_s


def leases_exclude(seen: Seen) -> Iterator[str]:
    """A running trial goes to another worker only when its lease is over, by the storage's clock."""
    leases = _Leases()
    for call in seen.calls:
        if not call.happened:
            continue
        for trial in call.taken if call.changes is not None else ():
            if call.verb == "claim" and not leases.over(trial, call.time):
                worker, until = leases.running[trial.number].worker, leases.until[trial.number]
                yield f"trial {trial.number} went from {worker} to {call.caller} at {call.time:.3f}, held until {until}"
        leases.follow(call)


def fences_hold(seen: Seen) -> Iterator[str]:
    """Who has lost a trial changes nothing of it."""
    known: dict[int, Trial] = {}
    for call in seen.calls:
        changed = () if call.changes is None else call.changes.trials
        measured = () if call.changes is None else call.changes.measurements
        if call.verb in _OF_AN_ATTEMPT and call.happened and (changed or measured):
            before = known[call.number]
            paused = call.verb == "finish" and before.state is TrialState.PAUSED
            if before.attempt != call.attempt:
                yield f"{call.caller} did {call.verb} with attempt {call.attempt} of trial {call.number}, which was at attempt {before.attempt}"
            elif before.state is not TrialState.RUNNING and not paused:
                yield f"{call.caller} did {call.verb} with trial {call.number}, which was {before.state}"
        # A fault of the storage may hide that the change happened; a refusal means that none did.
        refused = call.error is not None and not isinstance(call.error, StorageError)
        if refused and (changed or measured):
            yield f"{call.verb} by {call.caller} failed ({call.error}), and changed something"
        known |= {t.number: t for t in changed}
