"""What is sent to do harm is refused with a clear error, and the server lives on."""

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tunesmith.service.settings import Limits
from tunesmith.service.strict import read_json

Serve = Callable[..., Any]

_SUGGEST = "/studies/s/suggest"
_STUDY = {"minimize": "loss", "parameters": {"x": {"type": "double", "min": 0, "max": 1}}}


@pytest.fixture
def studied(client: Any) -> Any:
    """A client of a server that has a study ``s``."""
    assert client("PUT", "/studies/s", _STUDY).status == 201
    return client


_UNSOUND = {
    "deep lists": b'{"worker":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a number too large": b'{"worker": "w", "lease_s": 1e400}',
    "an integer of 5000 digits": b'{"worker": "w", "count": ' + b"9" * 5000 + b"}",
    "NaN": b'{"worker": "w", "lease_s": NaN}',
    "Infinity": b'{"worker": "w", "lease_s": -Infinity}',
    "a key twice": b'{"worker": "w", "worker": "v"}',
    "no UTF-8": b'{"worker": "\xff\xfe"}',
    "UTF-16": '{"worker": "w"}'.encode("utf-16"),
    "half a character": b'{"worker": "\\ud800"}',
    "half a document": b'{"worker": "w"',
    "two documents": b'{"worker": "w"} {"worker": "w"}',
    "no JSON": b"worker=w",
}


@pytest.mark.parametrize("body", _UNSOUND.values(), ids=_UNSOUND)
def test_a_body_that_is_no_sound_json_is_refused(studied: Any, body: bytes) -> None:
    answer = studied("POST", _SUGGEST, raw=body, Content_Type="application/json")

    assert answer.status == 400
    assert answer.error["type"] == "JsonError"
    assert studied.post(_SUGGEST, {"worker": "w"}).status == 200


_SENSELESS: dict[str, Any] = {
    "no worker": {},
    "a worker that is a number": {"worker": 7},
    "a worker without a name": {"worker": ""},
    "a very long name": {"worker": "w" * 201},
    "more than it asks for": {"worker": "w", "admin": True},
    "no trials": {"worker": "w", "count": 0},
    "a million trials": {"worker": "w", "count": 1_000_000},
    "a part of a trial": {"worker": "w", "count": 1.5},
    "a lease in the past": {"worker": "w", "lease_s": -1},
    "a lease of ages": {"worker": "w", "lease_s": 1e300},
    "a list": [],
    "a text": "w",
    "nothing": None,
}


@pytest.mark.parametrize("body", _SENSELESS.values(), ids=_SENSELESS)
def test_a_body_of_another_form_is_refused_with_the_place_of_the_fault(
    studied: Any, body: Any
) -> None:
    raw = json.dumps(body).encode()

    answer = studied("POST", _SUGGEST, raw=raw, Content_Type="application/json")

    assert answer.status == 422
    assert answer.error["type"] == "RequestError"
    assert answer.error["faults"][0]["place"].startswith("body")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x", ""])
def test_json_that_does_not_say_so_is_refused(studied: Any, kind: str) -> None:
    answer = studied("POST", _SUGGEST, raw=b'{"worker": "w"}', Content_Type=kind)

    assert answer.status == 422


@pytest.mark.parametrize(
    "metrics",
    [{"loss": "much"}, {"loss": None}, {"loss": [1]}, {"loss": 10**400}, {"": 1}],
    ids=str,
)
def test_a_metric_that_is_no_number_is_refused(studied: Any, metrics: Any) -> None:
    trial = studied.post(_SUGGEST, {"worker": "w"}).json()["trials"][0]

    body = {"attempt": trial["attempt"], "metrics": metrics}
    answer = studied.post("/studies/s/trials/1/complete", body)

    assert answer.status in (400, 422)
    assert studied.get("/studies/s/trials/1").json()["state"] == "running"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_metric_that_is_not_finite_is_written_by_its_name(studied: Any, value: str) -> None:
    studied.post(_SUGGEST, {"worker": "w"})

    body = {"attempt": 1, "step": 3, "metrics": {"loss": value}}
    reported = studied.post("/studies/s/trials/1/report", body)

    assert reported.status == 200
    curve = studied.get("/studies/s/curves").json()["curves"][0]
    assert curve["values"] == [value]


_PATHS = [
    "/studies/%2e%2e",
    "/studies/..%2f..%2fetc",
    "/studies/%2e%2e/trials/1",
    "/studies/s%00",
    "/studies/%ff%fe",
    "/studies/" + "s" * 3000,
    "/studies/s/trials/0",
    "/studies/s/trials/-1",
    "/studies/s/trials/1e3",
    "/studies/s/trials/99999999999999999999",
    "/studies/s/columns?since=-2",
    "/studies/s/columns?since=x",
    "/studies/s/columns?limit=0",
    "/studies/s/curves?trials=1,2,x",
    "/studies/s/curves?points=1",
    "/studies/s/importance?top=nan",
    "/studies/s/importance?top=2",
    "/studies/s/trials/1/files/%2e%2e/%2e%2e/etc/passwd",
    "//api/v1/../../etc/passwd",
    "/studies/s;x=1",
]


@pytest.mark.parametrize("path", _PATHS)
def test_a_path_that_leads_nowhere_is_not_found(studied: Any, path: str) -> None:
    answer = studied.get(path)

    assert answer.status in (404, 422)
    assert answer.error["message"]


@pytest.mark.parametrize(
    "name", ["naïve", "a.b-c_d", "50%", "x?y", "a#b", "größe&co", "events", "日本"]
)
def test_whatever_can_name_a_study_can_stand_in_a_path(client: Any, name: str) -> None:
    from urllib.parse import quote

    made = client("PUT", f"/studies/{quote(name, safe='')}", _STUDY)
    asked = client.post(f"/studies/{quote(name, safe='')}/suggest", {"worker": "w"})

    assert made.json()["name"] == name
    assert asked.status == 200


@pytest.mark.parametrize("name", ["-x", ".hidden", "@", "a b", "a:b", "x" * 101])
def test_what_can_not_name_a_study_makes_none(client: Any, name: str) -> None:
    from urllib.parse import quote

    answer = client("PUT", f"/studies/{quote(name, safe='')}", _STUDY)

    assert answer.status == 422
    assert client.get("/studies").json()["studies"] == []


def test_a_body_that_is_too_large_is_refused_before_it_is_read(serve: Serve) -> None:
    client = serve(limits=Limits(body_bytes=1000))

    announced = client("PUT", "/studies/s", raw=b" " * 1001, Content_Type="application/json")

    assert announced.status == 413
    assert announced.error["type"] == "TooLarge"


def test_a_body_that_does_not_say_how_large_it_is_is_read_so_far_only(serve: Serve) -> None:
    client = serve(limits=Limits(body_bytes=1000))
    head = (
        b"PUT /api/v1/studies/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    )

    answer = _talk(
        client.url,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b" " * 1024 + b"\r\n",
    )

    assert answer.startswith(b"HTTP/1.1 413")


def test_a_flood_of_headers_is_refused(client: Any) -> None:
    answer = client.get("/whoami", **{f"X-{i}": "x" for i in range(150)})

    assert answer.status == 431


def test_a_head_without_end_is_cut_off(serve: Serve) -> None:
    client = serve(limits=Limits(header_bytes=5000))

    answer = _talk(client.url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000)

    assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert client.get("/whoami").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: localh",
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_sends_too_slowly_is_not_waited_for(serve: Serve, sent: bytes) -> None:
    client = serve(limits=Limits(header_s=0.2, body_s=0.2))

    answer = _talk(client.url, sent)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    assert client.get("/whoami").status == 200


def test_a_connection_that_rests_between_two_requests_is_kept(serve: Serve) -> None:
    client = serve(limits=Limits(header_s=0.2, body_s=0.2))
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    with _connected(client.url) as there:
        there.sendall(request)
        first = there.recv(65_536)
        there.settimeout(0.6)
        with pytest.raises(TimeoutError):
            there.recv(1)
        there.settimeout(30)
        there.sendall(request)
        second = there.recv(65_536)

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "key", ["short", "x" * 101, "white space here", "späße-sind-das", "semi;colon;here"]
)
def test_a_senseless_idempotency_key_is_refused(studied: Any, key: str) -> None:
    answer = studied.post(_SUGGEST, {"worker": "w"}, Idempotency_Key=key.encode().decode("latin-1"))

    assert answer.status == 422


def test_a_method_that_a_path_does_not_know_is_refused_with_those_it_knows(studied: Any) -> None:
    answer = studied("DELETE", _SUGGEST)

    assert answer.status == 405
    assert answer.error["type"] == "WrongMethod"


def test_brackets_in_a_text_are_no_nesting() -> None:
    text = "[{" * 500 + '\\"'

    assert read_json(json.dumps({"a": text}).encode()) == {"a": text}


def _talk(url: str, sent: bytes) -> bytes:
    """Return all that a server says to somebody who sends this and then only listens."""
    with _connected(url) as there:
        there.sendall(sent)
        heard = b""
        while True:
            try:
                more = there.recv(65_536)
            except ConnectionResetError:
                return heard
            if not more:
                return heard
            heard += more


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)
