"""A space: named parameters, of which some are active only for certain values of others."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np

from tunesmith.errors import SpaceError
from tunesmith.space.conditions import holds, read_conditions
from tunesmith.space.counting import count_points, walk_points
from tunesmith.space.describe import describe, differences
from tunesmith.space.documents import from_document, to_document
from tunesmith.space.names import check_name, did_you_mean
from tunesmith.space.parameters import Parameter, parents
from tunesmith.space.prior import Prior
from tunesmith.space.values import Value

__all__ = ["Space"]


class Space:
    """Parameters by name, in the order in which they are given. Immutable.

    A point is a mapping with one value for each active parameter and nothing else.

    Args:
        parameters: The parameters by name.

    Raises:
        SpaceError: no parameters, a name that can't be one, or conditions that make no sense.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        if not isinstance(parameters, Mapping):
            msg = f"A space is a mapping of names to parameters, got {parameters!r}."
            raise SpaceError(msg)
        if not parameters:
            msg = "A space needs at least one parameter, got none."
            raise SpaceError(msg)
        for name, parameter in parameters.items():
            check_name(name)
            if not isinstance(parameter, Parameter):
                msg = (
                    f"Parameter {name!r}: a parameter is a Double, Integer, Discrete or Categorical,"
                    f" got {parameter!r}."
                )
                raise SpaceError(msg)
        self._parameters = MappingProxyType(dict(parameters))
        self._conditions = read_conditions(self._parameters)
        self._conditional = any(self._conditions.values())

    # Looking at it

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return self._parameters

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Return names and parameters."""
        return self._parameters.items()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return list(self.items()) == list(other.items())

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return f"Space({dict(self._parameters)!r})"

    def __reduce__(self) -> tuple[type["Space"], tuple[dict[str, Parameter]]]:
        return Space, (dict(self._parameters),)

    def describe(self, name: str) -> str:
        """Return one parameter in a few words, such as ``double 1e-05..0.1 log``."""
        return describe(self._parameters[name])

    def differences(self, other: "Space") -> list[str]:
        """Return one sentence for each difference; ``self`` is the old one, ``other`` the new one."""
        return differences(self._parameters, other.parameters)

    def to_json(self) -> list[dict[str, object]]:
        """Return plain data from which `from_json` makes an equal space."""
        return [to_document(name, parameter) for name, parameter in self.items()]

    @classmethod
    def from_json(cls, data: Iterable[Mapping[str, object]]) -> "Space":
        """Rebuild a space from the data of `to_json`."""
        parameters: dict[str, Parameter] = {}
        for name, parameter in map(from_document, data):
            if name in parameters:
                msg = f"Parameter {name!r} is there twice. Give each parameter a name of its own."
                raise SpaceError(msg)
            parameters[name] = parameter
        return cls(parameters)

    # Points

    def active(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """Return the names of the parameters that are active with these values, in the space's order."""
        if not self._conditional:
            return tuple(self._parameters)
        on: dict[str, Value | None] = {}
        for name, condition in self._conditions.items():
            if holds(condition, on):
                on[name] = values.get(name)
        return tuple(name for name in self._parameters if name in on)

    def complete(
        self, point: Mapping[str, object], rng: np.random.Generator | None = None
    ) -> dict[str, Value]:
        """Return the point that has these values, with the missing ones filled in.

        A missing active parameter gets its default, else a random value from ``rng``, else the
        middle of its range.

        Raises:
            SpaceError: a name is unknown, a value outside, or given for a parameter that is not active.
        """

        def fill(name: str) -> Value:
            return self._usual(name, rng)

        return self._point(point, fill)

    def validate(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Return a point in its canonical form; raise `SpaceError` if it is none, or not complete."""

        def refuse(name: str) -> Value:
            msg = f"Parameter {name!r} is active, but has no value."
            raise SpaceError(msg)

        return self._point(values, refuse)

    def contains(self, values: Mapping[str, object]) -> bool:
        """Whether these are the values of a point: all active parameters, each inside, no others."""
        try:
            self.validate(values)
        except SpaceError:
            return False
        return True

    def defaults(self) -> dict[str, Value] | None:
        """Return the point of the declared defaults; None if no parameter declares one."""
        if all(parameter.default is None for parameter in self._parameters.values()):
            return None
        return self.complete({})

    @property
    def priors(self) -> Mapping[str, Prior]:
        """The priors of the parameters that have one, by name."""
        return {name: p.prior for name, p in self.items() if isinstance(p.prior, Prior)}

    def centers(self) -> dict[str, Value] | None:
        """Return the point of the priors' centers; None if no parameter has a prior.

        A parameter without one gets its default, or else the middle of its range.
        """
        priors = self.priors

        def fill(name: str) -> Value:
            return priors[name].center if name in priors else self._usual(name)

        return self._point({}, fill) if priors else None

    def key(self, values: Mapping[str, Value]) -> tuple[object, ...]:
        """Return what two sets of values share exactly when they are the same point."""
        # A bool stands beside its type, since True == 1 and both hash alike.
        return tuple(
            [
                (True, v) if (v := values.get(name)) is True or v is False else v
                for name in self._parameters
            ]
        )

    # The unit cube

    def encode(self, values: Mapping[str, Value]) -> np.ndarray:
        """Return a point's place in the unit cube, ``(d,)`` in the space's order; nan where inactive."""
        return np.array(
            [p.to_unit(values[name]) if name in values else np.nan for name, p in self.items()]
        )

    def decode(self, unit: np.ndarray) -> dict[str, Value]:
        """Return the point at a place in the unit cube, ``(d,)``; inactive coordinates do not matter."""
        places = zip(self._parameters.items(), unit.tolist(), strict=True)
        values = {name: p.from_unit(0.5 if u != u else u) for (name, p), u in places}  # noqa: PLR0124 - nan
        if not self._conditional:
            return values
        active = self.active(values)
        return {name: values[name] for name in active}

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Return a point drawn evenly from the unit cube."""
        return self.decode(rng.random(len(self._parameters)))

    # Finite spaces

    @cached_property
    def size(self) -> int | None:
        """How many points there are; None for infinitely many."""
        return count_points(self._parameters, self._conditions)

    def points(self) -> Iterator[dict[str, Value]]:
        """Yield every point once; the last parameter changes fastest, children after their parents.

        Raises:
            SpaceError: there are infinitely many.
        """
        endless = [name for name, p in self.items() if p.size is None]
        if endless:
            msg = f"The space has infinitely many points: {endless[0]!r} is continuous. Give it a step."
            raise SpaceError(msg)
        return walk_points(self._parameters, self._conditions)

    def _point(
        self, given: Mapping[str, object], missing: Callable[[str], Value]
    ) -> dict[str, Value]:
        """Return the point of the given values; ``missing`` gives those of other active parameters."""
        for name in given:
            if name not in self._parameters:
                msg = f"There is no parameter {name!r}."
                raise SpaceError(msg + did_you_mean(str(name), self._parameters))
        values: dict[str, Value] = {}
        for name, condition in self._conditions.items():
            if holds(condition, values):
                values[name] = (
                    self._canonical(name, given[name]) if name in given else missing(name)
                )
            elif name in given:
                raise SpaceError(self._inactive(name, values))
        return {name: values[name] for name in self._parameters if name in values}

    def _usual(self, name: str, rng: np.random.Generator | None = None) -> Value:
        """Return a parameter's default, or else a random value, or without ``rng`` its middle."""
        parameter = self._parameters[name]
        if parameter.default is not None:
            return parameter.default
        return parameter.from_unit(0.5 if rng is None else float(rng.random()))

    def _canonical(self, name: str, value: object) -> Value:
        try:
            return self._parameters[name].canonical(value)
        except SpaceError as error:
            msg = f"Parameter {name!r}: {error}"
            raise SpaceError(msg) from None

    def _inactive(self, name: str, values: Mapping[str, Value]) -> str:
        unmet = (pair for pair in self._conditions[name] if not holds((pair,), values))
        parent, _ = next(unmet)
        shown = " or ".join(map(repr, dict(parents(self._parameters[name]))[parent]))
        now = repr(values[parent]) if parent in values else "not active itself"
        return f"Parameter {name!r} is active only when {parent!r} is {shown}; here {parent!r} is {now}."
