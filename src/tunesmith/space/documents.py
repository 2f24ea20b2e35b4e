"""Parameters as plain data for files."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, cast

from tunesmith.errors import SpaceError
from tunesmith.space.building import written
from tunesmith.space.lists import Categorical, Discrete
from tunesmith.space.names import check_name, did_you_mean
from tunesmith.space.parameters import Parameter
from tunesmith.space.prior import Prior
from tunesmith.space.ranges import Double, Integer

__all__ = ["from_document", "to_document"]

_KINDS: Mapping[str, type[Parameter]] = {
    "double": Double,
    "integer": Integer,
    "discrete": Discrete,
    "categorical": Categorical,
}
_WORDS = {"low": "min", "high": "max"}


def to_document(name: str, parameter: Parameter) -> dict[str, object]:
    """Return a parameter as plain data; what has its usual value is left out."""
    document = {"name": name, "type": type(parameter).__name__.lower()}
    given = {_WORDS.get(key, key): value for key, value in written(parameter).items()}
    if isinstance(prior := given.get("prior"), Prior):
        given["prior"] = prior.to_document()
    return document | given


def from_document(document: Mapping[str, object]) -> tuple[str, Parameter]:
    """Return the name and the parameter of plain data; raise `SpaceError` that names the parameter."""
    if not isinstance(document, Mapping) or "name" not in document:
        msg = f"A parameter is a mapping with a name, got {document!r}."
        raise SpaceError(msg)
    given = dict(document)
    name = given.pop("name")
    check_name(name)
    try:
        return str(name), _parameter(given)
    except SpaceError as error:
        msg = f"Parameter {name!r}: {error}"
        raise SpaceError(msg) from None


def _parameter(given: dict[str, object]) -> Parameter:
    word = str(given.pop("type", None))
    if word not in _KINDS:
        msg = f"There is no type {word!r}."
        raise SpaceError(msg + did_you_mean(word, _KINDS))
    kind = _KINDS[word]
    known: dict[str, Field[Any]] = {_WORDS.get(f.name, f.name): f for f in fields(kind) if f.init}
    for key, field in known.items():
        if key not in given and not field.kw_only:
            msg = f"{kind.__name__} needs {key!r}, got {given!r}."
            raise SpaceError(msg)
    for key in given:
        if key not in known:
            msg = f"{kind.__name__} has no {key!r}."
            raise SpaceError(msg + did_you_mean(str(key), known))
    arguments = {known[key].name: value for key, value in given.items()}
    return cast("Parameter", cast("Any", kind)(**arguments))
