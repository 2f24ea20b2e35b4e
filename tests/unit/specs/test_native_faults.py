"""The native file: each fault is told at its place. In the samples, « and » mark that place."""

from collections.abc import Callable

import pytest

from tunesmith.errors import Problem
from tunesmith.specs import render_problems

Faults = Callable[[str], list[Problem]]

HEAD = "maximize: a\n"
SPACE = "parameters: {lr: 0..1.0, units: [64, 128]}\n"
STUDY = HEAD + SPACE
IN_SPACE = HEAD + "parameters:\n  opt: [sgd, adam]\n  "
RUN = STUDY + "command: train\n"
SHAPES = "Write a range such as 16..256 or log:1e-5..1e-1, or a list such as adam,sgd."


def marked(text: str) -> tuple[str, int, int, int]:
    """Return the text without its marks, and the line, column and width between them."""
    before, _, rest = text.partition("«")
    inside, _, after = rest.partition("»")
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return before + inside + after, line, column, len(inside)


SAMPLES = [
    # Keys
    ("E102", STUDY + "«stoping»: median", "unknown key 'stoping'", "did you mean 'stopping'?"),
    ("E102", STUDY + "«max_trails»: 3", "unknown key 'max_trails'", "did you mean 'max_trials'?"),
    ("E102", STUDY + "«Seed»: 3", "unknown key 'Seed'", "did you mean 'seed'?"),
    (
        "E102",
        IN_SPACE + "units: {type: int, min: 16, «maxx»: 256}",
        "unknown key 'maxx'",
        "did you mean 'max'?",
    ),
    ("E102", RUN + "limits: {«tyme»: 10m}", "unknown key 'tyme'", "did you mean 'time'?"),
    ("E102", RUN + "resources: {«gpu»: 1}", "unknown key 'gpu'", "did you mean 'gpus'?"),
    (
        "E102",
        RUN + "metrics: {«source»: [stdout]}",
        "unknown key 'source'",
        "did you mean 'sources'?",
    ),
    (
        "E103",
        "«study: x»\n" + SPACE,
        "missing key 'maximize' or 'minimize': a study needs a metric to improve",
        "",
    ),
    ("E103", "«maximize: a»\nseed: 1", "missing key 'parameters'", ""),
    ("E103", IN_SPACE + "n: «{type: int, min: 1}»", "n: missing key 'max'", ""),
    ("E103", IN_SPACE + "n: «{min: 1, max: 2}»", "n: missing key 'type'", ""),
    ("E103", STUDY + "algorithm: «{levels: 3}»", "algorithm: missing key 'name'", ""),
    ("E104", STUDY + "«maximize»: b", "the key 'maximize' is given twice", "first given on line 1"),
    (
        "E104",
        IN_SPACE + "lr: {type: int, min: 1, «min»: 2, max: 3}",
        "the key 'min' is given twice",
        "first given on line 4",
    ),
    # Algorithms
    (
        "E120",
        STUDY + "algorithm: {name: grid, «pionts»: 3}",
        "Algorithm 'grid' has these settings: points; given: pionts.",
        "did you mean 'points'?",
    ),
    (
        "E120",
        STUDY + "algorithm: {name: grid, «points»: many}",
        "grid's setting 'points' is a whole number from 2; given 'many'.",
        "",
    ),
    # What ends trials early, and when the study has enough
    (
        "E120",
        STUDY + "stopping: «medain»",
        "there is no stopping rule or schedule 'medain'; installed are halving, hyperband, median, threshold",
        "did you mean 'median'?",
    ),
    (
        "E120",
        STUDY + "stopping: [median, {name: «hiperband», eta: 3}]",
        "there is no stopping rule or schedule 'hiperband'; installed are halving, hyperband, median, threshold",
        "did you mean 'hyperband'?",
    ),
    (
        "E120",
        STUDY + "stopping: {name: median, «min_step»: 3}",
        "Stopping rule 'median' has these settings: min_steps, metric; given: min_step.",
        "did you mean 'min_steps'?",
    ),
    (
        "E120",
        STUDY + "stopping:\n  - threshold\n  - {name: median, «min_steps»: soon}",
        "min_steps is a whole number; given 'soon'",
        "",
    ),
    ("E120", STUDY + "stopping: [median, «median»]", "stopping names 'median' twice", ""),
    (
        "E120",
        STUDY + "stopping: [halving, median, «hyperband»]",
        "a study has one schedule, and 'halving' is one as well as 'hyperband'",
        "",
    ),
    ("E103", STUDY + "stopping: «{min_steps: 3}»", "stopping: missing key 'name'", ""),
    ("E101", STUDY + "stopping: [«[median]»]", "stopping must be a text, not a list", ""),
    (
        "E101",
        STUDY + "stopping: {name: median, min_steps: «[1]»}",
        "stopping: min_steps must be a single value, not a list",
        "",
    ),
    ("E120", STUDY + "max_steps: «0»", "max_steps is a whole number from 1; given 0", ""),
    ("E101", STUDY + "until: «2h»", "until must be a mapping, not the text '2h'", ""),
    ("E102", STUDY + "until: {«tyme»: 2h}", "unknown key 'tyme'", "did you mean 'time'?"),
    (
        "E120",
        STUDY + "until: {time: «soon»}",
        "until: time: 'soon' is no duration. Write 90s, 10m, 1h30m, or a number of seconds.",
        "",
    ),
    (
        "E120",
        STUDY + "until: {time: «0s»}",
        "until: time must be above zero. Leave it out for no limit",
        "",
    ),
    (
        "E120",
        STUDY + "until: {no_improvement_for: «0s»}",
        "until: no_improvement_for must be above zero. Leave it out for no limit",
        "",
    ),
    (
        "E120",
        STUDY + "until: {min_time: «2h», time: 90m}",
        "until: min_time is at most the time, 1h30m; given 2h",
        "",
    ),
    (
        "E120",
        STUDY + "until: {min_trials: «0»}",
        "until: min_trials is a whole number from 1; given 0",
        "",
    ),
    (
        "E101",
        STUDY + "until: {stop_running: «at once»}",
        "until: stop_running must be true or false, not the text 'at once'",
        "",
    ),
    (
        "E120",
        STUDY + "constraints: {latency: «<= 20 in 90 of trials»}",
        "The share of trials that keep latency's bound is from 0 to 1; given 90.0.",
        "",
    ),
    (
        "E120",
        STUDY + "until: {no_improvement: «0»}",
        "until: no_improvement is a whole number from 1; given 0",
        "",
    ),
    (
        "E120",
        STUDY + "until: {expected_gain: «-1»}",
        "until: expected_gain is a number above zero; given -1",
        "",
    ),
    (
        "E101",
        STUDY + "until: {target: «high»}",
        "until: target must be a number, not the text 'high'",
        "",
    ),
    # Constraints, standard errors, earlier studies
    (
        "E120",
        STUDY + "constraints: {latency: «20»}",
        "A constraint on latency looks like '<= 20' or '>= 0.9' (the bound itself is allowed), or '<= 20 in 0.9 of trials'; given '20'.",
        "",
    ),
    (
        "E120",
        STUDY + "constraints: [latency <= 20, «recall < 3»]",
        "A constraint on recall looks like '<= 20' or '>= 0.9' (the bound itself is allowed), or '<= 20 in 0.9 of trials'; given '< 3'.",
        "",
    ),
    (
        "E120",
        STUDY + "constraints: [latency <= 20, «latency >= 3»]",
        "latency has a constraint already: latency <= 20",
        "",
    ),
    (
        "E120",
        STUDY + "constraints: {a: «<= inf»}",
        "The bound of a is a finite number; given inf.",
        "",
    ),
    (
        "E100",
        STUDY + "constraints: {recall: «>»= 0.9}",
        "YAML can't begin a text with '>'. Quote it: \">= 0.9\".",
        "",
    ),
    (
        "E120",
        STUDY + "standard_error: {«aa»: a_se}",
        "A standard error is given for 'aa', which is no objective; there are: a.",
        "did you mean 'a'?",
    ),
    (
        "E120",
        "maximize: [a, b]\n" + SPACE + "standard_error: «a_se»",
        "With several objectives, say whose standard error 'a_se' is: {a: a_se}.",
        "",
    ),
    (
        "E120",
        STUDY + "standard_error: «a»",
        "The standard error of a is a metric of its own, such as a_se.",
        "",
    ),
    ("E120", STUDY + "warm_start: [old, «old»]", "warm_start names the study 'old' twice", ""),
    ("E120", STUDY + "warm_start: «old/er»", None, ""),
    (
        "E120",
        STUDY + "study: s\nwarm_start: «s»",
        "a study can't learn from itself; warm_start names earlier ones",
        "",
    ),
    (
        "E101",
        STUDY + "warm_start: [«{a: b}»]",
        "warm_start: a study must be a text, not a mapping",
        "",
    ),
    # Priors
    (
        "E110",
        IN_SPACE + "lr: {type: double, min: 0, max: 1, prior: «2»}",
        "lr: Double(prior=2.0) has its center outside: 2.0 is not a number from 0 to 1.",
        "",
    ),
    (
        "E110",
        IN_SPACE + "lr: {type: double, min: 0, max: 1, prior: {center: 0.5, confidence: «hihg»}}",
        "lr: prior: confidence is one of low, medium, high; given 'hihg'",
        "did you mean 'high'?",
    ),
    (
        "E102",
        IN_SPACE + "lr: {type: double, min: 0, max: 1, prior: {center: 0.5, «sure»: high}}",
        "unknown key 'sure'",
        "",
    ),
    (
        "E103",
        IN_SPACE + "lr: {type: double, min: 0, max: 1, prior: «{confidence: high}»}",
        "lr: prior: missing key 'center'",
        "",
    ),
    (
        "E101",
        IN_SPACE + "lr: {type: double, min: 0, max: 1, prior: «[0.5]»}",
        "lr: prior must be a number, not a list",
        "",
    ),
    (
        "E110",
        IN_SPACE + "o: {type: categorical, values: [a, b], prior: {center: «c»}}",
        "o: Categorical(prior='c') has its center outside: 'c' is none of 'a', 'b'.",
        "",
    ),
    # Kinds
    (
        "E101",
        "«- a»\n- b",
        "a study is a mapping, not a list. It needs parameters, and a metric to minimize or maximize.",
        "",
    ),
    ("E101", HEAD + "parameters: «3»", "parameters must be a mapping, not 3", ""),
    (
        "E101",
        STUDY + "max_trials: «many»",
        "max_trials must be a whole number from 1, not the text 'many'",
        "",
    ),
    ("E101", STUDY + "max_trials: «2.5»", "max_trials must be a whole number from 1, not 2.5", ""),
    (
        "E101",
        STUDY + "max_trials: «'3'»",
        "max_trials must be a whole number from 1, not the text '3'",
        "drop the quotes",
    ),
    ("E101", STUDY + "seed: «true»", "seed must be a whole number from 0, not true", ""),
    ("E101", STUDY + "study: «[x]»", "study must be a text, not a list", ""),
    ("E101", STUDY + "«[1]»: x", "a key must be a word, not a list or mapping", ""),
    (
        "E101",
        IN_SPACE + "lr: {type: double, min: «low», max: 1}",
        "lr: min must be a number, not the text 'low'",
        "",
    ),
    (
        "E101",
        IN_SPACE + "n:\n    type: choice\n    values: «a, b»",
        "n: values must be a list, not the text 'a, b'",
        "",
    ),
    ("E101", RUN + "environment: {A: «[1]»}", "environment: A must be a text, not a list", ""),
    (
        "E101",
        STUDY + "algorithm: {name: grid, at: «[1]»}",
        "algorithm: at must be a single value, not a list",
        "",
    ),
    # Parameters
    (
        "E110",
        IN_SPACE + "lr: {type: double, min: 1e-1, max: «1e-4»}",
        "lr: max (0.0001) must be greater than min (0.1)",
        "",
    ),
    ("E110", IN_SPACE + "lr: 0.1..«1e-4»", "lr: max (0.0001) must be greater than min (0.1)", ""),
    (
        "E110",
        IN_SPACE + "n: {type: int, min: «0.5», max: 3}",
        "n: min: integer parameters need whole numbers, not 0.5",
        "",
    ),
    ("E110", IN_SPACE + "lr: {type: double, min: 0, max: 1, scale: «log»}", None, ""),
    ("E110", IN_SPACE + "lr: «log» 0..1.0", None, ""),
    ("E110", IN_SPACE + "lr: {type: double, min: 0, max: 1, default: «2»}", None, ""),
    ("E110", IN_SPACE + "lr: {type: double, min: 0, max: 1, step: «-1»}", None, ""),
    ("E110", IN_SPACE + "n: {type: discrete, values: «[1, 1]»}", None, ""),
    (
        "E110",
        IN_SPACE + "lr: {type: «duoble», min: 0, max: 1}",
        "lr: type is one of double, float, integer, int, discrete, categorical, choice; given 'duoble'",
        "did you mean 'double'?",
    ),
    (
        "E110",
        IN_SPACE + "lr: {type: double, min: 1, max: 2, scale: «lgo»}",
        "lr: scale is one of linear, log, reverse_log; given 'lgo'",
        "did you mean 'log'?",
    ),
    (
        "E110",
        IN_SPACE + "n: {type: choice, values: [a, b], «min»: 1}",
        "n: categorical parameters have no 'min'",
        "",
    ),
    (
        "E110",
        IN_SPACE + "n: «3»",
        "n must be a mapping, a list or a range such as 16..256, not 3",
        "",
    ),
    (
        "E110",
        IN_SPACE + "n: [a, «[b]»]",
        "n must be a text, a number, true or false, not a list",
        "",
    ),
    ("E110", HEAD + "parameters: «{}»", "a study needs at least one parameter", ""),
    (
        "E110",
        IN_SPACE + "lr: «lgo:1..2»",
        f"lr: 'lgo:1..2' is no range and no list. {SHAPES}",
        "did you mean 'log'?",
    ),
    # Conditions
    (
        "E111",
        IN_SPACE + "m: {type: int, min: 1, max: 2, when: {«otp»: sgd}}",
        "m: there is no parameter 'otp' to depend on",
        "did you mean 'opt'?",
    ),
    (
        "E111",
        IN_SPACE + "m: {type: int, min: 1, max: 2, when: {opt: [sgd, «adm»]}}",
        "m: opt is never 'adm'. It is one of sgd, adam.",
        "did you mean 'adam'?",
    ),
    ("E111", IN_SPACE + "m: 1..2?opt=«adm»", None, "did you mean 'adam'?"),
    (
        "E111",
        HEAD + "parameters: {a: '1,2?«b»=1', b: '1,2?a=1', c: '1,2?a=2'}",
        "a, b: the conditions lead in a circle",
        "",
    ),
    (
        "E111",
        IN_SPACE + "m: {type: int, min: 1, max: 2, when: {opt: «[]»}}",
        "m: when: opt: the list is empty",
        "",
    ),
    ("E111", IN_SPACE + "c: 0..1.0\n  m: 1..2?«c»=1", None, ""),
    ("E110", IN_SPACE + "«a=b»: 1..2", None, ""),
    # Initial points
    (
        "E112",
        IN_SPACE + "m: 1..2?opt=sgd\ninitial: [{opt: adam, m: «1»}]",
        "Parameter 'm' is active only when 'opt' is 'sgd'; here 'opt' is 'adam'.",
        "",
    ),
    (
        "E112",
        STUDY + "initial: [{«Lr»: 0.5}]",
        "there is no parameter 'Lr'",
        "did you mean 'lr'?",
    ),
    ("E112", STUDY + "initial: [{lr: 0.5, units: «65»}]", None, ""),
    ("E112", STUDY + "initial: [{lr: «[1]»}]", "lr must be a single value, not a list", ""),
    (
        "E112",
        STUDY + "initial: [«0.5»]",
        "a point to try first is a mapping such as {lr: 0.01}, not 0.5",
        "",
    ),
    ("E101", STUDY + "initial: «{lr: 1}»", "initial must be a list of mappings, not a mapping", ""),
    # Settings of the study
    (
        "E120",
        STUDY + "max_trials: «0»",
        "max_trials is a whole number from 1; given 0",
        "",
    ),
    (
        "E120",
        STUDY + "measurement: «lsat»",
        "measurement is one of last, best, minimum, maximum; given 'lsat'",
        "did you mean 'last'?",
    ),
    (
        "E120",
        STUDY + "algorithm: «grdi»",
        "there is no algorithm 'grdi'; installed are default, grid, random, sobol",
        "did you mean 'grid'?",
    ),
    (
        "E120",
        STUDY + "algorithm: {name: «sobl», skip: 3}",
        "there is no algorithm 'sobl'; installed are default, grid, random, sobol",
        "did you mean 'sobol'?",
    ),
    ("E120", STUDY + "minimize: «a»", "a is already an objective", ""),
    ("E120", "maximize: «[]»\n" + SPACE, "maximize names no metric", ""),
    (
        "E120",
        "maximize: «a=b»\n" + SPACE,
        (
            "A metric's name can't be 'a=b'. Use up to 200 letters, digits, '_', '-', '.' and '/', with"
            " single blanks between them if need be."
        ),
        "",
    ),
    ("E120", STUDY + "study: «''»", "a study's name can't be empty", ""),
    # The program
    (
        "E121",
        STUDY + "command: «train 'unfinished»",
        "the command can't be split into words: no closing quotation",
        "",
    ),
    (
        "E121",
        STUDY + "command: «''»",
        "the command is empty. Write it as in a shell: python train.py",
        "",
    ),
    (
        "E121",
        STUDY + "«limits»: {time: 3s}",
        "'limits' is about the command, and this file has none",
        "",
    ),
    (
        "E121",
        STUDY + "command: 'train {lr} {units} «{trail}»'",
        "the command names {trail}, and there is no such parameter",
        "did you mean 'trial'?",
    ),
    (
        "E121",
        STUDY + "command: 'train {lr} «{unit}»'",
        "the command names {unit}, and there is no such parameter",
        "did you mean 'units'?",
    ),
    (
        "E121",
        STUDY + "command: [train, '«{zzz}»', '{lr}{units}']",
        "the command names {zzz}, and there is no such parameter",
        "known are lr, units, trial, trial_dir, checkpoint_dir, budget",
    ),
    (
        "E121",
        STUDY + "command: «'train {lr}'»",
        "with placeholders, a value without one never reaches the program; the command has no {units}",
        "add it, or say values_as: flags",
    ),
    (
        "E120",
        RUN + "values_as: «flag»",
        "values_as is one of flags, placeholders, environment; given 'flag'",
        "did you mean 'flags'?",
    ),
    (
        "E122",
        RUN + "limits: {time: «10 minutes»}",
        "limits: time: '10 minutes' is no duration. Write 90s, 10m, 1h30m, or a number of seconds.",
        "",
    ),
    (
        "E122",
        RUN + "limits: {time: «0»}",
        "limits: time must be above zero. Leave it out for no limit",
        "",
    ),
    (
        "E122",
        RUN + "limits: {memory: «2 gigs»}",
        "limits: memory: '2 gigs' is no amount of memory. Write 500MB, 2GiB, or a number of MiB.",
        "",
    ),
    (
        "E122",
        RUN + "resources: {cpus: «-1»}",
        "resources: cpus is a whole number from 0; given -1",
        "",
    ),
    ("E122", RUN + "environment: {«A=B»: 1}", "an environment variable can't be named 'A=B'", ""),
    ("E121", RUN + "directory: «~nobody-here/x»", None, ""),
    ("E130", RUN + "metrics: {pattern: «'a('»}", None, ""),
    (
        "E130",
        RUN + "metrics: {sources: [report, «stdoot»]}",
        "there is no metric source 'stdoot'; installed are hypertune, report, stdout, tensorboard",
        "did you mean 'stdout'?",
    ),
]


@pytest.mark.parametrize(("code", "sample", "message", "hint"), SAMPLES)
def test_a_fault_is_told_at_its_place(
    faults: Faults, code: str, sample: str, message: str | None, hint: str
) -> None:
    text, line, column, width = marked(sample)

    (problem,) = faults(text)

    assert (problem.code, problem.hint) == (code, hint)
    assert (problem.line, problem.column, problem.width) == (line, column, width)
    assert problem.source == text.splitlines()[line - 1]
    assert problem.file == "tune.yaml"
    if message is not None:
        assert problem.message == message


def test_a_fault_of_a_parameter_names_it(faults: Faults) -> None:
    (problem,) = faults(IN_SPACE + "b: {type: double, min: 0, max: 1, scale: log}")

    assert problem.message.startswith("b: ")


def test_all_faults_are_told_at_once_in_reading_order(faults: Faults) -> None:
    problems = faults("""\
maximise: accuracy
parameters:
  lr: {type: double, min: 1.0e-1, max: 1.0e-4}
  units: {type: int, min: 16, maxx: 256}
command: train
limits: {time: soon}
""")

    assert [(p.code, p.line) for p in problems] == [
        ("E102", 1),
        ("E110", 3),
        ("E102", 4),
        ("E122", 6),
    ]
    assert render_problems(problems).endswith("4 errors. Nothing was started.")


def test_a_parameter_that_depends_on_a_faulty_one_is_not_at_fault_itself(faults: Faults) -> None:
    problems = faults(
        HEAD
        + "parameters:\n  opt: {type: choice, value: [a, b]}\n  m: {type: int, min: 1, max: 2, when: {opt: a}}"
    )

    assert [p.message for p in problems] == ["unknown key 'value'"]
