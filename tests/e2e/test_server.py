"""The server as a process: begun, used, killed, begun again."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

Serve = Callable[..., Any]


class Server:
    """A ``tunesmith serve`` that listens."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"at (http://\S+)", line)
        assert found is not None, (line, process.communicate())
        self.url = found[1]

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        raw = None if body is None else json.dumps(body).encode()
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request(method, f"{self.url}{path}", body=raw, headers=headers)
        return answer.status, json.loads(answer.data) if answer.data else None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def serve(cli: Any) -> Serve:
    def start(*words: str) -> Server:
        port = () if "--port" in words else ("--port", "0")
        return Server(cli.start("serve", *port, *words))

    return start


_STUDY = {
    "minimize": "loss",
    "max_trials": 4,
    "algorithm": "random",
    "parameters": {"x": {"type": "double", "min": 0, "max": 1}},
}
_ASK = {"worker": "w"}


def test_a_server_that_is_killed_goes_on_where_it_was(serve: Serve) -> None:
    first = serve()
    first.ask("PUT", "/api/v1/studies/s", _STUDY)
    _, asked = first.ask("POST", "/api/v1/studies/s/suggest", _ASK)
    first.end(signal.SIGKILL)

    second = serve()
    _, ended = second.ask(
        "POST", "/api/v1/studies/s/trials/1/complete", {"attempt": 1, "metrics": {"loss": 0.5}}
    )
    _, more = second.ask("POST", "/api/v1/studies/s/suggest", _ASK)
    status = second.end()

    assert asked["trials"][0]["number"] == 1
    assert (ended["state"], ended["values"]) == ("completed", asked["trials"][0]["values"])
    assert more["trials"][0]["number"] == 2
    assert status == 0


def test_a_server_that_is_told_to_end_ends_without_a_fault_and_says_so(serve: Serve) -> None:
    server = serve()

    status = server.end()

    assert status == 0
    assert "nothing is lost" in server.process.communicate()[1]


def test_what_is_under_way_is_answered_before_the_end(serve: Serve, cli: Any) -> None:
    server = serve()
    server.ask("PUT", "/api/v1/studies/s", _STUDY)
    host, _, port = server.url.removeprefix("http://").partition(":")
    body = json.dumps(_ASK).encode()
    head = (
        f"POST /api/v1/studies/s/suggest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\n\r\n"
    )

    with socket.create_connection((host, int(port)), timeout=60) as there:
        there.sendall(head.encode() + body[:-1])
        server.ask("GET", "/readyz")  # by now the head has come
        server.process.send_signal(signal.SIGTERM)
        there.sendall(body[-1:])
        heard = there.recv(65_536)

    assert heard.startswith(b"HTTP/1.1 200")
    assert server.process.wait(60) == 0


def test_a_server_for_other_machines_needs_a_token_first(serve: Serve, cli: Any) -> None:
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0", status=4)
    secret = cli("token", "create", "--name", "me", "--role", "write").stdout.strip()

    server = serve("--host", "0.0.0.0")

    assert "tunesmith token create" in refused.stderr
    assert server.ask("GET", "/api/v1/whoami")[0] == 401
    assert server.ask("GET", "/api/v1/whoami", token=secret)[1]["role"] == "write"


@pytest.mark.parametrize(
    "option",
    [("--trusted-proxy", "127.0.0.1"), ("--allowed-host", "a.example"), ("--base-path", "/t")],
    ids=lambda option: str(option[0]),
)
def test_a_server_behind_a_proxy_needs_a_token_first(cli: Any, option: tuple[str, str]) -> None:
    refused = cli("serve", "--port", "0", *option, status=4)

    assert "tunesmith token create" in refused.stderr


def test_a_port_that_is_taken_is_named(serve: Serve, cli: Any) -> None:
    port = serve().url.rpartition(":")[2]

    refused = cli("serve", "--port", port, status=4)

    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr


def test_tokens_are_made_listed_and_revoked_in_the_database_and_over_http(
    serve: Serve, cli: Any
) -> None:
    admin = cli("token", "create", "--name", "chief", "--role", "admin").stdout.strip()
    server = serve()
    cli.environment["TUNESMITH_TOKEN"] = admin
    there = ("--storage", server.url)

    made = json.loads(
        cli("token", "create", "--name", "ci", "--role", "worker", "--expires", "90d", "--json", *there).stdout
    )  # fmt: skip
    listed = json.loads(cli("token", "ls", "--json", *there).stdout)["tokens"]
    works = server.ask("GET", "/api/v1/whoami", token=made["secret"])[0]
    cli("token", "revoke", made["id"], *there)
    dead = server.ask("GET", "/api/v1/whoami", token=made["secret"])[0]
    here = cli("token", "ls").stdout

    assert [token["name"] for token in listed] == ["chief", "ci"]
    assert made["expires"] is not None
    assert (works, dead) == (200, 401)
    assert "revoked" in here
    assert admin not in here


def test_no_token_stands_in_the_log(serve: Serve, cli: Any) -> None:
    secret = cli("token", "create", "--name", "me").stdout.strip()
    server = serve("--log-format", "json")

    server.ask("GET", "/api/v1/whoami", token=secret)
    server.ask("POST", "/api/v1/login", {"token": secret})
    server.ask("GET", "/api/v1/whoami", token="ts_0123456789ab_wrong")
    server.end()
    log = server.process.communicate()[1]

    assert '"status": 401' in log
    assert secret.split("_", 2)[2] not in log
    assert "wrong" not in log


def test_a_server_stands_before_a_database_and_no_other_server(cli: Any) -> None:
    refused = cli("serve", "--storage", "http://127.0.0.1:1", status=4)

    assert "database" in refused.stderr
    assert not (Path(cli.folder) / ".tunesmith").exists()
