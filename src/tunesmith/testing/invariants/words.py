"""What was said: answers and events are true, readers miss nothing, the same is suggested again."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunesmith.model import History, Measurement, Trial, TrialState, joined
from tunesmith.stopping import Begin
from tunesmith.study.advisor import Advisor
from tunesmith.testing.invariants.same import end, same_curve, same_trial
from tunesmith.testing.seen import Seen
from tunesmith.tuner.events import BestChanged, TrialEnded

__all__ = [
    "ends_are_kept",
    "readers_miss_nothing",
    "replay_is_the_same",
    "requests_happen_once",
    "suggestions_repeat",
    "told_the_truth",
]

_ENDLESS = 1_000_000


def requests_happen_once(seen: Seen) -> Iterator[str]:
    """A request that is delivered twice changes something once."""
    did: dict[tuple[object, ...], int] = {}
    for call in seen.calls:
        if not call.key or call.changes is None:
            continue
        # What a first delivery left half done may be added to: at another place.
        what = (call.key, call.verb, call.arguments.get("number"), call.arguments.get("after"))
        first = did.setdefault(what, call.delivery)
        if first != call.delivery:
            yield f"{call.verb} of {call.caller} happened again when its request was delivered again"


def ends_are_kept(seen: Seen) -> Iterator[str]:
    """Whoever was told that a trial has ended, or waits, was told the truth for ever."""
    retried: set[int] = set()
    now = {t.number: t for t in seen.trials}
    for call in reversed(seen.calls):
        if call.error is not None:
            continue
        if call.verb == "retry":
            retried.add(call.number)
        if call.verb == "finish" and call.number not in retried and call.heard:
            answer = call.answer
            assert isinstance(answer, Trial)
            kept = now.get(call.number)
            if kept is None or not same_trial(answer, kept):
                yield f"{call.caller} heard that trial {call.number} has ended as {end(answer)}; it is {end(now.get(call.number))}"
        if call.verb == "add_trials" and call.heard:
            assert isinstance(call.answer, Sequence)
            for trial in call.answer:
                kept = now.get(trial.number)
                if kept is None or kept.values != trial.values:
                    yield f"{call.caller} heard that trial {trial.number} was added with {trial.values}; it is {kept}"


def told_the_truth(seen: Seen) -> Iterator[str]:
    """Observers are told of trials as they were, and of one end once."""
    were = {(t.number, t.revision): t for c in seen.changes for t in c.trials}
    told: set[tuple[str, int, int]] = set()
    for one in seen.told:
        event = one.event
        if isinstance(event, TrialEnded):
            trial = event.trial
            was = were.get((trial.number, trial.revision))
            if was is None or not same_trial(was, trial):
                yield f"{one.tuner} told of trial {trial.number} as it never was: {trial}"
            key = (one.tuner, trial.number, trial.revision)
            if key in told and trial.is_final:
                yield f"{one.tuner} told twice of the end of trial {trial.number}"
            told.add(key)
        elif isinstance(event, BestChanged) and not event.trial.counts:
            yield f"{one.tuner} told that trial {event.trial.number} is the best, and it does not count"


def replay_is_the_same(seen: Seen) -> Iterator[str]:
    """Who takes in all changes in their order knows what is stored."""
    if not seen.changes:
        return
    known: dict[int, Trial] = {}
    for changes in seen.changes:
        known |= {t.number: t for t in changes.trials}
    yield from _compare("the changes in their order", known, seen)
    last = seen.changes[-1].record
    if replace(last, used=seen.record.used) != seen.record:
        yield f"the changes end with {last}; stored is {seen.record}"


def readers_miss_nothing(seen: Seen) -> Iterator[str]:
    """Whoever has followed the study knows what is stored, curves included."""
    of: dict[int, list[tuple[int, Measurement]]] = defaultdict(list)
    for m in seen.measured:
        of[m.number].append((m.attempt, m.measurement))
    follows = Advisor(seen.record.spec).reads_curves
    for name, history in seen.readers.items():
        yield from _compare(name, {t.number: t for t in history.trials}, seen)
        for trial in seen.trials if follows else ():
            curve, stored = history.curve(trial.number).measurements, joined(of[trial.number])
            if not same_curve(curve, stored):
                yield f"{name} knows the curve {curve} of trial {trial.number}; stored is {stored}"


def _compare(who: str, known: Mapping[int, Trial], seen: Seen) -> Iterator[str]:
    for trial in seen.trials:
        one = known.get(trial.number)
        if one is None or not same_trial(one, trial):
            yield f"{who}: trial {trial.number} is {one}; stored is {trial}"


def suggestions_repeat(seen: Seen) -> Iterator[str]:
    """What was suggested is what is suggested again to who knows as much."""
    for call in seen.calls:
        if call.verb != "add_trials" or call.claim is None or call.changes is None:
            continue
        history = _history(seen, call.known)
        advisor = Advisor(history.spec)
        counted = len(history.trials) - history.count(TrialState.CANCELLED)
        limit = advisor.limit(history.spec)
        room = _ENDLESS if limit is None else max(0, limit - counted)
        begins = [m for m in advisor.moves(history, 1, room) if isinstance(m, Begin)]
        wanted = sum(b.suggestion is None for b in begins)
        found = iter(advisor.suggest(history, wanted) if wanted else ())
        again = [replace(b.suggestion or next(found), budget=b.budget) for b in begins]
        if again != call.arguments["suggestions"]:
            yield f"{call.caller}, who knew revision {call.known}, added {call.arguments['suggestions']}; now it is {again}"


def _history(seen: Seen, revision: int) -> History:
    history = History(seen.changes[0].record.spec if seen.changes else seen.record.spec)
    for changes in seen.changes:
        if changes.record.revision > revision:
            break
        history.update(changes.trials, changes.record.spec)
        for m in changes.measurements:
            history.measure(m.number, m.attempt, m.measurement)
    return history
