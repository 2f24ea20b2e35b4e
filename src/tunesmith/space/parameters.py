"""The four kinds of parameters: double, integer, discrete, categorical.

Each knows its members exactly, and its place in the unit interval. Values that are counted (integers,
steps, lists) get cells of equal width there, so that a point drawn evenly hits each of them equally
often; `to_unit` gives a cell's middle.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from tunesmith.errors import SpaceError
from tunesmith.space.checks import (
    check_interval,
    check_scale,
    condition,
    finite,
    integral,
    listed,
    plain,
    real,
    typed,
    typed_all,
    whole,
)
from tunesmith.space.scale import Axis, Scale

__all__ = [
    "Categorical",
    "Condition",
    "Discrete",
    "Double",
    "Integer",
    "Parameter",
    "Value",
    "parents",
]

Value = bool | int | float | str
Condition = tuple[tuple[str, tuple[Value, ...]], ...]
"""Parents and, for each, the values with which the child is active."""

_ON_STEP = 1e-9  # of a step: what decimal fractions lose on their way through binary ones
_INDEXABLE = 2**53  # cells beyond this can't be told apart by a float


@dataclass(frozen=True, slots=True)
class Double:
    """A real number from ``low`` to ``high``, both included.

    Args:
        low: The smallest value.
        high: The largest value.
        scale: How values are spread: ``"linear"``, ``"log"`` or ``"reverse_log"``.
        step: Only ``low``, ``low + step``, ``low + 2 step``, … are values.
        default: A value to try first.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    low: float
    high: float
    scale: Scale = field(default="linear", kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _set(self, "low", finite("Double", "low", self.low))
        _set(self, "high", finite("Double", "high", self.high))
        if self.step is not None:
            _set(self, "step", finite("Double", "step", self.step))
        check_interval("Double", self.low, self.high, self.scale, self.step)
        _finish(self)

    @property
    def size(self) -> int | None:
        """How many values there are; None for infinitely many."""
        if self.low == self.high:
            return 1
        return None if self.step is None else _steps(self.low, self.high, self.step)

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the values."""
        number = real(value)
        if number is None or not self.low <= number <= self.high:
            return False
        if self.step is None:
            return True
        place = (number - self.low) / self.step
        return abs(place - round(place)) <= _ON_STEP * max(1.0, abs(place))

    def canonical(self, value: object) -> Value:
        """Return ``value`` as a float, exactly on its step; raise `SpaceError` if it is no value."""
        if not self.contains(value):
            raise SpaceError(_outside(self, value))
        number = cast("float", real(value))
        if self.step is None or self.low == self.high:
            return number
        return self._at(round((number - self.low) / self.step))

    def members(self) -> Iterator[Value]:
        """Yield all values upwards; raise `SpaceError` if there are infinitely many."""
        if self.size is None:
            msg = "A double without a step has infinitely many values."
            raise SpaceError(msg)
        return (self._at(index) for index in range(self.size))

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]."""
        if self.step is None or self.low == self.high:
            return Axis(self.low, self.high, self.scale).to_unit(float(value))
        return _cells(self.low, self._top(), self.step, self.scale).to_unit(float(value))

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        if self.step is None or self.low == self.high:
            return Axis(self.low, self.high, self.scale).from_unit(u)
        at = _cells(self.low, self._top(), self.step, self.scale).from_unit(u)
        last = cast("int", self.size) - 1
        return self._at(min(max(round((at - self.low) / self.step), 0), last))

    def text(self, value: Value) -> str:
        """Return ``value`` as a program reads it."""
        return repr(float(value))

    def _at(self, index: int) -> float:
        if index == 0 or self.step is None:
            return self.low
        # Twelve digits beyond the step's own: 0.1 + 2 * 0.1 is 0.3, not 0.30000000000000004.
        digits = 12 - math.floor(math.log10(self.step))
        value = self.low + index * self.step
        return min(round(value, digits) if digits < 300 else value, self.high)

    def _top(self) -> float:
        return self._at(cast("int", self.size) - 1)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included.

    Args:
        low: The smallest value.
        high: The largest value.
        scale: How values are spread: ``"linear"``, ``"log"`` or ``"reverse_log"``.
        step: Only ``low``, ``low + step``, ``low + 2 step``, … are values.
        default: A value to try first.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    low: int
    high: int
    scale: Scale = field(default="linear", kw_only=True)
    step: int | None = field(default=None, kw_only=True)
    default: int | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _set(self, "low", whole("Integer", "low", self.low))
        _set(self, "high", whole("Integer", "high", self.high))
        if self.step is not None:
            _set(self, "step", whole("Integer", "step", self.step))
        check_interval("Integer", self.low, self.high, self.scale, self.step)
        _finish(self)

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the values."""
        number = integral(value)
        if number is None or not self.low <= number <= self.high:
            return False
        return (number - self.low) % (self.step or 1) == 0

    def canonical(self, value: object) -> Value:
        """Return ``value`` as an int; raise `SpaceError` if it is no value."""
        if not self.contains(value):
            raise SpaceError(_outside(self, value))
        return cast("int", integral(value))

    def members(self) -> Iterator[Value]:
        """Yield all values upwards."""
        return iter(range(self.low, self.high + 1, self.step or 1))

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]: the middle of its cell."""
        if self.low == self.high:
            return 0.5
        return self._cells().to_unit(float(value))

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        step = self.step or 1
        if self.size > _INDEXABLE:
            at = Axis(self.low, self.high, self.scale).from_unit(u)
            return min(max(int(at), self.low), self.high)
        at = self._cells().from_unit(u)
        index = round((at - self.low) / step)
        return self.low + min(max(index, 0), self.size - 1) * step

    def text(self, value: Value) -> str:
        """Return ``value`` as a program reads it."""
        return str(value)

    def _cells(self) -> Axis:
        step = self.step or 1
        return _cells(self.low, self.low + (self.size - 1) * step, step, self.scale)


@dataclass(frozen=True, slots=True)
class Discrete:
    """A number from a list; its order counts, and its type is kept: 64 stays 64.

    Args:
        values: The numbers.
        scale: How they are spread for searchers that model distances.
        default: A value to try first.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    values: Sequence[float]
    scale: Scale = field(default="linear", kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True)
    _sorted: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _index: Mapping[float, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = listed("Discrete", self.values)
        numbers = tuple(_number("Discrete", value) for value in given)
        check_scale("Discrete", self.scale)
        if self.scale != "linear" and min(numbers) <= 0:
            msg = f'Discrete(scale="{self.scale}") needs values > 0, got {min(numbers)}. Drop the scale.'
            raise SpaceError(msg)
        _set(self, "values", numbers)
        _set(self, "_sorted", tuple(sorted(numbers)))
        _set(self, "_index", {value: index for index, value in enumerate(self._sorted)})
        _finish(self)

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def members(self) -> Iterator[Value]:
        """Yield all values in the order in which they were given."""
        return iter(self.values)

    def contains(self, value: object) -> bool:
        """Whether ``value`` equals one of the numbers."""
        number = real(value)
        return number is not None and number in self._index

    def canonical(self, value: object) -> Value:
        """Return the listed number that equals ``value``; raise `SpaceError` if there is none."""
        if not self.contains(value):
            raise SpaceError(_outside(self, value))
        return self._sorted[self._index[cast("float", real(value))]]

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]: the middle of its cell, in rising order."""
        return (self._index[cast("float", value)] + 0.5) / self.size

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        return self._sorted[_cell(u, self.size)]

    def text(self, value: Value) -> str:
        """Return ``value`` as a program reads it; a whole number has no point."""
        number = cast("float", value)
        return str(int(number)) if float(number).is_integer() else repr(number)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several values without an order: words, numbers, True and False.

    Args:
        values: The values; their types count: True is not 1.
        default: A value to try first.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    values: Sequence[Value]
    default: Value | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True)
    _index: Mapping[tuple[bool, Value | None], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = listed("Categorical", self.values)
        values = tuple(_choice(value) for value in given)
        _set(self, "values", values)
        _set(self, "_index", {typed(value): index for index, value in enumerate(values)})
        _finish(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Categorical):
            return NotImplemented
        mine, theirs = map(typed_all, (self.values, other.values))
        default = typed(self.default) == typed(other.default)
        return mine == theirs and default and self.when == other.when

    def __hash__(self) -> int:
        return hash((typed_all(self.values), self.when))

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def members(self) -> Iterator[Value]:
        """Yield all values in the order in which they were given."""
        return iter(self.values)

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the values, of the same type."""
        choice = plain(value)
        return choice is not None and typed(choice) in self._index

    def canonical(self, value: object) -> Value:
        """Return the listed value; raise `SpaceError` if there is none such."""
        if not self.contains(value):
            raise SpaceError(_outside(self, value))
        return self.values[self._index[typed(cast("Value", plain(value)))]]

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]: the middle of its cell, in the list's order."""
        return (self._index[typed(value)] + 0.5) / self.size

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        return self.values[_cell(u, self.size)]

    def text(self, value: Value) -> str:
        """Return ``value`` as a program reads it."""
        return str(value)


Parameter = Double | Integer | Discrete | Categorical


def parents(parameter: Parameter) -> Condition:
    """Return a parameter's parents, each with the values that activate it; empty without conditions."""
    return cast("Condition", parameter.when or ())


def _set(parameter: object, name: str, value: object) -> None:
    object.__setattr__(parameter, name, value)  # frozen, but not before it is finished


def _finish(parameter: Parameter) -> None:
    """Bring the condition and the default into their final form."""
    kind = type(parameter).__name__
    _set(parameter, "when", condition(kind, parameter.when))
    if parameter.default is not None:
        if not parameter.contains(parameter.default):
            msg = f"{kind}(default={parameter.default!r}) is outside: {_outside(parameter, parameter.default)}"
            raise SpaceError(msg)
        _set(parameter, "default", parameter.canonical(parameter.default))


def _outside(parameter: Parameter, value: object) -> str:
    match parameter:
        case Double(low, high) | Integer(low, high):
            kind = "a whole number" if isinstance(parameter, Integer) else "a number"
            step = f" in steps of {parameter.step:g}" if parameter.step is not None else ""
            return f"{value!r} is not {kind} from {low:g} to {high:g}{step}."
    shown = ", ".join(map(repr, parameter.values[:12])) + (
        ", …" if len(parameter.values) > 12 else ""
    )
    return f"{value!r} is none of {shown}."


def _number(kind: str, value: object) -> float:
    number = real(value)
    if number is None or not math.isfinite(number):
        msg = f"{kind} lists finite numbers, got {value!r}. For words use Categorical."
        raise SpaceError(msg)
    return cast("float", plain(value))


def _choice(value: object) -> Value:
    choice = plain(value)
    if choice is None or (isinstance(choice, float) and not math.isfinite(choice)):
        msg = f"Categorical lists words, finite numbers, True or False; got {value!r}."
        raise SpaceError(msg)
    if isinstance(choice, str) and "\0" in choice:
        msg = f"Categorical can't list {choice!r}: no program can be given a NUL character."
        raise SpaceError(msg)
    return choice


def _steps(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step * (1 + _ON_STEP)) + 1


def _cells(low: float, top: float, step: float, scale: Scale) -> Axis:
    """Return the interval widened by half a step at both ends, so that all cells are equally wide.

    Where that would reach zero on a log scale, half of ``low`` takes its place.
    """
    half = step / 2
    if scale == "linear":
        return Axis(low - half, top + half, scale)
    edge = min(half, low / 2)
    if scale == "log":
        return Axis(low - edge, top + half, scale)
    return Axis(low - edge, top + edge, scale)


def _cell(u: float, count: int) -> int:
    return min(max(int(u * count), 0), count - 1)
