"""A server behind caddy and nginx, with TLS and under a base path, by the files that the docs show."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3

from tunesmith.storage.address import Address
from tunesmith.storage.http_client import HttpClient
from tunesmith.storage.manifest import StoredFile
from tunesmith.storage.remote_files import RemoteFiles

Until = Callable[..., None]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-a-server.md"
WHERE = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
# Where everything is to be tested, one that is missing is an error; elsewhere there are fewer tests.
PROXIES = [
    name
    for name in ("caddy", "nginx")
    if os.environ.get("TUNESMITH_TEST_ALL") or shutil.which(name, path=WHERE)
]
TUNE = """\
study: s
minimize: y
max_trials: 1
parameters:
  x: {type: double, min: 0, max: 1}
command: sh train.sh
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def shown(name: str) -> str:
    """Return the file that the docs show under a name."""
    match = re.search(
        rf"<!-- file: {re.escape(name)} -->\n```text\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert match is not None, name
    return match[1]


class Proxied:
    """A server, a proxy before it, and what a client needs to reach it."""

    def __init__(self, folder: Path, until: Until) -> None:
        self.folder = folder
        self.until = until
        self.server_port, self.port = free_port(), free_port()
        self.url = f"https://localhost:{self.port}/tunesmith"
        self.authority = folder / "authority.pem"
        self.secret = ""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(str(folder / "own.key"))
        for part in certificate.cert_chain_pems:
            part.write_to_path(str(folder / "own.pem"), append=True)
        self.pool = urllib3.PoolManager(ca_certs=str(self.authority), retries=False, timeout=30.0)

    def adapted(self, text: str) -> str:
        """Return a file of the docs with this test's names and ports."""
        return (
            text.replace("/etc/ssl/tune.example.org", str(self.folder / "own"))
            .replace("127.0.0.1:8765", f"127.0.0.1:{self.server_port}")
            .replace("listen 443", f"listen 127.0.0.1:{self.port}")
            .replace("server_name tune.example.org", "server_name localhost")
            .replace("tune.example.org {", f"localhost:{self.port} {{")
        )

    def command(self, name: str) -> list[str]:
        """Write the proxy's file; return the words that start it."""
        program = shutil.which(name, path=WHERE)
        assert program is not None, f"{name} is not installed"
        if name == "caddy":
            head = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
            (self.folder / "Caddyfile").write_text(head + self.adapted(shown("Caddyfile")))
            return [program, "run", "--config", str(self.folder / "Caddyfile")]
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {self.folder / kind};\n" for kind in kinds)
        main = f"daemon off;\npid {self.folder / 'pid'};\nerror_log stderr;\nevents {{}}\n"
        http = f"http {{\naccess_log off;\n{paths}{self.adapted(shown('tunesmith.conf'))}}}\n"
        (self.folder / "nginx.conf").write_text(main + http)
        return [program, "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder)]

    def request(self, method: str, path: str, **given: Any) -> urllib3.BaseHTTPResponse:
        return self.pool.request(method, f"{self.url}{path}", **given)

    def is_ready(self, url: str = "") -> bool:
        """Whether the server answers, through the proxy or at another URL."""
        try:
            return self.pool.request("GET", f"{url or self.url}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    @property
    def token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


@pytest.fixture(params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, cli: Any, tmp_path: Path, until: Until
) -> Iterator[Proxied]:
    folder = tmp_path / "proxy"
    folder.mkdir()
    proxied = Proxied(folder, until)
    storage = f"sqlite:///{tmp_path / 'served.db'}"
    proxied.secret = cli.json(
        "token", "create", "--name", "me", "--role", "admin", "--storage", storage
    )["secret"]
    cli.start(
        "serve", "--storage", storage, "--port", str(proxied.server_port), "--base-path", "/tunesmith",
        "--allowed-host", "localhost", "--trusted-proxy", "127.0.0.1", stdout=None, stderr=None,
    )  # fmt: skip
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    until(lambda: proxied.is_ready(f"http://127.0.0.1:{proxied.server_port}/tunesmith"))
    with subprocess.Popen(proxied.command(request.param), env=environment) as process:
        until(proxied.is_ready)
        yield proxied
        proxied.pool.clear()
        process.terminate()


def test_a_server_behind_a_proxy_is_used_as_if_it_were_there(
    proxied: Proxied, cli: Any, until: Until, tmp_path: Path
) -> None:
    # One server for all, since each takes seconds to start.
    a_browser_logs_in_and_its_cookie_goes_by_https_only(proxied)
    the_command_line_tunes_by_a_certificate_of_ones_own(proxied, cli)
    pages_of_other_sites_can_do_nothing(proxied)
    events_pass_when_they_happen(proxied)
    files_go_through_in_pieces(proxied, tmp_path)


def a_browser_logs_in_and_its_cookie_goes_by_https_only(proxied: Proxied) -> None:
    answer = proxied.request(
        "POST", "/api/v1/login", json={"token": proxied.secret}, headers={"Origin": origin(proxied)}
    )

    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 204
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/tunesmith"} <= set(cookie.split("; "))
    who = proxied.request("GET", "/api/v1/whoami", headers={"Cookie": cookie.partition(";")[0]})
    assert who.json()["role"] == "admin"
    assert "Strict-Transport-Security" in who.headers


def the_command_line_tunes_by_a_certificate_of_ones_own(proxied: Proxied, cli: Any) -> None:
    cli.write("tune.yaml", TUNE)
    cli.write("train.sh", "echo y=1\n")
    cli.environment["TUNESMITH_TOKEN"] = proxied.secret

    refused = cli("ls", "--storage", proxied.url, status=4)
    cli.environment["SSL_CERT_FILE"] = str(proxied.authority)
    cli("run", "tune.yaml", "--storage", proxied.url)
    listed = cli("ls", "--storage", proxied.url)

    assert "SSL_CERT_FILE" in refused.stderr
    assert "finished" in listed.stdout
    assert cli("logs", "s/1", "--storage", proxied.url).stdout == "y=1\n"


def pages_of_other_sites_can_do_nothing(proxied: Proxied) -> None:
    answer = proxied.request("POST", "/api/v1/login", json={"token": proxied.secret})
    cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    own, foreign = {"Origin": origin(proxied)}, {"Origin": "https://foreign.example"}

    statuses = [
        proxied.request("POST", "/api/v1/logout", headers={**cookie, **site}).status
        for site in (foreign, {"Origin": origin(proxied).replace("https", "http")}, own)
    ]
    elsewhere = proxied.request("GET", "/readyz", headers={"Host": "foreign.example"})

    assert statuses == [403, 403, 204]
    # nginx leaves it to the server; caddy knows its names, and has nothing to say to others.
    assert elsewhere.status == 421 or elsewhere.data == b""


def events_pass_when_they_happen(proxied: Proxied) -> None:
    stream = proxied.request(
        "GET", "/api/v1/studies/s/events", headers=proxied.token, preload_content=False
    )
    lines = iter(stream)
    first = next(line for line in lines if line.startswith(b"id:"))

    changed = proxied.request(
        "POST", "/api/v1/studies/s/touch", json={"command": "another"}, headers=proxied.token
    )
    told = next(line for line in lines if line.startswith(b"id:"))

    assert changed.status == 204
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert int(told.split(b":")[1]) > int(first.split(b":")[1])
    stream.close()


def files_go_through_in_pieces(proxied: Proxied, folder: Path) -> None:
    data = os.urandom(9 * 2**20)
    file = StoredFile(hashlib.sha256(data).hexdigest(), len(data))
    (folder / "there").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(proxied.authority))
        patch.setenv("TUNESMITH_TOKEN", proxied.secret)
        client = HttpClient(Address.parse(proxied.url))
        remote = RemoteFiles(client)
        remote.send(folder / "there", file)
        remote.fetch(file, folder / "back")
        client.close()

    assert (folder / "back").read_bytes() == data
    whole = proxied.request(
        "PUT", f"/api/v1/blobs/{hashlib.sha256(b'x').hexdigest()}", body=b"x", headers=proxied.token
    )
    assert whole.status == 201


def origin(proxied: Proxied) -> str:
    return f"https://localhost:{proxied.port}"
