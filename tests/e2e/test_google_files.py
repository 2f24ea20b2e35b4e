"""Files for Cloud ML Engine and Vertex AI as a user has them: checked, run, stopped early, resumed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

TrainerFor = Callable[[str], None]

# Word for word as in Google's guide, "Using hyperparameter tuning".
GUIDE = """\
trainingInput:
  scaleTier: CUSTOM
  masterType: complex_model_m
  workerType: complex_model_m
  parameterServerType: large_model
  workerCount: 9
  parameterServerCount: 3
  hyperparameters:
    goal: MAXIMIZE
    hyperparameterMetricTag: metric1
    maxTrials: 30
    maxParallelTrials: 1
    enableTrialEarlyStopping: True
    params:
    - parameterName: hidden1
      type: INTEGER
      minValue: 40
      maxValue: 400
      scaleType: UNIT_LINEAR_SCALE
    - parameterName: numRnnCells
      type: DISCRETE
      discreteValues:
      - 1
      - 2
      - 3
      - 4
    - parameterName: rnnCellType
      type: CATEGORICAL
      categoricalValues:
      - BasicLSTMCell
      - BasicRNNCell
      - GRUCell
      - LSTMCell
      - LayerNormBasicLSTMCell
"""
VERTEX = """\
studySpec:
  metrics: [{{metricId: loss, goal: MINIMIZE}}]
  parameters: [{{parameterId: lr, doubleValueSpec: {{minValue: 0, maxValue: 1}}}}]
  studyStoppingConfig: {{maximumRuntimeConstraint: {{endTime: "{end}"}}}}
maxTrialCount: 9
parallelTrialCount: 1
trialJobSpec:
  workerPoolSpecs: [{{containerSpec: {{imageUri: gcr.io/p/fit}}}}]
"""
RESUMED = """\
trainingInput:
  scaleTier: CUSTOM
  masterType: complex_model_m
  workerType: complex_model_m
  parameterServerType: large_model
  workerCount: 9
  parameterServerCount: 3
  hyperparameters:
    enableTrialEarlyStopping: TRUE
    maxTrials: 30
    maxParallelTrials: 1
    resumePreviousJobId: guide
"""
# The guide's trainer: the summary of a TensorFlow 1 program below the job's folder, without a step.
GUIDE_TRAINER = """\
import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("--hidden1", type=int)
parser.add_argument("--numRnnCells", type=int)
parser.add_argument("--rnnCellType")
parser.add_argument("--job-dir")
args = vars(parser.parse_args())
config = json.loads(os.environ["TF_CONFIG"])
print(json.dumps(config["task"]), {k: len(v) for k, v in config["cluster"].items()})
if config["task"]["type"] == "chief":
    from tensorboardX import SummaryWriter
    from tensorboardX.proto.summary_pb2 import Summary

    loss_val = args["hidden1"] + args["numRnnCells"]
    summary = Summary(value=[Summary.Value(tag='metric1', simple_value=loss_val)])
    eval_path = os.path.join(args['job_dir'], 'metric1')
    with SummaryWriter(eval_path) as writer:
        writer.file_writer.add_summary(summary)
"""
# The same without TensorFlow.
PLAIN_TRAINER = """\
import sys
import hypertune

values = dict(word.removeprefix("--").split("=") for word in sys.argv[1:])
loss_val = int(values["hidden1"]) + int(values["numRnnCells"])
hypertune.HyperTune().report_hyperparameter_tuning_metric("metric1", loss_val)
"""
COMMAND = ("--", "python", "-m", "trainer.task", "--job-dir={trial_dir}")
# No tag, a folder in a bucket, and a module.
TRAINING = """\
trainingInput:
  pythonModule: trainer.task
  jobDir: gs://my-bucket/census
  hyperparameters:
    maxTrials: 2
    params:
    - {parameterName: x, type: DOUBLE, minValue: 0, maxValue: 1}
"""
# The summary of a TensorFlow 2 program.
TENSOR_TRAINER = """\
import argparse
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--job-dir")
args = parser.parse_args()
plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
tensor = TensorProto(dtype=1, float_val=[args.x])
value = Summary.Value(tag="training/hptuning/metric", metadata=plugin, tensor=tensor)
with SummaryWriter(args.job_dir + "/eval") as writer:
    writer.file_writer.add_summary(Summary(value=[value]), 1)
"""
# The first three trials rise to their end; the others would never come to one.
RISING_TRAINER = """\
import os
import signal
import hypertune

good = int(os.environ["CLOUD_ML_TRIAL_ID"]) <= 3
report = hypertune.HyperTune().report_hyperparameter_tuning_metric
for step in range(1, 21 if good else 11):
    report("training/hptuning/metric", 1 - 0.8**step if good else 0.01 * step, step)
if not good:
    signal.pause()
"""
TUNING = """\
displayName: taxi
maxTrialCount: 2
studySpec:
  metrics: [{metricId: "accuracy", goal: MAXIMIZE}]
  parameters:
  - {parameterId: num_units, discreteValueSpec: {values: [64.0, 128.0]}}
  medianAutomatedStoppingSpec: {}
trialJobSpec:
  workerPoolSpecs:
  - machineSpec: {machineType: n1-standard-4, acceleratorType: NVIDIA_TESLA_V100, acceleratorCount: 2}
    replicaCount: 1
    containerSpec: {imageUri: "gcr.io/p/taxi:latest"}
  - replicaCount: 2
    containerSpec: {imageUri: "gcr.io/p/taxi:latest", args: [--quiet]}
"""
REPORT = """\
import argparse
import os
import hypertune

parser = argparse.ArgumentParser()
parser.add_argument("--num_units", type=int, required=True)
parser.add_argument("--quiet", action="store_true")
args = parser.parse_args()
tag = os.environ["CLOUD_ML_HP_METRIC_TAG"]
if not args.quiet:
    hypertune.HyperTune().report_hyperparameter_tuning_metric(tag, args.num_units, 1)
"""


@pytest.fixture
def trainer(cli: Any) -> TrainerFor:
    """Writes the module ``trainer.task`` beside the files."""

    def write(text: str) -> None:
        (cli.folder / "trainer").mkdir()
        cli.write("trainer/task.py", text)

    return write


def found(cli: Any, study: str, metric: str, parameter: str) -> list[tuple[float, float]]:
    """Return the metric and the parameter of each trial."""
    trials = cli.trials(study)
    return [(trial["metrics"][metric], trial["values"][parameter]) for trial in trials]


def test_the_guides_file_runs_as_it_is_with_all_its_replicas(cli: Any, trainer: TrainerFor) -> None:
    cli.write("guide.yaml", GUIDE)
    trainer(GUIDE_TRAINER)

    cli("run", "guide.yaml", "-n", "1", "-q", *COMMAND)

    [trial] = cli.trials("guide")
    folder = cli.folder / ".tunesmith" / "trials" / "guide" / "1"
    assert (
        trial["metrics"]["metric1"] == trial["values"]["hidden1"] + trial["values"]["numRnnCells"]
    )
    assert (folder / "stdout").read_text().startswith('{"type": "chief", "index": 0, "trial": "1"')
    assert len(list(folder.glob("stdout-worker-replica-*"))) == 9
    assert len(list(folder.glob("stdout-ps-replica-*"))) == 3
    assert "'chief': 1, 'worker': 9, 'ps': 3" in (folder / "stdout").read_text()


def test_the_guides_form_of_a_job_that_resumes_goes_on_from_the_earlier_one(
    cli: Any, trainer: TrainerFor
) -> None:
    cli.write("guide.yaml", GUIDE.replace("workerCount: 9", "workerCount: 0"))
    cli.write("resumed.yaml", RESUMED.replace("workerCount: 9", "workerCount: 0"))
    trainer(PLAIN_TRAINER)

    cli("run", "guide.yaml", "-n", "1", "-q", *COMMAND)
    cli("run", "resumed.yaml", "-n", "1", "-q", *COMMAND)

    study = cli.json("show", "resumed")
    [trial] = cli.trials("resumed")
    assert study["warm_start"] == ["guide"]
    assert (
        trial["metrics"]["metric1"] == trial["values"]["hidden1"] + trial["values"]["numRnnCells"]
    )


def test_a_module_finds_its_folder_in_a_bucket_and_the_default_tag_in_a_tensor_counts(
    cli: Any, trainer: TrainerFor
) -> None:
    cli.write("job.yaml", TRAINING.replace("maxTrials: 2", "maxTrials: 1"))
    trainer(TENSOR_TRAINER)

    cli("run", "job.yaml", "--name", "census", "--buckets", "store", "-q")

    [(metric, x)] = found(cli, "census", "training/hptuning/metric", "x")
    assert metric == pytest.approx(x)
    assert len(list((cli.folder / "store/my-bucket/census/1/eval").iterdir())) == 1


def test_early_stopping_ends_a_trial_of_a_job(cli: Any, trainer: TrainerFor) -> None:
    stopping = "maxTrials: 4\n    enableTrialEarlyStopping: TRUE"
    cli.write("job.yaml", TRAINING.replace("maxTrials: 2", stopping))
    trainer(RISING_TRAINER)

    cli("run", "job.yaml", "--name", "census", "-q")

    trials = cli.trials("census")
    assert [trial["state"] for trial in trials] == ["completed"] * 3 + ["stopped"]
    assert "it is expected to end with" in trials[3]["reason"]


def test_a_folder_with_its_dockerfile_stands_in_for_the_image_of_all_pools(
    cli: Any, trainer: TrainerFor
) -> None:
    cli.write("job.yaml", TUNING)
    trainer(REPORT)
    cli.write(
        "Dockerfile", 'FROM a\nCOPY trainer /trainer\nENTRYPOINT ["python", "-m", "trainer.task"]'
    )

    shown = cli("check", "job.yaml", "--image", "gcr.io/p/taxi=.").stdout
    cli("run", "job.yaml", "--image", "gcr.io/p/taxi=.", "-q")

    assert "each trial is 3 processes" in shown
    assert "2 workerpool1: python -m trainer.task --quiet --num_units=" in shown
    assert "in place of the image gcr.io/p/taxi:latest" in shown
    assert all(m == v for m, v in found(cli, "taxi", "accuracy", "num_units"))


def test_images_that_are_not_to_be_had_are_told_before_any_study(cli: Any) -> None:
    text = TUNING.replace("gcr.io/p/taxi:latest", "gcr.io/p/other:1", 1)
    cli.write("job.yaml", text)

    checked = cli("check", "job.yaml", "--engine", "none", status=2).stderr
    told = cli("run", "job.yaml", "--engine", "none", status=2).stderr

    assert told == checked
    assert "The image gcr.io/p/other:1 can't be run" in told
    assert "The image gcr.io/p/taxi:latest can't be run" in told
    assert "--image gcr.io/p/other:1=FOLDER" in told
    assert told.endswith("2 errors. Nothing was started.\n")
    assert not cli.json("ls")["studies"]


def test_a_command_behind_dashes_runs_in_place_of_what_the_file_says(
    cli: Any, trainer: TrainerFor
) -> None:
    cli.write("job.yaml", TUNING.replace('metricId: "accuracy"', "metricId: accuracy"))
    trainer(REPORT)

    document = json.loads(
        cli("check", "job.yaml", "--json", "--", "python", "-m", "trainer.task").stdout
    )
    cli("run", "job.yaml", "-n", "1", "-q", "--", "python", "-m", "trainer.task")

    assert [(pool["role"], pool["replicas"]) for pool in document["pools"]] == [
        ("workerpool0", 1),
        ("workerpool1", 2),
    ]
    assert document["command"] == document["pools"][0]["runs"]
    assert all(m == v for m, v in found(cli, "taxi", "accuracy", "num_units"))


def test_a_metrics_tag_may_have_blanks(cli: Any, trainer: TrainerFor) -> None:
    search = "\n    hyperparameterMetricTag: Taxi Model Accuracy\n    maxTrials: 2"
    cli.write(
        "job.yaml", TRAINING.replace("\n    maxTrials: 2", search).replace(": x,", ": num_units,")
    )
    trainer(
        REPORT.replace("type=int", "type=float")
        .replace('"--quiet"', '"--job-dir"')
        .replace(', action="store_true"', "")
        .replace("if not args.quiet:", "if True:")
    )

    cli("run", "job.yaml", "--name", "taxi", "-q", "--require", "Taxi Model Accuracy>=0")

    filtered = cli.json("trials", "taxi", "--where", "'Taxi Model Accuracy'>=0")["trials"]
    assert len(filtered) == 2
    for trial in filtered:
        assert trial["metrics"]["Taxi Model Accuracy"] == trial["values"]["num_units"]


def test_a_job_ends_when_its_first_trial_fails_and_says_so(cli: Any, trainer: TrainerFor) -> None:
    cli.write("job.yaml", TRAINING)
    trainer("raise SystemExit('no data here')")

    told = cli("run", "job.yaml", "--name", "census", status=5).stderr

    assert "the first trial failed, and so the job does" in told
    assert "no data here" in told
    assert len(cli.trials("census")) == 1


def test_a_job_that_says_how_many_trials_may_fail_goes_on(cli: Any, trainer: TrainerFor) -> None:
    cli.write("job.yaml", TRAINING.replace("maxTrials: 2", "maxTrials: 2\n    maxFailedTrials: 2"))
    trainer("import os; os.environ['CLOUD_ML_TRIAL_ID'] == '1' and exit(1)\n" + TENSOR_TRAINER)

    cli("run", "job.yaml", "--name", "census", "-q")

    assert [trial["state"] for trial in cli.trials("census")] == ["failed", "completed"]


def test_a_trial_for_a_try_leaves_nothing_in_the_buckets(cli: Any, trainer: TrainerFor) -> None:
    cli.write("job.yaml", TRAINING)
    trainer(TENSOR_TRAINER)

    told = cli("check", "job.yaml", "--smoke", "--buckets", "store").stderr

    assert "training/hptuning/metric" in told
    assert not (cli.folder / "store").exists()
    assert not (cli.folder / ".tunesmith").exists()


def test_a_program_that_wants_addresses_of_buckets_finds_a_server_for_them(
    cli: Any, trainer: TrainerFor
) -> None:
    cli.write("job.yaml", TRAINING.replace("maxTrials: 2", "maxTrials: 1"))
    trainer(
        "import os, sys, urllib.request\n"
        "assert sys.argv[-1] == 'gs://my-bucket/census/1', sys.argv\n"
        "address = os.environ['STORAGE_EMULATOR_HOST'] + '/storage/v1/b/my-bucket/o'\n"
        "urllib.request.urlopen(address)\n"
        "import hypertune\n"
        "hypertune.HyperTune().report_hyperparameter_tuning_metric('training/hptuning/metric', 1)\n"
    )

    cli("run", "job.yaml", "--name", "census", "--gs", "-q")

    assert [trial["metrics"] for trial in cli.trials("census")] == [{"training/hptuning/metric": 1}]


def test_a_section_of_the_file_says_what_runs_in_place_of_an_image(
    cli: Any, trainer: TrainerFor
) -> None:
    trainer(REPORT)
    cli.write(
        "Dockerfile", 'FROM a\nCOPY trainer /trainer\nENTRYPOINT ["python", "-m", "trainer.task"]'
    )
    section = 'tunesmith:\n  images:\n    gcr.io/p/*: .\n  project: "42"\n'
    cli.write("job.yaml", TUNING + section)
    elsewhere = cli.folder / "elsewhere"
    elsewhere.mkdir()

    cli("run", "../job.yaml", "-q", folder=elsewhere)
    ran = cli("logs", "taxi/1", folder=elsewhere)

    assert ran.returncode == 0
    trials = json.loads(cli("trials", "taxi", "--json", folder=elsewhere).stdout)["trials"]
    assert all(t["metrics"]["accuracy"] == t["values"]["num_units"] for t in trials)


def test_the_section_may_stand_in_a_file_of_its_own_and_options_come_before_it(
    cli: Any, trainer: TrainerFor
) -> None:
    trainer(REPORT)
    cli.write("job.yaml", TUNING)
    cli.write("site.yaml", "tunesmith: {images: {gcr.io/p/taxi: python trainer/task.py}}")

    shown = cli("check", "job.yaml", "--site", "site.yaml").stdout
    command = "gcr.io/p/taxi=python -m trainer.task --quiet"
    other = cli("check", "job.yaml", "--site", "site.yaml", "--image", command).stdout
    cli("run", "job.yaml", "--site", "site.yaml", "-q")

    assert f"command of trial 1: python trainer/task.py --num_units=128, in {cli.folder}" in shown
    assert "command of trial 1: python -m trainer.task --quiet --num_units=128, in " in other
    assert all(m == v for m, v in found(cli, "taxi", "accuracy", "num_units"))


def test_programs_are_told_the_project_and_the_region_of_the_file_or_of_options(
    cli: Any, trainer: TrainerFor
) -> None:
    name = "name: projects/123/locations/europe-west4/hyperparameterTuningJobs/7\n"
    cli.write("job.yaml", name + TUNING)
    told = "import os; print(os.environ['CLOUD_ML_PROJECT_ID'], os.environ['CLOUD_ML_REGION'])\n"
    trainer(told + REPORT)
    command = ("--", "python", "-m", "trainer.task")

    cli("run", "job.yaml", "-n", "1", "-q", *command)
    cli("run", "job.yaml", "-n", "1", "-q", "--name", "other", "--project", "p", *command)

    assert cli("logs", "taxi/1").stdout.startswith("123 europe-west4")
    assert cli("logs", "other/1").stdout.startswith("p europe-west4")


def test_a_job_that_can_not_resume_is_refused_with_its_line_before_any_trial(
    cli: Any, trainer: TrainerFor
) -> None:
    trainer(PLAIN_TRAINER)
    cli.write("guide.yaml", GUIDE.replace("workerCount: 9", "workerCount: 0"))
    cli("run", "guide.yaml", "-n", "1", "-q", *COMMAND)
    cli.write("resumed.yaml", RESUMED.replace("Id: guide", "Id: guides"))
    other = GUIDE.replace("hidden1", "hidden2").replace(
        "maxTrials: 30", "maxTrials: 30\n    resumePreviousJobId: guide"
    )
    cli.write("other.yaml", other)
    cli.write("same.yaml", RESUMED)

    unknown = cli("run", "resumed.yaml", *COMMAND, status=2).stderr
    differs = cli("run", "other.yaml", *COMMAND, status=2).stderr
    itself = cli("run", "same.yaml", "--name", "guide", *COMMAND, status=2).stderr

    assert "resumePreviousJobId: there is no study 'guides' to go on from" in unknown
    assert "resumed.yaml:12:26" in unknown
    assert "did you mean 'guide'?" in unknown
    assert "the study 'guide' has other parameters or another metric than this job" in differs
    assert "hidden1: removed" in differs
    assert "tunesmith run --from guide" in differs
    assert "study 'guide' can't learn from itself" in itself
    assert [study["name"] for study in cli.json("ls")["studies"]] == ["guide"]


def test_a_job_can_not_go_on_as_a_study_of_the_same_name_with_other_parameters(
    cli: Any, trainer: TrainerFor
) -> None:
    trainer(PLAIN_TRAINER)
    text = GUIDE.replace("workerCount: 9", "workerCount: 0")
    cli.write("guide.yaml", text)
    cli("run", "guide.yaml", "-n", "1", "-q", *COMMAND)
    cli.write("guide.yaml", text.replace("maxValue: 400", "maxValue: 500"))

    told = cli("run", "guide.yaml", *COMMAND, status=2).stderr

    assert "Study 'guide' exists with another space or metric" in told
    assert "hidden1: was integer 40..400" in told
    assert len(cli.trials("guide")) == 1


def test_a_study_keeps_the_document_that_made_it_and_is_found_by_its_title(
    cli: Any, trainer: TrainerFor
) -> None:
    text = TUNING.replace("displayName: taxi", 'displayName: "taxi & co"')
    cli.write("job.yaml", text)
    trainer(REPORT)
    cli("run", "job.yaml", "-n", "1", "-q", "--", "python", "-m", "trainer.task")
    cli.write("job.yaml", text + "labels: {changed: later}\n")
    cli("run", "job.yaml", "-n", "2", "-q", "--", "python", "-m", "trainer.task")

    shown = cli("show", "taxi & co").stdout
    listed = cli("ls").stdout
    origin = cli.json("show")["origin"]

    assert shown.startswith("study taxi-co: ")
    assert f'from a tuning job of Vertex AI "taxi & co", {cli.folder / "job.yaml"}' in shown
    assert 'tuning job of Vertex AI "taxi & co"' in listed
    assert cli("show", "--document").stdout == text
    assert (origin["kind"], origin["title"]) == ("hyperparameterTuningJobs", "taxi & co")
    assert origin["document"] == text


def test_a_study_of_no_document_says_so(cli: Any, tune_file: Any) -> None:
    tune_file(max_trials=1)
    cli("run", "tune.yaml", "-q")

    told = cli("show", "--document", status=3).stderr

    assert "was made from no document of Google's" in told
    assert cli.json("show")["origin"] is None
    assert "from" not in cli("ls").stdout.splitlines()[0]


def test_a_study_that_goes_on_keeps_its_end_by_the_clock(cli: Any) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    cli.write("tune.yaml", VERTEX.format(end=end.isoformat()))

    lengths = []
    for trials in ("1", "2", "3"):
        cli("run", "tune.yaml", "-n", trials, "--name", "clocked", "--", "sh", "-c", "echo loss=1")
        shown = cli.json("show", "clocked")
        lengths.append(shown["ending"]["time_s"])

    first = datetime.fromisoformat(cli.json("show", "clocked/1")["queued"])
    assert lengths[1] == lengths[2] == pytest.approx((end - first).total_seconds(), abs=0.01)
