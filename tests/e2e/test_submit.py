"""A server that runs jobs, and trials that go on from machine to machine, each in a folder of its own."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

Until = Callable[..., None]

TUNE = """\
study: s
minimize: y
max_trials: 2
seed: 1
parameters:
  x: {type: double, min: 0, max: 1}
command: sh train.sh
"""
SAVE = """\
[ -e $TUNESMITH_CHECKPOINT_DIR/model ] && cat $TUNESMITH_CHECKPOINT_DIR/model && echo y=1 && exit
echo "saved by attempt $TUNESMITH_ATTEMPT" > $TUNESMITH_CHECKPOINT_DIR/model
echo saved
exec sleep 60
"""
BREED = """\
at=$(cat $TUNESMITH_CHECKPOINT_DIR/at 2>/dev/null || echo 0)
echo "began at $at"
while [ $at -lt ${TUNESMITH_BUDGET:-6} ]; do
  at=$((at + 1))
  echo $at > $TUNESMITH_CHECKPOINT_DIR/at
  echo "step=$at y=$TUNESMITH_TRIAL"
  sleep 0.4
done
"""


class Server:
    """``tunesmith serve`` with its data in a folder of its own."""

    def __init__(self, cli: Any, folder: Path, until: Until) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.storage = f"sqlite:///{folder / 'served.db'}"
        self._cli, self._until = cli, until

    def start(self, *options: str) -> subprocess.Popen[str]:
        words = ["serve", "--storage", self.storage, "--port", str(self.port), *options]
        process: subprocess.Popen[str] = self._cli.start(*words, stdout=None, stderr=None)
        self._until(self._is_ready)
        return process

    def _is_ready(self) -> bool:
        try:
            ready = urllib3.request("GET", f"{self.url}/readyz", retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return False
        return ready.status == 200


@pytest.fixture
def server(cli: Any, tmp_path: Path, until: Until) -> Server:
    (tmp_path / "server").mkdir()
    return Server(cli, tmp_path / "server", until)


@pytest.fixture
def machine(
    tmp_path: Path, command_line: Callable[[Path], Any], server: Server
) -> Iterator[Callable[[str], Any]]:
    """Makes command lines in folders of their own, which use the server and share nothing else."""
    made = []

    def make(name: str) -> Any:
        (tmp_path / name).mkdir()
        line = command_line(tmp_path / name)
        line.environment["TUNESMITH_STORAGE"] = server.url
        line.environment["XDG_CONFIG_HOME"] = str(tmp_path / name / ".config")
        made.append(line)
        return line

    yield make
    for line in made:
        line.close()


def project(line: Any, script: str, tune: str = TUNE) -> None:
    line.write("tune.yaml", tune)
    line.write("train.sh", script)


def test_a_study_is_handed_to_the_server_with_the_code_that_git_lists(
    server: Server, cli: Any, machine: Callable[[str], Any]
) -> None:
    made = cli.json("token", "create", "--name", "me", "--storage", server.storage)
    server.start("--executor", "local")
    here, elsewhere = machine("here"), machine("elsewhere")
    here.environment["TUNESMITH_TOKEN"] = made["secret"]
    elsewhere.environment["TUNESMITH_TOKEN"] = made["secret"]
    project(here, "cat data.txt; [ -e ignored ] && echo sent; echo y=1\n")
    for name, text in {"data.txt": "the data\n", "ignored": "", ".gitignore": "ignored\n"}.items():
        here.write(name, text)
    subprocess.run(["git", "init", "-q"], cwd=here.folder, check=True)

    listed = here("submit", "tune.yaml", "--dry-run")
    followed = here("submit", "tune.yaml", "--follow")

    sent = [line.split()[1] for line in listed.stdout.splitlines()]
    assert sent == [".gitignore", "data.txt", "train.sh", "tune.yaml"]
    assert "finished 2/2" in followed.stdout
    assert "is finished" in followed.stderr
    assert elsewhere("logs", "s/1").stdout == "the data\ny=1\n"
    (job,) = json.loads(elsewhere("jobs", "--json").stdout)["jobs"]
    assert (job["study"], job["state"]) == ("s", "finished")
    assert not (here.folder / ".tunesmith" / "tunesmith.db").exists()


def test_ignored_data_goes_along_when_it_is_named(
    server: Server, machine: Callable[[str], Any], tmp_path: Path
) -> None:
    here = machine("here")
    project(here, "true\n")
    (here.folder / "data").mkdir()
    (here.folder / "data" / ".hidden").write_text("")
    (here.folder / ".venv").mkdir()
    (here.folder / ".venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "shared.csv").write_text("1,2\n")

    listed = here("submit", "tune.yaml", "--dry-run", "--with", "data", "--with", "../shared.csv")

    sent = [line.split()[1] for line in listed.stdout.splitlines()]
    assert sent == ["data/.hidden", "shared.csv", "train.sh", "tune.yaml"]


def test_code_that_is_too_large_is_not_sent(machine: Callable[[str], Any]) -> None:
    here = machine("here")
    project(here, "true\n")
    with (here.folder / "model.bin").open("wb") as file:
        file.truncate(3 * 2**20)

    refused = here("submit", "tune.yaml", "--largest", "2MiB", status=2)

    assert "model.bin (3.0 MiB)" in refused.stderr
    assert ".gitignore" in refused.stderr


def test_a_server_that_runs_no_jobs_says_so(server: Server, machine: Callable[[str], Any]) -> None:
    server.start()
    here = machine("here")
    project(here, "true\n")

    refused = here("submit", "tune.yaml", status=4)

    assert "--executor local" in refused.stderr


def test_jobs_are_handed_to_servers_only(cli: Any) -> None:
    cli.write("tune.yaml", TUNE)
    cli.write("train.sh", "true\n")

    refused = cli("submit", "tune.yaml", status=2)

    assert "--storage https://" in refused.stderr


@pytest.mark.slow
def test_a_job_ends_with_a_killed_server_and_begins_again_with_the_next(
    server: Server, machine: Callable[[str], Any], until: Until, marked: Callable[[], Any]
) -> None:
    killed = server.start("--executor", "local")
    here = machine("here")
    project(here, SAVE, TUNE.replace("max_trials: 2", "max_trials: 1"))
    job = here("submit", "tune.yaml").stdout.strip()
    until(lambda: "saved" in here("logs", "s/1", status=None).stdout)

    killed.kill()
    killed.wait()
    until(lambda: not marked())
    server.start("--executor", "local")
    followed = here("jobs", job, "--follow")

    assert "is finished" in followed.stderr
    assert "saved by attempt 1" in here("logs", "s/1").stdout
    assert [t["state"] for t in here.trials("s")] == ["completed"]


@pytest.mark.slow
def test_a_trial_that_was_stopped_goes_on_on_another_machine_from_its_checkpoint(
    server: Server, machine: Callable[[str], Any], until: Until
) -> None:
    server.start()
    one, other, third = machine("one"), machine("other"), machine("third")
    for line in (one, other):
        project(line, SAVE, TUNE.replace("max_trials: 2", "max_trials: 1"))

    first = one.start("run", "tune.yaml")
    until(lambda: third("logs", "s/1", status=None).stdout == "saved\n")
    first.send_signal(signal.SIGTERM)
    first.communicate()
    other("run", "tune.yaml")

    assert third("logs", "s/1").stdout == "saved by attempt 1\ny=1\n"
    assert [t["state"] for t in third.trials("s")] == ["completed"]


@pytest.mark.slow
def test_a_population_breeds_across_machines_without_a_shared_disk(
    server: Server, machine: Callable[[str], Any]
) -> None:
    server.start()
    one, other = machine("one"), machine("other")
    tune = TUNE.replace("max_trials: 2", "max_trials: 12\nmax_steps: 6\nparallel_trials: 2")
    tune += "stopping: {name: pbt, population: 4, interval: 2}\n"
    for line in (one, other):
        project(line, BREED, tune)

    tuners = [line.start("run", "tune.yaml") for line in (one, other)]
    statuses = [tuner.wait(timeout=100) for tuner in tuners]

    children = [t for t in one.trials("s") if t["parent"]]
    began = [one("logs", f"s/{t['number']}").stdout.splitlines()[0] for t in children]
    assert statuses == [0, 0]
    assert children
    assert "began at 0" not in began
