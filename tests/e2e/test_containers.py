"""Jobs with images, run by a container engine of the test's own.

It needs Debian's docker.io (dockerd) and busybox-static. The image comes from no registry.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution import Ended, Outcome
from tunesmith.execution.buckets import Buckets
from tunesmith.execution.job import Identity, JobExecutor
from tunesmith.execution.stages import Site
from tunesmith.model import Objective, Resources, StudySpec, Trial
from tunesmith.model.job import Job, Pool
from tunesmith.space import Double, Space

Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]
Jobs = Callable[..., JobExecutor]

IMAGE = "gcr.io/a-project/trainer:latest"
SPEC = StudySpec(Space({"x": Double(0.0, 1.0)}), (Objective("y", "minimize"),))
TRAIN = """\
#!/bin/sh
case "$1" in
--show=*) echo "$@"; env; cat /gcs/bucket/data.txt; echo made > "$AIP_MODEL_DIR/model.txt" ;;
--exit=*) echo no such data >&2; exit "${1#--exit=}" ;;
--wait=*) trap "" TERM; echo ready; while :; do sleep 1; done ;;
--take=*) echo ready; exec dd if=/dev/zero of=/dev/null bs=300M ;;
esac
"""


class Docker:
    """Calls Docker's command-line program."""

    def __init__(self, host: str) -> None:
        self.host = host

    def __call__(self, *words: str, content: bytes | None = None) -> str:
        ran = subprocess.run(
            ["docker", "-H", self.host, *words], input=content, capture_output=True, check=True
        )
        return ran.stdout.decode()

    def answers(self) -> bool:
        try:
            self("version")
        except subprocess.CalledProcessError:
            return False
        return True


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Runs Docker's engine, with one image."""
    folder = tmp_path_factory.mktemp("docker")
    host = f"unix://{folder}/docker.sock"
    settings = ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    settings += [f"--{name}={folder / place}" for name, place in places.items()]
    engine = subprocess.Popen(
        ["dockerd", "-H", host, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    call = Docker(host)
    deadline = time.monotonic() + 60
    while not call.answers():
        assert time.monotonic() < deadline, "Docker's engine did not start"
        assert engine.poll() is None, "Docker's engine ended"
        time.sleep(0.05)
    changes = ['ENTRYPOINT ["/trainer/train.sh"]', 'CMD ["--exit=7"]', "ENV PLACE=image"]
    flags = [word for change in changes for word in ("--change", change)]
    call("import", *flags, "-", IMAGE, content=busybox_image())
    yield call
    engine.terminate()
    engine.wait()
    mounted = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    for place in sorted((p for p in mounted if p.startswith(str(folder))), reverse=True):
        subprocess.run(["umount", place], check=True)  # a name of the network that it leaves


def busybox_image() -> bytes:
    """Return the file system of an image: a shell and a trainer."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox-static is not installed"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "trainer", "tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in (
            ("bin/busybox", Path(busybox).read_bytes()),
            ("trainer/train.sh", TRAIN.encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name in ("sh", "env", "cat", "sleep", "dd", "echo"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


@pytest.fixture
def jobs(tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Makes executors whose jobs run in containers; they are closed after the test."""
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    monkeypatch.setenv("OF_THE_TUNER", "stays outside")
    made: list[JobExecutor] = []

    def make(
        *args: str, image: str = IMAGE, memory_mib: float | None = None, **settings: object
    ) -> JobExecutor:
        pool = Pool(image=image, args=args, **settings)  # type: ignore[arg-type]
        executor = JobExecutor(
            Job((pool,), "vertex", output="gs://bucket/base"),
            Identity("job-7"),
            Site(Buckets(tmp_path / "buckets"), tmp_path / "environments", engine="docker"),
            study="s",
            spec=SPEC,
            root=tmp_path / "files",
            worker=f"tuner of {tmp_path}",
            resources=Resources(grace_s=0.5, memory_limit_mib=memory_mib),
        )
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.close()


def end_of(executor: JobExecutor) -> Ended:
    ended = executor.wait(60.0)
    assert isinstance(ended, Ended)
    return ended


if shutil.which("dockerd") or os.environ.get("TUNESMITH_TEST_ALL"):

    def test_a_container_gets_values_variables_and_folders(jobs: Jobs, tmp_path: Path) -> None:
        data = tmp_path / "buckets" / "bucket" / "data.txt"
        data.parent.mkdir(parents=True)
        data.write_text("data of the bucket\n")
        executor = jobs("--show=all", environment={"OWN": "$(PLACE)/$(CLOUD_ML_TRIAL_ID)"})
        (executor.directory(1) / "checkpoints" / "model").mkdir(parents=True)

        executor.start(Trial(1, {"x": 0.25}, attempt=2))

        assert end_of(executor) == Ended(1, Outcome.SUCCEEDED)
        lines = (executor.directory(1) / "stdout").read_text().splitlines()
        assert lines[0] == "--show=all --x=0.25"
        found = dict(line.partition("=")[::2] for line in lines[1:])
        assert found["OWN"] == "image/1"
        assert found["PLACE"] == "image"
        assert "CLUSTER_SPEC" in found
        assert "OF_THE_TUNER" not in found
        assert lines[-1] == "data of the bucket"
        assert (data.parent / "base" / "1" / "model" / "model.txt").read_text() == "made\n"

    def test_the_images_own_arguments_stand_before_the_values(jobs: Jobs) -> None:
        executor = jobs()

        executor.start(Trial(1, {"x": 0.25}))

        reason = "exit status 7: no such data"
        assert end_of(executor) == Ended(1, Outcome.FAILED, reason)

    def test_a_command_of_the_job_takes_the_place_of_the_images(jobs: Jobs) -> None:
        executor = jobs(command=("/bin/echo", "hello"))

        executor.start(Trial(1, {"x": 0.25}))

        assert end_of(executor) == Ended(1, Outcome.SUCCEEDED)
        assert (executor.directory(1) / "stdout").read_text() == "hello --x=0.25\n"

    def test_a_container_that_does_not_heed_a_stop_is_killed_and_removed(
        jobs: Jobs, docker: Docker, until: Until, marked: Marked
    ) -> None:
        executor = jobs("--wait=long")
        executor.start(Trial(1, {"x": 0.25}))
        log = executor.directory(1) / "stdout"
        until(lambda: "ready" in log.read_text())
        until(lambda: docker("ps", "--quiet"))

        executor.stop(1, Outcome.STOPPED, "hopeless")

        assert end_of(executor) == Ended(1, Outcome.STOPPED, "hopeless")
        assert not docker("ps", "--all", "--quiet")
        assert not marked()

    def test_a_container_that_takes_too_much_memory_fails_its_trial(
        jobs: Jobs, docker: Docker
    ) -> None:
        executor = jobs("--take=all", memory_mib=40.0)

        executor.start(Trial(1, {"x": 0.25}))

        reason = "it used more memory than it may"
        assert end_of(executor) == Ended(1, Outcome.FAILED, reason)
        assert not docker("ps", "--all", "--quiet")

    def test_an_image_that_is_not_to_be_had_is_refused_before_any_trial(jobs: Jobs) -> None:
        with pytest.raises(SpecError, match="has no image tunesmith-nowhere and can't fetch"):
            jobs(image="tunesmith-nowhere")

    def test_no_container_outlives_a_tuner_that_was_killed(
        jobs: Jobs, tmp_path: Path, docker: Docker, until: Until, marked: Marked
    ) -> None:
        jobs()  # sets the engine's address in the environment
        program = tmp_path / "tuner.py"
        program.write_text(
            textwrap.dedent(f"""
            from pathlib import Path
            from tunesmith.execution.buckets import Buckets
            from tunesmith.execution.job import Identity, JobExecutor
            from tunesmith.execution.stages import Site
            from tunesmith.model import Objective, Resources, StudySpec, Trial
            from tunesmith.model.job import Job, Pool
            from tunesmith.space import Double, Space
            here = Path({str(tmp_path)!r})
            executor = JobExecutor(
                Job((Pool(image={IMAGE!r}, args=("--wait=long",)),), "vertex"),
                Identity("job-8"), Site(Buckets(here / "buckets"), here, engine="docker"),
                study="s",
                spec=StudySpec(Space({{"x": Double(0.0, 1.0)}}), (Objective("y", "minimize"),)),
                root=here / "files", worker="a tuner to be killed", resources=Resources(),
            )
            executor.start(Trial(1, {{"x": 0.5}}))
            executor.wait(600.0)
            """)
        )
        tuner = subprocess.Popen([sys.executable, str(program)])
        log = tmp_path / "files" / "trials" / "s" / "1" / "stdout"
        until(lambda: log.exists() and "ready" in log.read_text())

        tuner.send_signal(signal.SIGKILL)
        tuner.wait()

        until(lambda: not docker("ps", "--quiet"))
        until(lambda: not marked())
