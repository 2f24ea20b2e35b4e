import logging
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tunesmith.errors import (
    ConflictError,
    LeaseLostError,
    NotFoundError,
    StateError,
    StorageError,
    TunesmithError,
)
from tunesmith.model import StudyRecord
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, files_root, shown
from tunesmith.storage.address import Address
from tunesmith.storage.credentials import find_token, forget_token, keep_token, tokens_path
from tunesmith.storage.remote import RemoteStorage
from tunesmith.storage.transport import Answer, ConnectionFault, Wires
from tunesmith.storage.wire import error_document, pack, record_document
from tunesmith.testing.studies import spec_of

URL = "http://server:8765"
OURS = {"tunesmith-version": "9.9.9", "content-type": "application/json"}
WHO = Answer(200, OURS, pack({"project": "default", "role": "write", "version": "9.9.9"}))
AWAY: Exception = ConnectionFault("connection refused")
SPEC = spec_of(Space({"x": Double(0.0, 1.0)}))


def said(document: object, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, OURS | named, pack(document))


def error(kind: str, status: int, message: str = "so it is", **more: object) -> Answer:
    return said({"error": {"type": kind, "message": message, **more}}, status)


class Time:
    """Stands for the module ``time``: sleeping costs none."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += max(seconds, 1e-3)


class Server:
    """Answers from a list; the last answer is given for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer | Exception] = []
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        self.requests.append((method, path, dict(headers), body))
        if path == "/api/v1/whoami":
            return WHO
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


class Ports(BaseHTTPRequestHandler):
    """Answers with the port of the connection that asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = str(self.client_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ports) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def unspoken() -> Iterator[int]:
    """The port of a server that speaks plain HTTP and is not Tunesmith's."""
    with serving() as port:
        yield port


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TUNESMITH_TOKEN", raising=False)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr("tunesmith.storage.http_client.time", fake)
    return fake


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def storage(server: Server, time: Time) -> RemoteStorage:
    storage = RemoteStorage(URL, transport=server)
    server.requests.clear()
    return storage


# Patience


def test_a_server_that_restarts_is_waited_for(storage: RemoteStorage, server: Server) -> None:
    server.answers = [AWAY] * 5 + [said({"studies": [{"name": "s"}]})]

    assert list(storage.study_names()) == ["s"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_a_proxy_says_while_the_server_is_away_is_no_answer(
    storage: RemoteStorage, server: Server, status: int
) -> None:
    page = Answer(status, {"content-type": "text/html"}, b"<html>away</html>")
    server.answers = [page, page, said({"studies": []})]

    assert list(storage.study_names()) == []


def test_a_request_is_the_same_each_time_it_is_sent(storage: RemoteStorage, server: Server) -> None:
    server.answers = [ConnectionFault("reset"), AWAY, Answer(204, OURS, b"")]

    storage.touch("s", "python train.py")
    storage.touch("s", "python train.py")

    keys = [headers["Idempotency-Key"] for _, _, headers, _ in server.requests]
    assert server.requests[0] == server.requests[1] == server.requests[2]
    assert keys[0] != keys[3]
    assert len(keys[0]) >= 20


def test_reading_needs_no_key(storage: RemoteStorage, server: Server) -> None:
    server.answers = [said({"studies": []})]

    storage.study_names()

    assert "Idempotency-Key" not in server.requests[0][2]


def test_patience_ends(storage: RemoteStorage, server: Server, time: Time) -> None:
    server.answers = [AWAY]

    with pytest.raises(StorageError, match=r"http://server:8765 can't be reached for 120 s"):
        storage.study_names()

    assert time.now == pytest.approx(120, abs=1)


def test_after_that_nothing_else_waits_until_the_server_is_back(
    storage: RemoteStorage, server: Server, time: Time
) -> None:
    server.answers = [AWAY]
    with pytest.raises(StorageError):
        storage.study_names()
    ended = time.now

    for _ in range(3):
        with pytest.raises(StorageError):
            storage.retry("s", 1)

    assert time.now == ended
    server.answers = [said({"studies": []})]
    storage.study_names()
    server.answers = [AWAY, said({"studies": []})]
    storage.study_names()


def test_who_is_interrupted_while_waiting_does_not_wait_again(
    storage: RemoteStorage, server: Server, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    server.answers = [AWAY]
    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.study_names()

    with pytest.raises(StorageError, match="refused"):
        storage.requeue("s", 1, 1, "tidying up")


def test_a_server_that_never_answered_is_not_waited_for_long(server: Server, time: Time) -> None:
    server.answers = [AWAY]
    server.send = lambda *_, **__: (_ for _ in ()).throw(AWAY)  # type: ignore[method-assign]

    with pytest.raises(StorageError, match=r"connection refused\. Is it running"):
        RemoteStorage(URL, transport=server)

    assert 8 < time.now < 12


def test_naps_grow_and_keep_out_of_step(storage: RemoteStorage, server: Server, time: Time) -> None:
    server.answers = [AWAY]

    with pytest.raises(StorageError):
        storage.study_names()

    assert time.naps[0] == 0.0
    assert 0 < time.naps[1] <= 0.1
    assert 2.5 <= max(time.naps) <= 5.0
    assert len(set(time.naps[5:15])) == 10


def test_a_server_says_when_to_come_back(
    storage: RemoteStorage, server: Server, time: Time
) -> None:
    busy = error("TooMany", 429)
    server.answers = [
        Answer(429, {**busy.headers, "retry-after": "7"}, busy.body),
        said({"studies": []}),
    ]

    storage.study_names()

    assert time.naps == [7.0]


def test_it_is_said_once_that_the_server_is_away_and_when_it_is_back(
    storage: RemoteStorage, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [AWAY] * 12 + [said({"studies": []})]

    with caplog.at_level(logging.WARNING, "tunesmith"):
        storage.study_names()

    first, last = caplog.messages
    assert "server:8765 is away (connection refused). Waiting" in first
    assert "is back after" in last


def test_nothing_is_said_of_a_short_absence(
    storage: RemoteStorage, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [AWAY] * 3 + [said({"studies": []})]

    storage.study_names()

    assert caplog.messages == []


def test_what_the_server_itself_can_not_do_is_said_in_its_words(
    storage: RemoteStorage, server: Server
) -> None:
    server.answers = [error("StorageError", 503, "The disk is full.")]

    with pytest.raises(StorageError, match=r"could not do it for 120 s: The disk is full\.$"):
        storage.touch("s")


# Errors


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (NotFoundError("There is no study 's'."), 404),
        (ConflictError("It has grown."), 409),
        (LeaseLostError("Another attempt has it."), 409),
        (StateError("It is completed."), 409),
    ],
)
def test_what_the_server_raises_is_raised_here(
    storage: RemoteStorage, server: Server, raised: TunesmithError, status: int
) -> None:
    server.answers = [said({"error": error_document(raised)}, status)]

    with pytest.raises(type(raised), match=str(raised)):
        storage.claim("s", Claim("me"))


def test_without_a_token_it_is_said_how_to_get_one(storage: RemoteStorage, server: Server) -> None:
    server.answers = [error("Unauthenticated", 401)]

    with pytest.raises(StorageError, match="tunesmith login http://server:8765"):
        storage.study("s")


def test_of_a_wrong_token_it_is_said_where_it_came_from(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_TOKEN", "ts_secret")
    storage = RemoteStorage(URL, transport=server)
    server.answers = [error("Unauthenticated", 401)]

    with pytest.raises(StorageError, match="TUNESMITH_TOKEN: it is wrong, revoked") as caught:
        storage.study("s")

    assert "ts_secret" not in str(caught.value)


def test_of_a_role_that_is_too_weak_it_is_said_which_would_do(
    storage: RemoteStorage, server: Server
) -> None:
    message = "This needs the role write; your token has read."
    server.answers = [error("Forbidden", 403, message, needs="write")]

    with pytest.raises(StorageError, match="needs the role write"):
        storage.delete_study("s")


def test_who_may_make_no_study_joins_one_that_is_there(
    storage: RemoteStorage, server: Server
) -> None:
    server.answers = [error("Forbidden", 403), said({"studies": [{"name": "s"}]})]

    with pytest.raises(ConflictError):
        storage.create_study("s", SPEC)


def test_what_is_no_tunesmith_server_is_told_apart(storage: RemoteStorage, server: Server) -> None:
    for answer in [
        Answer(200, {"content-type": "text/html"}, b"<html>hello</html>"),
        Answer(404, {"content-type": "text/html"}, b"<html>nothing here</html>"),
        Answer(200, {}, b"[]"),
    ]:
        server.answers = [answer]
        with pytest.raises(StorageError, match="is no Tunesmith server"):
            storage.study_names()


def test_a_server_that_moved_says_where_to(storage: RemoteStorage, server: Server) -> None:
    server.answers = [Answer(308, {"location": "https://server/t/api/v1/studies"}, b"")]

    with pytest.raises(StorageError, match="elsewhere, to https://server/t; use that URL"):
        storage.study_names()


def test_a_server_of_another_version_that_lacks_a_route_is_named(
    storage: RemoteStorage, server: Server
) -> None:
    server.answers = [error("UnknownRoute", 404)]

    with pytest.raises(StorageError, match=r"runs Tunesmith 9\.9\.9, which does not know"):
        storage.measured("s", 1)


@pytest.mark.parametrize("document", [{}, [], {"studies": [{}]}, {"studies": 7}, None])
def test_an_answer_that_is_not_understood_is_no_crash(
    storage: RemoteStorage, server: Server, document: object
) -> None:
    server.answers = [said(document)]

    with pytest.raises(StorageError, match="does not understand"):
        storage.study_names()


def test_half_an_answer_is_no_crash(storage: RemoteStorage, server: Server) -> None:
    server.answers = [Answer(200, OURS, b'{"studies": [')]

    with pytest.raises(StorageError, match="no JSON"):
        storage.study_names()


# Reading little


def test_a_record_that_has_not_changed_is_not_sent_again(
    storage: RemoteStorage, server: Server
) -> None:
    record = StudyRecord("s", SPEC, revision=5)
    document = {"record": record_document(record), "trials": [], "measurements": [], "now": 70.0}
    server.answers = [
        said(document, etag='"0.0-5"'),
        Answer(304, OURS | {"tunesmith-time": "71.5"}, b""),
    ]
    storage.changes("s", -1)

    again = storage.changes("s", 5)

    assert (again.record, list(again.trials), again.now) == (record, [], 71.5)
    assert server.requests[1][2]["If-None-Match"] == '"0.0-5"'


def test_who_knows_less_than_this_process_does_is_told_all(
    storage: RemoteStorage, server: Server
) -> None:
    record = StudyRecord("s", SPEC, revision=5)
    document = {"record": record_document(record), "trials": [], "measurements": [], "now": 70.0}
    server.answers = [said(document, etag='"0.0-5"')]
    storage.changes("s", -1)

    storage.changes("s", 4)

    assert "If-None-Match" not in server.requests[1][2]


# Turns


def test_a_turn_is_given_back(storage: RemoteStorage, server: Server) -> None:
    server.answers = [said({"granted": True}), Answer(204, OURS, b"")]

    with storage.asking("s"):
        pass

    (asked, turn, _, _), (returned, same_turn, _, _) = server.requests
    assert (asked, returned) == ("POST", "DELETE")
    assert turn.partition("?")[0] == same_turn


def test_nobody_waits_for_a_turn_of_a_server_that_is_away(
    storage: RemoteStorage, server: Server, time: Time
) -> None:
    server.answers = [AWAY]

    with storage.asking("s"):
        thought = True

    assert thought
    assert time.now == 0.0
    server.answers = [AWAY, AWAY, said({"studies": []})]
    assert list(storage.study_names()) == []  # which is waited for all the same


# Addresses and tokens


@pytest.mark.parametrize(
    ("url", "base", "token", "project"),
    [
        ("http://localhost:8765", "http://localhost:8765", "", ""),
        ("https://t.example.org/", "https://t.example.org", "", ""),
        ("https://ts_1_x@t.example.org/base/", "https://t.example.org/base", "ts_1_x", ""),
        ("https://me:ts_1_x@t.example.org", "https://t.example.org", "ts_1_x", ""),
        ("http://[::1]:8765?project=nlp", "http://[::1]:8765", "", "nlp"),
    ],
)
def test_a_url_says_where_the_server_is(url: str, base: str, token: str, project: str) -> None:
    address = Address.parse(url)

    assert (address.base, address.token, address.project) == (base, token, project)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "https://ts_1_x@:99999",
        "http://h?projet=a",
        "http://h#a",
        "http://h?patience_s=x",
    ],
)
def test_a_url_that_names_no_server_is_refused_without_its_token(url: str) -> None:
    with pytest.raises(StorageError, match="URL of the server") as caught:
        Address.parse(url)

    assert "ts_1_x" not in str(caught.value)


def test_the_url_of_a_storage_has_its_project_and_no_token(server: Server) -> None:
    storage = RemoteStorage("https://ts_1_x@server/base?patience_s=7", transport=server)

    assert storage.url == "https://server/base?project=default&patience_s=7"


def test_a_token_is_sent_and_never_shown(server: Server) -> None:
    url = "https://ts_1_x@server"

    storage = RemoteStorage(url, transport=server)

    assert server.requests[0][2]["Authorization"] == "Bearer ts_1_x"
    assert shown(url) == "https://***@server"
    assert "ts_1_x" not in repr(vars(storage)) + repr(storage.client)


def test_the_project_is_sent_to_a_server_of_several(server: Server) -> None:
    RemoteStorage("https://server?project=nlp", transport=server)

    assert server.requests[0][2]["Tunesmith-Project"] == "nlp"


def test_the_environment_comes_before_what_was_kept_and_that_before_the_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = Address.parse("https://from-url@server")

    first = find_token(address)
    keep_token(address, "kept")
    second = find_token(address)
    monkeypatch.setenv("TUNESMITH_TOKEN", "from-environment")
    third = find_token(address)

    assert [f.token for f in (first, second, third)] == ["from-url", "kept", "from-environment"]


def test_kept_tokens_are_for_their_server_and_for_nobody_elses_eyes() -> None:
    here, there = Address.parse("https://here"), Address.parse("https://there/base")

    path = keep_token(here, "one")
    keep_token(there, "two")

    assert path == tokens_path()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert [find_token(a).token for a in (here, there)] == ["one", "two"]
    assert forget_token(here)
    assert not forget_token(here)
    assert [find_token(a).token for a in (here, there)] == ["", "two"]


def test_who_has_no_home_has_kept_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    address = Address.parse("https://from-url@here")

    assert find_token(address).token == "from-url"
    with pytest.raises(StorageError, match="Set TUNESMITH_TOKEN"):
        keep_token(address, "one")


@pytest.mark.parametrize("text", ["{", "[]", '{"https://here": 7}'])
def test_a_damaged_file_of_tokens_is_named(text: str) -> None:
    tokens_path().parent.mkdir()
    tokens_path().write_text(text)

    with pytest.raises(StorageError, match=r"tokens\.json"):
        find_token(Address.parse("https://here"))


def test_every_server_and_project_has_a_folder_for_files_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = [
        "http://a:8765?project=default",
        "http://a:8765?project=nlp",
        "http://a:8766?project=default",
        "http://a:8765/b?project=default",
        "https://a:8765?project=default",
    ]

    roots = {files_root(url) for url in urls}

    assert len(roots) == len(urls)
    assert {root.parent for root in roots} == {tmp_path / ".tunesmith" / "servers"}
    assert files_root("http://tok@a:8765?project=nlp&patience_s=5") in roots


# Connections


def test_nothing_that_listens_there_is_a_fault_that_may_pass() -> None:
    wires = Wires("http://127.0.0.1:1")

    with pytest.raises(ConnectionFault, match="connection refused") as caught:
        wires.send("GET", "/api/v1/whoami", {}, b"", timeout_s=5)

    assert not caught.value.hopeless
    wires.close()


def test_a_server_without_tls_is_not_asked_again(unspoken: int) -> None:
    wires = Wires(f"https://127.0.0.1:{unspoken}")

    with pytest.raises(ConnectionFault, match="write http://") as caught:
        wires.send("GET", "/api/v1/whoami", {}, b"", timeout_s=5)

    assert caught.value.hopeless
    wires.close()


def test_a_certificate_is_to_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with serving(context) as port:
        unknown, known = Wires(f"https://localhost:{port}"), Wires(f"https://localhost:{port}")

        with pytest.raises(ConnectionFault, match="set SSL_CERT_FILE") as caught:
            unknown.send("GET", "/", {}, b"", timeout_s=5)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        answer = known.send("GET", "/", {}, b"", timeout_s=5)

        assert caught.value.hopeless
        assert answer.status == 200
        unknown.close()
        known.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_connections_are_kept_and_not_shared_with_a_fork(unspoken: int) -> None:
    wires = Wires(f"http://127.0.0.1:{unspoken}")
    ports = [wires.send("GET", "/", {}, b"", timeout_s=5).body for _ in range(3)]

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, wires.send("GET", "/", {}, b"", timeout_s=5).body)
        os._exit(0)
    os.waitpid(child, 0)
    forked = os.read(reading, 100)
    os.close(reading)
    os.close(writing)

    again = wires.send("GET", "/", {}, b"", timeout_s=5).body
    assert ports[0] == ports[1] == ports[2] == again
    assert forked != again
    wires.close()
