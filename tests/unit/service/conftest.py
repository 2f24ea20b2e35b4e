"""A real server in a thread of the test's process, and clients that talk to it over sockets."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tunesmith.service.app import make_app
from tunesmith.service.run import Running
from tunesmith.service.settings import Settings
from tunesmith.storage import ServedStorage
from tunesmith.storage.sql import SqlStorage


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The error's document; fails where there is none."""
        return self.json()["error"]


class Client:
    """Talks to one server with one token, or none."""

    def __init__(self, url: str, secret: str = "", **headers: str) -> None:
        self.url = url
        self.headers = {**headers} | ({"Authorization": f"Bearer {secret}"} if secret else {})
        self._pool = urllib3.PoolManager(retries=False, timeout=60.0)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Make a request; names of headers have ``_`` for ``-``; ``path`` is below /api/v1 unless it begins with //."""
        head = self.headers | {name.replace("_", "-"): text for name, text in headers.items()}
        if body is not None:
            raw = json.dumps(body).encode()
            head.setdefault("Content-Type", "application/json")
        place = path[1:] if path.startswith("//") else f"/api/v1{path}"
        response = self._pool.request(method, self.url + place, body=raw, headers=head)
        return Answer(response.status, response.headers, response.data)

    def get(self, path: str, **headers: str) -> Answer:
        return self("GET", path, raw=None, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self("POST", path, {} if body is None else body, raw=None, **headers)

    def status(self, method: str, path: str, body: object = None) -> int:
        """Make a request to a whole path, and read no more than the head of its answer; bytes go as they are."""
        raw = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        head = self.headers | ({"Content-Type": kind} if raw is not None else {})
        response = self._pool.request(
            method, self.url + path, body=raw, headers=head, preload_content=False
        )
        response.close()
        return response.status

    def close(self) -> None:
        self._pool.clear()


Serve = Callable[..., Client]


@pytest.fixture(scope="session")
def connect() -> Iterator[Callable[..., Client]]:
    """Makes clients: ``connect(url, secret)``."""
    with ExitStack() as stack:

        def make(url: str, secret: str = "", **headers: str) -> Client:
            client = Client(url, secret, **headers)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[ServedStorage]:
    """The server's own storage, with one study ``s`` of the project ``default``."""
    storage = SqlStorage(f"sqlite:///{tmp_path / 'served.db'}")
    yield storage
    storage.close()


@pytest.fixture
def serve(storage: ServedStorage, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers; returns a client of each. Arguments are those of `Settings`."""
    with ExitStack() as stack:

        def start(**changed: Any) -> Client:
            settings = replace(Settings(port=0, data=tmp_path / "server"), **changed)
            running = stack.enter_context(Running(make_app(storage, settings), settings))
            client = Client(running.url)
            stack.callback(client.close)
            return client

        yield start


@pytest.fixture
def client(serve: Serve) -> Client:
    """A client of a server on loopback that has no tokens: it may do everything in ``default``."""
    return serve()


@pytest.fixture
def secret(storage: ServedStorage) -> Callable[..., str]:
    """Makes tokens: ``secret("worker")``, ``secret("read", "other")``; returns their secrets."""

    def make(role: Any, project: str = "default", **settings: Any) -> str:
        return storage.tokens.create(f"{role} of {project}", role, project, **settings)[1]

    return make
