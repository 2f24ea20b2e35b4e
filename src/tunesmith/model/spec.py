"""What a study is: its space, its objectives, how it searches and how much it may spend."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from tunesmith.errors import Problem, SpecError
from tunesmith.space import Space, Value

__all__ = [
    "Algorithm",
    "Goal",
    "Objective",
    "Selection",
    "Setting",
    "StudySpec",
    "check_metric_name",
    "refuse_endless",
]

Goal = Literal["minimize", "maximize"]
Selection = Literal["last", "best", "minimum", "maximum"]
Setting = bool | int | float | str


def _fault(message: str) -> SpecError:
    return SpecError([Problem("E120", message)])


_LARGEST = 2**31 - 1  # what an integer of every database can hold


def check_metric_name(name: str) -> None:
    """Raise `SpecError` unless ``name`` can name a metric: visible, and without ``=`` or blanks."""
    if not 0 < len(name) <= 200 or any(
        c.isspace() or c == "=" or not c.isprintable() for c in name
    ):
        raise _fault(
            f"A metric's name can't be {name!r}. Use up to 200 letters, digits, '_', '-', '.' and '/'."
        )


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and the direction in which it is better."""

    metric: str
    goal: Goal

    def __post_init__(self) -> None:
        check_metric_name(self.metric)
        if self.goal not in get_args(Goal):
            raise _fault(f"A goal is 'minimize' or 'maximize', not {self.goal!r}.")

    def loss(self, value: float) -> float:
        """Return ``value`` turned so that smaller is better; the same turn undoes it."""
        return -value if self.goal == "maximize" else value

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` beats ``than``."""
        return self.loss(value) < self.loss(than)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A searcher's name and its settings."""

    name: str = "default"
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StudySpec:
    """Everything that decides which trials a study suggests and which measurement counts.

    Attributes:
        space: The parameters.
        objectives: At least one; searchers optimise the first, all are stored.
        algorithm: The searcher.
        seed: Seeds every random choice of the study.
        max_trials: How many trials the study may have; None for no bound.
        parallel_trials: How many trials each tuner runs at once.
        max_failed_trials: The study fails when more trials than this have failed; None for no bound.
        measurement: Which of a trial's measurements counts, judged by the first objective.
        initial: Points to try first, each with values for some or all active parameters.

    Raises:
        SpecError: a number out of its range, no objective, or a metric named twice.
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

    def __post_init__(self) -> None:
        if not self.objectives:
            raise _fault("A study needs a metric to minimize or maximize.")
        metrics = [objective.metric for objective in self.objectives]
        if len(set(metrics)) < len(metrics):
            raise _fault(f"Each metric can be an objective once; given: {', '.join(metrics)}.")
        check_bound("max_trials", self.max_trials, low=1, optional=True)
        check_bound("parallel_trials", self.parallel_trials, low=1)
        check_bound("max_failed_trials", self.max_failed_trials, low=0, optional=True)
        check_bound("seed", self.seed, low=0, high=None)
        if self.measurement not in get_args(Selection):
            wanted = ", ".join(get_args(Selection))
            raise _fault(f"measurement is one of {wanted}; given {self.measurement!r}.")
        object.__setattr__(self, "initial", tuple(map(self._canonical, self.initial)))

    @property
    def objective(self) -> Objective:
        """The first objective, which searchers optimise."""
        return self.objectives[0]

    def _canonical(self, point: Mapping[str, Value]) -> Mapping[str, Value]:
        completed = self.space.complete(point)
        return {name: completed[name] for name in point}

    def differences(self, other: "StudySpec") -> list[str]:
        """Return one sentence for each difference in space or objectives: old is self, new is other."""
        sentences = list(self.space.differences(other.space))
        if self.objectives != other.objectives:
            sentences.append(
                f"objective: was {_goals(self.objectives)}, is now {_goals(other.objectives)}"
            )
        if self.measurement != other.measurement:
            sentences.append(f"measurement: was {self.measurement}, is now {other.measurement}")
        return sentences

    def to_json(self) -> dict[str, object]:
        """Return plain data from which `from_json` makes an equal spec."""
        return {
            "space": self.space.to_json(),
            "objectives": [{"metric": o.metric, "goal": o.goal} for o in self.objectives],
            "algorithm": {"name": self.algorithm.name, **self.algorithm.settings},
            "seed": self.seed,
            "max_trials": self.max_trials,
            "parallel_trials": self.parallel_trials,
            "max_failed_trials": self.max_failed_trials,
            "measurement": self.measurement,
            "initial": [dict(point) for point in self.initial],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "StudySpec":
        """Rebuild a spec from `to_json`'s data."""
        algorithm = dict(cast("Mapping[str, Setting]", data["algorithm"]))
        name = str(algorithm.pop("name"))
        goals = cast("Iterable[Mapping[str, str]]", data["objectives"])
        return cls(
            space=Space.from_json(cast("Iterable[Mapping[str, object]]", data["space"])),
            objectives=tuple(Objective(o["metric"], cast("Goal", o["goal"])) for o in goals),
            algorithm=Algorithm(name, algorithm),
            seed=cast("int", data["seed"]),
            max_trials=cast("int | None", data["max_trials"]),
            parallel_trials=cast("int", data["parallel_trials"]),
            max_failed_trials=cast("int | None", data["max_failed_trials"]),
            measurement=cast("Selection", data["measurement"]),
            initial=tuple(cast("Iterable[Mapping[str, Value]]", data["initial"])),
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
        raise _fault(f"{name} is a whole number from {low}{to}; given {value!r}.")


def refuse_endless(max_trials: int | None, space: Space) -> None:
    """Raise `SpecError` if running such a study to its end would take for ever."""
    if max_trials is None and space.size is None:
        message = "The study would never end: say how many trials it may have (max_trials, or -n)."
        raise SpecError([Problem("E103", message)])


def _goals(objectives: Iterable[Objective]) -> str:
    return ", ".join(f"{o.goal} {o.metric}" for o in objectives)
