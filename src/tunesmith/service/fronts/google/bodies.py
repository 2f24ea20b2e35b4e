"""Bodies of requests about trials, in either API's words."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tunesmith.errors import MetricError, SpaceError
from tunesmith.model import Measurement
from tunesmith.service.fronts.google.faults import fault
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.space import Space
from tunesmith.specs.faults import Faults
from tunesmith.specs.google.findings import Findings
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.plain import tree
from tunesmith.specs.located import Scalar, Table
from tunesmith.study import check_metrics

__all__ = [
    "Ask",
    "End",
    "New",
    "field_of",
    "read_ask",
    "read_end",
    "read_measurement",
    "read_new",
    "reading",
]

_LONGEST_CLIENT = 150
_MOST = 1000
_VALUES = ("value", "floatValue", "intValue", "stringValue")


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks for trials.

    Attributes:
        client: The client's name.
        count: How many.
        contexts: Values that each of them is to have, by the study's own names; empty for none.
    """

    client: str
    count: int
    contexts: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True, slots=True)
class End:
    """How a trial ended.

    Attributes:
        final: What counts; None for what was measured before.
        infeasible: Whether its values can't be tried.
        reason: Why.
    """

    final: Measurement | None = None
    infeasible: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class New:
    """A trial that a client makes itself.

    Attributes:
        values: Its values, by the study's own names.
        final: What it measured, if it has been run.
    """

    values: Mapping[str, object]
    final: Measurement | None = None


def read_ask(body: object, paper: Paper) -> Ask:
    """Return who asks for trials, and for which."""
    with reading(body) as message:
        client = message.text("clientId")
        count = message.count("suggestionCount") or 0
        contexts = [_values(context, paper) for context in message.each("contexts")]
        message.ignore("parent")
        if not client or len(client) > _LONGEST_CLIENT or not client.isprintable():
            message.fault("clientId", f"a name of up to {_LONGEST_CLIENT} characters is needed")
        if not 1 <= count <= _MOST:
            message.fault("suggestionCount", f"a number from 1 to {_MOST} is needed; given {count}")
        if contexts and len(contexts) != count:
            text = f"as many as suggestionCount ({count}), or none; given {len(contexts)}"
            message.fault("contexts", text)
    return Ask(client, count, contexts)


def read_measurement(body: object) -> Measurement:
    """Return a measurement that a running trial made."""
    with reading(body) as message:
        inner = message.inner("measurement")
        message.ignore("trialName", "name")
        if inner is None:
            message.missing("measurement", "what was measured is needed")
        measured = None if inner is None else _measurement(inner)
    assert measured is not None, "without faults there is one"
    return measured


def read_end(body: object) -> End:
    """Return how a trial ended."""
    with reading({} if body is None else body) as message:
        inner = message.inner("finalMeasurement")
        final = None if inner is None else _measurement(inner)
        infeasible = message.flag("trialInfeasible")
        reason = message.text("infeasibleReason")
        message.ignore("name")
    return End(final, infeasible, reason)


def read_new(body: object, paper: Paper) -> New:
    """Return a trial that a client makes itself."""
    with reading(body) as message:
        values = _values(message, paper)
        inner = message.inner("finalMeasurement")
        final = None if inner is None else _measurement(inner)
        message.ignore("name", "id", "state", "measurements", "startTime", "endTime", "clientId")
    return New(values, final)


@contextmanager
def field_of(name: str) -> Iterator[None]:
    """Tell what is wrong with values or metrics as a fault of this field."""
    try:
        yield
    except (SpaceError, MetricError) as error:
        raise fault(name, str(error)) from error


def completed(values: Mapping[str, object], space: Space) -> Mapping[str, object]:
    """Return values as the space has them; raise `SpecError` if they are no point of it."""
    with field_of("parameters"):
        return space.complete(values)


@contextmanager
def reading(body: object) -> Iterator[Message]:
    """Give the message that a body is; raise `SpecError` for its faults when it has been read."""
    faults = Faults([])
    if not isinstance(body, Mapping):
        raise fault("the body", "a mapping is needed")
    try:
        root = tree(body)
    except ValueError as error:
        raise fault("the body", str(error)) from error
    assert isinstance(root, Table), "a mapping is one"
    message = Message(root, Findings(faults))
    yield message
    message.done()
    faults.check()


def _measurement(message: Message) -> Measurement | None:
    before = message.findings.faults.count
    step = message.whole("stepCount") or 0
    if step < 0:
        message.fault("stepCount", f"a number from 0 is needed; given {step}")
    lasted_s = message.duration("elapsedDuration") or message.duration("elapsedTime") or 0.0
    metrics: dict[str, float] = {}
    for metric in message.each("metrics"):
        name = metric.text("metricId") or metric.text("metric")
        value = _metric(metric)
        metric.done()
        if not name:
            metric.missing("metricId", "a metric needs a name")
        else:
            metrics[name] = value
    message.done()
    if message.findings.faults.count > before:
        return None
    with field_of(message.field("metrics")):
        return Measurement(step, check_metrics(metrics), lasted_s)


_WORDS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def _metric(message: Message) -> float:
    """Return a metric's value; zero is left out by proto3, and what is no number comes as a text."""
    node = message.node("value")
    if isinstance(node, Scalar) and node.value in _WORDS:
        return float(_WORDS[str(node.value)])
    return message.number("value") or 0.0


def _values(message: Message, paper: Paper) -> Mapping[str, object]:
    """Return the values of parameters, by the study's own names."""
    message.ignore("description")
    own = {theirs: name for name, theirs in paper.names.items()}
    values: dict[str, object] = {}
    for parameter in message.each("parameters"):
        name = parameter.text("parameterId") or parameter.text("parameter")
        node = next((n for key in _VALUES if (n := parameter.node(key)) is not None), None)
        parameter.done()
        if not name or not isinstance(node, Scalar) or node.value is None:
            parameter.fault("value", "a parameter has a name and a value")
            continue
        value: object = node.value
        if parameter.has("intValue"):
            value = parameter.whole("intValue")
        # JSON has one kind of number, and 64.0 is 64.
        values[own.get(name, name)] = (
            int(value) if isinstance(value, float) and value.is_integer() else value
        )
    return values
