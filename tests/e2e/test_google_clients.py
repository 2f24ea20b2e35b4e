"""Google's real clients, unchanged, against a server: each in a virtual environment of its own."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
import urllib3

from tunesmith.service.fronts.google.gateway.schema import calls

Until = Callable[..., None]

DOCKERFILE = """\
FROM gcr.io/deeplearning-platform-release/tf2-gpu.2-7
WORKDIR /
RUN pip install cloudml-hypertune
COPY trainer /trainer
ENTRYPOINT ["python", "-m", "trainer.task"]
"""
# The interface of the guide's trainer; it waits, so that a test can do something meanwhile.
TRAINER = """\
import argparse
import os
import time
import hypertune

parser = argparse.ArgumentParser()
parser.add_argument('--learning_rate', required=True, type=float)
parser.add_argument('--momentum', required=True, type=float)
parser.add_argument('--num_units', required=True, type=int)
args = parser.parse_args()
while not os.path.exists(GO):
    time.sleep(0.1)
hpt = hypertune.HyperTune()
hpt.report_hyperparameter_tuning_metric(
    hyperparameter_metric_tag='accuracy',
    metric_value=args.learning_rate + args.momentum + args.num_units,
    global_step=10)
"""
# The guide's cells, word for word but for the names that it wants replaced.
CELLS = """\
from google.cloud import aiplatform
from google.cloud.aiplatform import hyperparameter_tuning as hpt

worker_pool_specs = [{
    "machine_spec": {
        "machine_type": "n1-standard-4",
        "accelerator_type": "NVIDIA_TESLA_V100",
        "accelerator_count": 2
    },
    "replica_count": 1,
    "container_spec": {
        "image_uri": "gcr.io/my-project/horse-human-codelab:latest"
    }
}]

parameter_spec = {
    "learning_rate": hpt.DoubleParameterSpec(min=0.001, max=1, scale="log"),
    "momentum": hpt.DoubleParameterSpec(min=0, max=1, scale="linear"),
    "num_units": hpt.DiscreteParameterSpec(values=[64, 128, 512], scale=None)
}

metric_spec={'accuracy':'maximize'}

my_custom_job = aiplatform.CustomJob(display_name='horses-humans',
                              worker_pool_specs=worker_pool_specs,
                              staging_bucket='gs://my-bucket')

hp_job = aiplatform.HyperparameterTuningJob(
    display_name='horses-humans',
    custom_job=my_custom_job,
    metric_spec=metric_spec,
    parameter_spec=parameter_spec,
    max_trial_count=6,
    parallel_trial_count=2,
    search_algorithm=None)

hp_job.run()
"""
SUBMIT = """\
import json
import time
from googleapiclient import discovery, discovery_cache
from googleapiclient.errors import HttpError

ml = discovery.build("ml", "v1")
jobs = ml.projects().jobs()
REPORT = '''import json, os, sys
x = float(sys.argv[1].partition("=")[2])
line = {"timestamp": 1.0, "trial": "1", "metric1": str(x), "global_step": "1"}
open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w").write(json.dumps(line) + chr(10))
'''
body = {"jobId": "census_1", "trainingInput": {
    "scaleTier": "CUSTOM", "masterType": "complex_model_m", "region": "us-central1",
    "masterConfig": {"imageUri": "gcr.io/my-project/horse-human-codelab", "containerCommand": ["python3", "-c", REPORT]},
    "hyperparameters": {"goal": "MAXIMIZE", "hyperparameterMetricTag": "metric1", "maxTrials": 3, "maxParallelTrials": 1,
        "params": [{"parameterName": "x", "type": "INTEGER", "minValue": 1, "maxValue": 50, "scaleType": "UNIT_LINEAR_SCALE"}]}}}
jobs.create(parent="projects/p", body=body).execute()
try:
    jobs.create(parent="projects/p", body=body).execute()
except HttpError as error:
    print(error.status_code)
while True:
    job = jobs.get(name="projects/p/jobs/census_1").execute()
    if job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
        break
    time.sleep(0.5)
print(job["state"], [trial["finalMetric"]["objectiveValue"] for trial in job["trainingOutput"]["trials"]])

# As CloudTuner does, which brings a document of its own.
with open(discovery_cache.__path__[0] + "/documents/ml.v1.json") as file:
    own = discovery.build_from_document(json.load(file))
print([job["jobId"] for job in own.projects().jobs().list(parent="projects/p").execute()["jobs"]])
"""
FAKE = """\
class _Config:
    _api_transport = None
    def init(self):
        pass
global_config = _Config()
"""
ASK = """\
import sitecustomize
from google.cloud.aiplatform import initializer
settings = initializer.global_config
print(settings._api_endpoint, settings._api_transport, settings._project, settings._credentials)
"""

# Waits for a word, makes a call, and ends without its answer.
CALLS = """\
import sys, threading
import google.auth, grpc
from google.auth import jwt
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request

account, _ = google.auth.default()
signed = jwt.Credentials.from_signing_credentials(account, audience="https://aiplatform.googleapis.com/")
channel = grpc.secure_channel("aiplatform.googleapis.com:443", grpc.composite_channel_credentials(
    grpc.ssl_channel_credentials(),
    grpc.metadata_call_credentials(AuthMetadataPlugin(signed, Request()))))
call = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
call(b"\\n\\x0aprojects/p", timeout=20)
print("knows the way", flush=True)
sys.stdin.readline()
made = call.future(b"\\n\\x0aprojects/p")
try:
    made.result(timeout=3)
except grpc.FutureTimeoutError:
    sys.exit(3)
"""


# The newest, and one of the time of the guide whose cells these are (it needs pkg_resources).
NEWEST = ("google-cloud-aiplatform>=1.43", "google-api-python-client")
OF_ITS_TIME = ("google-cloud-aiplatform==1.8.0", "setuptools<81")
FIELDS = """\
import json
from google.cloud import aiplatform_v1, aiplatform_v1beta1

def told(descriptor, package, found):
    name = descriptor.full_name.removeprefix(package)
    if name in found or not descriptor.full_name.startswith(package):
        return
    found[name] = {field.name: [field.number, field.type, field.is_repeated, field.has_presence]
        for field in descriptor.fields}
    for field in descriptor.fields:
        if field.message_type is not None:
            told(field.message_type, package, found)
        if field.enum_type is not None:
            found[field.enum_type.full_name.removeprefix(package)] = {v.name: v.number for v in field.enum_type.values}

names = input().split()
found = {}
for module, version in ((aiplatform_v1, "v1"), (aiplatform_v1beta1, "v1beta1")):
    found[version] = {}
    for name in names:
        message = getattr(module, name)
        told(message.pb(message()).DESCRIPTOR, f"google.cloud.aiplatform.{version}.", found[version])
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def python_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes a Python with packages; returns its path."""

    @cache
    def make(*wanted: str) -> str:
        folder = tmp_path_factory.mktemp("google")
        python = str(folder / "bin" / "python")
        uv = [sys.executable, "-m", "uv"]
        for words in (
            ["venv", "-q", "--clear", "--python", sys.executable, str(folder)],
            ["pip", "install", "-q", "--python", python, *wanted],
        ):
            subprocess.run([*uv, *words], check=True, capture_output=True)
        return python

    return make


class Server:
    """A server that runs jobs, on a port of its own."""

    def __init__(self, cli: Any, until: Until, image: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._cli, self._until, self._image = cli, until, image

    def start(self) -> subprocess.Popen[str]:
        words = ["serve", "--port", str(self.port), "--executor", "local", "--buckets", "buckets"]
        words += ["--image", f"gcr.io/*/horse-human-codelab={self._image}"]
        process: subprocess.Popen[str] = self._cli.start(*words, stdout=None, stderr=None)
        self._until(self._is_ready)
        return process

    def get(self, path: str) -> Any:
        with urllib3.PoolManager(retries=False) as pool:
            return json.loads(pool.request("GET", self.url + path).data)

    def _is_ready(self) -> bool:
        try:
            with urllib3.PoolManager(retries=False) as pool:
                return pool.request("GET", f"{self.url}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False


@pytest.fixture
def server(cli: Any, until: Until, tmp_path: Path) -> Server:
    folder = tmp_path / "vertex-codelab"
    (folder / "trainer").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "trainer" / "__init__.py").touch()
    (folder / "trainer" / "task.py").write_text(f"GO = {str(tmp_path / 'go')!r}\n{TRAINER}")
    return Server(cli, until, folder)


@pytest.mark.slow
@pytest.mark.parametrize("packages", [NEWEST, OF_ITS_TIME])
def test_the_guide_s_cells_run_unchanged_although_the_server_is_killed_between(
    server: Server,
    cli: Any,
    python_with: Callable[..., str],
    *,
    until: Until,
    tmp_path: Path,
    packages: tuple[str, ...],
) -> None:
    python = python_with(*packages)
    cli.write("notebook.py", CELLS)
    jobs = "/v1/projects/local/locations/us-central1/hyperparameterTuningJobs"
    process = server.start()
    client = cli.start(
        "google-env", "--storage", server.url, "--", python, "notebook.py", stderr=None
    )
    until(lambda: "trials" in json.dumps(server.get(jobs)), timeout_s=60)

    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    server.start()
    client.communicate(timeout=120)

    assert client.returncode == 0
    (job,) = server.get(jobs)["hyperparameterTuningJobs"]
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert len(job["trials"]) == 6
    for trial in job["trials"]:
        values = {p["parameterId"]: p["value"] for p in trial["parameters"]}
        assert values["num_units"] in (64, 128, 512)
        assert trial["finalMeasurement"]["stepCount"] == "10"
        (metric,) = trial["finalMeasurement"]["metrics"]
        total = values["learning_rate"] + values["momentum"] + values["num_units"]
        assert metric == {"metricId": "accuracy", "value": total}
    times = [(trial["startTime"], trial["endTime"]) for trial in job["trials"]]
    assert all(sum(begin <= at < end for begin, end in times) <= 2 for at, _ in times)


@pytest.mark.slow
def test_the_bundled_discovery_document_leads_to_the_server(
    server: Server, cli: Any, python_with: Callable[..., str]
) -> None:
    cli.write("submit.py", SUBMIT)
    server.start()

    ran = cli("google-env", "--storage", server.url, "--", python_with(*NEWEST), "submit.py")

    assert ran.stdout.startswith("409\nSUCCEEDED [")
    values = [float(text) for text in re.findall(r"[\d.]+(?=[,\]])", ran.stdout)]
    assert len(values) == 3
    assert ran.stdout.endswith("\n['census_1']\n")
    assert values == sorted(values, reverse=True)


@pytest.mark.slow
def test_the_schemas_of_grpc_are_those_of_the_newest_client(
    python_with: Callable[..., str],
) -> None:
    ours: dict[str, dict[str, Any]] = {}
    wanted: set[str] = set()
    for name, call in calls().items():
        version = name[1:].removeprefix("google.cloud.aiplatform.").partition(".")[0]
        if "aiplatform" in name:
            wanted.add(call.request.DESCRIPTOR.name)
            ours.setdefault(version, {})
            for message in (call.request, call.response):
                _told(message.DESCRIPTOR, f"google.cloud.aiplatform.{version}.", ours[version])

    done = subprocess.run(
        [python_with(*NEWEST), "-c", FIELDS],
        input=" ".join(sorted(wanted)),
        check=True,
        capture_output=True,
        text=True,
    )

    theirs = json.loads(done.stdout)
    assert set(ours) == set(theirs) == {"v1", "v1beta1"}
    for version, messages in theirs.items():
        for name, fields in messages.items():
            # What only one of the versions has stands in the schema of both.
            assert fields.items() <= ours[version][name].items(), name
    for name, fields in ours["v1"].items():
        both = {**theirs["v1"].get(name, {}), **theirs["v1beta1"].get(name, {})}
        assert fields == both or name not in {**theirs["v1"], **theirs["v1beta1"]}, name


def _told(descriptor: Any, package: str, found: dict[str, Any]) -> None:
    """Write down the fields of a message, and of all that are in it, as the client's side does."""
    name = descriptor.full_name.removeprefix(package)
    if name in found or not descriptor.full_name.startswith(package):
        return
    found[name] = {
        field.name: [field.number, field.type, field.is_repeated, field.has_presence]
        for field in descriptor.fields
    }
    for field in descriptor.fields:
        if field.message_type is not None:
            _told(field.message_type, package, found)
        if field.enum_type is not None:
            values = {value.name: value.number for value in field.enum_type.values}
            found[field.enum_type.full_name.removeprefix(package)] = values


def test_google_env_gives_the_client_its_defaults_and_leaves_the_rest_alone(
    server: Server, cli: Any, tmp_path: Path
) -> None:
    package = tmp_path / "fakes" / "google" / "cloud" / "aiplatform"
    package.mkdir(parents=True)
    auth = tmp_path / "fakes" / "google" / "auth"
    auth.mkdir()
    for folder in (package, package.parent, package.parents[1], auth):
        (folder / "__init__.py").touch()
    (package / "initializer.py").write_text(FAKE)
    (auth / "credentials.py").write_text("def AnonymousCredentials():\n    return 'anonymous'\n")
    (tmp_path / "fakes" / "sitecustomize.py").write_text("print('own')\n")
    cli.write("ask.py", ASK)
    server.start()
    cli.environment["PYTHONPATH"] = str(tmp_path / "fakes")
    words = ["google-env", "--project", "q", "--storage", server.url]

    ran = cli(*words, "--", sys.executable, "ask.py")
    failed = cli(*words, "--", sys.executable, "-c", "raise SystemExit(7)", status=7)
    missing = cli(*words, "--", "no-such-program", status=127)

    assert ran.stdout.splitlines()[-1] == f"{server.url} rest q anonymous"
    assert "own" in ran.stdout.splitlines()
    assert failed.returncode == 7
    assert "no-such-program" in missing.stderr


# Ends as a signal wants it to, with a status of its own.
WAITS = """\
import signal, sys
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: sys.exit(number + 10))
print("waits", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_google_env_passes_on_signals_and_leaves_nothing_when_its_program_ends(
    server: Server, cli: Any, tmp_path: Path, *, number: signal.Signals
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    cli.environment["TMPDIR"] = str(left)
    server.start()
    process = cli.start("google-env", "--storage", server.url, "--", sys.executable, "-c", WAITS)
    assert process.stdout.readline() == "waits\n"
    inside = list(left.iterdir())

    process.send_signal(number)
    process.communicate(timeout=30)

    assert process.returncode == number + 10
    assert len(inside) == 1
    assert not inside[0].exists()


def test_google_env_does_not_outlive_its_program_for_calls_that_wait_for_a_server(
    server: Server, cli: Any
) -> None:
    running = server.start()
    process = cli.start(
        "google-env",
        "--storage",
        server.url,
        "--",
        sys.executable,
        "-c",
        CALLS,
        stderr=None,
        stdin=subprocess.PIPE,
    )
    assert process.stdout.readline() == "knows the way\n"
    running.kill()
    running.wait()

    process.communicate("\n", timeout=30)

    assert process.returncode == 3


def test_a_server_speaks_grpc_with_a_certificate_of_its_own(
    cli: Any, tmp_path: Path, until: Until
) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    words = ["serve", "--port", "0", "--grpc-port", "0"]
    words += ["--grpc-certificate", "cert.pem", "--grpc-key", "key.pem"]
    process = cli.start(*words)
    try:
        said = next(line for line in process.stderr if line.startswith("gRPC"))
        until(lambda: process.stdout.readline().startswith("Tunesmith serves"))
        port = re.fullmatch(r"gRPC on port (\d+)\n", said)
        assert port is not None
        trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        with grpc.secure_channel(f"localhost:{port[1]}", trusted) as channel:
            locations: Any = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
            answer = locations(b"\x0a\x0aprojects/p", timeout=20)
    finally:
        process.terminate()
        process.communicate(timeout=30)

    assert b"projects/p/locations/us-central1" in answer
    assert process.returncode == 0


def test_a_server_on_an_address_of_ipv6_speaks_grpc_there(cli: Any, until: Until) -> None:
    process = cli.start("serve", "--host", "::1", "--port", "0", "--grpc-port", "0")
    try:
        said = next(line for line in process.stderr if "gRPC" in line)
        until(lambda: process.stdout.readline().startswith("Tunesmith serves"))
        port = re.match(r"gRPC on port (\d+)", said)
        assert port is not None, said
        with grpc.insecure_channel(f"[::1]:{port[1]}") as channel:
            locations: Any = channel.unary_unary("/google.cloud.location.Locations/ListLocations")
            answer = locations(b"\x0a\x0aprojects/p", timeout=20)
    finally:
        process.terminate()
        process.communicate(timeout=30)

    assert b"projects/p/locations/us-central1" in answer


def test_a_certificate_needs_its_key(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()

    refused = cli(
        "serve", "--grpc-port", "0", "--grpc-certificate", tmp_path / "cert.pem", status=2
    )

    assert "come together" in refused.stderr


def test_google_env_needs_a_server_and_a_program(server: Server, cli: Any) -> None:
    nowhere = cli("google-env", "--", "true", status=2)
    nothing = cli("google-env", "--storage", "http://127.0.0.1:9", status=2)
    away = cli("google-env", "--storage", "http://127.0.0.1:9", "--", "true", status=4)
    cli.environment["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = "none.pem"
    server.start()
    rootless = cli("google-env", "--storage", server.url, "--", "true", status=4)

    assert "tunesmith serve" in nowhere.stderr
    assert "behind --" in nothing.stderr
    assert "tunesmith serve" in away.stderr
    assert "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names none.pem" in rootless.stderr
