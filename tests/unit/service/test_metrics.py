import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tunesmith.errors import StorageError
from tunesmith.service.figures import Figures
from tunesmith.service.logging import Format, configure_logging
from tunesmith.service.settings import Settings
from tunesmith.service.shelves import Shelves
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, ServedStorage
from tunesmith.testing.studies import spec_of, suggestions

Serve = Callable[..., Any]
Logged = Callable[..., io.StringIO]

SPEC = spec_of(Space({"x": Double(0.0, 1.0)}))


def figures(client: Any, **headers: str) -> dict[str, float]:
    """Return what `/metrics` says: each sample by its name and labels."""
    answer = client.get("//metrics", **headers)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_how_studies_and_trials_stand_is_told(client: Any, storage: ServedStorage) -> None:
    storage.create_study("s", SPEC)
    storage.add_trials("s", suggestions(0.1, 0.2), after=0)
    storage.claim("s", Claim("me", 60.0))

    found = figures(client)

    assert found["tunesmith_studies{state=active}"] == 1
    assert found["tunesmith_trials{state=queued}"] == 1
    assert found["tunesmith_trials{state=running}"] == 1
    assert found["tunesmith_trials{state=failed}"] == 0
    assert found["tunesmith_leases"] == 1
    assert found["tunesmith_database_up"] == 1
    assert found["tunesmith_database_faults_total{outcome=raised}"] == 0


def test_requests_are_counted_by_route_and_status(client: Any, storage: ServedStorage) -> None:
    storage.create_study("s", SPEC)
    for name in ("s", "s", "none"):
        client.get(f"/studies/{name}")
    client.get("/no/such/route")

    found = figures(client)

    route = "method=GET,route=/api/v1/studies/{study}"
    assert found[f"tunesmith_request_seconds_count{{{route},status=200}}"] == 2
    assert found[f"tunesmith_request_seconds_count{{{route},status=404}}"] == 1
    assert found["tunesmith_request_seconds_count{method=any,route=none,status=404}"] == 1


def test_a_token_of_one_project_sees_the_figures_of_its_studies_only(
    serve: Serve, storage: ServedStorage, secret: Callable[..., str]
) -> None:
    storage.in_project("nlp").create_study("theirs", SPEC)
    tokens = [secret("read", project) for project in ("default", "nlp", "*")]
    client = serve()

    studies = [
        figures(client, Authorization=f"Bearer {token}")["tunesmith_studies{state=active}"]
        for token in tokens
    ]

    assert studies == [0, 1, 1]


def test_who_has_no_token_sees_no_figures(serve: Serve, secret: Callable[..., str]) -> None:
    secret("read")

    assert serve().get("//metrics").status == 401


def test_bytes_of_files_are_counted(client: Any) -> None:
    data = b"12345"
    client("PUT", f"/blobs/{hashlib.sha256(data).hexdigest()}", raw=data)

    assert figures(client)["tunesmith_files_bytes"] == 5


def test_a_database_that_is_away_is_told(
    client: Any, storage: ServedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: object, project: str | None) -> None:
        raise StorageError("away")

    monkeypatch.setattr(type(storage), "census", away)

    found = figures(client)

    assert found["tunesmith_database_up"] == 0
    assert "tunesmith_leases" not in found


def test_thoughts_and_streams_are_counted(storage: ServedStorage) -> None:
    own = Figures()
    own.thought(0.2)

    with own.stream():
        text = own.text(storage, Shelves(Settings()), None).decode()

    assert 'tunesmith_suggestion_seconds_bucket{le="0.25"} 1.0' in text
    assert "tunesmith_event_streams 1.0" in text


# The log


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Has the process log into a text, as a server does; undone after the test."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("tunesmith", "uvicorn.error"))]
    before = [(each, each.level, list(each.handlers)) for each in loggers]

    def begin(form: Format) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(form, stream=stream)
        return stream

    yield begin
    for each, level, handlers in before:
        each.setLevel(level)
        each.handlers[:] = handlers


def requests(stream: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in lines if line["logger"] == "tunesmith.requests"]


def test_each_request_is_a_line_that_says_who_asked_for_what(
    serve: Serve,
    secret: Callable[..., str],
    storage: ServedStorage,
    logged: Logged,
    until: Callable[..., None],
) -> None:
    token = secret("read")
    storage.create_study("s", SPEC)
    client = serve()
    stream = logged("json")

    client.get(
        "/studies/s/trials/7?secret=1", Authorization=f"Bearer {token}", X_Request_ID="mine-1"
    )
    until(lambda: requests(stream))

    (line,) = requests(stream)
    assert (line["request"], line["project"], line["study"], line["trial"]) == (
        "mine-1", "default", "s", "7",
    )  # fmt: skip
    assert (line["method"], line["path"], line["status"]) == (
        "GET",
        "/api/v1/studies/s/trials/7",
        404,
    )
    assert line["token"] == storage.tokens.all("default")[0].id
    assert line["ms"] >= 0
    assert line["level"] == "info"
    assert token not in stream.getvalue()
    assert "secret" not in stream.getvalue()


def test_a_request_is_named_in_the_answer(client: Any) -> None:
    given = ["mine-1", "x" * 65, "two words", ""]

    named = [client.get("/studies", X_Request_ID=name).headers["X-Request-ID"] for name in given]

    assert named[0] == "mine-1"
    assert not set(named[1:]) & set(given)
    assert len(set(named)) == 4


def test_signs_of_life_are_not_logged(
    client: Any, logged: Logged, until: Callable[..., None]
) -> None:
    stream = logged("json")

    client.get("//healthz")
    client.get("/studies")
    until(lambda: requests(stream))

    assert [line["path"] for line in requests(stream)] == ["/api/v1/studies"]


def test_people_read_lines_that_no_name_can_break(
    client: Any, logged: Logged, until: Callable[..., None]
) -> None:
    stream = logged("text")

    client.get("/studies/%1b%5b2J%0aerror%3a%20forged")
    until(lambda: "404" in stream.getvalue())

    (line,) = [line for line in stream.getvalue().splitlines() if "404" in line]
    assert "GET /api/v1/studies/?[2J?error: forged 404" in line
    assert "project=default" in line


def test_what_is_logged_while_a_request_is_served_carries_its_name(
    client: Any, logged: Logged, storage: ServedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, limit: int) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(type(storage.jobs), "all", broken)
    stream = logged("json")

    answer = client.get("/jobs", X_Request_ID="mine-2")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    fault = next(line for line in lines if "exception" in line)
    assert answer.status == 500
    assert "RuntimeError: a fault" in fault["exception"]
    assert fault["request"] == "mine-2"
