"""What the hook does to Google's clients, in a process that finds it on its path beside clients that are fakes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.cli import google_hook

SERVER = "http://127.0.0.1:8765"
INITIALIZER = """\
class _Config:
    _api_transport = _api_endpoint = _credentials = _project = None

    def init(self, *, api_transport=None, api_endpoint=None):
        self._api_transport = api_transport or self._api_transport
        self._api_endpoint = api_endpoint or self._api_endpoint

global_config = _Config()
"""
CREDENTIALS = """\
class AnonymousCredentials:
    pass

class Credentials:
    def __init__(self, token):
        self.token = token

    def before_request(self, request, method, url, headers):
        headers["authorization"] = "Bearer " + self.token
"""

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program under the hook; returns the lines that it prints."""
    for name in ("cloud/aiplatform", "auth", "oauth2"):
        (tmp_path / "google" / name).mkdir(parents=True)
    for folder in [path for path in tmp_path.rglob("*") if path.is_dir()]:
        (folder / "__init__.py").touch()
    (tmp_path / "google/cloud/aiplatform/initializer.py").write_text(INITIALIZER)
    (tmp_path / "google/auth/credentials.py").write_text(CREDENTIALS)
    (tmp_path / "google/oauth2/credentials.py").write_text(CREDENTIALS)
    hook = str(Path(str(google_hook.__file__)).parent)

    def go(program: str, token: str = "") -> list[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([hook, str(tmp_path)]),
            "TUNESMITH_GOOGLE_SERVER": SERVER,
            "TUNESMITH_GOOGLE_TOKEN": token,
            "TUNESMITH_GOOGLE_PROJECT": "q",
        }
        begin = "from google.cloud.aiplatform.initializer import global_config as config\n"
        done = subprocess.run(
            [sys.executable, "-c", begin + program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.splitlines()

    return go


def test_the_token_is_sent_to_the_server_and_to_nobody_else(run: Run) -> None:
    program = """\
for url in ("http://127.0.0.1:8765/v1/x", "https://storage.googleapis.com/x", "http://127.0.0.1:87650/x"):
    headers = {}
    config._credentials.before_request(None, "GET", url, headers)
    print(headers)
"""

    assert run(program, "ts_1") == ["{'authorization': 'Bearer ts_1'}", "{}", "{}"]


SHOW = "print(config._api_transport, config._api_endpoint, config._credentials is not None)\n"


def test_a_program_that_wants_grpc_is_left_to_what_leads_grpc_to_the_server(run: Run) -> None:
    program = f"""\
{SHOW}
config.init(api_transport="grpc")
{SHOW}
config.init(api_transport="rest")
{SHOW}
"""

    found = run(program)

    assert found == [f"rest {SERVER} True", "grpc None False", f"rest {SERVER} True"]


def test_what_a_program_says_itself_goes_before(run: Run) -> None:
    program = f'config.init(api_transport="grpc", api_endpoint="other:443")\n{SHOW}'

    assert run(program) == ["grpc other:443 False"]
