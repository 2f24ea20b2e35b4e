"""Judges a stored study again: what each rule says, or would have said, after every report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from tunesmith.model import History, Measurement, StudySpec, Trial, TrialState, best_trial
from tunesmith.plugins import plugin_names
from tunesmith.stopping.base import StoppingRule, make_rules

__all__ = ["Judged", "Replay", "Stop", "Stored", "replay", "summary"]

Stored = tuple[int, int, Measurement]
"""A trial's number, its attempt, and what that measured, with the revision that stored it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What rules said after a report.

    Attributes:
        revision: The study's revision that stored the report.
        number: The trial.
        step: The latest step that it reported.
        reach: How many steps it had done.
        reasons: Why it should end, by the names of the rules that say so.
    """

    revision: int
    number: int
    step: int
    reach: int
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a trial would have been stopped.

    Attributes:
        number: The trial.
        step: After which step.
        rule: The rule, the first of those that say so.
        reason: Why.
        saved: How many steps it trained after that.
    """

    number: int
    step: int
    rule: str
    reason: str
    saved: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What rules would have done to a study.

    Attributes:
        stops: The trials that would have been stopped, in the order in which that would have happened.
        steps: How many steps all trials trained.
        saved: How many of them after their trial would have been stopped.
        best: The study's best trial; None if none counts.
        lost: Whether that would have been stopped.
    """

    stops: tuple[Stop, ...]
    steps: int
    saved: int
    best: int | None
    lost: bool


def replay(
    spec: StudySpec,
    trials: Sequence[Trial],
    measurements: Iterable[Stored],
    rules: Mapping[str, StoppingRule] | None = None,
) -> Iterator[Judged]:
    """Yield what rules say after each report, in the order in which reports came.

    The history is at each report what it was then: what was measured later is not known yet, and a trial
    that has changed since is taken to have been running, as in `History.as_of`. So the study's own
    rules say what they said. Of other rules one learns what they would have said in the study as it
    was: a trial that they would have stopped goes on, and goes on to be compared with.

    Args:
        spec: The study.
        trials: All its trials, in the order of their numbers.
        measurements: Everything that was measured. What one trial reported at one revision is one
            report.
        rules: What judges, by name; the study's own rules if not said.
    """
    if rules is None:
        named = [s for s in spec.stopping if s.name not in plugin_names("schedules")]
        rules = dict(zip([s.name for s in named], make_rules(named), strict=True))
    running = [
        replace(t, state=TrialState.RUNNING, metrics={}, step=None, reason="", revision=0)
        for t in trials
    ]
    history = History(spec, running)
    ended = sorted(trials, key=lambda t: t.revision)
    position = 0
    reports = sorted(measurements, key=lambda s: (s[2].revision, s[0]))
    for (revision, number), report in groupby(reports, key=lambda s: (s[2].revision, s[0])):
        while position < len(ended) and ended[position].revision <= revision:
            history.update([ended[position]])
            position += 1
        step = 0
        for _, attempt, measurement in report:
            history.measure(number, attempt, measurement)
            step = max(step, measurement.step)
        trial = history.trials[number - 1]
        said = {name: rule.stop_reason(trial, history) for name, rule in rules.items()}
        reasons = {name: reason for name, reason in said.items() if reason}
        yield Judged(revision, number, step, history.curve(number).reach, reasons)


def summary(spec: StudySpec, trials: Sequence[Trial], judged: Iterable[Judged]) -> Replay:
    """Return what rules would have done, from what `replay` yields."""
    reaches: dict[int, int] = {}
    first: dict[int, Judged] = {}
    for found in judged:
        reaches[found.number] = found.reach
        if found.reasons:
            first.setdefault(found.number, found)
    stops = []
    for number, found in first.items():
        rule, reason = next(iter(found.reasons.items()))
        stops.append(Stop(number, found.step, rule, reason, reaches[number] - found.reach))
    best = best_trial(trials, spec)
    return Replay(
        stops=tuple(stops),
        steps=sum(reaches.values()),
        saved=sum(stop.saved for stop in stops),
        best=None if best is None else best.number,
        lost=best is not None and best.number in first,
    )
