"""The API's own description: complete, true, and nothing it allows makes the server fail."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tunesmith.model import Measurement, Objective, StudySpec, Suggestion, TrialState
from tunesmith.service.app import make_app, routers
from tunesmith.service.openapi import operations
from tunesmith.service.run import Running
from tunesmith.service.settings import Settings
from tunesmith.space import Double, Space
from tunesmith.storage import Claim
from tunesmith.storage.sql import SqlStorage

_EXAMPLES = 8
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_SPEC = StudySpec(Space({"x": Double(0, 1)}), (Objective("loss", "minimize"),))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqlStorage, str]]:
    folder = tmp_path_factory.mktemp("served")
    storage = SqlStorage(f"sqlite:///{folder / 'served.db'}")
    settings = Settings(port=0, data=folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        # Nobody gives a turn back here.
        patch.setattr("tunesmith.service.routes.verbs._LONGEST_WAIT_S", 0.1)
        with Running(make_app(storage, settings), settings) as running:
            yield storage, running.url
    storage.close()


@pytest.fixture(scope="module")
def api(served: tuple[SqlStorage, str]) -> Any:
    return schemathesis.openapi.from_url(f"{served[1]}/api/v1/openapi.json")


@pytest.fixture(scope="module")
def secret_of_all(served: tuple[SqlStorage, str]) -> str:
    """The secret of a token that may do everything."""
    return served[0].tokens.create("all", "admin", "default")[1]


@pytest.fixture(autouse=True)
def _study(served: tuple[SqlStorage, str]) -> None:
    """There is a study with a trial in each of several states."""
    storage, _ = served
    if "s" in storage.study_names():
        storage.delete_study("s")
    storage.create_study("s", _SPEC)
    points = [Suggestion({"x": i / 4}) for i in range(3)]
    storage.add_trials("s", points, after=0, claim=Claim("w"))
    storage.report("s", 1, 1, [Measurement(1, {"loss": 0.5})])
    storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 0.5})
    storage.pause("s", 2, 1, "so", metrics={})


# Streams do not end, and who makes tokens or logs out is not let in again.
_TRIED = [
    (method, path)
    for method, path, _ in operations(routers())
    if not path.endswith(("/events", "/logout", "/tokens"))
]


@pytest.mark.parametrize(("method", "path"), _TRIED)
def test_nothing_that_the_description_allows_makes_the_server_fail(
    api: Any, secret_of_all: str, method: str, path: str
) -> None:
    @seed(5)
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(api[path][method].as_strategy())
    def ask(case: Any) -> None:
        parameters = case.path_parameters
        if len(str(parameters.get("study", ""))) % 4:  # mostly a study that is there
            parameters["study"] = "s"
        if parameters.get("number", 0) % 4:
            parameters["number"] = 1 + parameters["number"] % 4
        case.headers.pop("Tunesmith-Project", None)
        case.headers["Authorization"] = f"Bearer {secret_of_all}"
        case.cookies.clear()

        response = case.call(timeout=30)

        assert path.endswith("/login") or response.status_code not in (401, 403, 429)

        case.validate_response(response, checks=_CHECKS)

    ask()


def test_every_route_is_described_in_words_with_its_faults_and_its_role(client: Any) -> None:
    document = client.get("/openapi.json").json()

    described = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for method, path, role in operations(routers()):
        operation = described[method, path]
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        assert "422" in operation["responses"]
        assert ("403" in operation["responses"]) == (role is not None)
        assert bool(operation["security"]) == (role is not None)
        assert role is None or f"Role: {role}." in operation["description"]


def test_every_changing_route_may_be_given_a_key(client: Any) -> None:
    document = client.get("/openapi.json").json()

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = {parameter["name"] for parameter in operation.get("parameters", [])}
            changes = method in ("post", "put", "patch", "delete")
            assert ("Idempotency-Key" in names) == (changes and bool(operation["security"])), path
