"""Parameters with a list of values: discrete numbers, and categories."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from tunesmith.errors import SpaceError
from tunesmith.space.building import Needs, finish, put, source
from tunesmith.space.checks import Condition, check_scale, listed
from tunesmith.space.prior import EVEN, Bell, Density, Favourite, Prior
from tunesmith.space.scale import Cells, Scale, cell, middle
from tunesmith.space.values import Key, Value, is_finite, plain, real, show, typed, typed_all

__all__ = ["Categorical", "Discrete"]

_SHOWN = 12


@dataclass(frozen=True, slots=True, repr=False)
class Discrete:
    """A number from a list; its order counts, and its type is kept: 64 stays 64.

    Args:
        values: The numbers.
        scale: How they are spread for searchers that model distances.
        default: A value to try first.
        prior: Where good values are expected: a `Prior`, or its center alone.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    values: Sequence[float]
    scale: Scale = field(default="linear", kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    prior: float | Prior | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True, compare=False)
    _needs: Needs = field(init=False)
    _sorted: tuple[float, ...] = field(init=False, compare=False)
    _index: Mapping[float, int] = field(init=False, compare=False)
    _density: Density = field(init=False, compare=False)

    def __post_init__(self) -> None:
        numbers = tuple(_number(value) for value in listed("Discrete", self.values))
        check_scale("Discrete", self.scale)
        if self.scale != "linear" and min(numbers) <= 0:
            msg = (
                f'Discrete(scale="{self.scale}") needs values > 0, got {show(min(numbers))}.'
                " Leave it out, or drop the scale."
            )
            raise SpaceError(msg)
        put(self, "values", numbers)
        put(self, "_sorted", tuple(sorted(numbers)))
        put(self, "_index", {value: index for index, value in enumerate(self._sorted)})
        finish(self)
        put(self, "_density", EVEN)
        if isinstance(self.prior, Prior):
            cells = Cells(self.size, "linear", 0.0)
            put(self, "_density", Bell(self.to_unit(self.prior.center), self.prior.sd, cells))

    def __repr__(self) -> str:
        return source(self)

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def members(self) -> Iterator[Value]:
        """Yield all values in the order in which they were given."""
        return iter(self.values)

    def contains(self, value: object) -> bool:
        """Whether ``value`` equals one of the numbers."""
        return real(value) in self._index

    def canonical(self, value: object) -> Value:
        """Return the listed number that equals ``value``; raise `SpaceError` if there is none."""
        number = real(value)
        if number is None or number not in self._index:
            raise SpaceError(_outside(value, self.values))
        return self._sorted[self._index[number]]

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]: the middle of its cell, in rising order."""
        return middle(self._index[cast("float", value)], self.size)

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        return self._sorted[cell(u, self.size)]

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
        """Return ``value`` as a program reads it; a whole number has no point."""
        number = float(value)
        return str(int(value)) if number.is_integer() else repr(number)


@dataclass(frozen=True, slots=True, repr=False)
class Categorical:
    """One of several values without an order: words, numbers, True and False.

    Args:
        values: The values; their types count: True is not 1.
        default: A value to try first.
        prior: Where good values are expected: a `Prior`, or its center alone.
        when: Parents and the values with which this parameter is active.

    Raises:
        SpaceError: these do not make sense together.
    """

    values: Sequence[Value] = field(compare=False)
    default: Value | None = field(default=None, kw_only=True, compare=False)
    prior: Value | Prior | None = field(default=None, kw_only=True)
    when: Mapping[str, object] | Condition | None = field(default=None, kw_only=True, compare=False)
    _needs: Needs = field(init=False)
    _keys: tuple[Key, ...] = field(init=False)
    _default_key: Key = field(init=False)
    _index: Mapping[Key, int] = field(init=False, compare=False)
    _density: Density = field(init=False, compare=False)

    def __post_init__(self) -> None:
        put(self, "values", tuple(_choice(value) for value in listed("Categorical", self.values)))
        put(self, "_keys", typed_all(self.values))
        put(self, "_index", {key: index for index, key in enumerate(self._keys)})
        finish(self)
        put(self, "_default_key", typed(self.default))
        put(self, "_density", EVEN)
        if isinstance(self.prior, Prior):
            favourite = self._index[typed(self.prior.center)]
            put(self, "_density", Favourite(favourite, self.size, self.prior.weight))

    def __repr__(self) -> str:
        return source(self)

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def members(self) -> Iterator[Value]:
        """Yield all values in the order in which they were given."""
        return iter(self.values)

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the values, and a truth value only if that is."""
        return typed(plain(value)) in self._index

    def canonical(self, value: object) -> Value:
        """Return the listed value; raise `SpaceError` if there is none such."""
        key = typed(plain(value))
        if key not in self._index:
            raise SpaceError(_outside(value, self.values))
        return self.values[self._index[key]]

    def to_unit(self, value: Value) -> float:
        """Return the place of ``value`` in [0, 1]: the middle of its cell, in the list's order."""
        return middle(self._index[typed(value)], self.size)

    def from_unit(self, u: float) -> Value:
        """Return the value at the place ``u`` in [0, 1]."""
        return self.values[cell(u, self.size)]

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
        return str(value)


def _outside(value: object, values: Iterable[Value]) -> str:
    shown = [repr(each) for each in values]
    more = [f"… ({len(shown) - _SHOWN} more)"] if len(shown) > _SHOWN else []
    return f"{value!r} is none of {', '.join(shown[:_SHOWN] + more)}."


def _number(value: object) -> float:
    number = real(value)
    if number is None or not is_finite(number):
        msg = f"Discrete lists finite numbers, got {value!r}. For words use Categorical."
        raise SpaceError(msg)
    return number + 0  # there is one zero: -0.0 + 0 is 0.0


def _choice(value: object) -> Value:
    choice = plain(value)
    if choice is None or not (isinstance(choice, str) or is_finite(choice)):
        msg = f"Categorical lists words, finite numbers, True or False; got {value!r}."
        raise SpaceError(msg)
    if isinstance(choice, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in choice):
        msg = f"Categorical can't list {choice!r}: no program can be given such a character."
        raise SpaceError(msg)
    return choice
