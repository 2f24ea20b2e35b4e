"""A call becomes a request, and its answer the call's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from tunesmith.service.fronts.google.gateway import transcoder
from tunesmith.service.fronts.google.gateway.schema import calls
from tunesmith.service.fronts.google.gateway.transcoder import RefusedCall, Transcoder
from tunesmith.storage.transport import Answer, ConnectionFault

PARENT = "projects/p/locations/l"


@dataclass
class Sent:
    """What came to the server."""

    verb: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Server:
    """A server that answers what it was told to, one answer after another."""

    def __init__(self) -> None:
        self.answers: list[Answer | ConnectionFault] = []
        self.sent: list[Sent] = []

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        self.sent.append(Sent(method, path, headers, body))
        answer = self.answers.pop(0) if self.answers else Answer(200, {}, b"{}")
        if isinstance(answer, ConnectionFault):
            raise answer
        return answer

    def close(self) -> None:
        pass


class Clock:
    """A clock that goes by a second each time it is read."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 1.0
        return self._now


Ask = Callable[..., Any]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def ask(server: Server, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Makes a call; a nap takes no time."""
    monkeypatch.setattr(transcoder, "time", Clock())

    def make(
        name: str,
        request: dict[str, Any],
        left_s: float | None = None,
        nap: Callable[[float], bool] = lambda _: False,
    ) -> Any:
        call = calls()[f"/google.cloud.{name}"]
        packed = ParseDict(request, call.request(), descriptor_pool=call.pool)
        headers = {"Authorization": "Bearer t"}
        made = Transcoder(server).make(call, packed.SerializeToString(), headers, left_s, nap)
        return call.response.FromString(made)

    return make


def test_a_creation_sends_the_thing_itself(ask: Ask, server: Server) -> None:
    ask(
        "aiplatform.v1.JobService/CreateCustomJob",
        {"parent": PARENT, "customJob": {"displayName": "j"}},
    )

    (sent,) = server.sent
    assert (sent.verb, sent.path) == ("POST", f"/v1/{PARENT}/customJobs")
    assert json.loads(sent.body) == {"displayName": "j"}
    assert sent.headers["Authorization"] == "Bearer t"
    assert sent.headers["Content-Type"] == "application/json"


def test_a_list_asks_in_the_query(ask: Ask, server: Server) -> None:
    request = {"parent": PARENT, "filter": 'display_name="a b"', "pageSize": 5}

    ask("aiplatform.v1beta1.JobService/ListHyperparameterTuningJobs", request)

    (sent,) = server.sent
    query = "filter=display_name%3D%22a+b%22&pageSize=5"
    assert sent.path == f"/v1beta1/{PARENT}/hyperparameterTuningJobs?{query}"
    assert (sent.verb, sent.body) == ("GET", b"")
    assert "Idempotency-Key" not in sent.headers


def test_what_is_done_to_a_thing_sends_all_but_its_name(ask: Ask, server: Server) -> None:
    name = f"{PARENT}/studies/1/trials/2"
    request = {"trialName": name, "measurement": {"stepCount": "3"}}

    ask("aiplatform.v1.VizierService/AddTrialMeasurement", request)

    (sent,) = server.sent
    assert sent.path == f"/v1/{name}:addTrialMeasurement"
    assert json.loads(sent.body) == {"measurement": {"stepCount": "3"}}


@pytest.mark.parametrize(
    "name",
    [
        "projects/../../api/v1/tokens",
        "projects/p/./x",
        "",
        "/projects/p",
        "studies/1",
        "projects/p?x=1",
        "projects/p#x",
        "projects/p//x",
    ],
)
def test_a_name_leads_nowhere_else(ask: Ask, server: Server, name: str) -> None:
    with pytest.raises(RefusedCall, match="name: a name such as projects/P") as refused:
        ask("aiplatform.v1.VizierService/GetStudy", {"name": name})

    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert not server.sent


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (Answer(400, {}, json.dumps({"error": {"code": 400, "message": "x: bad", "status": "INVALID_ARGUMENT"}}).encode()), grpc.StatusCode.INVALID_ARGUMENT, "x: bad"),
        (Answer(400, {}, json.dumps({"error": {"code": 400, "message": "no", "status": "FAILED_PRECONDITION"}}).encode()), grpc.StatusCode.FAILED_PRECONDITION, "no"),
        (Answer(404, {}, json.dumps({"error": {"message": "gone"}}).encode()), grpc.StatusCode.NOT_FOUND, "gone"),
        (Answer(409, {}, json.dumps({"error": {"message": "there"}}).encode()), grpc.StatusCode.ALREADY_EXISTS, "there"),
        (Answer(401, {}, json.dumps("a proxy's page").encode()), grpc.StatusCode.UNAUTHENTICATED, "The server answered 401"),
        (Answer(500, {}, json.dumps(["odd"]).encode()), grpc.StatusCode.INTERNAL, "The server answered 500"),
        (Answer(302, {}, json.dumps({}).encode()), grpc.StatusCode.INTERNAL, "The server answered 302"),
    ],
)  # fmt: skip
def test_errors_keep_their_code_and_words(
    ask: Ask, server: Server, answer: Answer, code: grpc.StatusCode, message: str
) -> None:
    server.answers = [answer]

    with pytest.raises(RefusedCall) as refused:
        ask("aiplatform.v1.VizierService/GetStudy", {"name": f"{PARENT}/studies/1"})

    assert refused.value.code is code
    assert str(refused.value) == message


def test_an_answer_that_is_none_is_told_as_the_server_s_fault(ask: Ask, server: Server) -> None:
    server.answers = [Answer(200, {}, b"<html>")]

    with pytest.raises(RefusedCall) as refused:
        ask("aiplatform.v1.VizierService/GetStudy", {"name": f"{PARENT}/studies/1"})

    assert refused.value.code is grpc.StatusCode.INTERNAL


def test_a_server_that_starts_anew_is_waited_for_and_a_change_keeps_its_key(
    ask: Ask, server: Server
) -> None:
    server.answers = [ConnectionFault("refused"), Answer(503, {}, b"")]

    ask("aiplatform.v1.VizierService/CompleteTrial", {"name": f"{PARENT}/studies/1/trials/1"})

    keys = [sent.headers["Idempotency-Key"] for sent in server.sent]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_the_client_hears_why_before_its_deadline(ask: Ask, server: Server) -> None:
    server.answers = [ConnectionFault("refused")] * 100

    with pytest.raises(RefusedCall, match="can't be reached: refused") as refused:
        ask("aiplatform.v1.VizierService/GetStudy", {"name": f"{PARENT}/studies/1"}, left_s=10.0)

    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
    assert 1 < len(server.sent) < 10


def test_a_client_that_is_gone_is_waited_for_no_longer(ask: Ask, server: Server) -> None:
    server.answers = [ConnectionFault("refused")] * 100
    name = f"{PARENT}/studies/1"

    with pytest.raises(RefusedCall):
        ask("aiplatform.v1.VizierService/GetStudy", {"name": name}, nap=lambda _: True)

    assert len(server.sent) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ConnectionFault("no TLS", hopeless=True), grpc.StatusCode.UNAVAILABLE),
        # Wrong tokens come too fast: whoever sends them would hold all threads.
        (Answer(429, {}, b""), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_what_will_not_pass_is_not_waited_for(
    ask: Ask, server: Server, fault: Answer | ConnectionFault, code: grpc.StatusCode
) -> None:
    server.answers = [fault]

    with pytest.raises(RefusedCall) as refused:
        ask("aiplatform.v1.VizierService/GetStudy", {"name": f"{PARENT}/studies/1"})

    assert refused.value.code is code
    assert len(server.sent) == 1
