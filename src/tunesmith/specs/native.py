r"""The native file: a study and the program it runs, as a person writes them.

    study: digits                          # the file's name if it is not given
    maximize: accuracy                     # or minimize; one metric or a list of them
    standard_error: accuracy_se            # or {accuracy: accuracy_se}
    constraints: {latency_ms: "<= 20"}     # or a list: [latency_ms <= 20, recall >= 0.9 in 0.8 of trials]
    measurement: best                      # last, best, minimum, maximum
    algorithm: grid                        # or {name: grid, settings ...}
    warm_start: [old]                      # earlier studies to learn from
    stopping: median                       # or {name: asha, settings ...}, or a list of both kinds
    max_steps: 30                          # how many steps (epochs) a whole trial trains
    until: {target: 0.98, time: 2h, no_improvement: 20, expected_gain: 0.001}
                                           # also: no_improvement_for, min_trials, min_time, stop_running
    max_trials: 30
    parallel_trials: 2
    max_failed_trials: 3
    seed: 0
    parameters:
      lr: {type: double, min: 1e-4, max: 1e-1, scale: log, prior: 0.01}
      units: [64, 128, 512]                # a list
      optimizer: adam, sgd                 # or the short form of the command line
      momentum: {type: double, min: 0, max: 0.99, when: {optimizer: sgd}}
    initial: [{lr: 0.01, units: 128}]      # points to try first
    command: python train.py               # each trial: --lr=0.01 --units=128 ...
    values_as: flags                       # placeholders, environment
    directory: .
    environment: {OMP_NUM_THREADS: 1}
    metrics: {sources: [stdout], pattern: '(?P<name>\w+) is (?P<value>\S+)'}
    limits: {time: 1h30m, memory: 2GiB, grace: 10s}
    resources: {cpus: 1, gpus: 0}
    retries: 2

Nothing else is allowed in it. All its faults are found in one reading.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from tunesmith.errors import SpaceError, SpecError
from tunesmith.model import (
    Algorithm,
    Constraint,
    Objective,
    Program,
    Selection,
    StudySpec,
    check_study_name,
    with_standard_errors,
)
from tunesmith.model.job import Job
from tunesmith.plugins import plugin_names
from tunesmith.search import make_searcher
from tunesmith.space import Space, Value
from tunesmith.specs.declaration import about, build_space, value_of
from tunesmith.specs.faults import Faults, Place, Span, did_you_mean
from tunesmith.specs.fields import Fields, kind_of, word_list
from tunesmith.specs.located import Listing, Node, Scalar, Table, compose
from tunesmith.specs.parameters import read_declarations
from tunesmith.specs.parts import check_name, check_settings, read_part
from tunesmith.specs.program import read_program
from tunesmith.specs.site import SiteSection
from tunesmith.specs.stopping import read_ending, read_stopping

__all__ = ["TuneFile", "parse_study", "read_study"]

_NAMELESS_STEMS = ("tune", "study", "tunesmith")


@dataclass(frozen=True, slots=True)
class TuneFile:
    """What a native file says.

    Attributes:
        name: The study's name.
        spec: What is searched, and how.
        program: What a trial runs; None if the file has no command.
        job: The pools of replicas that a trial is, in place of the program's command; None if it is
            that command. The program's limits hold in either case.
        seed_given: Whether the file chose the seed; if not, the spec's is 0.
        places: Where the file names each stopping rule and schedule, to tell what they refuse.
        site: What the file of a job says of this machine.
    """

    name: str
    spec: StudySpec
    program: Program | None = None
    job: Job | None = None
    seed_given: bool = False
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    site: SiteSection = field(default_factory=SiteSection)


def read_study(path: Path) -> TuneFile:
    """Return what the native file at ``path`` says.

    Raises:
        SpecError: the file can't be read, or has faults; each with its place.
    """
    faults = Faults([], file=str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        faults.add("E100", f"the file can't be read: {error.strerror}")
        raise faults.error() from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace").split("\n")
        at = Span(len(before), len(before[-1]) + 1)
        faults.add(
            "E100", "the file is not UTF-8. Save it as UTF-8, without a special encoding.", at
        )
        raise faults.error() from error
    return parse_study(text, path)


def parse_study(text: str, path: Path) -> TuneFile:
    """Return what ``text`` says as if it were the native file at ``path``.

    The path gives the study its name where the text does not, the command its directory, and
    every fault its file.

    Raises:
        SpecError: the text has faults; each with its place.
    """
    faults = Faults(text.splitlines(), file=str(path))
    root = compose(text, faults)
    if not isinstance(root, Table):
        what = "the file is empty" if root is None else f"a study is a mapping, not {kind_of(root)}"
        message = f"{what}. It needs parameters, and a metric to minimize or maximize."
        faults.add("E101", message, root.at if root else Span(1, 1))
        raise faults.error()

    fields = Fields(root, faults)
    name = _name(fields, path)
    objectives = _standard_errors(fields, _objectives(fields))
    constraints = _constraints(fields)
    measurement = cast("Selection | None", fields.choice("measurement", get_args(Selection)))
    algorithm = _algorithm(fields)
    warm_start = _warm_start(fields, name)
    stopping, places = read_stopping(fields)
    max_steps = fields.whole("max_steps", low=1)
    ending = read_ending(fields)
    max_trials = fields.whole("max_trials", low=1)
    parallel_trials = fields.whole("parallel_trials", low=1)
    max_failed_trials = fields.whole("max_failed_trials", low=0)
    seed = fields.whole("seed", low=0)
    space = _space(fields)
    initial = _initial(fields, space)
    program = read_program(fields, _parameter_names(fields), path.parent)
    fields.done()
    if faults.count or space is None:
        raise faults.error()

    spec = StudySpec(
        space=space,
        objectives=objectives,
        algorithm=algorithm,
        seed=seed or 0,
        max_trials=max_trials,
        parallel_trials=parallel_trials or 1,
        max_failed_trials=max_failed_trials,
        measurement=measurement or "last",
        initial=initial,
        constraints=constraints,
        warm_start=warm_start,
        stopping=stopping,
        max_steps=max_steps,
        ending=ending,
    )
    return TuneFile(name, spec, program, seed_given=seed is not None, places=places)


def _name(fields: Fields, path: Path) -> str:
    given = fields.text("study")
    if given is not None and not given.strip():
        fields.fault("study", "a study's name can't be empty")
    if given is not None:
        return given
    stem = path.stem
    if stem.casefold() in _NAMELESS_STEMS:
        return path.absolute().parent.name or stem
    return stem


def _objectives(fields: Fields) -> tuple[Objective, ...]:
    """Return the objectives, in the order in which the file names them."""
    found: dict[str, Objective] = {}
    given = fields.has("maximize"), fields.has("minimize")
    for goal, entry in fields.table.entries.items():
        if goal not in ("maximize", "minimize"):
            continue
        node = entry.node
        for metric, at in word_list(node, f"{goal}: a metric", fields.faults):
            if metric in found:
                fields.faults.add("E120", f"{metric} is already an objective", at)
            try:
                found[metric] = Objective(metric, "maximize" if goal == "maximize" else "minimize")
            except SpecError as error:
                fields.faults.add("E120", error.problems[0].message, at)
        if isinstance(node, Listing) and not node.items:
            fields.faults.add("E120", f"{goal} names no metric", node.at)
    if not any(given) and not fields.misspelt("maximize", "minimize"):
        message = "missing key 'maximize' or 'minimize': a study needs a metric to improve"
        fields.faults.add("E103", message, fields.table.at)
    return tuple(found.values())


def _standard_errors(fields: Fields, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
    """Return the objectives with their standard errors, each fault at its place."""
    node = fields.node("standard_error")
    if node is None or not objectives:
        return objectives
    given: str | dict[str, str]
    if isinstance(node, Table):
        inner = Fields(node, fields.faults, owner="standard_error")
        given = {metric: inner.text(metric) or "" for metric in node.entries}
        places = {metric: entry.key_at for metric, entry in node.entries.items()}
    else:
        given, places = fields.text("standard_error") or "", {}
    try:
        return with_standard_errors(objectives, given)
    except SpecError as error:
        message = error.problems[0].message
        culprit = next((metric for metric in places if repr(metric) in message), "")
        hint = did_you_mean(culprit, [o.metric for o in objectives])
        fields.faults.add("E120", message, places.get(culprit, node.at), hint=hint)
        return objectives


def _constraints(fields: Fields) -> tuple[Constraint, ...]:
    node = fields.node("constraints")
    found: dict[str, Constraint] = {}
    for constraint, at in [] if node is None else _each_constraint(node, fields.faults):
        if constraint.metric in found:
            message = f"{constraint.metric} has a constraint already: {found[constraint.metric]}"
            fields.faults.add("E120", message, at)
        found[constraint.metric] = constraint
    return tuple(found.values())


def _each_constraint(node: Node, faults: Faults) -> Iterator[tuple[Constraint, Span]]:
    """Yield the constraints of a mapping from metrics to bounds, or of texts."""
    if isinstance(node, Table):
        places = [(metric, entry.node) for metric, entry in node.entries.items()]
    else:
        places = [("", each) for each in (node.items if isinstance(node, Listing) else (node,))]
    for metric, place in places:
        text = place.text if isinstance(place, Scalar) else kind_of(place)
        try:
            made = Constraint.read(metric, text) if metric else Constraint.parse(text)
        except SpecError as error:
            faults.add("E120", error.problems[0].message, place.at)
        else:
            yield made, place.at


def _warm_start(fields: Fields, study: str) -> tuple[str, ...]:
    node = fields.node("warm_start")
    if node is None:
        return ()
    names: list[str] = []
    for name, at in word_list(node, "warm_start: a study", fields.faults):
        try:
            check_study_name(name)
        except SpecError as error:
            fields.faults.add("E120", error.problems[0].message, at)
        if name in names:
            fields.faults.add("E120", f"warm_start names the study {name!r} twice", at)
        if name == study:
            message = "a study can't learn from itself; warm_start names earlier ones"
            fields.faults.add("E120", message, at)
        names.append(name)
    return tuple(names)


def _algorithm(fields: Fields) -> Algorithm:
    node = fields.node("algorithm")
    part = None if node is None else read_part(node, "algorithm", fields.faults)
    if part is None:
        return Algorithm()
    known = plugin_names("searchers")
    if check_name(part, "algorithm", known, fields.faults) and part.settings:
        check_settings(
            part,
            "searchers",
            lambda settings: make_searcher(Algorithm(part.name, settings)),
            fields.faults,
        )
    return Algorithm(part.name, part.settings)


def _space(fields: Fields) -> Space | None:
    inner = fields.inner("parameters", owner="parameters", code="E110")
    if inner is None:
        fields.require("parameters")
        return None
    if not inner.table.entries:
        inner.faults.add("E110", "a study needs at least one parameter", inner.table.at)
        return None
    declarations, broken = read_declarations(inner.table, fields.faults)
    return build_space(declarations, fields.faults, broken=broken)


def _parameter_names(fields: Fields) -> list[str]:
    node = fields.node("parameters")
    return list(node.entries) if isinstance(node, Table) else []


def _initial(fields: Fields, space: Space | None) -> tuple[Mapping[str, Value], ...]:
    node = fields.node("initial")
    if node is None:
        return ()
    if not isinstance(node, Listing):
        message = f"initial must be a list of mappings, not {kind_of(node)}"
        fields.faults.add("E101", message, node.at)
        return ()
    points = (_point(each, space, fields.faults) for each in node.items if space is not None)
    return tuple(point for point in points if point is not None)


def _point(node: Node, space: Space, faults: Faults) -> Mapping[str, Value] | None:
    """Return one point to try first; None, and a fault, if the space can't hold it."""
    if not isinstance(node, Table):
        message = f"a point to try first is a mapping such as {{lr: 0.01}}, not {kind_of(node)}"
        faults.add("E112", message, node.at)
        return None
    before = faults.count
    point: dict[str, Value] = {}
    for name, entry in node.entries.items():
        value = entry.node.value if isinstance(entry.node, Scalar) else None
        if name not in space:
            message = f"there is no parameter {name!r}"
            faults.add("E112", message, entry.key_at, hint=did_you_mean(name, space))
        elif value is None:
            message = f"{name} must be a single value, not {kind_of(entry.node)}"
            faults.add("E112", message, entry.node.at)
        else:
            try:
                point[name] = value_of(space[name], value)
            except SpaceError as error:
                faults.add("E112", about(name, error), entry.node.at)
    if faults.count > before:
        return None
    try:
        space.complete(point)
    except SpaceError as error:
        culprits = (name for name in point if _fits(space, point, without=name))
        name = next(culprits, "")
        at = node.entries[name].node.at if name else node.at
        faults.add("E112", str(error), at)
        return None
    return point


def _fits(space: Space, point: Mapping[str, Value], *, without: str) -> bool:
    try:
        space.complete({name: value for name, value in point.items() if name != without})
    except SpaceError:
        return False
    return True
