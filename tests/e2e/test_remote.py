"""Tuners and a server as processes of their own, and what becomes of a study when some of them die."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tunesmith import Double, Space, Study, TrialState
from tunesmith.errors import LeaseLostError
from tunesmith.model import Trial
from tunesmith.storage.sql import SqlStorage
from tunesmith.tuner import tune

LINE = Space({"x": Double(0.0, 1.0)})
SLOW = "echo y=$TUNESMITH_TRIAL; sleep 0.3"
Until = Callable[..., None]


class Server:
    """``tunesmith serve`` on a port that stays the same when it is started again."""

    def __init__(self, line: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = f"sqlite:///{line.folder / 'served' / 's.db'}"
        self._line = line
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ("serve", "--storage", self.database, "--port", str(self.port))
        self._process = self._line.start(*words, stdout=None, stderr=None)
        deadline = time.monotonic() + 60
        while not self._is_ready():
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it where it stands."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _is_ready(self) -> bool:
        try:
            answer = urllib3.request("GET", f"{self.url}/readyz", retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200


class Proxy:
    """Stands between clients and a server; what passes can be cut at any place.

    Attributes:
        is_cut: Whether nothing passes.
        lost: Every so many-th reply is lost, and the connection with it; 0 for none.
        replies: How many came.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_cut = False
        self.lost = 0
        self.replies = 0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut all connections, and let none in until it is mended."""
        self.is_cut = True
        for connection in list(self._sockets):
            self._shut(connection)

    def close(self) -> None:
        """End it."""
        self.cut()
        self._shut(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._sockets |= {client, server}
            for pair in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        try:
            while data := source.recv(65536):
                if replies and data.startswith(b"HTTP/1.1") and self._loses():
                    break
                sink.sendall(data)
        except OSError:
            pass
        self._shut(source)
        self._shut(sink)

    def _loses(self) -> bool:
        with self._lock:
            self.replies += 1
            return bool(self.lost) and self.replies % self.lost == 0

    def _shut(self, connection: socket.socket) -> None:
        self._sockets.discard(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TUNESMITH_TOKEN", raising=False)


@pytest.fixture(scope="module")
def one_server(
    command_line: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    line = command_line(tmp_path_factory.mktemp("server"))
    server = Server(line)
    server.start()
    yield server
    line.close()


@pytest.fixture
def server(one_server: Server) -> Server:
    """A server without studies, which a test may kill if it starts it again."""
    with SqlStorage(one_server.database) as storage:
        for name in storage.study_names():
            storage.delete_study(name)
    return one_server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


def stored(server: Server, study: str = "s") -> list[Trial]:
    """Return the trials as they are in the server's database."""
    with SqlStorage(server.database) as storage:
        return list(storage.trials(study)) if study in storage.study_names() else []


def states(server: Server) -> dict[TrialState, int]:
    counts: dict[TrialState, int] = {}
    for trial in stored(server):
        counts[trial.state] = counts.get(trial.state, 0) + 1
    return counts


@pytest.fixture
def machine(cli: Any, command_line: Callable[[Path], Any]) -> Iterator[Callable[[str], Any]]:
    """Makes the command line of another machine, in a folder with a copy of the study's file."""
    made: list[Any] = []

    def make(name: str) -> Any:
        folder: Path = cli.folder / name
        folder.mkdir()
        for file in ("tune.yaml", "train.sh"):
            (folder / file).write_text((cli.folder / file).read_text())
        made.append(command_line(folder))
        return made[-1]

    yield make
    for line in made:
        line.close()


# Two machines


def test_two_machines_share_one_study(
    tune_file: Any, server: Server, machine: Callable[[str], Any]
) -> None:
    tune_file(SLOW, max_trials=10, parallel_trials=2)
    machines = [machine(name) for name in ("one", "two")]

    tuners = [m.start("run", "tune.yaml", "--storage", server.url, "-q") for m in machines]
    said = [t.communicate(timeout=60) for t in tuners]
    ended = [(t.returncode, words) for t, words in zip(tuners, said, strict=True)]

    assert [status for status, _ in ended] == [0, 0], ended
    trials = stored(server)
    assert [(t.number, t.state, t.attempt) for t in trials] == [
        (n, TrialState.COMPLETED, 1) for n in range(1, 11)
    ]
    assert len({t.worker for t in trials}) == 2
    kept = [
        {int(p.name) for p in m.folder.glob(".tunesmith/servers/*/trials/s/*") if p.name.isdigit()}
        for m in machines
    ]
    assert all(kept)
    assert kept[0] | kept[1] == set(range(1, 11))
    assert not kept[0] & kept[1]


@pytest.mark.slow
def test_every_command_works_against_a_server(cli: Any, tune_file: Any, server: Server) -> None:
    cli.environment["TUNESMITH_STORAGE"] = server.url
    tune_file(max_trials=9)
    cli("run", "tune.yaml", "-q")

    words = [
        ["ls"], ["show"], ["show", "@/1"], ["trials"], ["best"], ["logs", "@/1"], ["importance"],
        ["export", "@", "-o", "csv"], ["set", "s", "trials=+2"], ["enqueue", "s", "x=0.5"],
        ["pause"], ["resume"], ["stop", "s/10"], ["retry", "s/10"], ["plan", "tune.yaml"],
        ["run", "tune.yaml", "-q"], ["wait", "--timeout", "5s"], ["stop", "s/3"], ["delete", "s", "--yes"],
    ]  # fmt: skip
    results = {" ".join(w): cli(*w, status=None) for w in words}

    failed = {w: (r.returncode, r.stderr) for w, r in results.items() if r.returncode}
    assert list(failed) == ["stop s/3"], failed
    assert "Trial 3 is completed" in failed["stop s/3"][1]
    assert "y=1" in results["logs @/1"].stdout
    assert results["best"].stdout
    assert json.loads(cli("ls", "--json").stdout)["studies"] == []


def test_python_tunes_against_a_server(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)

    study = tune(
        lambda x: (x - 0.5) ** 2, LINE, minimize="loss", max_trials=3, name="s",
        storage=server.url, algorithm="random", quiet=True,
    )  # fmt: skip

    assert states(server) == {TrialState.COMPLETED: 3}
    with Study(LINE, minimize="loss", name="s", storage=server.url) as again:
        assert again.best_trial == study.best_trial
    study.close()


# What dies, and what goes on


@pytest.mark.slow
def test_a_tuner_does_not_notice_that_its_server_was_killed(
    cli: Any, tune_file: Any, server: Server, until: Until
) -> None:
    tune_file(SLOW, max_trials=8, parallel_trials=2)
    tuner = cli.start("run", "tune.yaml", "--storage", server.url, "-q")
    until(lambda: states(server).get(TrialState.COMPLETED, 0) >= 2)

    server.kill()
    time.sleep(1.0)  # trials end while nobody can be told
    server.start()
    _, said = tuner.communicate(timeout=60)

    assert tuner.returncode == 0, said
    assert [(t.state, t.attempt) for t in stored(server)] == [(TrialState.COMPLETED, 1)] * 8


@pytest.mark.slow
def test_replies_that_are_lost_after_the_commit_cost_nothing(
    cli: Any, tune_file: Any, server: Server, proxy: Proxy
) -> None:
    tune_file(max_trials=8, parallel_trials=2)
    proxy.lost = 4

    cli("run", "tune.yaml", "--storage", proxy.url, "-q")

    assert proxy.replies > 40
    assert [(t.number, t.state, t.attempt) for t in stored(server)] == [
        (n, TrialState.COMPLETED, 1) for n in range(1, 9)
    ]


def open_study(url: str, **settings: Any) -> Study:
    return Study(LINE, minimize="loss", name="s", storage=url, algorithm="random", **settings)


def take_over(study: Study, number: int, until: Until) -> Trial:
    """Ask until a trial is handed out that another has had."""
    taken: list[Trial] = []

    def ask() -> bool:
        taken.append(study.ask())
        return taken[-1].number == number

    until(ask)
    return taken[-1]


def test_who_was_cut_off_for_longer_than_its_lease_has_lost_its_trial(
    server: Server, proxy: Proxy, until: Until
) -> None:
    with open_study(proxy.url, lease_s=1.0) as lost, open_study(server.url, lease_s=60.0) as other:
        trial = lost.ask()
        proxy.cut()
        taken = take_over(other, trial.number, until)

        proxy.is_cut = False
        with pytest.raises(LeaseLostError, match="attempt 2"):
            lost.tell(trial, 9.0)
        other.tell(taken, 0.5)

    assert stored(server)[0].metrics == {"loss": 0.5}


def test_who_was_cut_off_for_a_while_goes_on_where_nobody_took_its_trial(
    server: Server, proxy: Proxy
) -> None:
    with open_study(proxy.url, lease_s=0.2) as study:
        trial = study.ask()
        proxy.cut()
        mended = threading.Timer(1.0, setattr, (proxy, "is_cut", False))
        mended.start()

        study.report(trial, 0, loss=0.5)
        study.tell(trial)

    assert states(server) == {TrialState.COMPLETED: 1}


STOPPED = """
import sys
from tunesmith import Double, Study
from tunesmith.errors import LeaseLostError

study = Study({"x": Double(0, 1)}, minimize="loss", name="s", storage=sys.argv[1], lease_s=1.0)
trial = study.ask()
print("asked", trial.number, flush=True)
sys.stdin.readline()
try:
    study.tell(trial, 9.0)
except LeaseLostError:
    print("lost", flush=True)
"""


def test_a_tuner_that_slept_past_its_lease_does_not_complete_a_trial_of_another(
    server: Server, until: Until
) -> None:
    sleeper = subprocess.Popen(
        [sys.executable, "-c", STOPPED, server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sleeper.stdin is not None
    assert sleeper.stdout is not None
    assert sleeper.stdout.readline() == "asked 1\n"
    sleeper.send_signal(signal.SIGSTOP)
    with open_study(server.url, lease_s=60.0) as other:
        taken = take_over(other, 1, until)

        sleeper.send_signal(signal.SIGCONT)
        said, _ = sleeper.communicate("\n", timeout=30)

        assert said == "lost\n"
        assert stored(server)[0].state is TrialState.RUNNING
        other.tell(taken, 0.5)
    assert stored(server)[0].metrics == {"loss": 0.5}


@pytest.mark.slow
def test_a_token_that_is_revoked_in_the_middle_ends_the_tuner_and_no_study(
    cli: Any, tune_file: Any, until: Until
) -> None:
    server = Server(cli)
    with SqlStorage(server.database) as storage:
        token, secret = storage.tokens.create("laptop", "write", "default")
        _, other = storage.tokens.create("other", "write", "default")
    server.start()
    tune_file("echo y=1; sleep 1", max_trials=3)
    cli.environment["TUNESMITH_TOKEN"] = secret
    tuner = cli.start("run", "tune.yaml", "--storage", server.url, "-q")
    until(lambda: states(server).get(TrialState.COMPLETED))

    with SqlStorage(server.database) as storage:
        storage.tokens.revoke(token.id)
    _, said = tuner.communicate(timeout=60)
    cli.environment["TUNESMITH_TOKEN"] = other
    cli("run", "tune.yaml", "--storage", server.url, "-q")

    assert tuner.returncode == 4, said
    assert "does not take the token of TUNESMITH_TOKEN" in said
    assert f"tunesmith login {server.url}" in said
    assert states(server) == {TrialState.COMPLETED: 3}


# Logging in


@pytest.mark.slow
def test_a_token_is_kept_by_login_and_forgotten_by_logout(cli: Any) -> None:
    server = Server(cli)
    with SqlStorage(server.database) as storage:
        _, secret = storage.tokens.create("laptop", "read", "default")
    server.start()
    cli.environment["XDG_CONFIG_HOME"] = str(cli.folder / "config")

    def login(given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tunesmith", "login", server.url],
            input=given, capture_output=True, text=True, env=cli.environment, check=False,
        )  # fmt: skip

    unknown = cli("ls", "--storage", server.url, status=4)
    wrong = login("ts_wrong_token\n")
    right = login(f"{secret}\n")
    known = cli("ls", "--storage", server.url)
    weak = cli("run", "-p", "x=0..1", "-m", "y", "--min", "-n", "1", "--storage", server.url,
               "--", "true", status=4)  # fmt: skip
    cli("logout", server.url)
    forgotten = cli("ls", "--storage", server.url, status=4)

    assert f"tunesmith login {server.url}" in unknown.stderr
    assert wrong.returncode == 4
    assert right.returncode == 0, right.stderr
    assert "role read" in right.stderr
    assert secret not in right.stdout + right.stderr
    kept = cli.folder / "config" / "tunesmith" / "tokens.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert known.returncode == 0
    assert "needs the role write; your token has read" in weak.stderr
    assert "wants a token" in forgotten.stderr


def test_what_is_no_tunesmith_server_is_said_to_be_none(cli: Any, server: Server) -> None:
    elsewhere = cli("ls", "--storage", f"{server.url}/other", status=4)

    assert "is no Tunesmith server, or its base path is another" in elsewhere.stderr


def test_nothing_of_the_client_is_loaded_for_a_database(cli: Any) -> None:
    program = (
        "import sys, tunesmith.cli.app, tunesmith.cli.look;"
        "from tunesmith.storage import open_storage; open_storage('sqlite://').study_names();"
        "print(sorted({'urllib3', 'fastapi', 'pydantic', 'uvicorn'} & set(sys.modules)))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=cli.folder
    )

    assert ran.stdout == "[]\n"
