"""The image and the compose file: that what they copy is there, and that what they start starts."""

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

Until = Callable[..., None]

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, their lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def argument(name: str) -> str:
    """Return what the last instruction of a name says."""
    return [rest for each, rest in instructions() if each == name][-1]


def is_ignored(path: str) -> bool:
    """Whether `.dockerignore` keeps a file of the root from the builder; its last line that fits counts."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if (
            line
            and not line.startswith("#")
            and fnmatch(path, line.removeprefix("!").lstrip("*/") or "*")
        ):
            ignored = not line.startswith("!")
    return ignored


@pytest.fixture
def compose() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


def test_all_that_the_image_is_made_of_is_there_and_goes_to_the_builder() -> None:
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]

    assert {"pyproject.toml", "README.md", "LICENSE", "src"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if is_ignored(source)] == []
    assert is_ignored(".git")
    assert is_ignored(".venv")
    assert is_ignored(".env")


def test_the_image_is_pinned_and_runs_without_privileges() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]

    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases)
    assert argument("USER") == "tunesmith"
    assert argument("VOLUME") == "/data"


def test_what_the_image_starts_serves_and_is_found_healthy(
    cli: Any, until: Until, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = [*json.loads(argument("ENTRYPOINT")), *json.loads(argument("CMD"))]
    check = argument("HEALTHCHECK").partition("CMD ")[2]
    moved = [word.replace("8765", port).replace("/data", str(tmp_path / "data")) for word in words]
    cli.environment["TUNESMITH_STORAGE"] = f"sqlite:///{tmp_path / 'served.db'}"

    refused = cli(*moved[1:], status=None)
    cli("token", "create", "--name", "me", "--role", "admin")
    server = cli.start(*moved[1:])
    until(lambda: _answers(port))
    healthy = subprocess.run(
        [sys.executable, *json.loads(check)[1:-1], json.loads(check)[-1].replace("8765", port)],
        timeout=30,
        check=False,
    )
    server.terminate()
    _, log = server.communicate()

    assert words[0] == "tunesmith"
    assert refused.returncode != 0
    assert "token" in refused.stderr
    assert healthy.returncode == 0
    assert server.returncode == 0
    assert [line for line in log.splitlines() if line.startswith("{") and "Shutting down" in line]


def test_the_compose_file_starts_the_server_when_the_database_is_there(
    compose: dict[str, Any], cli: Any
) -> None:
    server, database = compose["services"]["server"], compose["services"]["database"]
    words = shlex.split(" ".join(server["command"]).replace("${TUNESMITH_HOST:-localhost}", "x"))

    helped = cli(*words, "--help")

    assert helped.returncode == 0
    assert server["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "pg_isready" in database["healthcheck"]["test"][1]
    assert database["image"].startswith("postgres:")
    assert server["environment"]["TUNESMITH_STORAGE"].endswith("@database/tunesmith")
    assert server["build"] == "."


def test_the_compose_file_keeps_data_and_tells_no_secret(compose: dict[str, Any]) -> None:
    services = compose["services"]
    kept = {volume.partition(":")[0] for each in services.values() for volume in each["volumes"]}

    assert kept == set(compose["volumes"])
    assert services["server"]["volumes"] == [f"data:{argument('VOLUME')}"]
    assert [port for port in services["server"]["ports"] if not port.startswith("127.0.0.1:")] == []
    assert "ports" not in services["database"]
    assert services["server"]["cap_drop"] == ["ALL"]
    assert services["server"]["read_only"] is True
    assert services["database"]["environment"]["POSTGRES_PASSWORD"].startswith(
        "${POSTGRES_PASSWORD:?"
    )


def _answers(port: str) -> bool:
    try:
        return (
            urllib3.request("GET", f"http://127.0.0.1:{port}/healthz", retries=False).status == 200
        )
    except urllib3.exceptions.HTTPError:
        return False
