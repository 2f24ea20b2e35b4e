import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.errors import SpecError, StorageError
from tunesmith.execution import Ended, Outcome, ports
from tunesmith.execution.buckets import Buckets
from tunesmith.execution.images import ImageEntry
from tunesmith.execution.job import Identity, JobExecutor
from tunesmith.execution.stages import Site
from tunesmith.model import Objective, Resources, StudySpec, Trial
from tunesmith.model.job import Job, Machine, Package, Pool, Restart
from tunesmith.space import Categorical, Discrete, Double, Integer, Space

Jobs = Callable[..., JobExecutor]
MakeTrial = Callable[..., Trial]
NextEnd = Callable[..., Ended]
Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]

WAITS = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
SHOWS = """
import json, os, sys
print(json.dumps({"args": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}), flush=True)
"""


@pytest.fixture
def jobs(tmp_path: Path, spec: StudySpec) -> Iterator[Jobs]:
    """Makes executors of jobs; they are closed after the test."""
    made: list[JobExecutor] = []

    def make(
        job: Job,
        *,
        identity: Identity | None = None,
        resources: Resources | None = None,
        spec: StudySpec = spec,
        url: str = "",
        images: Sequence[ImageEntry] = (),
    ) -> JobExecutor:
        buckets = Buckets(tmp_path / "buckets", url)
        site = Site(buckets, tmp_path / "environments", tuple(images), engine="none")
        executor = JobExecutor(
            job,
            identity or Identity("job-7", "12345"),
            site,
            study="s",
            spec=spec,
            root=tmp_path / "files",
            worker=f"tuner of {tmp_path}",
            resources=resources or Resources(grace_s=5.0),
        )
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.close()


def python(code: str, *, replicas: int = 1, **settings: object) -> Pool:
    return replace(Pool(replicas), command=(sys.executable, "-c", code), **settings)  # type: ignore[arg-type]


def shown(executor: JobExecutor, name: str = "stdout", number: int = 1) -> Mapping[str, object]:
    document = json.loads((executor.directory(number) / name).read_text())
    assert isinstance(document, dict)
    return document


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def variables(executor: JobExecutor, name: str = "stdout") -> Mapping[str, str]:
    found = shown(executor, name)["env"]
    assert isinstance(found, dict)
    return found


def all_ready(executor: JobExecutor, names: Sequence[str]) -> bool:
    paths = [executor.directory(1) / name for name in names]
    return all(path.exists() and "ready" in path.read_text() for path in paths)


def test_a_trial_of_one_replica_finds_only_what_vertex_documents(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", "of somebody else")
    monkeypatch.setenv("AIP_DATA_FORMAT", "of somebody else")
    document = '{"workerPoolSpecs": []}'
    job = Job((python(SHOWS),), "vertex", output="gs://bucket/base", document=document)
    executor = jobs(job)

    executor.start(trial(x=0.25))

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)
    assert shown(executor)["args"] == ["--x=0.25"]
    found = variables(executor)
    base = tmp_path / "buckets" / "bucket" / "base" / "1"
    service = {
        k: v for k, v in found.items() if k.startswith(("AIP_", "CLOUD_ML_", "TF_CONF", "CLUST"))
    }
    cluster = json.loads(service.pop("CLUSTER_SPEC"))
    assert service == {
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
        "CLOUD_ML_TRIAL_ID": "1",
        "CLOUD_ML_HP_METRIC_FILE": str(executor.directory(1) / "hypertune" / "output.metrics"),
        "CLOUD_ML_HP_METRIC_TAG": "y",
        "CLOUD_ML_JOB_ID": "job-7",
        "CLOUD_ML_JOB": document,
        "CLOUD_ML_PROJECT_ID": "12345",
        "CLOUD_ML_REGION": "us-central1",
    }
    (address,) = cluster["cluster"]["workerpool0"]
    assert cluster == {
        "cluster": {"workerpool0": [address]},
        "environment": "cloud",
        "task": {"type": "workerpool0", "index": 0, "trial": "1"},
        "job": {"workerPoolSpecs": []},
    }
    assert not {"MASTER_ADDR", "WORLD_SIZE", "RANK", "LOCAL_RANK"} & set(found)


def test_a_job_without_tuning_has_no_trial_number_anywhere(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, tmp_path: Path
) -> None:
    job = Job((python(SHOWS),), "vertex", output="gs://bucket/base")
    executor = jobs(job, identity=Identity("job-7", tuning=False))

    executor.start(trial())

    next_end(executor)
    found = variables(executor)
    assert found["AIP_MODEL_DIR"] == f"{tmp_path}/buckets/bucket/base/model/"
    assert json.loads(found["CLUSTER_SPEC"])["task"] == {"type": "workerpool0", "index": 0}
    assert not {"CLOUD_ML_TRIAL_ID", "CLOUD_ML_HP_METRIC_FILE"} & set(found)


def test_a_job_that_names_no_output_finds_no_folders_for_it(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = jobs(Job((python(SHOWS),), "vertex"))

    executor.start(trial())

    next_end(executor)
    assert not [name for name in variables(executor) if name.startswith("AIP_")]


def test_cloud_ml_engine_gives_each_trial_a_job_dir_and_always_a_tf_config(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, tmp_path: Path
) -> None:
    pool = replace(python(SHOWS), args=("--epochs", "3"))
    job = Job((pool,), "cmle", output="gs://bucket/job/", chief="master", flags={"x": "first-x"})
    executor = jobs(job)

    executor.start(trial(x=-1e-05))

    next_end(executor)
    job_dir = f"{tmp_path}/buckets/bucket/job/1"
    wanted = ["--epochs", "3", "--first-x=-1e-05", "--job-dir", job_dir]
    assert shown(executor)["args"] == wanted
    config = json.loads(variables(executor)["TF_CONFIG"])
    assert list(config["cluster"]) == ["master"]
    task = {"type": "master", "index": 0, "trial": "1", "cloud": "job-7"}
    assert config["task"] == task
    assert not [name for name in variables(executor) if name.startswith("AIP_")]


def test_values_reach_the_program_in_the_formats_of_the_service(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    space = Space(
        {
            "units": Discrete([64.0, 128.0, 512.0]),
            "layers": Integer(1, 4),
            "rate": Double(0.0, 1.0),
            "kind": Categorical(["-none", "sgd"]),
            "momentum": Double(0.0, 1.0, when={"kind": ["sgd"]}),
        }
    )
    spec = StudySpec(space, (Objective("y", "minimize"),))
    executor = jobs(Job((python(SHOWS),), "vertex"), spec=spec)

    executor.start(trial(units=64.0, layers=2, rate=0.1, kind="-none"))

    next_end(executor)
    assert shown(executor)["args"] == ["--units=64", "--layers=2", "--rate=0.1", "--kind=-none"]


def test_variables_of_the_pool_come_last_and_may_name_those_before_them(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    environment = {
        "DATA": "/data/$(CLOUD_ML_TRIAL_ID)",
        "MORE": "$(DATA)/more",
        "KEPT": "$$(DATA) $(NOT_THERE)",
        "CLOUD_ML_REGION": "here",
    }
    executor = jobs(Job((python(SHOWS, environment=environment),), "vertex"))

    executor.start(trial())

    next_end(executor)
    found = variables(executor)
    assert found["MORE"] == "/data/1/more"
    assert found["KEPT"] == "$(DATA) $(NOT_THERE)"
    assert found["CLOUD_ML_REGION"] == "here"


def test_all_replicas_get_the_same_arguments_and_each_its_place(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    pools = (python(SHOWS), python(SHOWS, replicas=2), Pool(0), python(SHOWS))
    executor = jobs(Job(pools, "vertex"))

    executor.start(trial(x=0.5))

    assert next_end(executor).outcome is Outcome.SUCCEEDED
    logs = ["stdout", *(f"stdout-workerpool{n}" for n in ("1-0", "1-1", "3-0"))]
    assert [shown(executor, log)["args"] for log in logs] == [["--x=0.5"]] * 4
    found = [variables(executor, log) for log in logs]
    assert [v["RANK"] for v in found] == ["0", "1", "2", "3"]
    assert {(v["WORLD_SIZE"], v["LOCAL_RANK"]) for v in found} == {("4", "0")}
    assert len({(v["MASTER_ADDR"], v["MASTER_PORT"]) for v in found}) == 1
    assert len({v["CLOUD_ML_HP_METRIC_FILE"] for v in found}) == 4
    configs = [json.loads(v["TF_CONFIG"]) for v in found]
    assert all(c["cluster"] == configs[0]["cluster"] for c in configs)
    assert {k: len(v) for k, v in configs[0]["cluster"].items()} == {"chief": 1, "worker": 2}
    tasks = [(c["task"]["type"], c["task"]["index"]) for c in configs]
    assert tasks == [("chief", 0), ("worker", 0), ("worker", 1), ("evaluator", 0)]
    spec = json.loads(found[3]["CLUSTER_SPEC"])
    assert {k: len(v) for k, v in spec["cluster"].items()} == {
        "workerpool0": 1,
        "workerpool1": 2,
        "workerpool3": 1,
    }
    ports = [a for c in spec["cluster"].values() for a in c] + [found[0]["MASTER_PORT"]]
    assert len(set(ports)) == 5


def test_a_trial_starts_with_all_replicas_or_with_none(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    pools = (python(WAITS), Pool(2, command=("no-such-program-here",)))
    executor = jobs(Job(pools, "vertex"))

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "no-such-program-here" in ended.reason
    assert not marked()


def test_words_that_no_process_can_be_given_fail_the_trial_and_leave_nothing(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    pools = (python(WAITS), Pool(2, command=("true", "a\0b")))
    executor = jobs(Job(pools, "vertex"))

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "could not be started" in ended.reason
    assert not marked()


def test_a_trial_whose_parent_has_left_nothing_fails(jobs: Jobs, next_end: NextEnd) -> None:
    executor = jobs(Job((python("pass"),), "vertex"))

    executor.start(Trial(2, {"x": 0.5}, attempt=1, parent=1))

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "checkpoints of its parent" in ended.reason


def test_a_start_that_fails_gives_the_slot_and_the_ports_back(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    executor = jobs(Job((python("pass"),), "vertex"), resources=Resources(gpus=1))
    with monkeypatch.context() as crowded:
        crowded.setattr(ports, "_end", lambda: 0)
        with pytest.raises(StorageError, match="ports"):
            executor.start(trial())
    before = open_files()

    executor.start(trial())

    assert executor.slots == 1
    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)
    assert open_files() == before + 1  # the reaper's pipe


def test_a_start_without_a_thread_to_follow_it_is_cleared_away_by_closing(
    jobs: Jobs, trial: MakeTrial, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    executor = jobs(Job((python(WAITS), python(WAITS)), "vertex"))
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            executor.start(trial())

    executor.close()

    assert not marked()


def test_the_others_may_end_after_the_primary_and_are_then_made_to(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    late = "import time; time.sleep(0.3); open('late', 'w')"
    executor = jobs(
        Job((python("pass"), python(late), python(WAITS), python(STUBBORN)), "vertex"),
        resources=Resources(grace_s=1.0),
    )

    executor.start(trial())

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)
    assert (executor.directory(1) / "work" / "late").exists()
    assert not marked()


def test_parameter_servers_are_not_waited_for(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    pools = (python("pass"), python("pass"), python(WAITS, replicas=2))
    executor = jobs(Job(pools, "vertex"), resources=Resources(grace_s=1000.0))

    executor.start(trial())

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)


def test_a_replica_that_breaks_ends_the_trial_with_its_last_words(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    breaks = "import sys; sys.exit('no data here')"
    executor = jobs(Job((python(WAITS), python(breaks)), "vertex", restart="trial"))

    executor.start(trial())

    reason = "workerpool1-0: exit status 1: no data here"
    assert next_end(executor) == Ended(1, Outcome.FAILED, reason)
    assert not marked()


def test_a_primary_that_breaks_ends_the_trial_for_all(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    executor = jobs(Job((python("raise SystemExit(3)"), python(WAITS, replicas=2)), "cmle"))

    executor.start(trial())

    assert next_end(executor) == Ended(1, Outcome.FAILED, "exit status 3")
    assert not marked()


@pytest.mark.parametrize(
    "asked", [("trial", Outcome.LOST), ("never", Outcome.FAILED)], ids=lambda asked: asked[0]
)
def test_a_replica_killed_from_outside_ends_the_trial_as_the_job_asks(
    asked: tuple[Restart, Outcome], jobs: Jobs, next_end: NextEnd, until: Until, marked: Marked
) -> None:
    restart, outcome = asked
    executor = jobs(Job((python(WAITS), python(WAITS)), "vertex", restart=restart))
    executor.start(Trial(1, {"x": 0.5}))
    until(lambda: all_ready(executor, ["stdout", "stdout-workerpool1-0"]))

    (worker,) = (pid for pid, v in marked().items() if v["RANK"] == "1")
    os.kill(worker, signal.SIGKILL)

    ended = next_end(executor)
    assert ended.outcome is outcome
    assert ended.reason.startswith("workerpool1-0: killed from outside by SIGKILL")
    assert not marked()


def test_a_replica_killed_from_outside_starts_again_alone_on_its_port(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, until: Until, marked: Marked
) -> None:
    again = "import sys, time, os; print('ready', os.environ['TF_CONFIG'], flush=True)"
    waits_once = f"{again}; time.sleep(0 if os.path.exists('seen') else 600) or open('seen', 'w')"
    primary = "import os, time; print('ready', flush=True)\n"
    primary += "while not os.path.exists('done'): time.sleep(0.02)"
    executor = jobs(Job((python(primary), python(waits_once)), "vertex"))
    executor.start(trial())
    until(lambda: all_ready(executor, ["stdout", "stdout-workerpool1-0"]))
    work, log = executor.directory(1) / "work", executor.directory(1) / "stdout-workerpool1-0"
    (worker,) = (pid for pid, v in marked().items() if v["RANK"] == "1")

    (work / "seen").touch()
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(log.read_text().splitlines()) == 2)
    (work / "done").touch()

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)
    first, second = log.read_text().splitlines()
    assert first == second


def test_a_stop_ends_all_replicas_and_what_they_started(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, until: Until, marked: Marked
) -> None:
    forks = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True); print('ready', flush=True); time.sleep(600)"
    )
    executor = jobs(
        Job((python(forks), python(STUBBORN, replicas=2)), "vertex"),
        resources=Resources(grace_s=0.5),
    )
    executor.start(trial())
    logs = ["stdout", "stdout-workerpool1-0", "stdout-workerpool1-1"]
    until(lambda: all_ready(executor, logs))
    until(lambda: len(marked()) == 4)

    executor.stop(1, Outcome.PAUSED, "hopeless")

    assert next_end(executor) == Ended(1, Outcome.PAUSED, "hopeless")
    assert not marked()


def test_a_time_limit_is_for_the_whole_trial(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    executor = jobs(Job((python(WAITS), python(WAITS)), "vertex", time_limit_s=0.5))

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "time limit" in ended.reason
    assert not marked()


def test_a_memory_limit_is_for_the_whole_trial(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, marked: Marked
) -> None:
    takes = "x = bytearray(60 * 2**20); import time; time.sleep(600)"
    executor = jobs(
        Job((python(takes), python(takes, replicas=2)), "vertex"),
        resources=Resources(memory_limit_mib=150.0, grace_s=5.0),
    )

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "over its memory limit of 150 MiB" in ended.reason
    assert not marked()


def test_closing_leaves_nothing_also_where_replicas_would_start_again(
    jobs: Jobs, trial: MakeTrial, until: Until, marked: Marked
) -> None:
    executor = jobs(Job((python(WAITS), python(WAITS, replicas=2)), "vertex"))
    executor.start(trial())
    until(lambda: all_ready(executor, ["stdout", "stdout-workerpool1-1"]))

    executor.close()

    assert not marked()


def test_what_a_trial_wrote_is_in_the_bucket_and_there_when_it_starts_again(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, tmp_path: Path
) -> None:
    code = (
        "import pathlib, sys; d = pathlib.Path(sys.argv[-1]);"
        " seen = d / 'seen'; seen.write_text(seen.read_text() + 'x' if seen.exists() else 'x')"
    )
    executor = jobs(Job((python(code),), "cmle", output="gs://bucket/job"))

    for attempt in (1, 2):
        executor.start(trial(attempt=attempt))
        next_end(executor)

    assert (tmp_path / "buckets" / "bucket" / "job" / "1" / "seen").read_text() == "xx"
    assert (executor.directory(1) / "checkpoints" / "seen").exists()


def test_a_folder_that_no_trial_wrote_is_left_alone(
    jobs: Jobs, trial: MakeTrial, tmp_path: Path
) -> None:
    (tmp_path / "buckets" / "bucket" / "job" / "1").mkdir(parents=True)
    executor = jobs(Job((python("pass"),), "cmle", output="gs://bucket/job"))

    with pytest.raises(StorageError, match="Name another output folder"):
        executor.start(trial())


def test_with_a_storage_server_programs_are_told_gs_addresses(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    job = Job((python(SHOWS),), "vertex", output="gs://bucket/base")
    executor = jobs(job, url="http://127.0.0.1:9")

    executor.start(trial())

    next_end(executor)
    found = variables(executor)
    assert found["AIP_MODEL_DIR"] == "gs://bucket/base/1/model/"
    assert found["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:9"


def test_an_image_that_nothing_runs_is_refused_before_any_trial(jobs: Jobs) -> None:
    job = Job((Pool(image="gcr.io/p/image:latest"),), "vertex")

    with pytest.raises(SpecError, match="image:latest can't be run: no container engine"):
        jobs(job)


def test_a_package_that_is_not_there_is_refused_before_any_trial(jobs: Jobs) -> None:
    package = Package("trainer.task", ("gs://bucket/trainer-0.1.tar.gz",))

    with pytest.raises(SpecError, match=r"bucket/trainer-0\.1\.tar\.gz is not there"):
        jobs(Job((Pool(package=package),), "cmle"))


def test_accelerators_that_are_not_there_hold_nothing_up(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine = Machine("n1-standard-4", "NVIDIA_TESLA_V100", 2)
    executor = jobs(Job((python("pass", machine=machine),), "vertex"))

    executor.start(trial())

    assert executor.slots is None
    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)


def test_accelerators_are_shared_out_as_far_as_they_go(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7")
    machine = Machine(accelerators=1)
    pools = (python(SHOWS, machine=machine), python(SHOWS, machine=machine), python(SHOWS))
    executor = jobs(Job(pools, "vertex"))

    executor.start(trial())
    next_end(executor)

    assert executor.slots == 2
    logs = ["stdout", "stdout-workerpool1-0", "stdout-workerpool2-0"]
    given = [variables(executor, log)["CUDA_VISIBLE_DEVICES"] for log in logs]
    assert given == ["3", "5", ""]


def test_replicas_can_listen_on_their_ports_at_once(
    jobs: Jobs, trial: MakeTrial, next_end: NextEnd
) -> None:
    code = (
        "import json, os, socket; c = json.loads(os.environ['CLUSTER_SPEC']); t = c['task'];"
        " h, p = c['cluster'][t['type']][t['index']].split(':');"
        " s = socket.socket(); s.bind(('', int(p))); s.listen(); print(p)"
    )
    executor = jobs(Job((python(code), python(code, replicas=2)), "vertex"))

    for number in (1, 2, 3):
        executor.start(trial(number))

    assert [next_end(executor).outcome for _ in range(3)] == [Outcome.SUCCEEDED] * 3
    logs = [executor.directory(n) / "stdout" for n in (1, 2, 3)]
    assert len({log.read_text() for log in logs}) == 3
