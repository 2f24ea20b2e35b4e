"""What a study does next, and what becomes of a trial that runs: its searcher, its rules, its schedule."""

from collections.abc import Sequence

from tunesmith.errors import Problem, SpecError
from tunesmith.model import History, StudySpec, Suggestion, Trial
from tunesmith.plugins import plugin_names
from tunesmith.search import make_searcher, position_rng
from tunesmith.stopping import Begin, Move, Verdict, judge, make_rules, make_schedule
from tunesmith.study.start import start_points

__all__ = ["Advisor", "refuse_endless"]


class Advisor:
    """Decides by the history alone; who carries it out is the study.

    Args:
        spec: The study.

    Raises:
        SpecError: a part that the spec names is not there, or can't serve such a study.
        SpaceError: likewise, of the space.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._searcher = make_searcher(spec.algorithm)
        self._searcher.check(spec)
        self._rules = make_rules(spec.stopping)
        self._schedule = make_schedule(spec.stopping)
        names = [s.name for s in spec.stopping if s.name in plugin_names("schedules")]
        self._schedule_name = names[0] if names else ""
        for part in (*self._rules, self._schedule):
            if part is not None:
                part.check(spec)

    @property
    def has_schedule(self) -> bool:
        """Whether a schedule owns the budget of trials."""
        return self._schedule is not None

    @property
    def schedule_name(self) -> str:
        """The schedule's name; ``""`` without one."""
        return self._schedule_name

    @property
    def reads_curves(self) -> bool:
        """Whether it decides by what trials measured on their way."""
        return bool(self._rules) or self.has_schedule

    def limit(self, spec: StudySpec) -> int | None:
        """Return how many trials the study may have: as many as it says, or else as its schedule needs."""
        if spec.max_trials is not None or self._schedule is None:
            return spec.max_trials
        return self._schedule.trials(spec)

    def first_budget(self, number: int, spec: StudySpec) -> int | None:
        """Return how many steps trial ``number`` trains at first; None for as many as it likes."""
        if self._schedule is None:
            return spec.max_steps
        return self._schedule.first_budget(number, spec)

    def moves(self, history: History, count: int, room: int) -> Sequence[Move]:
        """Return what to do with ``count`` free slots; see `Schedule.moves`."""
        if self._schedule is None:
            return [Begin(history.spec.max_steps)] * min(count, room)
        rng = position_rng(history.spec.seed, len(history.trials))
        return self._schedule.moves(history, count, room, rng)

    def suggest(self, history: History, count: int) -> Sequence[Suggestion]:
        """Return up to ``count`` points for new trials; fewer if the space has no more."""
        start = list(start_points(history))[:count]
        if start:
            return start
        rng = position_rng(history.spec.seed, len(history.trials))
        suggestions = self._searcher.suggest(history, count, rng)
        space = history.spec.space
        assert all(space.contains(s.values) for s in suggestions), "a searcher left the space"
        return suggestions

    def verdict(self, trial: Trial, history: History) -> Verdict:
        """Return what becomes of a running trial that has just measured something."""
        return judge(trial, history, self._rules, self._schedule)


def refuse_endless(spec: StudySpec) -> None:
    """Raise `SpecError` if nothing ends the study: neither a number, nor the space, a schedule or the clock."""
    if spec.max_trials is not None or spec.size is not None or spec.ending.is_certain:
        return
    schedule = make_schedule(spec.stopping)
    if schedule is None or schedule.trials(spec) is None:
        message = "The study would never end: say how many trials it may have (max_trials, or -n)."
        raise SpecError([Problem("E103", message)])
