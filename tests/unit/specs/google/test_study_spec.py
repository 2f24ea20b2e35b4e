"""A StudySpec's fields, each with its meaning."""

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.model import Algorithm, Constraint, Ending, Objective, Stopping
from tunesmith.space import Categorical, Discrete, Double, Integer
from tunesmith.specs.google import Document, GoogleJob

Read = Callable[[Document, object], GoogleJob]
Refused = Callable[[Document, object], dict[str, str]]


def spec_of(found: GoogleJob) -> Any:
    assert found.spec is not None
    return found.spec


# Metrics


def test_a_goal_that_is_left_out_is_to_maximize(read: Read, study: dict[str, Any]) -> None:
    study["metrics"] = [
        {"metricId": "a"},
        {"metricId": "b", "goal": 2},
        {"metricId": "c", "goal": 0},
    ]

    spec = spec_of(read("study spec", study))

    assert spec.objectives == (
        Objective("a", "maximize"),
        Objective("b", "minimize"),
        Objective("c", "maximize"),
    )


def test_a_safety_metric_is_a_constraint_on_its_good_side(
    read: Read, study: dict[str, Any]
) -> None:
    study["metrics"] += [
        {"metricId": "recall", "goal": 1, "safetyConfig": {"safetyThreshold": 0.9}},
        {"metricId": "latency", "goal": 2, "safetyConfig": {"safetyThreshold": 20}},
        {"metricId": "margin", "safetyConfig": {}},
    ]

    spec = spec_of(read("study spec", study))

    assert [str(objective) for objective in spec.objectives] == ["maximize accuracy"]
    assert spec.constraints == (
        Constraint("recall", 0.9, "at_least"),
        Constraint("latency", 20, "at_most"),
        Constraint("margin", 0, "at_least"),
    )


# Parameters


def test_each_kind_of_parameter_has_its_range_its_scale_and_its_default(
    read: Read, study: dict[str, Any]
) -> None:
    study["parameters"] = [
        {"parameterId": "a", "doubleValueSpec": {"minValue": 0.1, "maxValue": 1, "defaultValue": 0.5},
         "scaleType": 3},
        {"parameterId": "b", "integerValueSpec": {"minValue": "1", "maxValue": "9", "defaultValue": "3"},
         "scaleType": "UNIT_LOG_SCALE"},
        {"parameterId": "c", "categoricalValueSpec": {"values": ["x", "y"], "defaultValue": "y"}},
        {"parameterId": "d", "discreteValueSpec": {"values": [0.5, 64.0, 128.0], "defaultValue": 64.0},
         "scaleType": 2},
    ]  # fmt: skip

    space = spec_of(read("study spec", study)).space

    assert dict(space.items()) == {
        "a": Double(0.1, 1, scale="reverse_log", default=0.5),
        "b": Integer(1, 9, scale="log", default=3),
        "c": Categorical(["x", "y"], default="y"),
        "d": Discrete([0.5, 64, 128], scale="log", default=64),
    }


def test_a_bound_of_zero_may_be_left_out(read: Read, study: dict[str, Any]) -> None:
    study["parameters"] = [
        {"parameterId": "a", "doubleValueSpec": {"maxValue": 1}},
        {"parameterId": "b", "integerValueSpec": {"minValue": "-3"}},
    ]

    space = spec_of(read("study spec", study)).space

    assert dict(space.items()) == {"a": Double(0, 1), "b": Integer(-3, 0)}


def test_whole_discrete_values_reach_a_program_without_a_point(
    read: Read, study: dict[str, Any]
) -> None:
    study["parameters"] = [{"parameterId": "n", "discreteValueSpec": {"values": [64.0, 128.5]}}]

    space = spec_of(read("study spec", study)).space

    assert [space["n"].text(value) for value in space["n"].values] == ["64", "128.5"]


# Conditions


def child(name: str, parent: str, values: list[Any], **more: Any) -> dict[str, Any]:
    """Return a conditional parameter from 0 to 1."""
    parameter = {"parameterId": name, "doubleValueSpec": {"maxValue": 1}, **more}
    return {parent: {"values": values}, "parameterSpec": parameter}


def test_parameters_below_others_depend_on_them_however_deep(
    read: Read, study: dict[str, Any]
) -> None:
    nested = child("momentum", "parentIntValues", ["2", "3"])
    layers = {
        "parentCategoricalValues": {"values": ["sgd"]},
        "parameterSpec": {
            "parameterId": "layers",
            "integerValueSpec": {"minValue": 1, "maxValue": 3},
            "conditionalParameterSpecs": [nested],
        },
    }
    batch = {
        "parameterId": "batch",
        "discreteValueSpec": {"values": [0.1, 32.0]},
        "conditionalParameterSpecs": [child("decay", "parentDiscreteValues", [0.1 + 1e-12, 32])],
    }
    study["parameters"][1]["conditionalParameterSpecs"] = [layers]
    study["parameters"].append(batch)

    space = spec_of(read("study spec", study)).space

    assert list(space) == ["learning_rate", "optimizer", "layers", "momentum", "batch", "decay"]
    assert space["layers"] == Integer(1, 3, when={"optimizer": ["sgd"]})
    assert space["momentum"] == Double(0, 1, when={"layers": [2, 3]})
    assert space["decay"] == Double(0, 1, when={"batch": [0.1, 32]})


def test_a_name_with_two_ranges_is_two_parameters_of_one_flag(
    read: Read, study: dict[str, Any]
) -> None:
    study["parameters"] = [
        {
            "parameterId": "optimizer",
            "categoricalValueSpec": {"values": ["sgd", "adam", "a = b"]},
            "conditionalParameterSpecs": [
                child("rate", "parentCategoricalValues", ["sgd"]),
                child("rate", "parentCategoricalValues", ["adam"], doubleValueSpec={"maxValue": 2}),
                child(
                    "rate", "parentCategoricalValues", ["a = b"], doubleValueSpec={"maxValue": 3}
                ),
            ],
        }
    ]

    found = read("study spec", study)

    names = ["rate@sgd", "rate@adam", "rate@a___b"]
    assert list(spec_of(found).space) == ["optimizer", *names]
    assert found.names == dict.fromkeys(names, "rate")
    assert spec_of(found).space["rate@adam"] == Double(0, 2, when={"optimizer": ["adam"]})


def test_equal_parameters_below_one_parent_are_one(read: Read, study: dict[str, Any]) -> None:
    study["parameters"][1]["conditionalParameterSpecs"] = [
        child("momentum", "parentCategoricalValues", ["sgd"]),
        child("momentum", "parentCategoricalValues", ["adam"]),
    ]

    found = read("study spec", study)

    assert spec_of(found).space["momentum"] == Double(0, 1, when={"optimizer": ["sgd", "adam"]})
    assert found.names == {}


def test_a_name_may_stand_below_parents_that_are_never_active_together(
    read: Read, study: dict[str, Any]
) -> None:
    def branch(value: str, parent: str) -> dict[str, Any]:
        parameter = {
            "parameterId": parent,
            "categoricalValueSpec": {"values": ["on", "off"]},
            "conditionalParameterSpecs": [child("size", "parentCategoricalValues", ["on"])],
        }
        return {"parentCategoricalValues": {"values": [value]}, "parameterSpec": parameter}

    study["parameters"][1]["conditionalParameterSpecs"] = [branch("sgd", "p"), branch("adam", "q")]

    found = read("study spec", study)

    assert sorted(found.names.values()) == ["size", "size"]
    assert sorted(found.names) == ["size@on", "size@on~2"]


def test_a_name_that_could_be_active_twice_is_refused(
    refused: Refused, study: dict[str, Any]
) -> None:
    study["parameters"][1]["conditionalParameterSpecs"] = [
        child("learning_rate", "parentCategoricalValues", ["sgd"])
    ]

    faults = refused("study spec", study)

    path = "parameters[1].conditionalParameterSpecs[0].parameterSpec.parameterId"
    assert faults[path].startswith("'learning_rate' is there already (parameters[0])")


# How it searches and stops


@pytest.mark.parametrize(
    ("given", "name"),
    [(0, "default"), (None, "default"), (2, "grid"), ("GRID_SEARCH", "grid"), (3, "random")],
)
def test_the_algorithms_have_their_own_names(
    read: Read, study: dict[str, Any], given: object, name: str
) -> None:
    study["parameters"] = study["parameters"][1:]
    study["algorithm"] = given

    assert spec_of(read("study spec", study)).algorithm == Algorithm(name)


@pytest.mark.parametrize(("given", "name"), [(None, "last"), (0, "last"), (1, "last"), (2, "best")])
def test_the_measurement_that_counts_is_the_last_or_the_best(
    read: Read, study: dict[str, Any], given: object, name: str
) -> None:
    study["measurementSelectionType"] = given

    assert spec_of(read("study spec", study)).measurement == name


STOPPING = [
    ({"medianAutomatedStoppingSpec": {}}, Stopping("median")),
    ({"medianAutomatedStoppingSpec": {"useElapsedDuration": True}},
     Stopping("median", {"by": "elapsed"})),
    ({"decayCurveStoppingSpec": {}}, Stopping("curve")),
    ({"decayCurveStoppingSpec": {"useElapsedDuration": True}},
     Stopping("curve", {"by": "elapsed"})),
    ({"convexAutomatedStoppingSpec": {}}, Stopping("curve")),
    ({"convexAutomatedStoppingSpec": {"maxStepCount": "55", "minMeasurementCount": "7"}},
     Stopping("curve", {"max_steps": 55, "min_steps": 6, "min_measurements": 7})),
    ({"convexAutomatedStoppingSpec": {"maxStepCount": 600, "minStepCount": 0,
      "useElapsedDuration": True}},
     Stopping("curve", {"max_steps": 600, "min_steps": 1, "by": "elapsed"})),
    ({"convexStopConfig": {"maxNumSteps": 50, "minNumSteps": 5, "autoregressiveOrder": 3,
      "useSeconds": True}},
     Stopping("curve", {"max_steps": 50, "min_steps": 5, "by": "elapsed"})),
]  # fmt: skip


@pytest.mark.parametrize(("given", "rule"), STOPPING)
def test_automated_stopping_is_a_rule(
    read: Read, study: dict[str, Any], given: dict[str, Any], rule: Stopping
) -> None:
    assert spec_of(read("study spec", study | given)).stopping == (rule,)


def test_of_several_metrics_the_first_is_judged_while_trials_run(
    read: Read, study: dict[str, Any]
) -> None:
    study["metrics"].append({"metricId": "loss", "goal": "MINIMIZE"})
    study["medianAutomatedStoppingSpec"] = {}

    spec = spec_of(read("study spec", study))

    assert spec.stopping == (Stopping("median", {"metric": "accuracy"}),)


def test_a_study_ends_by_time_by_number_and_without_progress(
    read: Read, study: dict[str, Any]
) -> None:
    study["studyStoppingConfig"] = {
        "maximumRuntimeConstraint": {"maxDuration": "3600.5s"},
        "maxNumTrials": 40,
        "maxNumTrialsNoProgress": 10,
    }

    spec = spec_of(read("study spec", study))

    assert spec.ending == Ending(time_s=3600.5, no_improvement=10, stop_running=False)
    assert spec.max_trials == 40


def test_what_is_least_holds_back_all_else_and_goes_before_it(
    read: Read, study: dict[str, Any]
) -> None:
    study["studyStoppingConfig"] = {
        "minimumRuntimeConstraint": {"maxDuration": "7200s"},
        "maximumRuntimeConstraint": {"maxDuration": "3600s"},
        "minNumTrials": 50,
        "maxNumTrials": 40,
        "maxDurationNoProgress": "600s",
        "shouldStopAsap": True,
    }

    found = read("study spec", study)

    assert spec_of(found).ending == Ending(
        time_s=7200.0,
        no_improvement_for_s=600.0,
        min_trials=50,
        min_time_s=7200.0,
        stop_running=True,
    )
    assert spec_of(found).max_trials == 50
    assert [lost.field for lost in found.lost] == ["studyStoppingConfig.maxNumTrials"]


TIME = {"maximumRuntimeConstraint": {"maxDuration": "60s"}}
IDLE = {"maxNumTrialsNoProgress": 3}
ASAP = {"shouldStopAsap": True}


@pytest.mark.parametrize(
    ("config", "stops"),
    [
        (TIME, False),
        (IDLE, None),
        (TIME | IDLE, False),
        (TIME | ASAP, None),
        (IDLE | ASAP, True),
        (TIME | IDLE | ASAP, True),
    ],
)
def test_trials_that_run_end_with_the_study_if_that_is_said_and_else_never(
    read: Read, study: dict[str, Any], config: dict[str, Any], stops: bool | None
) -> None:
    ending = spec_of(read("study spec", study | {"studyStoppingConfig": config})).ending

    assert ending.stop_running is stops
    assert ending.may_stop_running is ("shouldStopAsap" in config)


def test_the_trials_that_a_study_may_have_run_to_their_end(
    read: Read, study: dict[str, Any]
) -> None:
    study["studyStoppingConfig"] = {"maxNumTrials": 3} | ASAP

    found = read("study spec", study)

    assert spec_of(found).ending == Ending()
    assert [lost.field for lost in found.lost] == ["studyStoppingConfig.shouldStopAsap"]


@pytest.mark.parametrize(
    ("field", "value"), [("maxNumTrialsNoProgress", 3), ("maxDurationNoProgress", "60s")]
)
def test_a_study_of_several_objectives_does_not_end_for_lack_of_progress(
    refused: Refused, study: dict[str, Any], field: str, value: object
) -> None:
    study["metrics"].append({"metricId": "loss", "goal": "MINIMIZE"})
    study["studyStoppingConfig"] = {field: value}

    assert refused("study spec", study) == {
        f"studyStoppingConfig.{field}": "only a study with one objective can end so"
    }


def test_an_end_by_the_clock_counts_from_now(read: Read, study: dict[str, Any]) -> None:
    end = {"endTime": "2023-11-14T22:13:50Z"}  # half a minute after the fixture's now
    study["studyStoppingConfig"] = {"maximumRuntimeConstraint": end} | ASAP

    assert spec_of(read("study spec", study)).ending == Ending(time_s=30.0)


def test_a_least_time_that_is_over_holds_nothing_back(read: Read, study: dict[str, Any]) -> None:
    past = {"endTime": "2023-11-14T22:13:10Z"}
    study["studyStoppingConfig"] = {"minimumRuntimeConstraint": past} | IDLE

    assert spec_of(read("study spec", study)).ending == Ending(no_improvement=3)


@pytest.mark.parametrize(
    ("algorithm", "noise", "repeats"),
    [
        ("ALGORITHM_UNSPECIFIED", "HIGH", True),
        ("RANDOM_SEARCH", "HIGH", True),
        ("RANDOM_SEARCH", "LOW", False),
        ("GRID_SEARCH", "HIGH", False),
    ],
)
def test_points_may_be_tried_again_where_noise_is_high(
    read: Read,
    study: dict[str, Any],
    algorithm: str,
    noise: str,
    repeats: bool,
) -> None:
    layers = {"parameterId": "layers", "integerValueSpec": {"minValue": 1, "maxValue": 4}}
    study |= {"parameters": [layers], "algorithm": algorithm, "observationNoise": noise}

    found = read("study spec", study)

    assert spec_of(found).algorithm.settings == ({"repeat": True} if repeats else {})
    unheard = noise == "HIGH" and not repeats
    assert [lost.field for lost in found.lost] == (["observationNoise"] if unheard else [])


def test_a_safety_metric_says_which_share_of_trials_should_keep_it(
    read: Read, study: dict[str, Any]
) -> None:
    safety = {"safetyThreshold": 20, "desiredMinSafeTrialsFraction": 0.9}
    study["metrics"].append({"metricId": "ms", "goal": "MINIMIZE", "safetyConfig": safety})

    found = read("study spec", study)
    by_chance = read("study spec", study | {"algorithm": "RANDOM_SEARCH"})

    assert spec_of(found).constraints == (Constraint("ms", 20, "at_most", 0.9),)
    assert found.lost == ()
    assert [str(lost) for lost in by_chance.lost] == [
        "not kept: metrics: random search does not aim at the desiredMinSafeTrialsFraction of ms"
    ]


def test_earlier_studies_are_learnt_from_unless_that_is_off(
    read: Read, study: dict[str, Any]
) -> None:
    names = {"priorStudyNames": ["projects/p/locations/l/studies/old", "older", "older"]}

    on = read("study spec", study | {"transferLearningConfig": names})
    off = read(
        "study spec",
        study | {"transferLearningConfig": names | {"disableTransferLearning": True}},
    )

    assert spec_of(on).warm_start == ("old", "older")
    assert spec_of(off).warm_start == ()


def test_what_has_no_meaning_here_is_said(read: Read, study: dict[str, Any]) -> None:
    study |= {
        "convexAutomatedStoppingSpec": {
            "learningRateParameterName": "learning_rate",
            "updateAllStoppedTrials": True,
        },
    }

    found = read("study spec", study)

    assert [lost.field for lost in found.lost] == [
        "convexAutomatedStoppingSpec.learningRateParameterName",
        "convexAutomatedStoppingSpec.updateAllStoppedTrials",
    ]
