"""What Google's calls send and read, made from schemas alone."""

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from tunesmith.service.fronts.google.gateway.schema import Call, UnreadableError, calls

V1 = "/google.cloud.aiplatform.v1"


def call(name: str) -> Call:
    return calls()[f"{V1}.{name}"]


def packed(call: Call, document: dict[str, Any]) -> bytes:
    """Return a request as a client packs it."""
    return ParseDict(document, call.request(), descriptor_pool=call.pool).SerializeToString()


def test_a_request_becomes_the_document_that_rest_takes() -> None:
    create = call("JobService/CreateHyperparameterTuningJob")
    sent = {
        "parent": "projects/p/locations/l",
        "hyperparameterTuningJob": {
            "displayName": "j",
            "maxTrialCount": 3,
            "labels": {"team": "blue"},
            "studySpec": {
                "metrics": [{"metricId": "m", "goal": "MINIMIZE"}],
                "parameters": [
                    {
                        "parameterId": "units",
                        "integerValueSpec": {"maxValue": "9"},
                        "scaleType": "UNIT_LOG_SCALE",
                    }
                ],
                "studyStoppingConfig": {"maxNumTrials": 5, "maxDurationNoProgress": "90s"},
            },
        },
    }

    read = create.read(packed(create, sent))

    spec = read["hyperparameterTuningJob"]["studySpec"]
    assert spec["metrics"] == [{"metricId": "m", "goal": 2}]
    assert spec["parameters"][0]["integerValueSpec"] == {"maxValue": "9"}
    assert spec["parameters"][0]["scaleType"] == 2
    assert spec["studyStoppingConfig"] == {"maxNumTrials": 5, "maxDurationNoProgress": "90s"}
    assert read["hyperparameterTuningJob"]["labels"] == {"team": "blue"}


def test_a_zero_that_was_given_stays_where_the_schema_tells_it_from_none() -> None:
    create = call("VizierService/CreateStudy")
    values = {"maxValue": 1.0, "minValue": 0.0, "defaultValue": 0.0}
    sent = {"study": {"studySpec": {"parameters": [{"doubleValueSpec": values}]}}}

    read = create.read(packed(create, sent))

    (parameter,) = read["study"]["studySpec"]["parameters"]
    assert parameter["doubleValueSpec"] == {"maxValue": 1.0, "defaultValue": 0.0}


def test_an_empty_message_says_that_it_was_given() -> None:
    create = call("VizierService/CreateStudy")
    sent: dict[str, Any] = {"study": {"studySpec": {"medianAutomatedStoppingSpec": {}}}}

    assert create.read(packed(create, sent)) == sent


def test_a_field_that_the_schema_does_not_have_is_refused_by_its_place() -> None:
    create = call("JobService/CreateCustomJob")
    # CustomJob is field 2 of the request; in it comes field 1023, a number.
    unknown = b"\x12\x03\xf8\x3f\x01"

    with pytest.raises(UnreadableError, match=r"customJob: field number 1023"):
        create.read(unknown)


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(UnreadableError, match="no GetStudyRequest"):
        call("VizierService/GetStudy").read(b"\xff\xff")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_operation_carries_the_messages_of_its_version(version: str) -> None:
    kind = f"google.cloud.aiplatform.{version}.SuggestTrialsResponse"
    suggest = calls()[f"/google.cloud.aiplatform.{version}.VizierService/SuggestTrials"]
    trial = {"name": "t", "state": "ACTIVE", "parameters": [{"parameterId": "x", "value": 0.5}]}
    answer = {
        "name": "o",
        "done": True,
        "response": {"@type": f"type.googleapis.com/{kind}", "trials": [trial]},
    }

    message: Any = suggest.response.FromString(suggest.write(answer))

    assert message.done
    assert message.response.type_url == f"type.googleapis.com/{kind}"
    assert suggest.rule.path == f"/{version}/{{}}/trials:suggest"


def test_an_answer_may_say_more_than_the_schema_knows() -> None:
    get = call("VizierService/GetStudy")

    message: Any = get.response.FromString(get.write({"name": "s", "ours": 1, "state": "ACTIVE"}))

    assert (message.name, message.state) == ("s", 1)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(UnreadableError):
        call("VizierService/GetStudy").write({"state": "NO_SUCH_STATE_AT_ALL", "name": 5})


@pytest.mark.parametrize("field", ["create_time", "details"])
def test_values_that_json_has_no_words_for_are_refused(field: str) -> None:
    create = call("JobService/CreateCustomJob")
    request: Any = create.request()
    if field == "create_time":
        request.custom_job.create_time.seconds = 10**18
    else:
        request.custom_job.error.details.add(type_url="type.googleapis.com/x.Y", value=b"12")

    with pytest.raises(UnreadableError):
        create.read(request.SerializeToString())
