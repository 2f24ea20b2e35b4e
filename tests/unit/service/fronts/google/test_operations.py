"""Operations, places and projects: what clients ask beside jobs and studies."""

from typing import Any

import pytest

from tunesmith.storage import ServedStorage

Google = Any
STUDY: dict[str, Any] = {
    "displayName": "s",
    "studySpec": {
        "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
        "parameters": [{"parameterId": "x", "doubleValueSpec": {"maxValue": 1}}],
    },
}


@pytest.fixture
def operations(idle: Google) -> list[dict[str, Any]]:
    """An operation of each kind."""
    study = idle("POST", "/studies", STUDY)["name"]
    ask = {"clientId": "me", "suggestionCount": 1}
    suggested = idle("POST", f"{study}/trials:suggest", ask)
    trial = suggested["response"]["trials"][0]["name"]
    return [suggested, idle("POST", f"{trial}:checkTrialEarlyStoppingState", {})]


def test_an_operation_is_the_same_however_it_is_asked_for(
    idle: Google, operations: list[dict[str, Any]]
) -> None:
    for operation in operations:
        name = operation["name"]
        answers = [
            idle("GET", name),
            idle("POST", f"{name}:wait", {"timeout": "10s"}),
            idle("GET", f"//ui/{name}"),
            idle("GET", f"//v1/{name}"),
            idle("GET", f"//v1beta1/{name}"),
        ]

        assert answers == [operation] * 5
        assert idle("GET", name.rpartition("/")[0]) == {}
        assert idle("POST", f"{name}:cancel", {}) == {}
        assert idle("DELETE", name) == {}
        assert idle("GET", name) == operation


def test_operations_are_in_the_words_of_the_version_that_was_asked(
    idle: Google, operations: list[dict[str, Any]]
) -> None:
    words = [
        ("SuggestTrialsResponse", "SuggestTrialsMetadata"),
        ("CheckTrialEarlyStoppingStateResponse", "CheckTrialEarlyStoppingStateMetatdata"),
    ]

    for operation, (response, metadata) in zip(operations, words, strict=True):
        package = f"type.googleapis.com/google.cloud.aiplatform.{idle.version}"
        assert operation["response"]["@type"] == f"{package}.{response}"
        assert operation["metadata"]["@type"] == f"{package}.{metadata}"


@pytest.mark.parametrize("name", ["x", "s-", "s-0x1", "c-1", "c-1-2", "bc-1-", "12", "s-9"])
def test_what_is_no_operation_is_not_found(
    idle: Google, operations: list[dict[str, Any]], name: str
) -> None:
    place = operations[0]["name"].rpartition("/")[0]

    for method, verb in (("GET", ""), ("POST", ":wait"), ("POST", ":cancel"), ("DELETE", "")):
        error = idle.refused(method, f"{place}/{name}{verb}")
        assert (error["code"], error["status"]) == (404, "NOT_FOUND")


def test_places_are_this_server_whatever_their_name(idle: Google) -> None:
    (place,) = idle("GET", "projects/p/locations")["locations"]
    other = idle("GET", "projects/p/locations/europe-west4")

    assert place["name"] == "projects/p/locations/us-central1"
    assert other["locationId"] == "europe-west4"
    assert idle("GET", "projects/p/locations/europe-west4/operations") == {}
    assert idle("GET", "projects/p/operations") == {}


def test_a_project_is_there_under_its_id_and_under_a_number(idle: Google) -> None:
    project = idle("GET", "//v3/projects/my-project")
    older = idle("GET", "//v1/projects/my-project")
    by_number = idle("GET", "//v3/projects/123456789012")

    assert (project["projectId"], project["state"]) == ("my-project", "ACTIVE")
    assert project["name"] == f"projects/{older['projectNumber']}"
    assert older["projectNumber"].isdigit()
    assert (older["projectId"], older["lifecycleState"]) == ("my-project", "ACTIVE")
    assert by_number["name"] == "projects/123456789012"
    assert by_number["projectId"] == "123456789012"
    for path in ("//v1/projects/p:getConfig", "//v3/projects/p:getIamPolicy", "//v3/projects/%00"):
        assert idle.refused("GET", path)["status"] == "NOT_FOUND"


def test_the_words_that_only_v1beta1_has_are_understood(
    idle: Google, storage: ServedStorage
) -> None:
    first = idle("POST", "/studies", STUDY)
    beta = {
        **STUDY["studySpec"],
        "convexStopConfig": {"maxNumSteps": "50", "minNumSteps": "5", "useSeconds": True},
        "transferLearningConfig": {"priorStudyNames": [first["name"]]},
    }

    second = idle("POST", "/studies", {"displayName": "t", "studySpec": beta})

    spec = storage.study("t").spec
    assert second["studySpec"] == beta
    assert list(spec.warm_start) == ["s"]
    assert [rule.name for rule in spec.stopping] == ["curve"]


def test_a_project_that_is_called_as_a_version_is_none(idle: Google) -> None:
    parent = f"//{idle.version}/projects/v1beta1/locations/l"
    study = idle("POST", f"{parent}/studies", STUDY)["name"]

    suggested = idle("POST", f"{study}/trials:suggest", {"clientId": "me", "suggestionCount": 1})

    assert f".{idle.version}." in suggested["response"]["@type"]
