"""What a study is: its space, its objectives, how it searches and how much it may spend."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast, get_args

from tunesmith.model.objectives import Constraint, Objective, fault
from tunesmith.space import Space, Value

__all__ = [
    "Algorithm",
    "Ending",
    "Selection",
    "Setting",
    "Stopping",
    "StudySpec",
    "check_bound",
]

Selection = Literal["last", "best", "minimum", "maximum"]
Setting = bool | int | float | str


_LARGEST = 2**31 - 1  # what an integer of every database can hold


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A searcher's name and its settings."""

    name: str = "default"
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stopping:
    """The name and settings of a stopping rule, or of a schedule that says how long trials train."""

    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """When a study has enough, beside its number of trials; what is None does not end it.

    ``min_trials`` and ``min_time_s`` end nothing: they hold back all the others, the target and the
    time too, until both are met. They don't hold back ``max_trials``, which is a bound and no wish,
    nor a space or a schedule that has no more trials to offer.

    Attributes:
        target: A value of the first objective that is good enough.
        time_s: Seconds from the study's first trial on.
        no_improvement: How many trials in a row may end without a better one.
        expected_gain: The least gain in the first objective, in its own units, that is worth one
            more trial; asked of the searcher's model.
        no_improvement_for_s: For how many seconds no better trial may end, from the best one's end
            on, or from the study's first trial on while none counts.
        min_trials: How many trials have to end first, however they do; cancelled ones don't count.
        min_time_s: Seconds that have to pass first, from the study's first trial on.
        stop_running: Whether trials that run when the study has enough end, too. None: at the target
            and the time they do, otherwise they run to their end.

    Raises:
        SpecError: a number out of its range, or a least time above the time.
    """

    target: float | None = None
    time_s: float | None = None
    no_improvement: int | None = None
    expected_gain: float | None = None
    no_improvement_for_s: float | None = None
    min_trials: int | None = None
    min_time_s: float | None = None
    stop_running: bool | None = None

    def __post_init__(self) -> None:
        check_bound("no_improvement", self.no_improvement, low=1, optional=True)
        check_bound("min_trials", self.min_trials, low=1, optional=True)
        positive = ("time_s", "expected_gain", "no_improvement_for_s", "min_time_s")
        for name in ("target", *positive):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise fault(f"{name} is a finite number; given {value!r}.")
        for name in positive:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise fault(f"{name} is greater than 0; given {value!r}.")
        least_s, most_s = self.min_time_s, self.time_s
        if least_s is not None and most_s is not None and least_s > most_s:
            raise fault(f"min_time_s is at most time_s, {most_s:g}; given {least_s:g}.")
        if self.stop_running is not None and not isinstance(self.stop_running, bool):
            raise fault(f"stop_running is True, False or None; given {self.stop_running!r}.")

    @property
    def is_certain(self) -> bool:
        """Whether it ends any study some day, whatever trials measure."""
        by_time = self.time_s is not None or self.no_improvement_for_s is not None
        return by_time or self.no_improvement is not None

    @property
    def goes_by_results(self) -> bool:
        """Whether what trials measure may end the study."""
        asked = (self.target, self.no_improvement, self.no_improvement_for_s, self.expected_gain)
        return any(part is not None for part in asked)

    @property
    def may_stop_running(self) -> bool:
        """Whether it may end trials that run."""
        hard = self.target is not None or self.time_s is not None
        if self.stop_running is None:
            return hard
        return self.stop_running and (hard or self.goes_by_results)


@dataclass(frozen=True, slots=True)
class StudySpec:
    """Everything that decides which trials a study suggests and which measurement counts.

    Attributes:
        space: The parameters.
        objectives: At least one; where a single one has to decide, it is the first.
        algorithm: The searcher.
        seed: Seeds every random choice of the study.
        max_trials: How many trials the study may have; None for no bound.
        parallel_trials: How many trials each tuner runs at once.
        max_failed_trials: The study fails when more trials than this have failed; None for no bound.
        measurement: Which of a trial's measurements counts, judged by the first objective.
        initial: Points to try first, each with values for some or all active parameters.
        constraints: Bounds on metrics; trials that keep them all rank before those that don't.
        warm_start: Names of earlier studies in the same storage from which searchers may learn.
        stopping: What ends hopeless trials early: stopping rules, and at most one schedule.
        max_steps: How many steps (epochs, mostly) a whole trial trains; None where nobody knows.
        ending: When the study has enough.

    Raises:
        SpecError: a number out of its range, no objective, or a metric or study named twice.
        SpaceError: an initial point outside the space.
    """

    space: Space
    objectives: tuple[Objective, ...]
    algorithm: Algorithm = field(default_factory=Algorithm)
    seed: int = 0
    max_trials: int | None = None
    parallel_trials: int = 1
    max_failed_trials: int | None = None
    measurement: Selection = "last"
    initial: tuple[Mapping[str, Value], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    warm_start: tuple[str, ...] = ()
    stopping: tuple[Stopping, ...] = ()
    max_steps: int | None = None
    ending: Ending = field(default_factory=Ending)

    def __post_init__(self) -> None:
        if not self.objectives:
            raise fault("A study needs a metric to minimize or maximize.")
        metrics = [objective.metric for objective in self.objectives]
        if len(set(metrics)) < len(metrics):
            raise fault(f"Each metric can be an objective once; given: {', '.join(metrics)}.")
        bounded = [constraint.metric for constraint in self.constraints]
        if twice := _first_twice(bounded):
            raise fault(f"Each metric can have one constraint; given two on {twice}.")
        if twice := _first_twice(self.warm_start):
            raise fault(f"Each study can be learnt from once; warm_start names {twice!r} twice.")
        if twice := _first_twice([stopping.name for stopping in self.stopping]):
            raise fault(f"Each stopping rule can be named once; given {twice!r} twice.")
        check_bound("max_steps", self.max_steps, low=1, optional=True)
        check_bound("max_trials", self.max_trials, low=1, optional=True)
        check_bound("parallel_trials", self.parallel_trials, low=1)
        check_bound("max_failed_trials", self.max_failed_trials, low=0, optional=True)
        check_bound("seed", self.seed, low=0, high=None)
        if self.measurement not in get_args(Selection):
            wanted = ", ".join(get_args(Selection))
            raise fault(f"measurement is one of {wanted}; given {self.measurement!r}.")
        object.__setattr__(self, "initial", tuple(map(self._canonical, self.initial)))

    @property
    def objective(self) -> Objective:
        """The first objective, which decides where a single one has to."""
        return self.objectives[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that the study names, each once, the first objective first."""
        errors = [o.standard_error for o in self.objectives if o.standard_error]
        bounded = [constraint.metric for constraint in self.constraints]
        return tuple(dict.fromkeys([*(o.metric for o in self.objectives), *errors, *bounded]))

    @property
    def repeats(self) -> bool:
        """Whether the searcher may suggest a point again: its setting ``repeat``."""
        return self.algorithm.settings.get("repeat") is True

    @property
    def size(self) -> int | None:
        """How many points the searcher can suggest; None for no bound."""
        return None if self.repeats else self.space.size

    def _canonical(self, point: Mapping[str, Value]) -> Mapping[str, Value]:
        completed = self.space.complete(point)
        return {name: completed[name] for name in point}

    def differences(self, other: "StudySpec") -> list[str]:
        """Return one sentence for each difference that makes it another study: old is self, new is other.

        Those are differences of the space, the objectives, the constraints, and the measurement that
        counts; not of the budget, or of how the study searches.
        """
        sentences = list(self.space.differences(other.space))
        if self.objectives != other.objectives:
            was, now = _listed(self.objectives), _listed(other.objectives)
            sentences.append(f"objective: was {was}, is now {now}")
        if self.constraints != other.constraints:
            was, now = (
                _listed(f"{c.metric} {c.condition}" for c in spec.constraints)
                for spec in (self, other)
            )
            sentences.append(f"constraints: were {was}, are now {now}")
        if self.measurement != other.measurement:
            sentences.append(f"measurement: was {self.measurement}, is now {other.measurement}")
        return sentences

    def to_json(self) -> dict[str, object]:
        """Return plain data from which `from_json` makes an equal spec."""
        return {
            "space": self.space.to_json(),
            "objectives": [asdict(objective) for objective in self.objectives],
            "algorithm": {"name": self.algorithm.name, **self.algorithm.settings},
            "seed": self.seed,
            "max_trials": self.max_trials,
            "parallel_trials": self.parallel_trials,
            "max_failed_trials": self.max_failed_trials,
            "measurement": self.measurement,
            "initial": [dict(point) for point in self.initial],
            "constraints": [asdict(constraint) for constraint in self.constraints],
            "warm_start": list(self.warm_start),
            "stopping": [{"name": s.name, **s.settings} for s in self.stopping],
            "max_steps": self.max_steps,
            "ending": asdict(self.ending),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "StudySpec":
        """Rebuild a spec from `to_json`'s data."""
        algorithm = dict(cast("Mapping[str, Setting]", data["algorithm"]))
        name = str(algorithm.pop("name"))
        stopping = [dict(part) for part in cast("Iterable[Mapping[str, Any]]", data["stopping"])]
        goals = cast("Iterable[Mapping[str, Any]]", data["objectives"])
        bounds = cast("Iterable[Mapping[str, Any]]", data["constraints"])
        return cls(
            space=Space.from_json(cast("Iterable[Mapping[str, object]]", data["space"])),
            objectives=tuple(Objective(**objective) for objective in goals),
            algorithm=Algorithm(name, algorithm),
            seed=cast("int", data["seed"]),
            max_trials=cast("int | None", data["max_trials"]),
            parallel_trials=cast("int", data["parallel_trials"]),
            max_failed_trials=cast("int | None", data["max_failed_trials"]),
            measurement=cast("Selection", data["measurement"]),
            initial=tuple(cast("Iterable[Mapping[str, Value]]", data["initial"])),
            constraints=tuple(Constraint(**constraint) for constraint in bounds),
            warm_start=tuple(cast("Iterable[str]", data["warm_start"])),
            stopping=tuple(Stopping(str(part.pop("name")), part) for part in stopping),
            max_steps=cast("int | None", data["max_steps"]),
            ending=Ending(**cast("Mapping[str, Any]", data["ending"])),
        )


def check_bound(
    name: str, value: object, *, low: int, high: int | None = _LARGEST, optional: bool = False
) -> None:
    """Raise `SpecError` unless ``value`` is a whole number from ``low`` to ``high``, or None if optional."""
    if value is None and optional:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        to = "" if high is None else f" to {high}"
        raise fault(f"{name} is a whole number from {low}{to}; given {value!r}.")


def _listed(parts: Iterable[Objective | str]) -> str:
    return ", ".join(map(str, parts)) or "none"


def _first_twice(names: Sequence[str]) -> str:
    """Return the first name that is there again; ``""`` if all are there once."""
    return next((name for i, name in enumerate(names) if name in names[:i]), "")
