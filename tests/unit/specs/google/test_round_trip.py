"""A study that is written for Vertex AI or Cloud ML Engine and read back is the same study."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.model import (
    Algorithm,
    Constraint,
    Ending,
    Objective,
    Program,
    Resources,
    Stopping,
    StudySpec,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space
from tunesmith.specs import TuneFile
from tunesmith.specs.google import GoogleJob, convert, parse_google

FILE = Path("/home/ada/digits/tune.yaml")
NAMES = st.from_regex(r"[a-z][a-z_0-9-]{0,8}", fullmatch=True)
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)
SCALES = st.sampled_from(["linear", "log", "reverse_log"])
FLOATS = st.floats(-1e9, 1e9, allow_subnormal=False)


@st.composite
def parameters(draw: st.DrawFn, *, parents: list[tuple[str, Parameter]], bare: bool) -> Parameter:
    """Draw a parameter of any kind, perhaps with a default and one parent."""
    more: dict[str, Any] = {}
    if draw(st.booleans()) and parents:
        name, parent = draw(st.sampled_from(parents))
        members = list(parent.members())[:20]
        wanted = st.lists(st.sampled_from(members), min_size=1, max_size=3, unique_by=repr)
        more["when"] = {name: draw(wanted)}
    kind = draw(st.sampled_from(["double", "integer", "discrete", "categorical"]))
    scale: Any = "linear" if kind == "categorical" else draw(SCALES)
    made: Parameter
    if kind == "categorical":
        made = Categorical(draw(st.lists(WORDS, min_size=1, max_size=5, unique=True)))
    elif kind == "discrete":
        near = st.integers(-50, 50) if scale == "linear" else st.integers(1, 50)
        values = sorted(draw(st.sets(near, min_size=1, max_size=5)))
        made = Discrete([value / 4 for value in values], scale=scale)
    elif kind == "integer":
        low = draw(st.integers(1 if scale != "linear" else -100, 100))
        made = Integer(low, low + draw(st.integers(0, 100)), scale=scale)
    else:
        ends = sorted([draw(FLOATS), draw(FLOATS)])
        if scale != "linear":
            ends = [abs(end) + 1e-3 for end in ends]
            ends.sort()
        made = Double(*ends, scale=scale)
    if not bare and draw(st.booleans()):
        more["default"] = made.from_unit(draw(st.floats(0, 1)))
    return _with(made, more)


def _with(made: Parameter, more: dict[str, Any]) -> Parameter:
    match made:
        case Categorical():
            return Categorical(made.values, **more)
        case Discrete():
            return Discrete(made.values, scale=made.scale, **more)
        case Integer():
            return Integer(made.low, made.high, scale=made.scale, **more)
        case Double():
            return Double(made.low, made.high, scale=made.scale, **more)


@st.composite
def spaces(draw: st.DrawFn, *, bare: bool = False) -> Space:
    """Draw a space; with ``bare``, one without conditions and defaults."""
    made: dict[str, Parameter] = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        finite = [(n, p) for n, p in made.items() if p.size is not None and not bare]
        # A double can't be a parent there, even one of a single value.
        finite = [(n, p) for n, p in finite if not isinstance(p, Double)]
        made[name] = draw(parameters(parents=finite, bare=bare))
    return Space(made)


@st.composite
def rules(draw: st.DrawFn, metrics: list[str]) -> tuple[Stopping, ...]:
    name = draw(st.sampled_from(["", "median", "curve", "convex"]))
    settings_of: dict[str, Any] = {}
    if name == "convex":
        settings_of = {
            "max_steps": draw(st.integers(1, 1000)),
            "min_steps": draw(st.integers(1, 100)),
            "min_measurements": draw(st.integers(1, 20)),
        }
    if draw(st.booleans()):
        settings_of["by"] = "elapsed"
    if len(metrics) > 1:
        settings_of["metric"] = metrics[0]
    return (Stopping("curve" if name == "convex" else name, settings_of),) if name else ()


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    """Draw a study all of which Vertex AI can say."""
    space = draw(spaces())
    metrics = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    cut = draw(st.integers(1, len(metrics)))
    goals: Any = st.sampled_from(["minimize", "maximize"])
    sides: Any = st.sampled_from(["at_most", "at_least"])
    single = cut == 1
    trials = draw(st.integers(1, 100))
    grid = ["grid"] if space.size is not None else []
    name = draw(st.sampled_from(["default", "random", *grid]))
    repeats = name != "grid" and draw(st.booleans())
    shares = st.floats(0, 1) if name == "default" else st.just(0.0)
    return StudySpec(
        space=space,
        objectives=tuple(Objective(metric, draw(goals)) for metric in metrics[:cut]),
        constraints=tuple(
            Constraint(m, draw(FLOATS), draw(sides), draw(shares)) for m in metrics[cut:]
        ),
        algorithm=Algorithm(name, {"repeat": True} if repeats else {}),
        max_trials=trials,
        parallel_trials=draw(st.integers(1, 9)),
        max_failed_trials=draw(st.none() | st.integers(0, trials - 1)),
        measurement=draw(st.sampled_from(["last", "best"])),
        stopping=draw(rules(metrics[:cut])),
        ending=draw(endings(single=single)),
    )


@st.composite
def endings(draw: st.DrawFn, *, single: bool) -> Ending:
    """Draw when a study has enough, with what becomes of trials that run where it is not as usual."""
    seconds = st.integers(1, 10**9).map(lambda n: n / 1000)
    time_s = draw(st.none() | seconds)
    ending = Ending(
        time_s=time_s,
        no_improvement=draw(st.none() | st.integers(1, 50)) if single else None,
        no_improvement_for_s=draw(st.none() | seconds) if single else None,
        min_trials=draw(st.none() | st.integers(1, 50)),
        min_time_s=draw(st.none() | (seconds if time_s is None else st.just(time_s))),
    )
    said: list[bool | None] = [True, False] if ending.goes_by_results else [None, False]
    if time_s is None:
        said = [None, True] if ending.goes_by_results else [None]
    return replace(ending, stop_running=draw(st.sampled_from(said)))


def there_and_back(spec: StudySpec, to: Any, *, as_json: bool) -> GoogleJob:
    program = Program(("python3", "-m", "t"), directory="/home/ada/digits")
    written = convert(TuneFile("s", spec, program), spec, to, file=FILE, as_json=as_json)
    assert [lost for lost in written.lost if not lost.missing] == []
    found = parse_google(written.text, FILE, now=0.0)
    assert found is not None
    return found


@settings(max_examples=70, deadline=None)
@given(studies(), st.booleans())
def test_a_study_that_vertex_ai_can_say_comes_back_unchanged(
    spec: StudySpec, as_json: bool
) -> None:
    found = there_and_back(spec, "vertex", as_json=as_json)

    assert found.spec is not None
    assert dict(found.spec.space.items()) == dict(spec.space.items())
    came = found.spec.to_json() | {"space": None}
    assert came == spec.to_json() | {"space": None}
    assert found.lost == ()
    assert found.names == {}


@settings(max_examples=40, deadline=None)
@given(spaces(bare=True), st.integers(1, 99), st.booleans(), st.booleans())
def test_a_study_that_cloud_ml_engine_can_say_comes_back_unchanged(
    space: Space, trials: int, stops: bool, as_json: bool
) -> None:
    spec = StudySpec(
        space,
        (Objective("accuracy", "maximize"),),
        max_trials=trials,
        max_failed_trials=trials - 1,
        stopping=(Stopping("curve"),) if stops else (),
        ending=Ending(time_s=60.5),
    )

    found = there_and_back(spec, "cmle", as_json=as_json)

    assert found.spec == spec


@given(studies())
@settings(max_examples=15, deadline=None)
def test_the_yaml_and_the_json_say_the_same(spec: StudySpec) -> None:
    tune = TuneFile("s", spec)

    as_yaml = convert(tune, spec, "vertex", file=FILE).text
    as_json = convert(tune, spec, "vertex", file=FILE, as_json=True).text

    assert _core(parse_google(as_yaml, FILE, now=0)) == _core(parse_google(as_json, FILE, now=0))
    assert json.loads(as_json).keys() == yaml.safe_load(as_yaml).keys()


def _core(found: GoogleJob | None) -> object:
    assert found is not None
    return found.spec, found.job and found.job.pools


def test_a_program_comes_back_as_the_command_it_was() -> None:
    spec = StudySpec(Space({"lr": Double(0, 1)}), (Objective("loss", "minimize"),), max_trials=3)
    program = Program(
        ("python", "train.py", "--epochs=3", "a b"),
        directory="/home/ada/digits",
        environment={"A": "1", "B": "$(A)"},
        resources=Resources(time_limit_s=90.5),
        retries=0,
    )

    written = convert(TuneFile("s", spec, program), spec, "vertex", file=FILE)
    found = parse_google(written.text, FILE)

    assert found is not None
    assert found.job is not None
    pool = found.job.primary
    assert (pool.command, pool.variables({"A": "2"})) == (program.command, program.environment)
    assert (found.job.time_limit_s, found.job.restart) == (90.5, "never")
    assert [str(lost) for lost in written.lost] == [
        "missing: command: name the image that holds the program in place of IMAGE_URI"
    ]


def test_words_that_look_like_something_else_stay_words() -> None:
    words = [
        "null",
        "~",
        "no",
        "true",
        "1e5",
        "0x10",
        "010",
        ".inf",
        "",
        " a",
        "a: b",
        "# c",
        "a\nb",
    ]
    spec = StudySpec(
        Space({"word": Categorical(words, default="010")}),
        (Objective("a", "maximize"),),
        max_trials=3,
    )

    for to in ("vertex", "cmle"):
        bare = (
            spec
            if to == "vertex"
            else StudySpec(Space({"word": Categorical(words)}), spec.objectives, max_trials=3)
        )
        found = there_and_back(bare, to, as_json=False)
        assert found.spec is not None
        assert found.spec.space == bare.space
