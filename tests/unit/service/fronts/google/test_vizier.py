"""Vizier's studies over HTTP, of Vertex AI and of the older optimizer API."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tunesmith.service.fronts.google.papers import Paper, Papers
from tunesmith.storage import ServedStorage

Google = Any
Study = dict[str, Any]

STUDY: Study = {
    "displayName": "s",
    "studySpec": {
        "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
        "parameters": [
            {"parameterId": "lr", "doubleValueSpec": {"maxValue": 1}},
            {"parameterId": "units", "integerValueSpec": {"minValue": "1", "maxValue": "9"}},
            {"parameterId": "opt", "categoricalValueSpec": {"values": ["sgd", "adam"]}},
        ],
    },
}
OLDER: Study = {
    "study_config": {
        "algorithm": "ALGORITHM_UNSPECIFIED",
        "automatedStoppingConfig": {"decayCurveStoppingConfig": {"useElapsedTime": True}},
        "metrics": [{"metric": "val_acc", "goal": "MAXIMIZE"}],
        "parameters": [
            {"parameter": "lr", "type": "DOUBLE", "double_value_spec": {"min_value": 0.1, "max_value": 1}},
            {"parameter": "n", "type": "DISCRETE", "discrete_value_spec": {"values": [1, 2, 3]}},
        ],
    }
}  # fmt: skip
POINT = [
    {"parameterId": "lr", "value": 0.5},
    {"parameterId": "units", "value": 3.0},
    {"parameterId": "opt", "value": "adam"},
]


def below(google: Google, name: str, verb: str, body: object = None) -> Any:
    """Ask something of a study or trial."""
    return google("POST", f"{name}{verb}", {} if body is None else body)


def suggested(google: Google, study: str, count: int = 1, **more: object) -> list[Any]:
    """Ask for trials."""
    ask = {"clientId": "me", "suggestionCount": count, **more}
    operation = below(google, study, "/trials:suggest", ask)
    assert operation["done"] is True
    assert google("GET", f"//ui/{operation['name']}") == operation
    trials: list[Any] = operation["response"]["trials"]
    return trials


def measured(step: int, loss: float) -> dict[str, Any]:
    return {"stepCount": str(step), "metrics": [{"metricId": "loss", "value": loss}]}


@pytest.fixture
def study(idle: Google) -> str:
    """The name of a new study."""
    return str(idle("POST", "/studies", STUDY)["name"])


@pytest.mark.parametrize(
    ("path", "body"), [("/studies", STUDY), ("/studies?studyId=s", OLDER)], ids=["vertex", "older"]
)
def test_a_study_that_a_person_has_deleted_is_gone_and_its_name_is_free(
    idle: Google, storage: ServedStorage, path: str, body: Study
) -> None:
    first = idle("POST", path, body)["name"]
    storage.delete_study("s")

    listed = idle("GET", "/studies")
    gone = idle.refused("GET", first)
    again = idle("POST", path, body)["name"]

    assert listed == {}
    assert gone["status"] == "NOT_FOUND"
    assert [study["name"] for study in idle("GET", "/studies")["studies"]] == [again]
    assert idle("GET", again)["state"] == "ACTIVE"


def test_a_client_can_delete_a_study_that_a_person_has_deleted(
    idle: Google, study: str, storage: ServedStorage
) -> None:
    storage.delete_study("s")

    assert idle("DELETE", study) == {}


def test_a_name_is_free_although_the_server_was_killed_while_it_made_the_study(
    idle: Google, tmp_path: Path
) -> None:
    (folder,) = [found.parent for found in _made_and_deleted(idle, tmp_path)]
    left = Paper("titles", "vizier s", "projects/p/locations/us-central1", "1", STUDY, 1.0)
    Papers(folder).put(left)

    made = idle("POST", "/studies", STUDY)

    assert idle("POST", "/studies:lookup", {"displayName": "s"})["name"] == made["name"]


def _made_and_deleted(google: Google, folder: Path) -> list[Path]:
    """Make a study and delete it; return where the papers of such are."""
    google("DELETE", google("POST", "/studies", {**STUDY, "displayName": "other"})["name"])
    return list(folder.rglob("google/studies"))


def test_clients_that_make_a_study_at_once_get_the_same(idle: Google) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: idle("POST", "/studies", STUDY)["name"], range(8)))

    assert len(set(made)) == 1
    assert len(idle("GET", "/studies")["studies"]) == 1


def test_trials_that_are_deleted_at_once_are_all_gone(idle: Google, study: str) -> None:
    names = [trial["name"] for trial in suggested(idle, study, 12)]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda name: idle("DELETE", name), names))

    assert idle("GET", f"{study}/trials") == {}


def test_a_study_of_the_same_name_and_space_is_the_same_study(idle: Google, study: str) -> None:
    other = {**STUDY["studySpec"], "metrics": [{"metricId": "loss", "goal": "MAXIMIZE"}]}

    again = idle("POST", "/studies", STUDY)
    refused = idle.refused("POST", "/studies", {"displayName": "s", "studySpec": other})

    assert again["name"] == study
    assert again["state"] == "ACTIVE"
    assert (refused["code"], refused["status"]) == (409, "ALREADY_EXISTS")
    assert idle("POST", "/studies:lookup", {"display_name": "s"})["name"] == study
    assert idle("GET", "/studies") == {"studies": [again]}
    assert idle.refused("POST", "/studies:lookup", {"displayName": "t"})["code"] == 404


def test_a_client_is_given_its_own_trials_again_before_new_ones(idle: Google, study: str) -> None:
    first = suggested(idle, study, 2)

    again = suggested(idle, study, 3)
    others = below(idle, study, "/trials:suggest", {"clientId": "you", "suggestionCount": 1})

    assert [trial["id"] for trial in first] == ["1", "2"]
    assert {trial["state"] for trial in first} == {"ACTIVE"}
    assert [trial["id"] for trial in again] == ["1", "2", "3"]
    assert again[0]["clientId"] == "me"
    assert [trial["id"] for trial in others["response"]["trials"]] == ["4"]
    assert others["response"]["studyState"] == "ACTIVE"


def test_values_are_numbers_but_for_choices(idle: Google, study: str) -> None:
    (trial,) = suggested(idle, study)

    values = {p["parameterId"]: p["value"] for p in trial["parameters"]}

    assert isinstance(values["lr"], float)
    assert isinstance(values["units"], int)
    assert values["opt"] in ("sgd", "adam")


def test_contexts_fix_values_and_leave_the_others_open(idle: Google, study: str) -> None:
    contexts = [{"parameters": [{"parameterId": "opt", "value": text}]} for text in ("sgd", "adam")]

    trials = suggested(idle, study, 2, contexts=contexts)
    error = idle.refused(
        "POST",
        f"{study}/trials:suggest",
        {"clientId": "me", "suggestionCount": 3, "contexts": contexts},
    )

    assert [trial["parameters"][2]["value"] for trial in trials] == ["sgd", "adam"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert "contexts" in error["message"]


def test_a_client_is_given_its_trials_with_these_values_again(idle: Google, study: str) -> None:
    contexts = [{"parameters": [{"parameterId": "opt", "value": text}]} for text in ("sgd", "adam")]
    first = suggested(idle, study, 2, contexts=contexts)
    below(idle, first[0]["name"], ":complete", {"finalMeasurement": measured(1, 0.5)})

    again = suggested(idle, study, 2, contexts=contexts)

    assert again[1] == first[1]
    assert again[0]["id"] == "3"
    assert again[0]["parameters"][2]["value"] == "sgd"


def test_what_contexts_leave_open_the_searcher_chooses(idle: Google) -> None:
    spec = {**STUDY["studySpec"], "algorithm": "GRID_SEARCH"}
    spec["parameters"] = spec["parameters"][1:]
    plain, fixed = (
        idle("POST", "/studies", {"displayName": name, "studySpec": spec})["name"] for name in "ab"
    )
    context = {"parameters": [{"parameterId": "opt", "value": "adam"}]}

    as_searched = suggested(idle, plain, 5)
    with_values = suggested(idle, fixed, 5, contexts=[context] * 5)

    def units(trials: list[Any]) -> list[object]:
        return [p["value"] for t in trials for p in t["parameters"] if p["parameterId"] == "units"]

    assert units(with_values) == units(as_searched)
    assert all(context["parameters"][0] in trial["parameters"] for trial in with_values)


def test_a_trial_is_measured_and_completed_by_its_last_measurement(
    idle: Google, study: str
) -> None:
    (trial,) = suggested(idle, study)
    name = trial["name"]

    below(idle, name, ":addTrialMeasurement", {"measurement": measured(1, 0.5)})
    below(idle, name, ":addTrialMeasurement", {"measurement": measured(2, 0.75)})
    ended = below(idle, name, ":complete")

    assert ended["state"] == "SUCCEEDED"
    assert [m["stepCount"] for m in ended["measurements"]] == ["1", "2"]
    assert ended["finalMeasurement"]["metrics"] == [{"metricId": "loss", "value": 0.75}]
    again = idle.refused("POST", f"{name}:complete", {})
    assert (again["code"], again["status"]) == (400, "FAILED_PRECONDITION")


def test_a_final_measurement_of_zero_is_one(idle: Google, study: str) -> None:
    (trial,) = suggested(idle, study)

    final = {"metrics": [{"metricId": "loss"}], "stepCount": "7"}
    ended = below(idle, trial["name"], ":complete", {"finalMeasurement": final})

    assert ended["finalMeasurement"]["metrics"] == [{"metricId": "loss", "value": 0.0}]
    assert ended["finalMeasurement"]["stepCount"] == "7"


def test_what_is_wrong_with_a_measurement_is_told_by_its_field(idle: Google, study: str) -> None:
    (trial,) = suggested(idle, study)
    name = trial["name"]

    faults = {
        "measurement": idle.refused("POST", f"{name}:addTrialMeasurement", {}),
        "finalMeasurement.metrics": idle.refused("POST", f"{name}:complete", {}),
        "stepCount": idle.refused(
            "POST", f"{name}:addTrialMeasurement", {"measurement": {"stepCount": "-1"}}
        ),
        "clientId": idle.refused("POST", f"{study}/trials:suggest", {"suggestionCount": 1}),
        "suggestionCount": idle.refused("POST", f"{study}/trials:suggest", {"clientId": "a"}),
        "parameters": idle.refused("POST", f"{study}/trials", {"parameters": POINT[:1]}),
    }

    for field, error in faults.items():
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
        assert field in error["message"]


def test_an_infeasible_trial_has_a_reason_and_no_measurement(idle: Google, study: str) -> None:
    (trial,) = suggested(idle, study)

    given = {"trialInfeasible": True, "infeasibleReason": "too large"}
    ended = below(idle, trial["name"], ":complete", given)

    assert ended["state"] == "INFEASIBLE"
    assert ended["infeasibleReason"] == "too large"
    assert "finalMeasurement" not in ended


def test_trials_of_the_client_s_own_are_run_or_taken_as_they_are(idle: Google, study: str) -> None:
    waiting = idle("POST", f"{study}/trials", {"parameters": POINT})
    done = idle(
        "POST", f"{study}/trials", {"parameters": POINT, "finalMeasurement": measured(3, 0.25)}
    )

    (next_one,) = suggested(idle, study)

    assert waiting["state"] == "REQUESTED"
    assert done["state"] == "SUCCEEDED"
    assert done["finalMeasurement"]["metrics"] == [{"metricId": "loss", "value": 0.25}]
    assert next_one["id"] == waiting["id"]


def test_a_hopeless_trial_is_told_to_stop_and_others_are_not(idle: Google) -> None:
    spec = {**STUDY["studySpec"], "medianAutomatedStoppingSpec": {}}
    study = idle("POST", "/studies", {"displayName": "m", "studySpec": spec})["name"]
    said = []

    for number in range(10):
        (trial,) = suggested(idle, study)
        loss = 9.0 if number == 9 else 0.1 * number
        for step in range(1, 5):
            below(
                idle, trial["name"], ":addTrialMeasurement", {"measurement": measured(step, loss)}
            )
        operation = below(idle, trial["name"], ":checkTrialEarlyStoppingState")
        assert idle("GET", operation["name"]) == operation
        said.append(operation["response"]["shouldStop"])
        below(idle, trial["name"], ":complete")

    assert said[0] is False
    assert said[9] is True
    assert "Metatdata" in operation["metadata"]["@type"]


def test_optimal_trials_are_the_pareto_front_of_several_metrics(idle: Google) -> None:
    spec = {
        **STUDY["studySpec"],
        "metrics": [{"metricId": "a", "goal": 1}, {"metricId": "b", "goal": 2}],
    }
    study = idle("POST", "/studies", {"displayName": "two", "studySpec": spec})["name"]
    for a, b in ((1, 1), (2, 2), (1, 3)):
        (trial,) = suggested(idle, study)
        metrics = [{"metricId": "a", "value": a}, {"metricId": "b", "value": b}]
        below(idle, trial["name"], ":complete", {"finalMeasurement": {"metrics": metrics}})

    found = below(idle, study, "/trials:listOptimalTrials")

    assert sorted(trial["id"] for trial in found["optimalTrials"]) == ["1", "2"]


def test_trials_are_stopped_deleted_and_listed(idle: Google, study: str) -> None:
    first, second = suggested(idle, study, 2)

    stopping = below(idle, first["name"], ":stop")
    idle("DELETE", second["name"])

    assert stopping["state"] == "STOPPING"
    listed = idle("GET", f"{study}/trials")["trials"]
    assert [trial["id"] for trial in listed] == ["1"]
    assert idle.refused("GET", second["name"])["code"] == 404
    assert idle.refused("GET", f"{study}/trials/x")["code"] == 404


def test_a_deleted_study_leaves_its_name_to_others(idle: Google, study: str) -> None:
    idle("DELETE", study)

    assert idle.refused("GET", study)["code"] == 404
    assert idle("POST", "/studies", STUDY)["name"] != study


def test_a_study_of_the_older_api_speaks_its_own_words(idle: Google) -> None:
    made = idle("POST", "/studies?studyId=cloud_tuner", OLDER)
    taken = idle.refused("POST", "/studies?studyId=cloud_tuner", OLDER)
    name = made["name"]
    ask = {"client_id": "tuner0", "suggestion_count": 1}
    operation = below(idle, name, "/trials:suggest", ask)
    (trial,) = operation["response"]["trials"]
    report = {
        "measurement": {
            "stepCount": 1,
            "elapsedTime": {"seconds": 3},
            "metrics": [{"metric": "val_acc", "value": 0.5}],
        }
    }
    below(idle, trial["name"], ":addMeasurement", report)
    stops = below(idle, trial["name"], ":checkEarlyStoppingState")
    ended = below(idle, trial["name"], ":complete", {"trial_infeasible": False})

    assert name == "projects/p/locations/us-central1/studies/cloud_tuner"
    assert taken["code"] == 409
    assert "/locations/us-central1/operations/" in operation["name"]
    assert idle("GET", operation["name"])["response"]["trials"][0]["name"] == trial["name"]
    assert stops["response"]["shouldStop"] is False
    kinds = [set(parameter) - {"parameter"} for parameter in trial["parameters"]]
    assert kinds == [{"floatValue"}, {"intValue"}]
    assert ended["state"] == "COMPLETED"
    assert ended["finalMeasurement"] == {
        "stepCount": "1",
        "elapsedTime": "3s",
        "metrics": [{"metric": "val_acc", "value": 0.5}],
    }
    assert idle("GET", f"{name}/trials")["trials"][0]["state"] == "COMPLETED"


def test_an_exhausted_study_of_the_older_api_has_no_more_resources(idle: Google) -> None:
    config = {**OLDER["study_config"], "parameters": OLDER["study_config"]["parameters"][1:]}
    name = idle("POST", "/studies?studyId=small", {"studyConfig": config})["name"]
    for _ in range(3):
        ask = {"client_id": "t", "suggestion_count": 1}
        (trial,) = below(idle, name, "/trials:suggest", ask)["response"]["trials"]
        below(idle, trial["name"], ":complete", {"trial_infeasible": True})

    error = idle.refused(
        "POST", f"{name}/trials:suggest", {"client_id": "t", "suggestion_count": 1}
    )

    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
