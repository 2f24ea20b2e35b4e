"""Real files of Google's services.

cmle-hptuning.yaml, cmle-resume.yaml   a guide's trainingInput, word for word
cmle-python-package.yaml               as trainers' samples have it, with what people write beside it
gcloud-hp-tuning-jobs.yaml             what `gcloud ai hp-tuning-jobs create --config` takes
vertex-seed-004.json                   sent by google-cloud-aiplatform 2.7.0 over REST for the cells of
                                       a guide: enumerations as numbers, no zeros, int64 as texts
vertex-conditional.json                likewise: conditions, a package, four pools, scheduling
vizier-study-rest.json, -names, -snake a Study of Vizier as the package's classes write it: with
                                       numbers, with names, and in snake_case
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import NotFoundError, SpecError
from tunesmith.model import Constraint, Ending, Objective, Stopping, StudySpec
from tunesmith.model.job import Machine, Package
from tunesmith.space import Categorical, Discrete, Double, Integer
from tunesmith.specs.google import (
    Continuation,
    GoogleJob,
    read_google,
    read_request,
    searched_spec,
    single_job,
)

HERE = Path(__file__).parent


def read(name: str) -> GoogleJob:
    found = read_google(HERE / name, now=0.0)
    assert found is not None
    return found


def read_spec(name: str) -> tuple[GoogleJob, StudySpec]:
    found = read(name)
    assert found.spec is not None
    return found, found.spec


def test_the_guides_training_input_is_read_word_for_word() -> None:
    found, spec = read_spec("cmle-hptuning.yaml")

    cells = ["BasicLSTMCell", "BasicRNNCell", "GRUCell", "LSTMCell", "LayerNormBasicLSTMCell"]
    assert dict(spec.space.items()) == {
        "hidden1": Integer(40, 400),
        "numRnnCells": Discrete([1, 2, 3, 4]),
        "rnnCellType": Categorical(cells),
    }
    assert spec.objectives == (Objective("metric1", "maximize"),)
    assert (spec.max_trials, spec.parallel_trials) == (30, 1)
    assert spec.stopping == (Stopping("curve"),)
    assert found.job is not None
    assert [(pool.replicas, pool.machine.kind) for pool in found.job.pools] == [
        (1, "complex_model_m"),
        (9, "complex_model_m"),
        (3, "large_model"),
    ]
    assert found.lost == ()


def test_the_guides_job_that_resumes_another_is_read_once_it_names_one(tmp_path: Path) -> None:
    text = (HERE / "cmle-resume.yaml").read_text(encoding="utf-8")
    named = tmp_path / "resume.yaml"
    named.write_text(text.replace("[PREVIOUS_JOB_IDENTIFIER]", "census_1"), encoding="utf-8")

    found = read_google(named)

    assert found is not None
    assert found.spec is None
    assert found.resumes == Continuation("census_1", 30, 1, None, (Stopping("curve"),))


def test_the_guides_placeholder_for_the_earlier_job_is_told_at_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        read("cmle-resume.yaml")

    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (12, 26)
    assert problem.message == (
        "trainingInput.hyperparameters.resumePreviousJobId:"
        " the earlier job's id is needed, without brackets"
    )


def test_a_trainers_package_is_read_with_its_flags_as_texts() -> None:
    found, spec = read_spec("cmle-python-package.yaml")

    assert dict(spec.space.items()) == {
        "dropout-rate": Double(-0.1, 0.9),
        "filter_size": Discrete([3, 5, 7.5]),
        "learning_rate": Double(1e-5, 0.1, scale="reverse_log"),
    }
    assert str(spec.objective) == "minimize training/hptuning/metric"
    assert (spec.max_trials, spec.parallel_trials, spec.max_failed_trials) == (10, 5, 1)
    assert spec.ending == Ending(time_s=7200.0)
    assert found.job is not None
    assert found.job.primary.args == ("--epochs", "10", "--verbose")
    assert found.job.primary.package == Package(
        "trainer.task", ("gs://my-bucket/packages/trainer-0.1.tar.gz",)
    )
    assert (found.job.chief, found.job.output) == ("master", "gs://my-bucket/census")


def test_gclouds_configuration_is_read() -> None:
    found, spec = read_spec("gcloud-hp-tuning-jobs.yaml")

    assert dict(spec.space.items()) == {
        "learning_rate": Double(1e-3, 1, scale="log"),
        "layers": Integer(1, 4),
        "num_units": Discrete([64, 128, 512]),
        "hidden": Categorical(["128 64 32", "256 128"]),
    }
    assert spec.algorithm.name == "random"
    assert found.job is not None
    assert found.job.primary.command == ("python", "-m", "trainer.task")
    assert found.job.primary.args == ("--epochs", "10")
    assert found.job.primary.machine == Machine("n1-standard-4", "NVIDIA_TESLA_V100", 2)
    assert found.job.time_limit_s == 3600.0


def test_what_the_sdk_sends_for_the_guides_cells_is_read() -> None:
    found, spec = read_spec("vertex-seed-004.json")

    assert found.title == "horses-humans"
    assert dict(spec.space.items()) == {
        "learning_rate": Double(0.001, 1, scale="log"),
        "momentum": Double(0, 1),
        "num_units": Discrete([64, 128, 512]),
    }
    assert [spec.space["num_units"].text(v) for v in (64.0, 128.0)] == ["64", "128"]
    assert spec.objectives == (Objective("accuracy", "maximize"),)
    assert (spec.max_trials, spec.parallel_trials, spec.max_failed_trials) == (6, 2, None)
    assert spec.measurement == "best"
    assert found.job is not None
    assert found.job.primary.image == "gcr.io/{PROJECT_ID}/horse-human-codelab:latest"
    assert found.job.output.startswith("gs://{YOUR_BUCKET}/aiplatform-custom-job-")


def test_conditions_pools_and_scheduling_that_the_sdk_sends_are_read() -> None:
    found, spec = read_spec("vertex-conditional.json")

    assert dict(spec.space.items()) == {
        "optimizer": Categorical(["sgd", "adam"]),
        "learning_rate": Double(0.01, 1, scale="log", when={"optimizer": "sgd"}),
        "batch_size": Discrete([16, 32, 64]),
        "decay": Double(1e-7, 1, when={"batch_size": [32, 64]}),
        "layers": Integer(0, 4),
    }
    assert [str(o) for o in spec.objectives] == ["minimize loss", "maximize accuracy"]
    assert (spec.algorithm.name, spec.measurement) == ("random", "last")
    assert spec.max_failed_trials == 2
    job = found.job
    assert job is not None
    assert [pool.replicas for pool in job.pools] == [1, 2, 0, 1]
    assert job.primary.variables({}) == {"ROOT": "/gcs/b", "DATA": "/gcs/b/data"}
    assert job.pools[3].command == ("python", "eval.py")
    assert (job.restart, job.time_limit_s, job.output) == ("trial", 7200.0, "gs://b/out")
    assert job.labels == {"team": "vision"}


def test_a_study_of_vizier_means_the_same_in_each_spelling() -> None:
    rest, names, snake = (read(f"vizier-study-{form}.json") for form in ("rest", "names", "snake"))

    assert rest == names
    assert rest.spec == snake.spec
    assert [lost.field for lost in rest.lost] == [lost.field for lost in snake.lost]


def test_a_whole_study_of_vizier_is_read() -> None:
    found, spec = read_spec("vizier-study-rest.json")

    adam, sgd = {"optimizer": ["adam"]}, {"optimizer": ["sgd"]}
    assert dict(spec.space.items()) == {
        "optimizer": Categorical(["adam", "sgd"], default="sgd"),
        "learning_rate@adam": Double(1e-5, 0.01, scale="log", default=0.001, when=adam),
        "learning_rate@sgd": Double(0.01, 1, scale="reverse_log", when=sgd),
        "nesterov": Categorical(["true", "false"], when=sgd),
        "momentum": Double(0, 0.99, when={"nesterov": "true"}),
        "layers": Integer(1, 3, default=2),
        "units2": Discrete([0.1, 64, 128], when={"layers": [2, 3]}),
    }
    assert set(found.names.values()) == {"learning_rate"}
    assert spec.objectives == (Objective("accuracy", "maximize"),)
    assert spec.constraints == (Constraint("latency", 20, "at_most", 0.5),)
    assert spec.algorithm.settings == {"repeat": True}
    assert spec.measurement == "best"
    assert spec.stopping == (Stopping("curve", {"max_steps": 50, "min_steps": 5, "by": "elapsed"}),)
    assert spec.ending == Ending(time_s=3600.5, no_improvement=10, min_trials=5, stop_running=True)
    assert spec.max_trials == 40


@pytest.mark.parametrize("name", ["vertex-seed-004.json", "vertex-conditional.json"])
def test_a_request_and_its_file_say_the_same(name: str) -> None:
    body: Any = json.loads((HERE / name).read_text(encoding="utf-8"))

    assert read_request("tuning job", body, now=0.0) == read(name)


@pytest.mark.parametrize("wrap", [True, False])
def test_the_training_input_is_recognised_alone_too(wrap: bool, tmp_path: Path) -> None:
    text = (HERE / "cmle-hptuning.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()[1:]
    file = tmp_path / "input.yaml"
    file.write_text(text if wrap else "\n".join(line[2:] for line in lines), encoding="utf-8")

    found = read_google(file)

    assert found is not None
    assert found.spec == read("cmle-hptuning.yaml").spec


def test_a_study_spec_is_recognised_alone_too(tmp_path: Path) -> None:
    body = json.loads((HERE / "vizier-study-snake.json").read_text(encoding="utf-8"))
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(body["study_spec"]), encoding="utf-8")

    found = read_google(file, now=0.0)

    assert found == replace(
        read("vizier-study-snake.json"), title="", lost=found.lost if found else ()
    )


@pytest.mark.parametrize(
    "text",
    [
        "maximize: a\nparameters: {lr: 0..1}\ncommand: python train.py --input x\n",
        "maximize: a\nparameters: {hyperparameters: 0..1, studySpec: [1, 2]}\n",
        "parameters: [1, 2]\n",
        "- trainingInput\n",
        "trainingInput",
    ],
)
def test_a_native_file_is_not_taken_for_one_of_googles(text: str, tmp_path: Path) -> None:
    file = tmp_path / "tune.yaml"
    file.write_text(text, encoding="utf-8")

    assert read_google(file) is None


@pytest.mark.parametrize(
    ("text", "name", "field"),
    [
        (
            "trainingInput: {pythonModule: t, packageUris: [p], region: europe-west1}",
            "",
            "trainingInput.hyperparameters",
        ),
        (
            "jobSpec: {workerPoolSpecs: [{containerSpec: {imageUri: i}}]}\ndisplayName: j",
            "j",
            "studySpec",
        ),
        ("workerPoolSpecs: [{containerSpec: {imageUri: i}}]", "", "studySpec"),
    ],
)
def test_a_job_that_tunes_nothing_is_read_as_one_and_refused_where_it_should_tune(
    text: str, name: str, field: str, tmp_path: Path
) -> None:
    file = tmp_path / "train.yaml"
    file.write_text(text, encoding="utf-8")

    found = read_google(file)

    assert found is not None
    assert not found.tunes
    single = single_job(found, file)
    assert single is not None
    assert single.name == (name or "train")
    assert single.job == found.job
    with pytest.raises(SpecError, match=f"{field}: there is nothing to tune") as caught:
        searched_spec(found, read_nothing)
    [problem] = caught.value.problems
    assert (problem.file, problem.line) == (str(file), 1)


def read_nothing(name: str) -> StudySpec:
    raise NotFoundError(name)


def test_a_job_says_where_it_belongs_in_its_name_or_its_region(tmp_path: Path) -> None:
    name = "projects/123/locations/europe-west4/customJobs/456"
    vertex = tmp_path / "vertex.json"
    vertex.write_text(
        json.dumps(
            {"name": name, "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"imageUri": "i"}}]}}
        )
    )
    cmle = tmp_path / "cmle.yaml"
    cmle.write_text("trainingInput: {pythonModule: t, packageUris: [p], region: asia-east1}")

    of_vertex, of_cmle = read_google(vertex), read_google(cmle)

    assert of_vertex is not None
    assert (of_vertex.project, of_vertex.region) == ("123", "europe-west4")
    assert of_cmle is not None
    assert (of_cmle.project, of_cmle.region) == ("", "asia-east1")
