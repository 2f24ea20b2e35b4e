"""What trials run: the jobs of Vertex AI and of Cloud ML Engine."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.model import Ending, Stopping, StudySpec
from tunesmith.model.job import Job, Machine, Package, Pool
from tunesmith.space import Categorical, Discrete, Double, Integer, Space
from tunesmith.specs.google import Continuation, Document, GoogleJob, study_name

Read = Callable[[Document, object], GoogleJob]


def job_of(found: GoogleJob) -> Job:
    assert found.job is not None
    return found.job


def spec_of(found: GoogleJob) -> StudySpec:
    assert found.spec is not None
    return found.spec


# Vertex AI


def test_each_worker_pool_keeps_its_position(read: Read, tuning_job: dict[str, Any]) -> None:
    package = {
        "executorImageUri": "gcr.io/x",
        "packageUris": ["gs://b/t.tar.gz"],
        "pythonModule": "trainer.task",
        "args": ["--epochs=3"],
    }
    container = {"imageUri": "gcr.io/e", "command": ["eval"], "env": [{"name": "A", "value": "1"}]}
    machine = {"machineType": "n1", "acceleratorType": 3, "acceleratorCount": 2}
    tuning_job["trialJobSpec"]["workerPoolSpecs"] = [
        {"machineSpec": machine, "pythonPackageSpec": package},
        {"replicaCount": 3, "pythonPackageSpec": package},
        {},
        {"replicaCount": "1", "containerSpec": container},
    ]

    job = job_of(read("tuning job", tuning_job))

    module = Package("trainer.task", ("gs://b/t.tar.gz",))
    assert job.pools == (
        Pool(1, "gcr.io/x", (), module, ("--epochs=3",), {}, Machine("n1", "NVIDIA_TESLA_V100", 2)),
        Pool(3, "gcr.io/x", (), module, ("--epochs=3",)),
        Pool(0),
        Pool(1, "gcr.io/e", ("eval",), None, (), {"A": "1"}),
    )
    assert job.replicas == 5
    assert job.world == "vertex"


@pytest.mark.parametrize(
    ("scheduling", "restart", "time_limit_s"),
    [
        ({}, "replica", None),
        ({"timeout": "60s", "maxWaitDuration": "0s", "strategy": 4}, "replica", 60.0),
        ({"restartJobOnWorkerRestart": True}, "trial", None),
        ({"restartJobOnWorkerRestart": True, "disableRetries": True}, "never", None),
    ],
)
def test_scheduling_says_how_long_a_trial_runs_and_what_starts_again(
    read: Read,
    tuning_job: dict[str, Any],
    scheduling: object,
    restart: str,
    time_limit_s: float | None,
) -> None:
    tuning_job["trialJobSpec"]["scheduling"] = scheduling

    job = job_of(read("tuning job", tuning_job))

    assert (job.restart, job.time_limit_s) == (restart, time_limit_s)


def test_counts_and_names_of_a_tuning_job_are_those_of_its_study(
    read: Read, tuning_job: dict[str, Any]
) -> None:
    tuning_job |= {"maxFailedTrialCount": 3, "labels": {"team": "vision"}, "state": 3}
    tuning_job["trialJobSpec"]["baseOutputDirectory"] = {"outputUriPrefix": "gs://b/out"}

    found = read("tuning job", tuning_job)

    spec = spec_of(found)
    assert (spec.max_trials, spec.parallel_trials) == (6, 2)
    assert spec.max_failed_trials == 2  # the third failure is the end
    assert (found.form, found.title, found.labels) == ("vertex", "digits", {"team": "vision"})
    assert job_of(found).output == "gs://b/out"
    assert json.loads(job_of(found).document) == tuning_job["trialJobSpec"]


def test_the_smaller_of_two_numbers_of_trials_counts(
    read: Read, tuning_job: dict[str, Any]
) -> None:
    tuning_job["studySpec"]["studyStoppingConfig"] = {"maxNumTrials": 4}

    assert spec_of(read("tuning job", tuning_job)).max_trials == 4


def test_parameters_of_one_name_reach_the_program_under_it(
    read: Read, tuning_job: dict[str, Any]
) -> None:
    tuning_job["studySpec"]["parameters"][1]["conditionalParameterSpecs"] = [
        {
            "parentCategoricalValues": {"values": [value]},
            "parameterSpec": {"parameterId": "rate", "doubleValueSpec": {"maxValue": bound}},
        }
        for value, bound in (("sgd", 1), ("adam", 2))
    ]

    found = read("tuning job", tuning_job)

    assert job_of(found).flags == {"rate@sgd": "rate", "rate@adam": "rate"}


def test_a_custom_job_runs_and_tunes_nothing(read: Read, tuning_job: dict[str, Any]) -> None:
    body = {"displayName": "once", "jobSpec": tuning_job["trialJobSpec"]}

    found = read("custom job", body)

    assert found.spec is None
    assert job_of(found).primary.image == "gcr.io/p/train"


def test_a_study_alone_runs_nothing(read: Read, study: dict[str, Any]) -> None:
    found = read("study", {"displayName": "by hand", "studySpec": study})

    assert found.job is None
    assert (found.form, found.title) == ("vizier", "by hand")


def test_wishes_for_the_cloud_are_said_and_never_faults(
    read: Read, tuning_job: dict[str, Any]
) -> None:
    pool = tuning_job["trialJobSpec"]["workerPoolSpecs"][0]
    pool["machineSpec"] = {"machineType": "none", "acceleratorType": "NVIDIA_NEWEST",
                           "acceleratorCount": 8, "tpuTopology": "2x2"}  # fmt: skip
    pool["diskSpec"] = {"bootDiskSizeGb": 100}
    tuning_job["trialJobSpec"] |= {"serviceAccount": "a@b", "network": "n", "enableWebAccess": True}

    found = read("tuning job", tuning_job)

    assert [lost.field for lost in found.lost] == [
        "trialJobSpec.serviceAccount",
        "trialJobSpec.network",
    ]
    assert job_of(found).primary.machine == Machine("none", "NVIDIA_NEWEST", 8)


# Variables


def test_references_stand_for_variables_before_them() -> None:
    pool = Pool(
        environment={
            "ROOT": "/data",
            "SET": "$(ROOT)/$(SPLIT)/$(LATER)",
            "LATER": "$$(ROOT) $(CLOUD_ML_TRIAL_ID) $(NOWHERE)",
        }
    )

    assert pool.variables({"CLOUD_ML_TRIAL_ID": "7", "SPLIT": "a", "ROOT": "other"}) == {
        "ROOT": "/data",
        "SET": "/data/a/$(LATER)",
        "LATER": "$(ROOT) 7 $(NOWHERE)",
    }


# Cloud ML Engine


def test_hyperparameters_are_a_study(read: Read, training_job: dict[str, Any]) -> None:
    training_job["trainingInput"]["scheduling"] = {"maxRunningTime": "7200s", "priority": 3}
    training_job["trainingInput"]["hyperparameters"] |= {
        "goal": "MINIMIZE",
        "maxParallelTrials": "2",
        "maxFailedTrials": 2,
        "enableTrialEarlyStopping": True,
        "algorithm": "RANDOM_SEARCH",
        "params": [
            {"parameterName": "first-layer-size", "type": "INTEGER", "minValue": 40.0,
             "maxValue": 400.0, "scaleType": "UNIT_LINEAR_SCALE"},
            {"parameterName": "lr", "type": "DOUBLE", "minValue": "0.1", "maxValue": 1,
             "scaleType": "UNIT_REVERSE_LOG_SCALE"},
            {"parameterName": "opt", "type": "CATEGORICAL", "categoricalValues": ["a b", "c"],
             "scaleType": "NONE"},
            {"parameterName": "n", "type": "DISCRETE", "discreteValues": [1.0, 2, 3.5]},
        ],
    }  # fmt: skip

    spec = spec_of(read("training job", training_job))

    assert spec.space == Space(
        {
            "first-layer-size": Integer(40, 400),
            "lr": Double(0.1, 1, scale="reverse_log"),
            "opt": Categorical(["a b", "c"]),
            "n": Discrete([1, 2, 3.5]),
        }
    )
    assert str(spec.objective) == "minimize accuracy"
    assert (spec.max_trials, spec.parallel_trials, spec.max_failed_trials) == (6, 2, 1)
    assert spec.algorithm.name == "random"
    assert spec.stopping == (Stopping("curve"),)
    assert spec.ending == Ending(time_s=7200.0)


def test_without_a_tag_or_counts_the_service_has_its_own(
    read: Read, training_job: dict[str, Any]
) -> None:
    tuned = training_job["trainingInput"]["hyperparameters"]
    del tuned["hyperparameterMetricTag"], tuned["maxTrials"], tuned["goal"]

    spec = spec_of(read("training job", training_job))

    assert str(spec.objective) == "maximize training/hptuning/metric"
    assert (spec.max_trials, spec.parallel_trials) == (1, 1)


def test_a_job_that_resumes_an_earlier_one_takes_its_parameters_and_learns_from_it(
    read: Read, training_job: dict[str, Any]
) -> None:
    earlier = spec_of(read("training job", training_job))
    training_job["trainingInput"]["hyperparameters"] = {
        "enableTrialEarlyStopping": "TRUE",
        "maxTrials": 30,
        "maxParallelTrials": 3,
        "resumePreviousJobId": "census_1",
    }

    found = read("training job", training_job)

    assert found.spec is None
    assert found.resumes == Continuation("census_1", 30, 3, None, (Stopping("curve"),))
    spec = found.resumes.spec(earlier)
    assert (spec.space, spec.objectives) == (earlier.space, earlier.objectives)
    assert (spec.max_trials, spec.parallel_trials) == (30, 3)
    assert spec.warm_start == ("census_1",)


def test_kinds_of_replicas_are_pools_in_the_order_of_vertex_ai(
    read: Read, training_job: dict[str, Any]
) -> None:
    training_job["trainingInput"] |= {
        "scaleTier": "CUSTOM",
        "masterType": "complex_model_m",
        "workerType": "standard",
        "workerCount": "9",
        "evaluatorType": "standard_gpu",
        "evaluatorCount": 1,
        "evaluatorConfig": {"acceleratorConfig": {"count": "1", "type": "NVIDIA_TESLA_K80"}},
        "args": ["--x"],
        "jobDir": "gs://b/j",
    }

    job = job_of(read("training job", training_job))

    package = Package("trainer.task", ("gs://b/trainer-0.1.tar.gz",))
    assert [pool.replicas for pool in job.pools] == [1, 9, 0, 1]
    assert job.primary == Pool(
        1, package=package, args=("--x",), machine=Machine("complex_model_m")
    )
    assert job.pools[3].machine == Machine("standard_gpu", "NVIDIA_TESLA_K80", 1)
    assert (job.world, job.output) == ("cmle", "gs://b/j")


@pytest.mark.parametrize(
    ("tier", "counts"), [("BASIC_GPU", [1]), ("STANDARD_1", [1, 4, 3]), ("PREMIUM_1", [1, 19, 11])]
)
def test_a_scale_tier_has_its_replicas(
    read: Read, training_job: dict[str, Any], tier: str, counts: list[int]
) -> None:
    training_job["trainingInput"]["scaleTier"] = tier

    job = job_of(read("training job", training_job))

    assert [pool.replicas for pool in job.pools] == counts


def test_workers_run_the_image_of_the_master_unless_they_have_their_own(
    read: Read, training_job: dict[str, Any]
) -> None:
    given = training_job["trainingInput"]
    del given["pythonModule"], given["packageUris"]
    given |= {
        "scaleTier": "CUSTOM",
        "masterType": "n1-standard-4",
        "masterConfig": {
            "imageUri": "gcr.io/m",
            "containerCommand": ["run"],
            "containerArgs": ["a"],
        },
        "workerType": "n1-standard-4",
        "workerCount": 1,
        "parameterServerType": "n1-standard-4",
        "parameterServerCount": 1,
        "parameterServerConfig": {"imageUri": "gcr.io/ps"},
    }

    master, worker, server = job_of(read("training job", training_job)).pools

    assert (master.image, master.command, master.args) == ("gcr.io/m", ("run",), ("a",))
    assert (worker.image, worker.command, worker.args) == ("gcr.io/m", ("run",), ("a",))
    assert (server.image, server.command, server.args) == ("gcr.io/ps", (), ())


@pytest.mark.parametrize(
    ("given", "chief"),
    [
        ({"runtimeVersion": "1.15"}, "master"),
        ({"runtimeVersion": "1.4"}, "master"),
        ({"runtimeVersion": "2.1"}, "chief"),
        ({}, "chief"),
        ({"masterConfig": {"imageUri": "i"}}, "master"),
        ({"masterConfig": {"imageUri": "i"}, "useChiefInTfConfig": True}, "chief"),
    ],
)
def test_the_chief_has_the_name_that_the_runtime_gives_it(
    read: Read, training_job: dict[str, Any], given: dict[str, Any], chief: str
) -> None:
    if "masterConfig" in given:
        del training_job["trainingInput"]["pythonModule"]
        del training_job["trainingInput"]["packageUris"]
    training_job["trainingInput"] |= given

    assert job_of(read("training job", training_job)).chief == chief


def test_a_job_without_hyperparameters_runs_once(read: Read, training_job: dict[str, Any]) -> None:
    del training_job["trainingInput"]["hyperparameters"]
    training_job["trainingInput"]["scheduling"] = {"maxRunningTime": "60s"}

    found = read("training job", training_job)

    assert found.spec is None
    assert job_of(found).time_limit_s == 60.0


# Names


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("horses-humans", "horses-humans"),
        ("wide & deep", "wide-deep"),
        ("projects/p/jobs/1", "projects-p-jobs-1"),
        ("größe 2", "größe-2"),
        (" ", "file"),
        ("x" * 128, "x" * 100),
    ],
)
def test_any_title_gives_a_study_a_name(title: str, name: str) -> None:
    assert study_name(title, "file") == name
