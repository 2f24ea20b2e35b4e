"""Parameters with bounds: doubles and integers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tunesmith.errors import SpaceError
from tunesmith.space.building import Needs, finish, put, source
from tunesmith.space.checks import Condition, check_interval, finite, whole
from tunesmith.space.prior import EVEN, Bell, Density, Prior
from tunesmith.space.scale import Axis, Cells, Scale
from tunesmith.space.steps import Steps
from tunesmith.space.values import Value, integral, real, show

__all__ = ["Double", "Integer"]


@dataclass(frozen=True, slots=True, repr=False)
class Double:
    """A real number from ``low`` to ``high``, both included.

    Args:
        low: The smallest value.
        high: The largest value.
        scale: How values are spread: ``"linear"``, ``"log"`` or ``"reverse_log"``.
        step: Only ``low``, ``low + step``, ``low + 2 step``, … are values.
        default: A value to try first.
        prior: Where good values are expected: a `Prior`, or its center alone.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    low: float
    high: float
    scale: Scale = field(default="linear", kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    prior: float | Prior | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True, compare=False)
    _needs: Needs = field(init=False)
    _axis: Axis = field(init=False, compare=False)
    _steps: Steps | None = field(init=False, compare=False)
    _cells: Cells | None = field(init=False, compare=False)
    _density: Density = field(init=False, compare=False)

    def __post_init__(self) -> None:
        put(self, "low", finite("Double", "low", self.low))
        put(self, "high", finite("Double", "high", self.high))
        if self.step is not None:
            put(self, "step", finite("Double", "step", self.step))
        check_interval("Double", self.low, self.high, self.scale, self.step)
        put(self, "_axis", Axis(self.low, self.high, self.scale))
        put(self, "_steps", None)
        put(self, "_cells", None)
        if self.step is not None and self.low < self.high:
            steps = Steps(self.low, self.high, self.step)
            put(self, "_steps", steps)
            put(self, "_cells", Cells(steps.count, self.scale, self.low / self.step))
        finish(self)
        put(self, "_density", _density(self, self._cells))

    def __repr__(self) -> str:
        return source(self)

    @property
    def size(self) -> int | None:
        """How many values there are; None for infinitely many."""
        if self._steps is not None:
            return self._steps.count
        return 1 if self.low == self.high else None

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the values; a rounding error off its step still is."""
        number = real(value)
        if number is None or not self.low <= number <= self.high:
            return False
        return self._steps is None or float(number) in self._steps

    def canonical(self, value: object) -> Value:
        """Return ``value`` as a float, exactly on its step; raise `SpaceError` if it is no value."""
        number = real(value)
        if number is None or not self.contains(number):
            raise SpaceError(_outside("a number", value, self.low, self.high, self.step))
        number = float(number) + 0.0  # there is one zero: -0.0 + 0.0 is 0.0
        return number if self._steps is None else self._steps.at(self._steps.nearest(number))

    def members(self) -> Iterator[Value]:
        """Yield all values upwards; raise `SpaceError` if there are infinitely many."""
        if self._steps is not None:
            return map(self._steps.at, range(self._steps.count))
        if self.low < self.high:
            msg = "A double without a step has infinitely many values."
            raise SpaceError(msg)
        return iter([self.low])

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]."""
        if self._steps is None or self._cells is None:
            return self._axis.to_unit(float(value))
        return self._cells.to_unit(self._steps.nearest(float(value)))

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        if self._steps is None or self._cells is None:
            return self._axis.from_unit(u)
        return self._steps.at(self._cells.from_unit(u))

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Return the logarithm of the prior's density at places ``u`` in [0, 1], of ``u``'s shape.

        It is relative to drawing evenly: 0 everywhere without a prior. All places of one value have
        the same.
        """
        return self._density.log_density(u)

    def sample_unit(self, rng: np.random.Generator) -> float:
        """Return a place in [0, 1] whose value is drawn from the prior, evenly without one."""
        return self._density.sample(rng)

    def text(self, value: Value) -> str:
        """Return ``value`` as a program reads it."""
        return repr(float(value))


@dataclass(frozen=True, slots=True, repr=False)
class Integer:
    """A whole number from ``low`` to ``high``, both included.

    Args:
        low: The smallest value.
        high: The largest value.
        scale: How values are spread: ``"linear"``, ``"log"`` or ``"reverse_log"``.
        step: Only ``low``, ``low + step``, ``low + 2 step``, … are values.
        default: A value to try first.
        prior: Where good values are expected: a `Prior`, or its center alone.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    low: int
    high: int
    scale: Scale = field(default="linear", kw_only=True)
    step: int | None = field(default=None, kw_only=True)
    default: int | None = field(default=None, kw_only=True)
    prior: int | Prior | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True, compare=False)
    _needs: Needs = field(init=False)
    _cells: Cells = field(init=False, compare=False)
    _density: Density = field(init=False, compare=False)

    def __post_init__(self) -> None:
        put(self, "low", whole("Integer", "low", self.low))
        put(self, "high", whole("Integer", "high", self.high))
        if self.step is not None:
            put(self, "step", whole("Integer", "step", self.step))
        check_interval("Integer", self.low, self.high, self.scale, self.step)
        put(self, "_cells", Cells(self.size, self.scale, self.low / (self.step or 1)))
        finish(self)
        put(self, "_density", _density(self, self._cells))

    def __repr__(self) -> str:
        return source(self)

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the values; 3.0 is 3."""
        number = integral(value)
        if number is None or not self.low <= number <= self.high:
            return False
        return (number - self.low) % (self.step or 1) == 0

    def canonical(self, value: object) -> Value:
        """Return ``value`` as an int; raise `SpaceError` if it is no value."""
        number = integral(value)
        if number is None or not self.contains(number):
            raise SpaceError(_outside("a whole number", value, self.low, self.high, self.step))
        return number

    def members(self) -> Iterator[Value]:
        """Yield all values upwards."""
        return iter(range(self.low, self.high + 1, self.step or 1))

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1].

        `from_unit` finds it again, unless there are more than some 10¹³ values: beyond that a float
        can't tell all places apart.
        """
        return self._cells.to_unit((int(value) - self.low) // (self.step or 1))

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        return self.low + self._cells.from_unit(u) * (self.step or 1)

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Return the logarithm of the prior's density at places ``u`` in [0, 1], of ``u``'s shape.

        It is relative to drawing evenly: 0 everywhere without a prior. All places of one value have
        the same.
        """
        return self._density.log_density(u)

    def sample_unit(self, rng: np.random.Generator) -> float:
        """Return a place in [0, 1] whose value is drawn from the prior, evenly without one."""
        return self._density.sample(rng)

    def text(self, value: Value) -> str:
        """Return ``value`` as a program reads it."""
        return str(int(value))


def _density(parameter: Double | Integer, cells: Cells | None) -> Density:
    if not isinstance(parameter.prior, Prior) or parameter.size == 1:
        return EVEN
    return Bell(parameter.to_unit(parameter.prior.center), parameter.prior.sd, cells)


def _outside(kind: str, value: object, low: float, high: float, step: float | None) -> str:
    steps = f" in steps of {show(step)}" if step is not None else ""
    return f"{value!r} is not {kind} from {show(low)} to {show(high)}{steps}."
