import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.cli.packing import gather, pack
from tunesmith.model import StudyState
from tunesmith.service.app import make_app
from tunesmith.service.refusals import PathError, TooLargeError, WrongContentError
from tunesmith.service.run import Running
from tunesmith.service.settings import Settings
from tunesmith.service.unpacking import unpack
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, ServedStorage
from tunesmith.storage.jobs import JobState
from tunesmith.storage.manifest import Manifest, StoredFile
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.studies import spec_of, suggestions

Serve = Callable[..., Any]
Until = Callable[..., None]

TUNE = """\
study: s
minimize: y
max_trials: 2
parameters:
  x: {type: double, min: 0, max: 1}
command: sh train.sh
"""


class Sender:
    """Hands in jobs as `tunesmith submit` does."""

    def __init__(self, client: Any, folder: Path) -> None:
        self.client = client
        self._folder = folder

    def send(self, script: str) -> dict[str, Any]:
        """Send a study whose trials run a shell script; return what its code is."""
        folder = self._folder / "project"
        folder.mkdir(exist_ok=True)
        (folder / "tune.yaml").write_text(TUNE)
        (folder / "train.sh").write_text(script + "\n")
        with (self._folder / "code.tar.gz").open("w+b") as file:
            code = pack(gather(folder, [], largest_mib=1), file)
            file.seek(0)
            self.client("PUT", f"/blobs/{code.sha256}", raw=file.read())
        return {"sha256": code.sha256, "size": code.size}

    def submit(self, script: str = "echo y=1", **headers: str) -> Any:
        order = {"study": "s", "file": "tune.yaml", "code": self.send(script)}
        return self.client.post("/jobs", order, **headers)

    def job(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/jobs/{id_}").json()
        return found


@pytest.fixture
def sender(serve: Serve, tmp_path: Path) -> Sender:
    """Hands in jobs at a server that runs them."""
    return Sender(serve(executor="local", grace_s=5.0), tmp_path)


@pytest.fixture
def running(
    storage: ServedStorage, tmp_path: Path, connect: Callable[..., Any]
) -> Callable[..., AbstractContextManager[Any]]:
    """Runs a server on the same storage and folder for as long as a block lasts."""

    @contextmanager
    def run(**changed: Any) -> Iterator[Any]:
        settings = replace(Settings(port=0, data=tmp_path / "server"), **changed)
        with Running(make_app(storage, settings), settings) as server:
            yield connect(server.url)

    return run


def test_a_job_runs_its_study_to_the_end(
    sender: Sender, storage: ServedStorage, until: Until
) -> None:
    answer = sender.submit()
    id_ = answer.json()["job"]["id"]

    until(lambda: sender.job(id_)["state"] == "finished", timeout_s=60)

    assert answer.status == 201
    assert storage.study("s").state is StudyState.FINISHED
    assert [trial.metrics for trial in storage.trials("s")] == [{"y": 1.0}, {"y": 1.0}]
    job = sender.job(id_)
    assert (job["exit_status"], job["starts"], job["study"]) == (0, 1, "s")
    assert sender.client.get("/studies/s/trials/1/logs/stdout").body == b"y=1\n"
    assert b"finished 2/2" in sender.client.get(f"/jobs/{id_}/logs/stderr").body


def test_a_study_that_fails_fails_its_job(sender: Sender, until: Until) -> None:
    id_ = sender.submit("echo broken >&2; exit 1").json()["job"]["id"]

    until(lambda: sender.job(id_)["state"] == "failed", timeout_s=60)

    assert sender.job(id_)["exit_status"] == 5
    assert sender.job(id_)["reason"]


def test_a_job_is_stopped_and_its_study_stays(
    sender: Sender, storage: ServedStorage, until: Until
) -> None:
    id_ = sender.submit("exec sleep 60").json()["job"]["id"]
    until(lambda: "s" in storage.study_names() and storage.study("s").size, timeout_s=60)

    stopping = sender.client.post(f"/jobs/{id_}/stop", {"reason": "too dear"})
    until(lambda: sender.job(id_)["state"] == "stopped", timeout_s=60)

    assert stopping.json()["stop_requested"] == "too dear"
    assert sender.job(id_)["reason"] == "too dear"
    assert storage.study("s").state is StudyState.ACTIVE


def test_a_stopped_study_stops_its_job(
    sender: Sender, storage: ServedStorage, until: Until
) -> None:
    id_ = sender.submit("exec sleep 60").json()["job"]["id"]
    until(lambda: "s" in storage.study_names() and storage.study("s").size, timeout_s=60)

    storage.set_state("s", StudyState.STOPPED, "enough")
    storage.request_stop("s", 1, "enough")
    until(lambda: sender.job(id_)["state"] == "stopped", timeout_s=60)

    assert sender.job(id_)["reason"] == "enough"


@pytest.mark.slow
def test_a_job_goes_on_when_the_server_is_started_again(
    tmp_path: Path, storage: ServedStorage, running: Callable[..., Any], until: Until
) -> None:
    with running(executor="local", grace_s=5.0) as client:
        sender = Sender(client, tmp_path)
        id_ = sender.submit('[ -e "$0.again" ] || exec sleep 60; echo y=1').json()["job"]["id"]
        until(lambda: storage.jobs.job(id_).starts == 1)
        until(lambda: "s" in storage.study_names() and storage.study("s").size, timeout_s=60)
    between = storage.jobs.job(id_)
    (code,) = tmp_path.glob(f"server/projects/default/jobs/{id_}/code")
    (code / "train.sh.again").touch()

    with running(executor="local", grace_s=5.0):
        until(lambda: storage.jobs.job(id_).state is JobState.FINISHED, timeout_s=60)

    assert (between.state, between.reason) == (JobState.QUEUED, "the server was ended")
    assert storage.jobs.job(id_).starts == 2
    assert storage.study("s").state is StudyState.FINISHED


def test_a_job_has_a_token_of_its_own_and_nothing_else_of_the_servers(
    *,
    tmp_path: Path,
    serve: Serve,
    secret: Callable[..., str],
    storage: ServedStorage,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "of the database")
    monkeypatch.setenv("TUNESMITH_TOKEN", "of the server")
    token = secret("write", "nlp")
    sender = Sender(serve(executor="local"), tmp_path)
    sender.client.headers["Authorization"] = f"Bearer {token}"

    id_ = sender.submit("env; echo y=1").json()["job"]["id"]
    until(lambda: sender.job(id_)["state"] == "finished", timeout_s=60)

    printed = sender.client.get("/studies/s/trials/1/logs/stdout").body.decode()
    variables = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    assert "of the database" not in printed
    assert variables["TUNESMITH_TOKEN"] not in ("of the server", token)
    assert storage.tokens.find(variables["TUNESMITH_TOKEN"]) is None
    (made,) = [t for t in storage.tokens.all("nlp") if t.name == f"job {id_}"]
    assert (made.role, made.project, made.revoked is None) == ("write", "nlp", False)


def test_a_server_without_an_executor_says_so(serve: Serve, tmp_path: Path) -> None:
    refused = Sender(serve(), tmp_path).submit()

    assert (refused.status, refused.error["type"]) == (409, "NoExecutor")
    assert "--executor local" in refused.error["message"]


def test_code_that_is_not_there_is_asked_for(sender: Sender, storage: ServedStorage) -> None:
    order = {"study": "s", "file": "tune.yaml", "code": {"sha256": "0" * 64, "size": 10}}

    answer = sender.client.post("/jobs", order)

    assert answer.json() == {"job": None, "missing": ["0" * 64]}
    assert storage.jobs.all() == []


def test_a_job_that_is_handed_in_twice_is_one(serve: Serve, tmp_path: Path) -> None:
    sender = Sender(serve(executor="local", workers=1), tmp_path)

    answers = [sender.submit(Idempotency_Key="abcdefgh").json() for _ in range(2)]

    assert answers[0]["job"]["id"] == answers[1]["job"]["id"]
    assert len(sender.client.get("/jobs").json()) == 1


def test_code_that_can_not_be_unpacked_fails_the_job(sender: Sender, until: Until) -> None:
    data = b"no tar file"
    digest = hashlib.sha256(data).hexdigest()
    sender.client("PUT", f"/blobs/{digest}", raw=data)
    order = {"study": "s", "file": "tune.yaml", "code": {"sha256": digest, "size": len(data)}}

    id_ = sender.client.post("/jobs", order).json()["job"]["id"]
    until(lambda: sender.job(id_)["state"] == "failed")

    assert "can't be unpacked" in sender.job(id_)["reason"]


def test_another_projects_jobs_are_not_found(
    serve: Serve, tmp_path: Path, secret: Callable[..., str], storage: ServedStorage
) -> None:
    ours, theirs = secret("write"), secret("write", "other")
    client = serve(executor="none")
    storage.jobs.submit("1234", study="s", file="f", code=StoredFile("0" * 64, 1), submitter="")

    statuses = [
        [
            client.get("/jobs/1234", Authorization=f"Bearer {token}").status
            for token in (ours, theirs)
        ],
        [
            client.post("/jobs/1234/stop", {"reason": ""}, Authorization=f"Bearer {token}").status
            for token in (theirs, ours)
        ],
    ]

    assert statuses == [[200, 404], [404, 200]]


def test_handing_in_needs_the_role_write(
    serve: Serve, tmp_path: Path, secret: Callable[..., str]
) -> None:
    client = serve(executor="local")
    order = {"study": "s", "file": "f", "code": {"sha256": "0" * 64, "size": 1}}

    statuses = [
        client.post("/jobs", order, Authorization=f"Bearer {secret(role)}").status
        for role in ("read", "worker", "write")
    ]

    assert statuses == [403, 403, 200]


def test_orders_that_make_no_sense_are_refused(sender: Sender) -> None:
    good = {"study": "s", "file": "tune.yaml", "code": {"sha256": "0" * 64, "size": 1}}
    changes: list[Mapping[str, object]] = [
        {"study": "../s"}, {"study": "-x"}, {"file": "../tune.yaml"}, {"file": "/etc/passwd"},
        {"code": {"sha256": "x", "size": 1}}, {"code": {"sha256": "0" * 64, "size": -1}},
    ]  # fmt: skip

    statuses = [sender.client.post("/jobs", {**good, **change}).status for change in changes]

    assert statuses == [422] * len(changes)


# The storage's side


@pytest.fixture
def jobs(tmp_path: Path) -> Any:
    now = [1000.0]
    with SqlStorage(f"sqlite:///{tmp_path / 'jobs.db'}", clock=lambda: now[0]) as storage:
        storage.jobs.submit("a", study="s", file="f", code=StoredFile("0" * 64, 1), submitter="me")
        yield storage.jobs, now


def test_a_job_is_run_by_one_server(jobs: Any) -> None:
    each, _ = jobs
    for owner in ("one", "other"):
        each.claim(owner, 60.0, lambda _: True)

    (job,) = each.unended()

    assert (job.state, job.owner, job.starts) == (JobState.RUNNING, "one", 1)


def test_a_job_whose_server_is_silent_goes_to_another(jobs: Any) -> None:
    each, now = jobs
    each.claim("one", 60.0, lambda _: True)
    now[0] += 50
    each.renew("one", 60.0)
    now[0] += 50
    each.claim("other", 60.0, lambda _: True)
    before = each.job("a").owner

    now[0] += 50
    each.claim("other", 60.0, lambda _: True)
    each.finish("a", "one", JobState.FAILED, exit_status=1, reason="came back from the dead")

    assert before == "one"
    assert (each.job("a").owner, each.job("a").state) == ("other", JobState.RUNNING)


def test_a_job_of_a_dead_server_is_free_at_once(jobs: Any) -> None:
    each, _ = jobs
    each.claim("one", 60.0, lambda _: True)

    each.free(lambda owner: owner == "one")

    assert each.job("a").state is JobState.QUEUED


def test_a_server_takes_only_jobs_whose_code_it_has(jobs: Any) -> None:
    each, _ = jobs

    each.claim("one", 60.0, lambda _: False)

    assert each.job("a").state is JobState.QUEUED


def test_a_job_that_waits_is_stopped_at_once(jobs: Any) -> None:
    each, now = jobs

    job = each.request_stop("a", "not needed")

    assert (job.state, job.reason, job.finished) == (JobState.STOPPED, "not needed", now[0])


def test_database_servers_keep_files_and_jobs_alike(server_url: str) -> None:
    names = ["a", "A", "a ", "ä", "größe/🙂.pt"]
    manifest = Manifest(1, {name: StoredFile("0" * 64, 2**40) for name in names})
    with SqlStorage(server_url) as storage:
        storage.create_study("s", spec_of(Space({"x": Double(0.0, 1.0)})))
        storage.add_trials("s", suggestions(0.5), after=0, claim=Claim("me", 60.0))
        for _ in range(2):
            storage.files.replace("s", 1, manifest)
        storage.files.remove("s", 1, "A")
        for id_ in ("one", "two", "two"):
            storage.jobs.submit(
                id_, study="s", file="f", code=StoredFile("1" * 64, 1), submitter=""
            )
        storage.jobs.claim("me", 60.0, lambda job: job.id == "two")
        storage.jobs.renew("me", 60.0)
        storage.jobs.finish("two", "me", JobState.FAILED, exit_status=1, reason="größer " * 1000)

        kept = storage.files.manifest("s", 1)
        census = storage.census("default")
        ended = storage.jobs.job("two")
        storage.delete_study("s")

        assert kept == Manifest(1, {n: manifest.files[n] for n in sorted(names) if n != "A"})
        assert (census.trials["running"], census.jobs) == (1, {"queued": 1, "failed": 1})
        assert (ended.exit_status, ended.finished is not None) == (1, True)
        assert [job.id for job in storage.jobs.unended()] == ["one"]
        assert storage.files.digests() == frozenset()


# Unpacking


def packed(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path = folder / "code.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("passwd")
    member.type = kind
    member.linkname = "/etc/passwd"
    return member


def test_plain_files_are_unpacked(tmp_path: Path) -> None:
    program = tarfile.TarInfo("bin/run.sh")
    program.mode = 0o4777
    code = packed(tmp_path, (tarfile.TarInfo("tune.yaml"), b"study: s"), (program, b"true"))

    unpack(code, tmp_path / "code", most_bytes=1000)

    assert (tmp_path / "code" / "tune.yaml").read_bytes() == b"study: s"
    assert (tmp_path / "code" / "bin" / "run.sh").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "../x", "a/../../x", "a\\b", "x" * 600])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    code = packed(tmp_path, (tarfile.TarInfo(name), b"x"))

    with pytest.raises(PathError):
        unpack(code, tmp_path / "code", most_bytes=1000)

    assert not (tmp_path / "code").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    code = packed(tmp_path, (link(kind), b""))

    with pytest.raises(WrongContentError, match="link or a device"):
        unpack(code, tmp_path / "code", most_bytes=1000)


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    code = packed(tmp_path, (tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("a"), b"2"))

    with pytest.raises(WrongContentError):
        unpack(code, tmp_path / "code", most_bytes=1000)


def test_little_that_becomes_much_is_refused(tmp_path: Path) -> None:
    code = packed(tmp_path, (tarfile.TarInfo("zeros"), bytes(80 * 2**20)))

    with pytest.raises(TooLargeError):
        unpack(code, tmp_path / "code", most_bytes=1000)

    assert code.stat().st_size < 2**20
    assert not (tmp_path / "code").exists()


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type = tarfile.XHDTYPE
    code = packed(tmp_path, (header, bytes(20 * 2**20)))

    with pytest.raises(TooLargeError, match="header"):
        unpack(code, tmp_path / "code", most_bytes=10**9)


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"x" * 2000, mtime=0)[:-4]])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "code.tar.gz").write_bytes(data)

    with pytest.raises(WrongContentError, match="can't be unpacked"):
        unpack(tmp_path / "code.tar.gz", tmp_path / "code", most_bytes=1000)


# Packing


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("b")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("x")

    packed = []
    for name in ("first", "again"):
        with (tmp_path.parent / f"{tmp_path.name}-{name}").open("w+b") as file:
            packed.append(pack(gather(tmp_path, [], largest_mib=1), file))
        os.utime(tmp_path / "b.py", (1.0, 1.0))

    assert packed[0] == packed[1]
