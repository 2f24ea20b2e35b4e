"""What trials measured: stored once, as it was reported, and what follows from it."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from tunesmith.model import Measurement, Trial, joined, rank, select_measurement
from tunesmith.testing.invariants.same import same, same_metrics
from tunesmith.testing.seen import Seen

__all__ = [
    "best_never_worsens",
    "measured_is_true",
    "reports_are_kept",
    "results_follow",
    "stored_once",
]


def stored_once(seen: Seen) -> Iterator[str]:
    """A metric of an attempt is stored once for each step."""
    times = Counter(
        (m.number, m.attempt, name, m.measurement.step)
        for m in seen.measured
        for name in m.measurement.metrics
    )
    for (number, attempt, name, step), count in times.items():
        if count > 1:
            yield f"{name} of trial {number}, attempt {attempt}, step {step} is stored {count} times"


_Place = tuple[int, int, str, int]  # trial, attempt, metric, step


def reports_are_kept(seen: Seen) -> Iterator[str]:
    """What is stored is what was reported, no less and no more."""
    if not seen.calls:
        return
    expected = _reported(seen)
    stored = {
        (m.number, m.attempt, name, m.measurement.step): value
        for m in seen.measured
        for name, value in m.measurement.metrics.items()
    }
    for place in sorted(expected.keys() | stored.keys()):
        number, attempt, name, step = place
        where = f"{name} of trial {number}, attempt {attempt}, step {step}"
        if place not in stored:
            yield f"{where} was reported and is not stored"
        elif place not in expected:
            yield f"{where} is stored and was not reported"
        elif not same(expected[place], stored[place]):
            yield f"{where} was reported as {expected[place]} and is stored as {stored[place]}"


def _reported(seen: Seen) -> Mapping[_Place, float]:
    """Return what should be stored, by what was reported."""
    expected: dict[_Place, float] = {}
    answered: set[str] = set()
    for call in seen.calls:
        if call.verb != "report" or not call.happened or call.key in answered:
            continue
        if call.key:
            answered.add(call.key)
        gone = call.arguments.get("superseded", frozenset())
        assert isinstance(gone, frozenset)
        for place in [p for p in expected if p[:2] == (call.number, call.attempt)]:
            if place[2] in gone:
                del expected[place]
        of_attempt = call.arguments.get("of_attempt")
        attempt = call.attempt if of_attempt is None else of_attempt
        assert isinstance(attempt, int)
        for m in call.reported:
            for name, value in m.metrics.items():
                expected.setdefault((call.number, attempt, name, m.step), value)
    return expected


def measured_is_true(seen: Seen) -> Iterator[str]:
    """What is stored of a trial is what its program measures with the trial's values."""
    if seen.program is None:
        return
    of = {t.number: t for t in seen.trials}
    for m in seen.measured:
        step = m.measurement.step
        true = [seen.program(t.values, step) for t in _line(m.number, of)]
        for name, value in m.measurement.metrics.items():
            if not any(same(one.get(name, math.inf), value) for one in true):
                yield f"{name} of trial {m.number}, step {step} is stored as {value}, and was {true[0].get(name)}"


def _line(number: int, of: Mapping[int, Trial]) -> Iterator[Trial]:
    """Yield a trial and its ancestors: until a copy trains on, it is what its parent was."""
    next_one: int | None = number
    while next_one is not None:
        yield of[next_one]
        next_one = of[next_one].parent


def results_follow(seen: Seen) -> Iterator[str]:
    """A trial's result is the measurement that counts among those it made."""
    of: dict[int, list[tuple[int, Measurement]]] = defaultdict(list)
    for m in seen.measured:
        of[m.number].append((m.attempt, m.measurement))
    for trial in seen.trials:
        if not trial.counts or trial.step is None:
            continue
        chosen = select_measurement(joined(of[trial.number]), seen.record.spec)
        if (
            chosen is None
            or chosen.step != trial.step
            or not same_metrics(chosen.metrics, trial.metrics)
        ):
            yield f"trial {trial.number} has the result {dict(trial.metrics)} of step {trial.step}, and measured {chosen}"


def best_never_worsens(seen: Seen) -> Iterator[str]:
    """The best result so far only gets better, unless a person has a trial done again."""
    known: dict[int, Trial] = {}
    best: tuple[float, float] | None = None
    for changes in seen.changes:
        again = any(
            t.number in known and known[t.number].counts and not t.counts for t in changes.trials
        )
        known |= {t.number: t for t in changes.trials}
        places = [p[:2] for t in known.values() if (p := rank(t, changes.record.spec)) is not None]
        now = min(places, default=None)
        if best is not None and not again and (now is None or now > best):
            yield f"at revision {changes.record.revision} the best was {now}, and {best} before"
        best = now
