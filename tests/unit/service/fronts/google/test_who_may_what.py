"""Every route of the front, the role it needs, and what a token of another project gets of it: one table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tunesmith.model import Suggestion
from tunesmith.service.app import make_app
from tunesmith.service.fronts.google.mounting import routers
from tunesmith.service.openapi import operations
from tunesmith.service.roles import ROLES
from tunesmith.service.run import Running
from tunesmith.service.settings import Limits, Settings
from tunesmith.storage import Claim
from tunesmith.storage.sql import SqlStorage

PROJECT = "/projects/{project}"
PLACE = PROJECT + "/locations/{location}"
STUDY = PLACE + "/studies/{id}"
TRIAL = STUDY + "/trials/{number}"
JOB = PROJECT + "/jobs"

SEARCH = {
    "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
    "parameters": [{"parameterId": "x", "doubleValueSpec": {"maxValue": 1}}],
}
NEW_STUDY: Any = {"displayName": "s", "studySpec": SEARCH}
ASK: Any = {"clientId": "me", "suggestionCount": 1}
POINT: Any = {"parameters": [{"parameterId": "x", "value": 0.5}]}
MEASURED: Any = {"metrics": [{"metricId": "loss", "value": 0.5}]}
ENTRIES: Any = {"resourceNames": ["projects/p"], "filter": 'resource.labels.job_id="1"'}

# Method, path, the role that it needs, what an admin of another project gets, and a body.
Row = tuple[str, str, str, int, Any]

KINDS = [PLACE + "/hyperparameterTuningJobs", PLACE + "/customJobs"]
PLACES = [PLACE, STUDY, TRIAL]
OPERATION = "/operations/{operation}"


def each(paths: list[str], row: Row) -> list[Row]:
    """Return a row for each path, before what stands in ``row``."""
    method, verb, *rest = row
    return [(method, path + verb, *rest) for path in paths]


POLITE: list[Row] = [
    *each(PLACES, ("GET", OPERATION, "read", 404, None)),
    *each(PLACES, ("POST", OPERATION + ":wait", "read", 404, {})),
    *each(PLACES, ("POST", OPERATION + ":cancel", "worker", 404, {})),
    *each(PLACES, ("DELETE", OPERATION, "worker", 404, None)),
    *each([PROJECT, *PLACES], ("GET", "/operations", "read", 200, None)),
    *each([kind + "/{id}" for kind in KINDS], ("GET", "/operations", "read", 200, None)),
    *each([PLACE, PROJECT + "/locations"], ("GET", "", "read", 200, None)),
]
VERTEX: list[Row] = [
    *POLITE,
    *each(KINDS, ("POST", "", "write", 400, {})),
    *each(KINDS, ("GET", "", "read", 200, None)),
    *each(KINDS, ("GET", "/{id}", "read", 404, None)),
    *each(KINDS, ("DELETE", "/{id}", "write", 404, None)),
    *each(KINDS, ("POST", "/{id}:cancel", "write", 404, {})),
    ("POST", PLACE + "/studies", "write", 200, NEW_STUDY),
    ("GET", PLACE + "/studies", "read", 200, None),
    ("POST", PLACE + "/studies:lookup", "read", 404, {"displayName": "none"}),
    ("GET", STUDY, "read", 404, None),
    ("DELETE", STUDY, "write", 404, None),
    ("POST", STUDY + "/trials:suggest", "worker", 404, ASK),
    ("GET", STUDY + "/trials", "read", 404, None),
    ("POST", STUDY + "/trials", "worker", 404, POINT),
    ("POST", STUDY + "/trials:listOptimalTrials", "read", 404, {}),
    ("GET", TRIAL, "read", 404, None),
    ("DELETE", TRIAL, "write", 404, None),
    ("POST", TRIAL + ":addTrialMeasurement", "worker", 404, {"measurement": MEASURED}),
    ("POST", TRIAL + ":addMeasurement", "worker", 404, {"measurement": MEASURED}),
    ("POST", TRIAL + ":checkTrialEarlyStoppingState", "worker", 404, {}),
    ("POST", TRIAL + ":checkEarlyStoppingState", "worker", 404, {}),
    ("POST", TRIAL + ":complete", "worker", 404, {"finalMeasurement": MEASURED}),
    ("POST", TRIAL + ":stop", "worker", 404, {}),
]
TABLE: list[Row] = [
    *((method, f"/v1{path}", *rest) for method, path, *rest in VERTEX),
    *((method, f"/v1beta1{path}", *rest) for method, path, *rest in VERTEX),
    *((method, f"/ui{path}", *rest) for method, path, *rest in POLITE),
    ("POST", "/v1" + JOB, "write", 400, {}),
    ("GET", "/v1" + JOB, "read", 200, None),
    ("GET", "/v1" + JOB + "/{id}", "read", 404, None),
    ("PATCH", "/v1" + JOB + "/{id}", "write", 404, {}),
    ("POST", "/v1" + JOB + "/{id}:cancel", "write", 404, {}),
    ("POST", "/v2/entries:list", "read", 200, ENTRIES),
    ("GET", "/v2/projects/{project}/logs/{id}", "read", 404, None),
    ("GET", "/v1/projects/{project}", "read", 200, None),
    ("GET", "/v3/projects/{project}", "read", 200, None),
]


@dataclass(frozen=True, slots=True)
class House:
    """A server with a study of Vizier's in the project ``default``, and a client for each token."""

    storage: SqlStorage
    clients: dict[str, Any]
    study: str

    def ask(self, who: str, method: str, path: str, body: Any) -> int:
        place = path.format(project="p", location="l", id=self.study, number=1, operation="s-1")
        return int(self.clients[who].status(method, place, body))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, connect: Callable[..., Any]) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    storage = SqlStorage(f"sqlite:///{folder / 'served.db'}")
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
        made = clients["write"]("POST", "//v1/projects/p/locations/l/studies", NEW_STUDY).json()
        storage.add_trials("s", [Suggestion({"x": 0.5})], after=0, claim=Claim("w"))
        yield House(storage, clients, made["name"].rpartition("/")[2])
    storage.close()


def test_the_table_has_every_route_and_the_role_that_it_needs() -> None:
    offered = {(method, path): role for method, path, role in operations(routers())}

    assert offered == {(method, path): role for method, path, role, *_ in TABLE}


def test_only_who_has_the_role_may_and_another_project_sees_nothing(house: House) -> None:
    before = house.storage.changes("s", -1)

    elsewhere = {
        (method, path): house.ask("foreign", method, path, body)
        for method, path, _, _, body in TABLE
    }
    outside = {
        (who, method, path): house.ask(who, method, path, body)
        for method, path, _, _, body in TABLE
        for who in ("nobody", "stranger")
    }
    too_low = {
        (who, method, path): house.ask(who, method, path, body)
        for method, path, role, _, body in TABLE
        for who in ROLES[: ROLES.index(role)]
    }
    untouched = house.storage.changes("s", -1)
    allowed = {
        (method, path): house.ask(role, method, path, body)
        for method, path, role, _, body in TABLE
        if method != "DELETE"
    }

    assert elsewhere == {(method, path): status for method, path, _, status, _ in TABLE}
    assert set(outside.values()) == {401}
    assert set(too_low.values()) == {403}
    assert untouched.record == before.record
    assert [key for key, status in allowed.items() if status in (401, 403, 500, 503)] == []
