"""A space as the parameters of Google's messages, and what of it they can't say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Scale, Space, Value
from tunesmith.specs.google.findings import Losses

__all__ = ["cmle_parameters", "vertex_parameters"]

Document = dict[str, object]

_SCALES: Mapping[Scale, str] = {
    "linear": "UNIT_LINEAR_SCALE",
    "log": "UNIT_LOG_SCALE",
    "reverse_log": "UNIT_REVERSE_LOG_SCALE",
}
_MOST_VALUES = 1000
_PARENTS = {
    "discrete": "parentDiscreteValues",
    "integer": "parentIntValues",
    "categorical": "parentCategoricalValues",
}


@dataclass(frozen=True, slots=True)
class _Plain:
    """A parameter as the services know it: a range, or a list of numbers or of texts."""

    kind: str
    low: float = 0
    high: float = 0
    values: Sequence[Value] = ()
    scale: Scale = "linear"


def vertex_parameters(space: Space, names: Mapping[str, str], lost: Losses) -> list[Document]:
    """Return the parameters of a StudySpec, each below the one on which it depends.

    Args:
        space: The space.
        names: Its names under which no program knows the values, with those it knows.
        lost: Takes what is not kept.
    """
    conditions = {name: _conditions(space, name) for name in space}
    places = {name: _place(name, conditions, lost) for name in space}
    plain = {name: _plain(name, parameter, lost) for name, parameter in space.items()}

    def described(name: str) -> Document:
        document = _vertex(names.get(name, name), space[name], plain[name])
        below = [child for child, place in places.items() if place and place[0] == name]
        if below:
            document["conditionalParameterSpecs"] = [conditional(child) for child in below]
        return document

    def conditional(name: str) -> Document:
        parent, wanted = places[name] or ("", ())
        kind = plain[parent].kind
        values = [_written(space[parent], kind, value) for value in wanted]
        return {_PARENTS[kind]: {"values": values}, "parameterSpec": described(name)}

    return [described(name) for name in space if places[name] is None]


def cmle_parameters(space: Space, lost: Losses) -> list[Document]:
    """Return the parameters of a HyperparameterSpec, where none depends on another."""
    documents = []
    for name, parameter in space.items():
        plain = _plain(name, parameter, lost)
        if parameter.when:
            lost.add(f"parameters.{name}.when", "it is always active there")
        if parameter.default is not None:
            lost.add(f"parameters.{name}.default", "no value can be tried first there")
        document: Document = {"parameterName": name, "type": plain.kind.upper()}
        if plain.kind == "categorical":
            document["categoricalValues"] = list(plain.values)
        elif plain.kind == "discrete":
            document["discreteValues"] = list(plain.values)
        else:
            document |= {"minValue": plain.low, "maxValue": plain.high}
        if plain.kind in ("double", "integer") or plain.scale != "linear":
            document["scaleType"] = _SCALES[plain.scale]
        documents.append(document)
    return documents


def _vertex(name: str, parameter: Parameter, plain: _Plain) -> Document:
    spec: Document = {"values": list(plain.values)}
    if plain.kind in ("double", "integer"):
        spec = {"minValue": plain.low, "maxValue": plain.high}
    if parameter.default is not None:
        spec["defaultValue"] = _written(parameter, plain.kind, parameter.default)
    document: Document = {"parameterId": name, f"{plain.kind}ValueSpec": spec}
    if plain.kind in ("double", "integer") or plain.scale != "linear":
        document["scaleType"] = _SCALES[plain.scale]
    return document


def _plain(name: str, parameter: Parameter, lost: Losses) -> _Plain:
    if parameter.prior is not None:
        lost.add(f"parameters.{name}.prior", "there are no priors there")
    if isinstance(parameter, Categorical):
        texts = [parameter.text(value) for value in parameter.values]
        if len(set(texts)) < len(texts):
            why = "values that read alike are one there"
            lost.add(f"parameters.{name}.values", why)
        return _Plain("categorical", values=list(dict.fromkeys(texts)))
    if isinstance(parameter, Discrete):
        return _listed(name, parameter, sorted(parameter.values), lost)
    if parameter.step is None:
        kind = "double" if isinstance(parameter, Double) else "integer"
        return _Plain(kind, parameter.low, parameter.high, scale=parameter.scale)
    if parameter.size is not None and parameter.size <= _MOST_VALUES:
        return _listed(name, parameter, [float(v) for v in parameter.members()], lost)
    kind = "double" if isinstance(parameter, Double) else "integer"
    why = f"its {parameter.size} values are more than {_MOST_VALUES}; it is a range without steps"
    lost.add(f"parameters.{name}.step", why)
    return _Plain(kind, parameter.low, parameter.high, scale=parameter.scale)


def _listed(
    name: str, parameter: Discrete | Double | Integer, values: Sequence[float], lost: Losses
) -> _Plain:
    if len(values) > _MOST_VALUES:
        why = f"{len(values)} values are more than {_MOST_VALUES}; only the first are there"
        lost.add(f"parameters.{name}.values", why)
    kept = [_shortest(value) for value in values[:_MOST_VALUES]]
    return _Plain("discrete", values=kept, scale=parameter.scale)


def _written(parameter: Parameter, kind: str, value: Value) -> Value:
    if kind == "categorical":
        return parameter.text(value)
    return value if kind == "double" else _shortest(float(value))


def _shortest(value: float) -> float:
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value


# Conditions


def _conditions(space: Space, name: str) -> dict[str, tuple[Value, ...]]:
    when: Iterator[tuple[str, Sequence[Value]]] = iter(space[name].when or ())  # type: ignore[arg-type]
    return {parent: tuple(values) for parent, values in when}


def _place(
    name: str, conditions: Mapping[str, Mapping[str, tuple[Value, ...]]], lost: Losses
) -> tuple[str, tuple[Value, ...]] | None:
    """Return the parent below which a parameter stands, and the parent's values; None for none.

    Of several conditions the one is taken that comes with the others anyway.
    """
    own = conditions[name]
    if not own:
        return None
    left = {
        parent: [
            other
            for other in own
            if other != parent and not _implied(parent, other, own, conditions)
        ]
        for parent in own
    }
    parent = min(left, key=lambda each: len(left[each]))
    for other in left[parent]:
        why = f"it can depend on one other there, {parent}; not on {other} as well"
        lost.add(f"parameters.{name}.when", why)
    return parent, own[parent]


def _implied(
    parent: str,
    other: str,
    own: Mapping[str, tuple[Value, ...]],
    conditions: Mapping[str, Mapping[str, tuple[Value, ...]]],
) -> bool:
    """Whether the condition on ``other`` holds whenever ``parent`` is active."""
    above = conditions[parent]
    if other in above and set(above[other]) <= set(own[other]):
        return True
    return any(_implied(each, other, own, conditions) for each in above)
