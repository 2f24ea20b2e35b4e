"""A file in another form, with a list of what that form can't say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tunesmith.model import (
    Algorithm,
    Constraint,
    Ending,
    MetricReading,
    Objective,
    Program,
    Resources,
    Stopping,
    StudySpec,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Prior, Space
from tunesmith.specs import TuneFile, parse_study
from tunesmith.specs.google import GoogleJob, Target, convert, parse_google

FILE = Path("/home/ada/digits/tune.yaml")
SPEC = StudySpec(Space({"lr": Double(0, 1)}), (Objective("loss", "minimize"),), max_trials=9)
PROGRAM = Program(("python3", "-m", "trainer.task"), directory="/home/ada/digits")


def written(spec: StudySpec, to: Target, program: Program = PROGRAM) -> tuple[Any, list[str]]:
    """Return the document and what is lost, without what only a person can say."""
    made = convert(TuneFile("s", spec, program), spec, to, file=FILE)
    return yaml.safe_load(made.text), [str(lost) for lost in made.lost if not lost.missing]


def lost_of(spec: StudySpec, to: Target, program: Program = PROGRAM) -> list[str]:
    return [text.split(": ")[1] for text in written(spec, to, program)[1]]


def to_native(text: str) -> tuple[TuneFile, list[str]]:
    """Return one of Google's texts as a native file that reads back, and what is lost."""
    found = parse_google(text, FILE, now=0)
    assert found is not None
    made = convert(found, cast("StudySpec", found.spec), "native", file=FILE)
    return parse_study(made.text, FILE), [str(lost) for lost in made.lost]


# What neither can say

EVERYTHING = replace(
    SPEC,
    space=Space(
        {
            "lr": Double(0, 1, prior=Prior(0.5)),
            "wide": Integer(0, 10**6, step=7),
            "many": Discrete(range(2000)),
        }
    ),
    objectives=(Objective("loss", "minimize", "loss_se"), Objective("a", "maximize")),
    algorithm=Algorithm("tpe", {"n": 3}),
    measurement="maximum",
    initial=({"lr": 0.1},),
    warm_start=("old",),
    stopping=(Stopping("asha"), Stopping("median", {"min_trials": 5}), Stopping("curve")),
    max_steps=27,
    ending=Ending(target=0.1, expected_gain=0.1, no_improvement=3, no_improvement_for_s=60.0),
)
EVERY_PROGRAM = Program(
    ("python", "train.py", "--out={trial_dir}", "--loss={lr}"),
    values_as="placeholders",
    resources=Resources(cpus=2, gpus=1, memory_limit_mib=100),
    reading=MetricReading(("stdout",)),
)


def test_all_that_vertex_ai_can_not_say_is_listed() -> None:
    assert lost_of(EVERYTHING, "vertex", EVERY_PROGRAM) == [
        "command",
        "command",
        "limits.memory",
        "resources.cpus",
        "resources.gpus",
        "metrics",
        "standard_error",
        "initial",
        "warm_start",
        "max_steps",
        "until.target",
        "until.expected_gain",
        "parameters.lr.prior",
        "parameters.wide.step",
        "parameters.many.values",
        "algorithm",
        "measurement",
        "stopping.asha",
        "stopping.curve",
        "stopping.median",
        "until.no_improvement",
        "until.no_improvement_for",
    ]


def test_that_only_the_time_ends_running_trials_can_not_be_said_to_vertex_ai() -> None:
    mixed = replace(SPEC, ending=Ending(time_s=60.0, no_improvement=3))

    assert "until.stop_running" in lost_of(mixed, "vertex", PROGRAM)


def test_cloud_ml_engine_has_no_conditions_defaults_constraints_or_second_metric() -> None:
    spec = replace(
        SPEC,
        space=Space(
            {
                "opt": Categorical(["sgd", "adam"], default="adam"),
                "momentum": Double(0, 1, when={"opt": "sgd"}),
            }
        ),
        objectives=(*SPEC.objectives, Objective("a", "maximize")),
        constraints=(Constraint("ms", 20),),
        measurement="best",
        stopping=(Stopping("median"),),
        algorithm=Algorithm("random", {"repeat": True}),
        ending=Ending(None, 60.0, 3, None, 60.0, 5, 30.0, stop_running=False),
    )
    program = replace(
        PROGRAM, environment={"A": "1"}, resources=Resources(time_limit_s=60), retries=0
    )

    assert lost_of(spec, "cmle", program) == [
        "maximize",
        "constraints",
        "measurement",
        "until.no_improvement",
        "until.no_improvement_for",
        "until.min_trials",
        "until.min_time",
        "until.stop_running",
        "algorithm",
        "stopping.median",
        "parameters.opt.default",
        "parameters.momentum.when",
        "environment",
        "scheduling",
        "limits.time",
    ]


def test_a_number_of_trials_that_is_needed_and_not_given_is_ten_a_parameter() -> None:
    spec = replace(SPEC, max_trials=None)

    made = convert(TuneFile("s", spec, PROGRAM), spec, "vertex", file=FILE)

    assert yaml.safe_load(made.text)["maxTrialCount"] == 10
    assert "missing: max_trials: maxTrialCount is needed there; 10 is written, ten a parameter" in [
        str(lost) for lost in made.lost
    ]


# What becomes of parts


def test_steps_become_lists_of_values() -> None:
    space = Space({"drop": Double(0, 0.5, step=0.1), "n": Integer(2, 8, step=3)})

    document, lost = written(replace(SPEC, space=space), "cmle")

    listed = [p["discreteValues"] for p in document["trainingInput"]["hyperparameters"]["params"]]
    assert listed == [[0, 0.1, 0.2, 0.3, 0.4, 0.5], [2, 5, 8]]
    assert lost == []


def test_of_conditions_that_imply_each_other_the_nearest_is_written() -> None:
    space = Space(
        {
            "opt": Categorical(["sgd", "adam"]),
            "nesterov": Categorical(["yes", "no"], when={"opt": "sgd"}),
            "momentum": Double(0, 1, when={"opt": ["sgd", "adam"], "nesterov": "yes"}),
        }
    )

    document, lost = written(replace(SPEC, space=space), "vertex")

    (nesterov,) = document["studySpec"]["parameters"][0]["conditionalParameterSpecs"]
    (momentum,) = nesterov["parameterSpec"]["conditionalParameterSpecs"]
    assert momentum["parentCategoricalValues"] == {"values": ["yes"]}
    assert momentum["parameterSpec"]["parameterId"] == "momentum"
    assert lost == []


def test_of_conditions_on_two_others_one_is_lost() -> None:
    space = Space(
        {
            "a": Categorical(["x", "y"]),
            "b": Integer(1, 3),
            "c": Double(0, 1, when={"a": "x", "b": 2}),
        }
    )

    _, lost = written(replace(SPEC, space=space), "vertex")

    assert lost == [
        "not kept: parameters.c.when: it can depend on one other there, a; not on b as well"
    ]


def test_the_flag_for_the_folder_is_left_to_the_service() -> None:
    program = replace(PROGRAM, command=(*PROGRAM.command, "--job-dir={trial_dir}", "--v"))

    document, lost = written(SPEC, "cmle", program)

    assert document["trainingInput"]["args"] == ["--v"]
    assert lost == [
        "not kept: command: the service gives --job-dir itself: name the folder of the job"
    ]


def test_placeholders_that_are_flags_anyway_are_left_out() -> None:
    program = Program(("python", "t.py", "--lr={lr}"), values_as="placeholders")

    document, lost = written(SPEC, "vertex", program)

    (pool,) = document["trialJobSpec"]["workerPoolSpecs"]
    assert pool["containerSpec"]["command"] == ["python", "t.py"]
    assert lost == []


def test_a_name_that_stands_twice_is_written_twice_again() -> None:
    study: dict[str, Any] = {
        "metrics": [{"metricId": "a"}],
        "parameters": [
            {
                "parameterId": "opt",
                "categoricalValueSpec": {"values": ["sgd", "adam"]},
                "conditionalParameterSpecs": [
                    {
                        "parentCategoricalValues": {"values": [value]},
                        "parameterSpec": {
                            "parameterId": "rate",
                            "doubleValueSpec": {"minValue": 0.0, "maxValue": bound},
                            "scaleType": "UNIT_LINEAR_SCALE",
                        },
                    }
                    for value, bound in (("sgd", 1.0), ("adam", 2.0))
                ],
            }
        ],
    }
    found = parse_google(json.dumps({"displayName": "x", "studySpec": study}), FILE)
    assert found is not None
    assert found.spec is not None

    vertex = convert(found, found.spec, "vertex", file=FILE)
    native = convert(found, found.spec, "native", file=FILE)

    assert yaml.safe_load(vertex.text)["studySpec"]["parameters"] == study["parameters"]
    assert [str(lost) for lost in native.lost] == [
        f"not kept: parameters.rate@{value}: it reaches the program as --rate@{value};"
        " it was one of several called rate"
        for value in ("sgd", "adam")
    ]


# Native files


CMLE = """\
trainingInput:
  packageUris: [gs://b/t.tar.gz]
  pythonModule: trainer.task
  args: [--epochs, 3]
  jobDir: gs://b/census
  hyperparameters:
    maxTrials: 4
    params: [{parameterName: lr, type: DOUBLE, minValue: 0.1, maxValue: 1}]
"""


def test_a_module_becomes_a_command() -> None:
    tune, lost = to_native(CMLE)

    assert tune.program is not None
    assert tune.program.command == (
        "python3", "-m", "trainer.task", "--epochs", "3", "--job-dir={trial_dir}",
    )  # fmt: skip
    assert (tune.name, tune.spec.max_trials) == ("digits", 4)
    assert lost == [
        "not kept: packageUris: the module runs where its source is, or is installed",
        "not kept: output: trials have folders of their own, not gs://b/census",
    ]


def test_an_image_without_a_command_leaves_the_command_to_be_written() -> None:
    text = """\
displayName: horses
studySpec:
  metrics: [{metricId: a}]
  parameters: [{parameterId: lr, doubleValueSpec: {maxValue: 1}}]
trialJobSpec:
  workerPoolSpecs:
  - machineSpec: {acceleratorType: NVIDIA_TESLA_V100, acceleratorCount: 2}
    containerSpec: {imageUri: gcr.io/p/t}
  - {replicaCount: 3, containerSpec: {imageUri: gcr.io/p/t}}
labels: {team: vision}
"""

    tune, lost = to_native(text)

    assert tune.program is None
    assert lost == [
        "not kept: pools: a command is one process; of 4 only the first is kept",
        "not kept: machine: 2 NVIDIA_TESLA_V100 were wished for: `resources: {gpus: 2}` sets some aside",
        "missing: command: the file does not say what the image gcr.io/p/t runs: write it",
        "not kept: labels: a study has none",
    ]


def test_pools_and_packages_go_from_one_service_to_the_other() -> None:
    source = CMLE.replace(
        "  jobDir",
        "  scaleTier: CUSTOM\n  masterType: standard_gpu\n  workerType: n1-highmem-8\n"
        "  workerCount: 2\n  jobDir",
    )
    found = parse_google(source, FILE)
    assert found is not None
    assert found.spec is not None

    made = convert(found, found.spec, "vertex", file=FILE)
    back = parse_google(made.text, FILE)

    assert back is not None
    assert back.job is not None
    assert [pool.replicas for pool in back.job.pools] == [1, 2]
    assert [pool.machine.kind for pool in back.job.pools] == ["n1-standard-4", "n1-highmem-8"]
    assert back.job.primary.args == ("--epochs", "3")
    assert back.job.output == "gs://b/census"
    assert [str(lost) for lost in made.lost if not lost.missing] == [
        (
            "not kept: trialJobSpec.workerPoolSpecs[0].machineSpec: standard_gpu is not there;"
            " n1-standard-4 is written"
        ),
        "not kept: jobDir: no --job-dir is given there; AIP_MODEL_DIR names a trial's folder",
    ]


def test_a_job_that_resumes_another_still_does_in_its_own_form() -> None:
    found = parse_google(
        "trainingInput: {pythonModule: t, packageUris: [p],"
        " hyperparameters: {resumePreviousJobId: old, maxTrials: 5}}",
        FILE,
    )
    assert isinstance(found, GoogleJob)
    assert found.resumes is not None
    spec = found.resumes.spec(SPEC)

    cmle = convert(found, spec, "cmle", file=FILE)
    vertex = convert(found, spec, "vertex", file=FILE)

    assert yaml.safe_load(cmle.text)["trainingInput"]["hyperparameters"] == {
        "maxTrials": 5,
        "maxParallelTrials": 1,
        "resumePreviousJobId": "old",
    }
    assert cmle.lost == ()
    assert "not kept: warm_start: old: those studies are not there" in map(str, vertex.lost)


@pytest.mark.parametrize("to", ["vertex", "cmle"])
def test_a_file_without_a_command_leaves_what_runs_to_be_filled_in(to: Target) -> None:
    made = convert(TuneFile("s", SPEC), SPEC, to, file=FILE)

    assert any(lost.missing and lost.field == "command" for lost in made.lost)
    assert parse_google(made.text, FILE) is not None
