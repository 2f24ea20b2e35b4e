"""Every route, the role it needs, and what a token of another project gets of it: one table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tunesmith.model import Objective, StudyRecord, StudySpec, Suggestion
from tunesmith.service.app import make_app, routers
from tunesmith.service.openapi import operations
from tunesmith.service.roles import ROLES
from tunesmith.service.run import Running
from tunesmith.service.settings import Limits, Settings
from tunesmith.space import Double, Space
from tunesmith.storage import Changes, Claim
from tunesmith.storage.sql import SqlStorage
from tunesmith.storage.wire import changes_document

S = "/api/v1/studies/{study}"
T = S + "/trials/{number}"
SPEC = StudySpec(Space({"x": Double(0, 1)}), (Objective("loss", "minimize"),))
NATIVE = {"minimize": "loss", "parameters": {"x": {"type": "double", "min": 0, "max": 1}}}
WHOLE: Any = changes_document(Changes(StudyRecord("s", SPEC), ()))
HASH = "0" * 64
WHY: Any = {"reason": "so"}
HELD: Any = {"attempt": 1}

# Method, path, the role that it needs, what an admin of another project gets, and a sound body.
# (A turn to think may be had for any name: it says nothing of whether there is such a study.)
TABLE: list[tuple[str, str, str | None, int, Any]] = [
    ("GET", "/healthz", None, 200, None),
    ("GET", "/readyz", None, 200, None),
    ("GET", "/metrics", "read", 200, None),
    ("GET", "/api/v1/whoami", "read", 200, None),
    ("POST", "/api/v1/login", None, 401, {"token": "ts_wrong"}),
    ("POST", "/api/v1/logout", "read", 204, {}),
    ("GET", "/api/v1/tokens", "admin", 200, None),
    ("POST", "/api/v1/tokens", "admin", 201, {"name": "n", "role": "read"}),
    ("DELETE", "/api/v1/tokens/{id}", "admin", 404, None),
    ("GET", "/api/v1/studies", "read", 200, None),
    ("POST", "/api/v1/studies", "write", 200, {"name": "other", "spec": SPEC.to_json()}),
    ("GET", "/api/v1/events", "read", 200, None),
    ("PUT", "/api/v1/studies/{study}", "write", 201, NATIVE),
    ("POST", S + "/import", "write", 204, WHOLE),
    ("GET", S, "read", 404, None),
    ("GET", S + "/summary", "read", 404, None),
    ("DELETE", S, "write", 404, None),
    ("PATCH", S, "write", 404, {"max_trials": 9}),
    ("POST", S + "/state", "worker", 404, {"state": "finished"}),
    ("POST", S + "/touch", "worker", 404, {}),
    ("POST", S + "/asking/{turn}", "worker", 200, {}),
    ("DELETE", S + "/asking/{turn}", "worker", 204, None),
    ("POST", S + "/claim", "worker", 404, {"worker": "w"}),
    ("POST", S + "/renew", "worker", 404, {"worker": "w"}),
    ("GET", S + "/changes", "read", 404, None),
    ("GET", S + "/trials", "read", 404, None),
    ("POST", S + "/trials", "worker", 404, {"suggestions": [{"values": {"x": 0.5}}], "after": 1}),
    ("GET", T, "read", 404, None),
    ("GET", T + "/measurements", "read", 404, None),
    ("GET", T + "/measured", "read", 404, None),
    ("POST", T + "/measurements", "worker", 404, HELD | {"measurements": []}),
    ("POST", T + "/finish", "worker", 404, HELD | {"state": "failed", "metrics": {}}),
    ("POST", T + "/hold", "worker", 404, HELD | WHY | {"metrics": {}}),
    ("POST", T + "/release", "worker", 404, {}),
    ("POST", T + "/extend", "worker", 404, HELD | {"budget": 9}),
    ("POST", T + "/requeue", "worker", 404, HELD | WHY),
    ("POST", T + "/retry", "write", 404, {}),
    ("POST", T + "/request-stop", "write", 404, WHY),
    ("POST", T + "/request-pause", "write", 404, WHY),
    ("POST", S + "/suggest", "worker", 404, {"worker": "w"}),
    ("POST", T + "/report", "worker", 404, HELD | {"step": 1, "metrics": {"loss": 1}}),
    ("POST", T + "/complete", "worker", 404, HELD | {"metrics": {"loss": 1}}),
    ("POST", S + "/enqueue", "write", 404, {"values": {"x": 0.25}}),
    ("POST", S + "/pause", "write", 404, {}),
    ("POST", S + "/resume", "write", 404, {}),
    ("POST", S + "/stop", "write", 404, {}),
    ("POST", S + "/budget", "write", 404, {"max_trials": 9}),
    ("POST", T + "/stop", "write", 404, {}),
    ("POST", T + "/pause", "write", 404, {}),
    ("POST", T + "/resume", "write", 404, {}),
    ("POST", T + "/again", "write", 404, {}),
    ("POST", T + "/continue", "write", 404, {"steps": 9}),
    ("GET", S + "/columns", "read", 404, None),
    ("GET", S + "/curves", "read", 404, None),
    ("GET", S + "/best", "read", 404, None),
    ("GET", S + "/front", "read", 404, None),
    ("GET", S + "/importance", "read", 404, None),
    ("GET", S + "/outlook", "read", 404, None),
    ("GET", S + "/events", "read", 404, None),
    ("GET", "/api/v1/blobs/{digest}", "read", 404, None),
    ("PUT", "/api/v1/blobs/{digest}", "worker", 422, b"not of this hash"),
    ("GET", T + "/files", "read", 404, None),
    ("PUT", T + "/files", "worker", 404, HELD | {"files": []}),
    ("DELETE", T + "/files", "worker", 404, None),
    ("GET", T + "/files/{path}", "read", 404, None),
    ("PUT", T + "/files/{path}", "worker", 200, HELD | {"sha256": HASH, "size": 1}),
    ("DELETE", T + "/files/{path}", "worker", 404, None),
    ("GET", T + "/logs/{stream}", "read", 404, None),
    ("POST", T + "/logs/{stream}?attempt=1&offset=0", "worker", 404, b"a line"),
    ("POST", "/api/v1/jobs", "write", 409, {"study": "s", "file": "f", "code": {"sha256": HASH, "size": 1}}),
    ("GET", "/api/v1/jobs", "read", 200, None),
    ("GET", "/api/v1/jobs/{job}", "read", 404, None),
    ("POST", "/api/v1/jobs/{job}/stop", "write", 404, WHY),
    ("GET", "/api/v1/jobs/{job}/logs/{stream}", "read", 404, None),
    ("GET", "/api/v1/origins", "read", 200, None),
    ("GET", "/api/v1/origins/{study}", "read", 404, None),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class House:
    """A server with a study ``s`` in the project ``default``, and a client for each token."""

    storage: SqlStorage
    clients: dict[str, Any]
    token: str

    def ask(self, who: str, method: str, path: str, body: Any) -> int:
        place = path.format(
            study="s", number=1, digest=HASH, path="a.txt", stream="stdout", job="j", id=self.token,
            turn="turn-0001",
        )  # fmt: skip
        return int(self.clients[who].status(method, place, body))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    storage = SqlStorage(f"sqlite:///{folder / 'served.db'}")
    token, _ = storage.tokens.create("somebody's", "read", "default")
    secrets: dict[str, str] = {
        role: storage.tokens.create(role, role, "default")[1] for role in ROLES
    }
    secrets["foreign"] = storage.tokens.create("foreign", "admin", "other")[1]
    limits = Limits(attempts_per_minute=10_000)
    settings = Settings(port=0, data=folder / "data", limits=limits)
    with Running(make_app(storage, settings), settings) as running:
        clients = {who: connect(running.url, secret) for who, secret in secrets.items()}
        clients["nobody"] = connect(running.url)
        clients["stranger"] = connect(running.url, "ts_0123456789ab_wrong")
        yield House(storage, clients, token.id)
    storage.close()


@pytest.fixture(autouse=True)
def _study(house: House) -> None:
    """There is a study with one running trial, whatever the last test did to it."""
    for storage in (house.storage, house.storage.in_project("other")):
        for name in storage.study_names():
            storage.delete_study(name)
    house.storage.create_study("s", SPEC)
    house.storage.add_trials("s", [Suggestion({"x": 0.5})], after=0, claim=Claim("w"))


def test_the_table_has_every_route_and_the_role_that_it_needs() -> None:
    offered = {
        (method, path.replace(":path", "")): role for method, path, role in operations(routers())
    }

    table = {(method, path.partition("?")[0]): role for method, path, role, *_ in TABLE}

    assert offered == table


@pytest.mark.parametrize(("method", "path", "role", "foreign", "body"), TABLE)
def test_only_who_has_the_role_may_and_another_project_sees_nothing(
    *, house: House, method: str, path: str, role: Any, foreign: int, body: Any
) -> None:
    before = house.storage.changes("s", -1)

    elsewhere = house.ask("foreign", method, path, body)
    untouched = house.storage.changes("s", -1)
    nobody = house.ask("nobody", method, path, body)
    stranger = house.ask("stranger", method, path, body)
    by_role = {who: house.ask(who, method, path, body) for who in ROLES}

    assert elsewhere == foreign
    assert untouched.record == before.record
    if role is None:
        assert nobody == foreign
        return
    assert (nobody, stranger) == (401, 401)
    for who in ROLES:
        allowed = ROLES.index(who) >= ROLES.index(role)
        assert (by_role[who] != 403) == allowed, (who, by_role[who])
        assert by_role[who] not in (401, 500)
