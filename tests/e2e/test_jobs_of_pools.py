"""Jobs of several replicas, as a tuner runs them: real processes that find each other by themselves."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tunesmith.execution.buckets import Buckets
from tunesmith.execution.images import ImageEntry
from tunesmith.execution.job import Identity, JobExecutor
from tunesmith.execution.stages import Site
from tunesmith.model import MetricReading, Resources, Trial, TrialState
from tunesmith.model.job import Job, Machine, Package, Pool
from tunesmith.space import Discrete, Double, Parameter
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study
from tunesmith.tuner import LEASE_S, Tuner

Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]
Run = Callable[..., Study]

SEED_DOCKERFILE = """\
FROM gcr.io/deeplearning-platform-release/tf2-gpu.2-7

WORKDIR /

# Installs hypertune library
RUN pip install cloudml-hypertune

# Copies the trainer code to the docker image.
COPY trainer /trainer

# Sets up the entry point to invoke the trainer.
ENTRYPOINT ["python", "-m", "trainer.task"]
"""
SEED_SPACE: Mapping[str, Parameter] = {
    "learning_rate": Double(0.001, 1.0, scale="log"),
    "momentum": Double(0.0, 1.0),
    "num_units": Discrete([64.0, 128.0, 512.0]),
}
SEED_IMAGE = "gcr.io/{PROJECT_ID}/horse-human-codelab:latest"
# The interface of the guide's trainer, with a formula in place of the training.
SEED_TRAINER = '''\
import argparse
import hypertune
import os

NUM_EPOCHS = 10

def get_args():
  """Parses args. Must include all hyperparameters you want to tune."""

  parser = argparse.ArgumentParser()
  parser.add_argument(
      '--learning_rate',
      required=True,
      type=float,
      help='learning rate')
  parser.add_argument(
      '--momentum',
      required=True,
      type=float,
      help='SGD momentum value')
  parser.add_argument(
      '--num_units',
      required=True,
      type=int,
      help='number of units in last hidden layer')
  args = parser.parse_args()
  return args

def main():
  args = get_args()
  hp_metric = args.learning_rate * args.momentum + args.num_units / 1000

  hpt = hypertune.HyperTune()
  hpt.report_hyperparameter_tuning_metric(
      hyperparameter_metric_tag='accuracy',
      metric_value=hp_metric,
      global_step=NUM_EPOCHS)

if __name__ == "__main__":
    main()
'''
EXCHANGE = '''\
"""The chief collects a word from each worker and answers; all know each other by TF_CONFIG alone."""

import json
import os
import socket
import sys

import hypertune

config = json.loads(os.environ["TF_CONFIG"])
cluster, task = config["cluster"], config["task"]
host, port = cluster["chief"][0].split(":")
x = float(sys.argv[1].partition("=")[2])
if task["type"] == "chief":
    heard = {}
    with socket.create_server((host, int(port))) as server:
        server.settimeout(60)
        while len(heard) < len(cluster["worker"]):
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as stream:
                name, place, value = stream.readline().split()
                heard[name] = float(value)
                stream.write(f"well done {name}\\n")
                stream.flush()
    print(sorted(heard))
    report = hypertune.HyperTune()
    report.report_hyperparameter_tuning_metric("total", sum(heard.values()) + x, global_step=1)
else:
    own = cluster["worker"][task["index"]]
    while True:
        try:
            connection = socket.create_connection((host, int(port)), timeout=60)
            break
        except ConnectionRefusedError:
            continue
    with connection, connection.makefile("rw") as stream:
        stream.write(f"worker-{task['index']} {own} {x * (task['index'] + 1)}\\n")
        stream.flush()
        print(stream.readline().strip())
'''
SUMMARY = """\
import argparse
from tensorboardX import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--job-dir")
args = parser.parse_args()
with SummaryWriter(args.job_dir + "/metric1") as writer:
    writer.add_scalar("Training/Reward", args.x, 0)
"""
GLOO = """\
import sys
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
x = torch.tensor([float(sys.argv[1].partition("=")[2]) * (dist.get_rank() + 1)])
dist.all_reduce(x)
print(f"rank {dist.get_rank()} of {dist.get_world_size()}")
if dist.get_rank() == 0:
    print(f"total={x.item()}")
dist.destroy_process_group()
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Tunes with a job until the study ends; returns the study."""
    storages: list[SqlStorage] = []

    def tune(
        job: Job,
        space: Mapping[str, Parameter],
        *,
        maximize: str,
        max_trials: int,
        images: tuple[ImageEntry, ...] = (),
        python: str = sys.executable,
    ) -> Study:
        storage = SqlStorage(f"sqlite:///{tmp_path}/t.db")
        storages.append(storage)
        study = Study(
            space,
            maximize=maximize,
            name="s",
            storage=storage,
            algorithm="random",
            seed=1,
            max_trials=max_trials,
            parallel_trials=2,
            lease_s=LEASE_S,
        )
        executor = JobExecutor(
            job,
            Identity("job-1", "a-project"),
            Site(
                Buckets(tmp_path / "buckets"), tmp_path / "e", images, engine="none", python=python
            ),
            study=study.name,
            spec=study.spec,
            root=tmp_path / "files",
            worker=study.worker,
            resources=Resources(grace_s=5.0),
        )
        Tuner(study, executor, reading=MetricReading()).work()
        return study

    yield tune
    for storage in storages:
        storage.close()


def completed(study: Study) -> list[Trial]:
    reasons = [trial.reason for trial in study.trials if trial.state is not TrialState.COMPLETED]
    assert not reasons
    return list(study.trials)


def number(trial: Trial, name: str) -> float:
    value = trial.values[name]
    assert isinstance(value, float)
    return value


def test_a_chief_and_two_workers_find_each_other_and_exchange_a_message(
    run: Run, tmp_path: Path, marked: Marked
) -> None:
    program = tmp_path / "exchange.py"
    program.write_text(EXCHANGE)
    command = (sys.executable, str(program))
    job = Job((Pool(command=command), Pool(2, command=command)), "vertex")

    study = run(job, {"x": Double(0.0, 1.0)}, maximize="total", max_trials=3)

    for trial in completed(study):
        assert trial.metrics["total"] == pytest.approx(4 * number(trial, "x"))
        folder = tmp_path / "files" / "trials" / "s" / str(trial.number)
        assert (folder / "stdout").read_text() == "['worker-0', 'worker-1']\n"
        assert (folder / "stdout-workerpool1-1").read_text() == "well done worker-1\n"
    assert not marked()


def seed_results(study: Study) -> None:
    """Assert that each trial's result is what the trainer computed."""
    for trial in completed(study):
        computed = number(trial, "learning_rate") * number(trial, "momentum")
        assert trial.metrics["accuracy"] == computed + number(trial, "num_units") / 1000


def test_a_guides_image_runs_from_the_folder_of_its_dockerfile(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "vertex-codelab"
    (folder / "trainer").mkdir(parents=True)
    (folder / "Dockerfile").write_text(SEED_DOCKERFILE)
    (folder / "trainer" / "task.py").write_text(SEED_TRAINER)
    pool = Pool(image=SEED_IMAGE, machine=Machine("n1-standard-4", "NVIDIA_TESLA_V100", 2))
    job = Job((pool,), "vertex", output="gs://a-bucket/aiplatform-custom-job-2026")
    image = ImageEntry("gcr.io/*/horse-human-codelab", folder)

    study = run(job, SEED_SPACE, maximize="accuracy", max_trials=6, images=(image,))

    seed_results(study)
    assert len(study.trials) == 6


def test_a_guides_trainer_runs_as_a_module_of_a_package(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    archive = tmp_path / "buckets" / "a-bucket" / "packages" / "trainer-0.1.tar.gz"
    archive.parent.mkdir(parents=True)
    setup = (
        'from setuptools import setup\nsetup(name="trainer", version="0.1", packages=["trainer"])'
    )
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in {
            "setup.py": setup,
            "trainer/__init__.py": "",
            "trainer/task.py": SEED_TRAINER,
        }.items():
            entry = tarfile.TarInfo(f"trainer-0.1/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    package = Package("trainer.task", ("gs://a-bucket/packages/trainer-0.1.tar.gz",))

    study = run(
        Job((Pool(package=package),), "vertex"), SEED_SPACE, maximize="accuracy", max_trials=2
    )

    seed_results(study)


def test_a_summary_below_the_job_dir_is_the_trials_metric(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "task.py"
    program.write_text(SUMMARY)
    job = Job((Pool(command=(sys.executable, str(program))),), "cmle", output="gs://a-bucket/job")

    study = run(job, {"x": Double(0.0, 1.0)}, maximize="Training/Reward", max_trials=2)

    for trial in completed(study):
        assert trial.metrics["Training/Reward"] == pytest.approx(number(trial, "x"), rel=1e-6)
        folder = tmp_path / "buckets" / "a-bucket" / "job" / str(trial.number) / "metric1"
        assert list(folder.glob("*tfevents*"))


def test_a_trial_starts_again_with_all_replicas_when_one_of_them_is_killed(
    run: Run, tmp_path: Path, until: Until, marked: Marked
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import os, time
        if os.environ["TUNESMITH_ATTEMPT"] == "1":
            time.sleep(600)
        print("y=1")
        """)
    )
    command = (sys.executable, str(program))
    job = Job((Pool(command=command), Pool(2, command=command)), "vertex", restart="trial")

    def kill_one() -> None:
        until(lambda: len(marked()) == 3)
        os.kill(next(pid for pid, v in marked().items() if v["RANK"] == "2"), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    study = run(job, {"x": Double(0.0, 1.0)}, maximize="y", max_trials=1)
    killer.join()

    (trial,) = completed(study)
    assert trial.attempt == 2
    assert trial.faults == 1


def test_no_replica_outlives_a_tuner_that_was_killed(
    tmp_path: Path, until: Until, marked: Marked
) -> None:
    program = tmp_path / "tuner.py"
    program.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from tunesmith.execution.buckets import Buckets
        from tunesmith.execution.job import Identity, JobExecutor
        from tunesmith.execution.stages import Site
        from tunesmith.model import Objective, Resources, StudySpec, Trial
        from tunesmith.model.job import Job, Pool
        from tunesmith.space import Double, Space
        here = Path({str(tmp_path)!r})
        pool = Pool(2, command=(sys.executable, "-c", "import time; time.sleep(600)"))
        executor = JobExecutor(
            Job((Pool(command=pool.command), pool), "vertex"),
            Identity("job-1"), Site(Buckets(here / "buckets"), here, engine="none"),
            study="s", root=here / "files", worker=f"tuner in {{here}}", resources=Resources(),
            spec=StudySpec(Space({{"x": Double(0.0, 1.0)}}), (Objective("y", "minimize"),)),
        )
        executor.start(Trial(1, {{"x": 0.5}}))
        print("started", flush=True)
        executor.wait(600.0)
        """)
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE) as tuner:
        assert tuner.stdout is not None
        tuner.stdout.readline()
        until(lambda: len(marked()) == 3)

        tuner.send_signal(signal.SIGKILL)

    until(lambda: not marked())


# The Python of an environment that has PyTorch, which is too large to be installed for one test.
TORCH_PYTHON = os.environ.get("TUNESMITH_TEST_TORCH", "")

if TORCH_PYTHON:

    @pytest.mark.slow
    def test_two_ranks_of_pytorch_reduce_a_tensor(run: Run, tmp_path: Path) -> None:
        program = tmp_path / "reduce.py"
        program.write_text(GLOO)
        command = (TORCH_PYTHON, str(program))
        job = Job((Pool(command=command), Pool(command=command)), "vertex")

        study = run(job, {"x": Double(0.0, 1.0)}, maximize="total", max_trials=2)

        for trial in completed(study):
            assert trial.metrics["total"] == pytest.approx(3 * number(trial, "x"), rel=1e-6)
            folder = tmp_path / "files" / "trials" / "s" / str(trial.number)
            assert (folder / "stdout-workerpool1-0").read_text() == "rank 1 of 2\n"
