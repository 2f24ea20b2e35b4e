"""What a study will take, told before anything is spent: rungs, steps, time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from tunesmith.model import StudySpec
from tunesmith.plugins import plugin_names
from tunesmith.reporting.early import part_text
from tunesmith.reporting.figures import duration, number
from tunesmith.stopping import Bracket, Plan, Rung, make_schedule

__all__ = ["Outlook", "outlook_document", "outlook_lines", "rung_rows"]

_ROWS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a study's cost before it runs.

    Attributes:
        spec: The study.
        trials: How many trials it will have at most; None for no bound.
        plan: What its schedule will do; None without one.
        step_s: How many seconds a trial trains for one step; None while nobody knows.
    """

    spec: StudySpec
    trials: int | None
    plan: Plan | None
    step_s: float | None = None

    @classmethod
    def of(cls, spec: StudySpec, step_s: float | None = None) -> Self:
        """Return the outlook of a study that its schedule serves."""
        schedule = make_schedule(spec.stopping)
        own = None if schedule is None or spec.max_trials else schedule.trials(spec)
        bounds = (b for b in (spec.max_trials, own, spec.size) if b is not None)
        plan = None if schedule is None else schedule.plan(spec)
        return cls(spec, min(bounds, default=None), plan, step_s)

    @property
    def whole_steps(self) -> int | None:
        """How many steps all trials would train if none ended early; None while nobody knows."""
        if self.trials is None or self.spec.max_steps is None:
            return None
        return self.trials * self.spec.max_steps

    @property
    def steps(self) -> float | None:
        """How many steps they will train, as far as that can be told: rules may end some earlier."""
        return self.whole_steps if self.plan is None else self.plan.steps

    @property
    def worst_steps(self) -> float | None:
        """How many steps they will train in the worst case."""
        return self.whole_steps if self.plan is None else self.plan.worst_steps

    def saved(self, steps: float | None) -> float | None:
        """Return the share that ``steps`` save of whole trials; None where nobody knows."""
        return None if steps is None or not self.whole_steps else 1.0 - steps / self.whole_steps

    def seconds(self, steps: float | None) -> float | None:
        """Return about how long ``steps`` take with as many trials at a time as the study runs.

        Not less than its longest bracket takes, where few trials are left at the top, and not more than
        the study may last; None where nobody knows.
        """
        if steps is None or self.step_s is None:
            return None
        at_once = self.spec.parallel_trials
        brackets = () if self.plan is None else self.plan.brackets
        least = max((_rounds(bracket, at_once) for bracket in brackets), default=0.0)
        seconds = max(steps / at_once, least, self.spec.max_steps or 0.0) * self.step_s
        ending = self.spec.ending
        limit = None if ending.min_trials is not None else ending.time_s  # they may take longer
        return seconds if limit is None else min(seconds, limit)


def outlook_lines(outlook: Outlook) -> Iterator[str]:
    """Yield what people read of an outlook, without its rungs."""
    if outlook.whole_steps is not None:
        yield _steps_line(outlook, outlook.whole_steps)
    if outlook.plan is not None:
        yield from _plan_lines(outlook, outlook.plan)
    if outlook.trials is None:
        yield "how many trials there will be is not known: say max_trials (-n)"
    if outlook.spec.max_steps is None:
        yield "how many steps a whole trial trains is not known: say max_steps (--max-steps)"
    expected, worst = outlook.seconds(outlook.steps), outlook.seconds(outlook.worst_steps)
    if expected is not None and worst is not None:
        yield _time_line(outlook, expected, worst)


def rung_rows(plan: Plan) -> list[list[str]]:
    """Return the rungs of all brackets as the rows of a table, the first of them the head."""
    rows = []
    for place, bracket in enumerate(plan.brackets, start=1):
        before = 0
        for group in _alike(bracket):
            last = group[-1].steps
            places = [f"{rung.steps:,}" for rung in group]
            up_to = places if len(places) < 4 else [*places[:2], f"… {places[-1]}"]
            steps = group[0].trials * (last - before)
            name = str(place) if before == 0 else ""
            rows.append([name, _count(group[0].trials), ", ".join(up_to), _count(steps)])
            before = last
    hidden = len(rows) - _ROWS_SHOWN
    more = [["…", f"{hidden} more", "", ""]] if hidden > 0 else []
    return [["bracket", "trials", "up to step", "steps in all"], *rows[:_ROWS_SHOWN], *more]


def _alike(bracket: Bracket) -> list[list[Rung]]:
    """Return the rungs in groups of equally many trials, the lowest first."""
    groups = groupby(bracket.rungs, key=lambda rung: rung.trials)
    return [list(group) for _, group in groups]


def _rounds(bracket: Bracket, at_once: int) -> float:
    """Return how many steps of time a bracket takes that has all slots to itself."""
    before, rounds = 0, 0.0
    for rung in bracket.rungs:
        rounds += max(rung.trials / at_once, min(1.0, rung.trials)) * (rung.steps - before)
        before = rung.steps
    return rounds


def outlook_document(outlook: Outlook) -> Mapping[str, object]:
    """Return an outlook as plain data; what nobody knows is null."""
    plan = outlook.plan
    return {
        "trials": outlook.trials,
        "max_steps": outlook.spec.max_steps,
        "parallel_trials": outlook.spec.parallel_trials,
        "brackets": None if plan is None else [
            {
                "steps": bracket.steps,
                "rungs": [{"steps": rung.steps, "trials": rung.trials} for rung in bracket.rungs],
            }
            for bracket in plan.brackets
        ],
        "exact": None if plan is None else plan.exact,
        "note": "" if plan is None else plan.note,
        "steps": {
            "expected": outlook.steps, "worst": outlook.worst_steps, "whole": outlook.whole_steps
        },
        "saved": {
            "expected": outlook.saved(outlook.steps), "worst": outlook.saved(outlook.worst_steps)
        },
        "step_s": outlook.step_s,
        "time_s": {
            "expected": outlook.seconds(outlook.steps),
            "worst": outlook.seconds(outlook.worst_steps),
        },
    }  # fmt: skip


def _steps_line(outlook: Outlook, whole: int) -> str:
    """Return how much all trials would train whole."""
    assert outlook.trials is not None
    assert outlook.spec.max_steps is not None
    each = outlook.spec.max_steps
    trials = f"{_trials(outlook.trials)} of {each:,} step{'s' if each > 1 else ''}"
    if outlook.plan is not None:
        return f"{trials} would take {whole:,} steps"
    rules = _rules_text(outlook.spec)
    at_worst = f" at worst, less what {rules} ends early" if rules else ""
    return f"{trials}: {whole:,} steps{at_worst}"


def _plan_lines(outlook: Outlook, plan: Plan) -> Iterator[str]:
    about = "takes" if plan.exact else "is expected to take"
    saving = _saving(outlook.saved(plan.steps))
    yield f"{_schedule_text(outlook.spec)} {about} {_count(plan.steps)} steps{saving}"
    if plan.worst_steps > plan.steps:
        saving = _saving(outlook.saved(plan.worst_steps))
        yield f"at worst it takes {_count(plan.worst_steps)} steps{saving}"
    if plan.note:
        yield plan.note
    if rules := _rules_text(outlook.spec):
        yield f"less what {rules} ends early"


def _rules_text(spec: StudySpec) -> str:
    schedules = plugin_names("schedules")
    return ", ".join(
        part_text(s.name, s.settings) for s in spec.stopping if s.name not in schedules
    )


def _schedule_text(spec: StudySpec) -> str:
    schedules = plugin_names("schedules")
    return next(part_text(s.name, s.settings) for s in spec.stopping if s.name in schedules)


def _time_line(outlook: Outlook, expected_s: float, worst_s: float) -> str:
    assert outlook.step_s is not None
    most = f", at worst {duration(worst_s)}" if worst_s > expected_s else ""
    at_once = outlook.spec.parallel_trials
    rate = f"{duration(outlook.step_s)} a step and {_trials(at_once)} at a time"
    return f"time about {duration(expected_s)}{most}, with {rate}"


def _saving(share: float | None) -> str:
    if share is None:
        return ""
    return f": {100 * share:.0f} % saved" if share >= 0 else f": {-100 * share:.0f} % more"


def _count(steps: float) -> str:
    return f"{round(steps):,}" if steps >= 100 or steps == int(steps) else number(steps)


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count:,} trials"
