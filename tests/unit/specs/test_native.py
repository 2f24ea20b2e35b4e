"""The native file: what a text without a fault says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Algorithm, Constraint, MetricReading, Objective, Resources
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Prior
from tunesmith.specs import TuneFile, parse_study, read_study

Read = Callable[[str], TuneFile]

MINIMAL = "maximize: accuracy\nparameters: {x: 0..1.0}\n"

EVERYTHING = """\
study: digits
maximize: [accuracy, auc]
minimize: loss
standard_error: {accuracy: accuracy_se}
constraints: {latency_ms: <= 20, recall: ">= 0.9"}
measurement: best
warm_start: [old, older]
algorithm: {name: random, restarts: 3, greedy: true, kernel: matern}
max_trials: 30
parallel_trials: 2
max_failed_trials: 3
seed: 7
parameters:
  lr: {type: double, min: 1e-4, max: 1.0e-1, scale: log, default: 0.01}
  units: {type: discrete, values: [64, 128, 512]}
  layers: {type: int, min: 1, max: 8, step: 1}
  optimizer: {type: choice, values: [sgd, adam]}
  momentum: {type: float, min: 0, max: 0.99, when: {optimizer: sgd}}
initial:
  - {lr: 1e-2, units: 128, layers: 2, optimizer: adam}
command: python train.py --data 'my data'
values_as: environment
directory: code
environment: {OMP_NUM_THREADS: 1, MODE: fast}
metrics: {sources: [stdout], pattern: '(\\w+) is (\\S+)'}
limits: {time: 1h30m, memory: 2GiB, grace: 5}
resources: {cpus: 2, gpus: 1}
retries: 0
"""


def test_the_sample_file_says_a_study_and_a_program(read: Read) -> None:
    tune = read(EVERYTHING)

    spec, program = tune.spec, tune.program
    assert tune.name == "digits"
    assert tune.seed_given
    assert spec.seed == 7
    assert spec.objectives == (
        Objective("accuracy", "maximize", "accuracy_se"),
        Objective("auc", "maximize"),
        Objective("loss", "minimize"),
    )
    assert spec.constraints == (Constraint("latency_ms", 20), Constraint("recall", 0.9, "at_least"))
    assert spec.warm_start == ("old", "older")
    assert spec.measurement == "best"
    assert spec.algorithm == Algorithm(
        "random", {"restarts": 3, "greedy": True, "kernel": "matern"}
    )
    assert (spec.max_trials, spec.parallel_trials, spec.max_failed_trials) == (30, 2, 3)
    assert spec.space["lr"] == Double(1e-4, 1e-1, scale="log", default=0.01)
    assert spec.space["units"] == Discrete([64, 128, 512])
    assert spec.space["layers"] == Integer(1, 8, step=1)
    assert spec.space["optimizer"] == Categorical(["sgd", "adam"])
    assert spec.space["momentum"] == Double(0.0, 0.99, when={"optimizer": ["sgd"]})
    assert spec.initial == ({"lr": 0.01, "units": 128, "layers": 2, "optimizer": "adam"},)
    assert program is not None
    assert program.command == ("python", "train.py", "--data", "my data")
    assert program.values_as == "environment"
    assert program.directory == "/home/ada/digits/code"
    assert program.environment == {"OMP_NUM_THREADS": "1", "MODE": "fast"}
    assert program.reading == MetricReading(("stdout",), r"(\w+) is (\S+)")
    assert program.resources == Resources(2, 1, 5400.0, 2048.0, 5.0)
    assert program.retries == 0


def test_constraints_may_be_a_list_of_texts(read: Read) -> None:
    tune = read(MINIMAL + "constraints: [latency_ms <= 20, recall >= .9]")

    assert list(map(str, tune.spec.constraints)) == ["latency_ms <= 20", "recall >= 0.9"]


def test_a_single_objective_s_standard_error_is_one_word(read: Read) -> None:
    tune = read(MINIMAL + "standard_error: accuracy_se")

    assert tune.spec.objective == Objective("accuracy", "maximize", "accuracy_se")


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("{type: double, min: 0, max: 1, prior: 1}", Double(0, 1, prior=1.0)),
        (
            "{type: double, min: 1e-5, max: 1, scale: log, prior: {center: 0.01, confidence: high}}",
            Double(1e-5, 1, scale="log", prior=Prior(0.01, "high")),
        ),
        ("{type: integer, min: 1, max: 9, prior: {center: 3}}", Integer(1, 9, prior=3)),
        ("{type: discrete, values: [64, 128], prior: 128}", Discrete([64, 128], prior=128)),
        (
            "{type: categorical, values: [sgd, true], prior: {center: true, confidence: low}}",
            Categorical(["sgd", True], prior=Prior(True, "low")),
        ),
    ],
)
def test_a_prior_is_a_center_or_a_mapping(read: Read, text: str, parameter: Parameter) -> None:
    tune = read(f"maximize: accuracy\nparameters:\n  x: {text}\n")

    assert tune.spec.space["x"] == parameter


def test_what_is_not_said_has_a_default(read: Read) -> None:
    tune = read(MINIMAL + "command: python train.py")

    assert tune.name == "digits"  # the folder's, because the file is just called tune.yaml
    assert not tune.seed_given
    assert tune.spec.seed == 0
    assert tune.spec.max_trials is None
    assert tune.spec.parallel_trials == 1
    assert tune.spec.algorithm == Algorithm("default")
    assert tune.program is not None
    assert tune.program.values_as == "flags"
    assert tune.program.directory == "/home/ada/digits"
    assert tune.program.resources == Resources()
    assert tune.program.retries == 2


def test_a_study_without_a_command_has_no_program(read: Read) -> None:
    assert read(MINIMAL).program is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b/mnist.yaml", "mnist"),
        ("/a/b/tune.yaml", "b"),
        ("/a/b/Study.yml", "b"),
        ("/a/b/tunesmith.json", "b"),
        ("/tune.yaml", "tune"),
    ],
)
def test_the_file_or_its_folder_names_the_study(path: str, name: str) -> None:
    assert parse_study(MINIMAL, Path(path)).name == name


def test_objectives_keep_the_order_in_which_they_are_written(read: Read) -> None:
    tune = read("minimize: loss\nmaximize: accuracy\nparameters: {x: 0..1.0}\n")

    assert [o.metric for o in tune.spec.objectives] == ["loss", "accuracy"]


def test_a_list_of_numbers_is_discrete_and_any_other_list_is_categorical(read: Read) -> None:
    space = read("maximize: a\nparameters: {n: [1, 2.5], c: [1, two]}").spec.space

    assert space["n"] == Discrete([1, 2.5])
    assert space["c"] == Categorical([1, "two"])


def test_the_short_form_of_the_command_line_is_a_parameter(read: Read) -> None:
    text = (
        "maximize: a\nparameters:\n  lr: log 1e-5..1e-1\n  opt: sgd, adam\n  m: 0..0.99?opt=sgd\n"
    )

    space = read(text).spec.space

    assert space["lr"] == Double(1e-5, 1e-1, scale="log")
    assert space["opt"] == Categorical(["sgd", "adam"])
    assert space["m"] == Double(0.0, 0.99, when={"opt": ["sgd"]})


def test_numbers_without_a_point_are_numbers(read: Read) -> None:
    text = "maximize: a\nmax_trials: 1e2\nparameters: {x: {type: double, min: 1e-4, max: 1E+2}}"

    tune = read(text)

    assert tune.spec.max_trials == 100
    assert tune.spec.space["x"] == Double(1e-4, 100.0)


def test_only_true_and_false_are_booleans(read: Read) -> None:
    space = read("maximize: a\nparameters: {w: [no, yes, on, off], b: [true, false]}").spec.space

    assert space["w"] == Categorical(["no", "yes", "on", "off"])
    assert space["b"] == Categorical([True, False])


def test_a_condition_may_name_a_value_by_its_text(read: Read) -> None:
    text = "maximize: a\nparameters: {n: ['1', '2'], x: {type: int, min: 1, max: 3, when: {n: 2}}}"

    assert read(text).spec.space["x"] == Integer(1, 3, when={"n": ["2"]})


def test_names_and_values_may_be_of_any_script(read: Read) -> None:
    text = "maximize: точность\nparameters: {学習率: 0..1.0, größe: [klein, groß]}\ncommand: ./los"

    spec = read(text).spec

    assert spec.objective.metric == "точность"
    assert list(spec.space) == ["学習率", "größe"]


def test_anchors_and_merges_save_repetition(read: Read) -> None:
    text = """\
maximize: a
parameters:
  encoder: &rate {type: double, min: 1e-5, max: 1e-1, scale: log}
  decoder: {<<: *rate, max: 1e-2}
"""

    space = read(text).spec.space

    assert space["encoder"] == Double(1e-5, 1e-1, scale="log")
    assert space["decoder"] == Double(1e-5, 1e-2, scale="log")


def test_json_is_read_even_when_it_is_indented_with_tabs(read: Read) -> None:
    text = '{\n\t"maximize": "a\\u00e9\\ud83d\\ude00",\n\t"parameters": {"x": "0..1.0"}\n}'

    assert read(text).spec.objective.metric == "aé😀"


def test_a_backslash_continues_the_command_on_the_next_line(read: Read) -> None:
    tune = read(MINIMAL + "command: |\n  python train.py \\\n    --epochs 3\n")

    assert tune.program is not None
    assert tune.program.command == ("python", "train.py", "--epochs", "3")


def test_words_of_a_command_are_taken_as_they_are_written(read: Read) -> None:
    tune = read(MINIMAL + "command: [./train, -x, --level=-1, 1e-3, yes, 'a b']")

    assert tune.program is not None
    assert tune.program.command == ("./train", "-x", "--level=-1", "1e-3", "yes", "a b")


def test_a_parameter_in_braces_makes_the_command_one_with_placeholders(read: Read) -> None:
    tune = read(MINIMAL + "command: 'train --x={x} --out={trial_dir} --home=${HOME}'")

    assert tune.program is not None
    assert tune.program.values_as == "placeholders"


@pytest.mark.parametrize(
    "command",
    [
        """train '{"a": {"b": 1}}' '{print $1}'""",
        "train --out={trial_dir}",
        "train {y}",
    ],
)
def test_other_braces_leave_the_values_to_flags(read: Read, command: str) -> None:
    tune = read(MINIMAL + "command: |\n  " + command)

    assert tune.program is not None
    assert tune.program.values_as == "flags"


def test_a_parameter_may_be_left_out_of_the_command_when_values_go_as_flags(read: Read) -> None:
    tune = read(
        "maximize: a\nparameters: {x: 0..1, y: 0..1}\ncommand: 'train {x}'\nvalues_as: flags"
    )

    assert tune.program is not None
    assert tune.program.values_as == "flags"


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())

    assert read_study(path).name == "digits"


def test_a_file_that_is_not_there_is_a_fault_and_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_study(tmp_path / "none.yaml")

    (problem,) = caught.value.problems
    assert problem.code == "E100"
    assert problem.message == "the file can't be read: No such file or directory"


def test_a_file_in_another_encoding_is_a_fault_at_its_first_odd_byte(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes("maximize: a\nstudy: gr\xfcn\n".encode("latin-1"))

    with pytest.raises(SpecError) as caught:
        read_study(path)

    (problem,) = caught.value.problems
    assert problem.message.startswith("the file is not UTF-8.")
    assert (problem.line, problem.column) == (2, 10)
