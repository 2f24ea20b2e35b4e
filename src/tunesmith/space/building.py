"""How every parameter is finished from what people wrote, and written down again."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

from tunesmith.errors import SpaceError
from tunesmith.space.checks import Condition, condition
from tunesmith.space.prior import Prior
from tunesmith.space.values import Key, Value, typed_all

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Needs", "finish", "put", "source", "written"]

Needs = frozenset[tuple[str, frozenset[Key]]]
"""A condition without order, in which True and 1 differ: what equal conditions share."""


class _Unfinished(Protocol):
    @property
    def default(self) -> Value | None: ...
    @property
    def prior(self) -> Value | Prior | None: ...
    @property
    def when(self) -> Mapping[str, object] | Condition | None: ...
    def canonical(self, value: object) -> Value: ...


def put(parameter: object, name: str, value: object) -> None:
    """Set a field of a parameter that is frozen, but not before it is finished."""
    object.__setattr__(parameter, name, value)


def finish(parameter: _Unfinished) -> None:
    """Bring the condition, the default and the prior into their final form."""
    kind = type(parameter).__name__
    when = condition(kind, parameter.when)
    put(parameter, "when", when)
    put(parameter, "_needs", frozenset((p, frozenset(typed_all(v))) for p, v in when or ()))
    if parameter.default is not None:
        try:
            put(parameter, "default", parameter.canonical(parameter.default))
        except SpaceError as error:
            msg = f"{kind}(default={parameter.default!r}) is outside: {error}"
            raise SpaceError(msg) from None
    if parameter.prior is not None:
        prior = Prior.read(parameter.prior)
        try:
            center = parameter.canonical(prior.center)
        except SpaceError as error:
            msg = f"{kind}(prior={prior.center!r}) has its center outside: {error}"
            raise SpaceError(msg) from None
        put(parameter, "prior", Prior(center, prior.confidence))


def written(parameter: "DataclassInstance") -> dict[str, object]:
    """Return what was given to a parameter, by name; what has its usual value is left out."""
    given: dict[str, object] = {}
    for field in fields(parameter):
        value: Any = getattr(parameter, field.name)
        if not field.init or (field.kw_only and value == field.default):
            continue
        if field.name == "when":
            value = {parent: list(wanted) for parent, wanted in value}
        given[field.name] = list(value) if isinstance(value, tuple) else value
    return given


def source(parameter: "DataclassInstance") -> str:
    """Return the call that makes this parameter."""
    given = written(parameter)
    named = {field.name for field in fields(parameter) if field.kw_only}
    arguments = [
        f"{key}={value!r}" if key in named else repr(value) for key, value in given.items()
    ]
    return f"{type(parameter).__name__}({', '.join(arguments)})"
