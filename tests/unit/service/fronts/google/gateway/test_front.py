"""gRPC's own client, with a real server of Tunesmith's behind the front."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from tunesmith.errors import StorageError
from tunesmith.service.fronts.google.gateway.account import Account
from tunesmith.service.fronts.google.gateway.front import CALLS, GrpcFront, passed_on
from tunesmith.service.fronts.google.gateway.schema import calls
from tunesmith.service.fronts.google.gateway.surroundings import surroundings
from tunesmith.service.fronts.google.gateway.transcoder import Transcoder
from tunesmith.storage.transport import Wires

PARENT = "projects/p/locations/us-central1"
SPEC = {
    "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
    "parameters": [{"parameterId": "x", "doubleValueSpec": {"maxValue": 1.0}}],
}

Ask = Callable[..., Any]


@pytest.fixture
def ask(serve: Callable[..., Any]) -> Iterator[Ask]:
    """Makes a call through a front; returns the answer as JSON's values."""
    wires = Wires(serve().url)
    with (
        contextlib.closing(wires),
        GrpcFront(Transcoder(wires), passed_on, "127.0.0.1:0") as front,
        grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel,
    ):

        def make(name: str, request: dict[str, Any]) -> Any:
            call = calls()[f"/google.cloud.aiplatform.{name}"]
            packed = ParseDict(request, call.request(), descriptor_pool=call.pool)
            made = _sent(channel, call.name, packed.SerializeToString())
            return MessageToDict(call.response.FromString(made), descriptor_pool=call.pool)

        yield make


def _sent(channel: grpc.Channel, name: str, packed: bytes) -> bytes:
    call: Any = channel.unary_unary(name)
    answer: bytes = call(packed, timeout=20)
    return answer


def refused(ask: Ask, name: str, request: dict[str, Any]) -> tuple[grpc.StatusCode, str]:
    """Make a call that is to be refused; return its code and words."""
    with pytest.raises(grpc.RpcError) as error:
        ask(name, request)
    found: Any = error.value
    return found.code(), found.details()


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_study_goes_from_its_beginning_to_its_end(ask: Ask, version: str) -> None:
    vizier = f"{version}.VizierService"
    study = ask(
        f"{vizier}/CreateStudy",
        {"parent": PARENT, "study": {"displayName": "s", "studySpec": SPEC}},
    )
    name = study["name"]

    suggested = ask(
        f"{vizier}/SuggestTrials", {"parent": name, "clientId": "me", "suggestionCount": 2}
    )
    first, second = suggested["response"]["trials"]
    measured = {"stepCount": "3", "metrics": [{"metricId": "loss", "value": 0.0}]}
    ask(f"{vizier}/AddTrialMeasurement", {"trialName": first["name"], "measurement": measured})
    stops = ask(f"{vizier}/CheckTrialEarlyStoppingState", {"trialName": first["name"]})
    ended = ask(f"{vizier}/CompleteTrial", {"name": first["name"]})
    ask(f"{vizier}/CompleteTrial", {"name": second["name"], "trialInfeasible": True})
    best = ask(f"{vizier}/ListOptimalTrials", {"parent": name})
    looked_up = ask(f"{vizier}/LookupStudy", {"parent": PARENT, "displayName": "s"})
    again = ask("v1.VizierService/GetStudy", {"name": name})
    trials = ask(f"{vizier}/ListTrials", {"parent": name})["trials"]
    ask(f"{vizier}/DeleteStudy", {"name": name})

    assert study["state"] == "ACTIVE"
    assert stops["done"]
    assert ended["state"] == "SUCCEEDED"
    assert ended["finalMeasurement"]["stepCount"] == "3"
    assert [trial["id"] for trial in best["optimalTrials"]] == ["1"]
    assert [trial["state"] for trial in trials] == ["SUCCEEDED", "INFEASIBLE"]
    assert looked_up["name"] == again["name"] == name
    assert refused(ask, f"{vizier}/GetStudy", {"name": name})[0] is grpc.StatusCode.NOT_FOUND


def test_a_fault_is_told_by_its_field(ask: Ask) -> None:
    spec = {**SPEC, "parameters": [{"parameterId": "x", "doubleValueSpec": {"minValue": 2}}]}

    code, words = refused(
        ask,
        "v1.VizierService/CreateStudy",
        {"parent": PARENT, "study": {"displayName": "s", "studySpec": spec}},
    )

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "studySpec.parameters[0].doubleValueSpec" in words


def test_jobs_are_refused_where_nothing_runs_them_and_listed(ask: Ask) -> None:
    pool = {"replicaCount": "1", "containerSpec": {"imageUri": "i", "command": ["true"]}}
    job = {"displayName": "j", "jobSpec": {"workerPoolSpecs": [pool]}}

    code, words = refused(
        ask, "v1.JobService/CreateCustomJob", {"parent": PARENT, "customJob": job}
    )

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "--executor" in words
    assert ask("v1.JobService/ListCustomJobs", {"parent": PARENT}) == {}


def test_calls_that_nobody_serves_are_told_by_name(serve: Callable[..., Any]) -> None:
    wires = Wires(serve().url)
    with (
        contextlib.closing(wires),
        GrpcFront(Transcoder(wires), passed_on, "127.0.0.1:0") as front,
        grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel,
        pytest.raises(grpc.RpcError) as error,
    ):
        _sent(channel, "/google.cloud.aiplatform.v1.DatasetService/ListDatasets", b"")

    found: Any = error.value
    assert found.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "DatasetService/ListDatasets" in found.details()


def test_a_port_that_is_taken_is_told() -> None:
    wires = Wires("http://127.0.0.1:9")
    with (
        GrpcFront(Transcoder(wires), passed_on, "127.0.0.1:0") as front,
        pytest.raises(StorageError, match="another server"),
    ):
        GrpcFront(Transcoder(wires), passed_on, f"127.0.0.1:{front.port}")


def test_a_long_list_of_faults_is_told_as_far_as_a_client_takes_it(ask: Ask) -> None:
    parameter = {"doubleValueSpec": {"minValue": 2, "maxValue": 1}}
    parameters = [{"parameterId": f"größe{i}", **parameter} for i in range(300)]

    code, words = refused(
        ask,
        "v1.VizierService/CreateStudy",
        {
            "parent": PARENT,
            "study": {"displayName": "s", "studySpec": {**SPEC, "parameters": parameters}},
        },
    )

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words.startswith("studySpec.parameters[0]")
    assert words.endswith("...")


def test_a_server_without_tokens_hears_of_a_proxy_before_the_front(
    serve: Callable[..., Any],
) -> None:
    wires = Wires(serve().url)
    with (
        contextlib.closing(wires),
        GrpcFront(Transcoder(wires), passed_on, "127.0.0.1:0") as front,
        grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel,
    ):
        call: Any = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
        direct = call(b"\x0a\x0aprojects/p", timeout=20)
        with pytest.raises(grpc.RpcError) as error:
            call(b"\x0a\x0aprojects/p", timeout=20, metadata=[("x-forwarded-for", "1.2.3.4")])

    found: Any = error.value
    assert b"projects/p/locations" in direct
    assert found.code() is grpc.StatusCode.UNAUTHENTICATED


def test_many_calls_at_once_share_the_connections_to_the_server(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    wires = Wires(serve().url, threads=CALLS)
    with (
        contextlib.closing(wires),
        GrpcFront(Transcoder(wires), passed_on, "127.0.0.1:0") as front,
        grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel,
    ):
        call: Any = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
        under_way = [call.future(b"\x0a\x0aprojects/p", timeout=20) for _ in range(60)]
        answers = [made.result() for made in under_way]

    assert len(answers) == 60
    assert "pool is full" not in caplog.text


# A server that takes connections and says nothing, a call to it, and the end of the front.
ENDS = """\
import socket, threading, grpc
from tunesmith.service.fronts.google.gateway.front import GrpcFront, passed_on
from tunesmith.service.fronts.google.gateway.transcoder import Transcoder
from tunesmith.storage.transport import Wires

silent = socket.create_server(("127.0.0.1", 0))
wires = Wires(f"http://127.0.0.1:{silent.getsockname()[1]}")
with GrpcFront(Transcoder(wires), passed_on, "127.0.0.1:0") as front:
    channel = grpc.insecure_channel(f"127.0.0.1:{front.port}")
    call = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
    made = call.future(b"\\x0a\\x0aprojects/p")
    asked, _ = silent.accept()
    made.cancel()
print("over")
"""


def test_a_front_ends_at_once_although_the_server_is_silent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "over\n"


# A program of gRPC and google-auth alone, as Google's clients use them.
PROGRAM = """\
import sys
import google.auth, grpc
from google.auth import jwt
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request

account, project = google.auth.default()
signed = jwt.Credentials.from_signing_credentials(
    account, audience="https://aiplatform.googleapis.com/")
host = sys.argv[1]
channel = grpc.secure_channel(host, grpc.composite_channel_credentials(
    grpc.ssl_channel_credentials(),
    grpc.metadata_call_credentials(AuthMetadataPlugin(signed, Request()))))
request = b"\\n" + bytes([len(sys.argv[2])]) + sys.argv[2].encode()
try:
    channel.unary_unary("/google.cloud.aiplatform.v1.VizierService/ListStudies")(request, timeout=20)
    print("answered", project)
except grpc.RpcError as error:
    print(error.code().name, error.details())
"""


def ran(variables: dict[str, str], host: str = "us-central1-aiplatform.googleapis.com:443") -> str:
    """Run the program with these variables; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | variables
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, host, PARENT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_program_s_environment_alone_leads_it_to_the_server(
    serve: Callable[..., Any], secret: Callable[..., str], tmp_path: Path
) -> None:
    token = secret("write")
    wires = Wires(serve().url)

    with contextlib.closing(wires):
        with surroundings(wires, {"Authorization": f"Bearer {token}"}, "p") as variables:
            reached = ran(variables)
            others = ran({**variables, "GOOGLE_APPLICATION_CREDENTIALS": str(_other(tmp_path))})
        with surroundings(wires, {}, "p") as variables:
            without = ran(variables)

    assert reached == "answered p"
    assert others.startswith("UNAUTHENTICATED This is for the program that")
    assert without.startswith("UNAUTHENTICATED")
    assert not Path(variables["GOOGLE_APPLICATION_CREDENTIALS"]).exists()


def _other(folder: Path) -> Path:
    """Return the file of an account that is not the program's."""
    return Account(folder, "p").file
