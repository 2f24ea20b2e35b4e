import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tunesmith.errors import MissingExtraError
from tunesmith.model import (
    Constraint,
    Explanation,
    Feasibility,
    Front,
    Measurement,
    Objective,
    Prediction,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Trial,
    TrialState,
    best_trial,
    is_feasible,
    rank,
)
from tunesmith.reporting import (
    Trials,
    assignments,
    counts_text,
    duration,
    explanation_lines,
    goal_text,
    iso_time,
    json_text,
    measurement_document,
    nearest_text,
    number,
    outcome_document,
    outcomes,
    plain,
    study_card,
    study_document,
    study_text,
    trial_document,
    trial_record,
    trials_csv,
    trials_json,
    trials_jsonl,
)
from tunesmith.space import Categorical, Double, Integer, Space, Value

SPACE = Space(
    {
        "lr": Double(1e-5, 0.1),
        "Größe": Integer(1, 9),
        "<b>": Categorical(["<script>", "&amp;"], when={"Größe": [2]}),
    }
)
SPEC = StudySpec(
    SPACE, (Objective("acc", "maximize"), Objective("cost<", "minimize")), max_trials=4
)


def trial(
    n: int,
    values: Mapping[str, Value],
    metrics: Mapping[str, float] | None = None,
    state: TrialState = TrialState.COMPLETED,
    reason: str = "",
) -> Trial:
    return Trial(
        n,
        values,
        state,
        attempt=1,
        origin="sobol",
        metrics=metrics or {},
        reason=reason,
        started=1_700_000_000.0,
        finished=None if state is TrialState.RUNNING else 1_700_000_010.5,
    )


TRIALS = [
    trial(1, {"lr": 0.01, "Größe": 2, "<b>": "<script>"}, {"acc": 0.5, "cost<": 2.0}),
    trial(2, {"lr": 0.02, "Größe": 3}, {"acc": math.inf, "cost<": math.nan}, reason='a, "b"\nc'),
    trial(3, {"lr": 0.03, "Größe": 4}, {"acc": 0.75, "extra": 1.0}),
    trial(4, {"lr": 0.04, "Größe": 5}, state=TrialState.RUNNING),
]


ONE = StudySpec(SPACE, SPEC.objectives[:1], max_trials=4)


def summary(
    *trials: Trial, reason: str = "", spec: StudySpec = SPEC, choices: Sequence[Trial] = ()
) -> StudySummary:
    counts = {s: n for s in TrialState if (n := sum(t.state is s for t in trials))}
    state = StudyState.PAUSED if reason else StudyState.ACTIVE
    counted = [t for t in trials if rank(t, spec)]
    kept = (
        sum(c.excess(t.metrics.get(c.metric, math.nan)) <= 0 for t in counted)
        for c in spec.constraints
    )
    feasible = sum(is_feasible(t, spec) for t in trials)
    return StudySummary(
        StudyRecord("étude", spec, state, reason, len(trials)),
        counts,
        best_trial(trials, spec),
        Front.of(trials, spec) if len(spec.objectives) > 1 else None,
        Feasibility(len(counted), tuple(kept), feasible) if spec.constraints else None,
        tuple(choices),
    )


class WellFormed(HTMLParser):
    """Reads HTML, and asserts that every tag is closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


# Figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (-3, "0.0s"),
        (0.84, "0.8s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (41.4, "41s"),
        (59.7, "1m00s"),
        (161, "2m41s"),
        (3599.6, "1h00m"),
        (11_100, "3h05m"),
        (86_399, "23h59m"),
        (187_200, "2d04h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (1e-7, "1e-07"),
        (123456.0, "1.235e+05"),
        (64, "64"),
        (123456, "123456"),
        (True, "True"),
        ("sgd", "sgd"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (2.0, "2"),
    ],
)
def test_numbers_have_four_digits_and_the_rest_stays(value: object, text: str) -> None:
    assert number(value) == text


def test_times_are_iso_8601_in_utc() -> None:
    assert iso_time(1_700_000_000.1239) == "2023-11-14T22:13:20.123Z"
    assert iso_time(None) is None


def test_values_that_json_lacks_stand_by_name() -> None:
    assert [plain(v) for v in (math.nan, math.inf, -math.inf)] == ["nan", "inf", "-inf"]
    assert [plain(v) for v in (1.5, 3, "x", None, True)] == [1.5, 3, "x", None, True]


# Documents


def test_a_trial_is_a_document() -> None:
    document = trial_document(TRIALS[1])

    assert document == {
        "number": 2,
        "state": "completed",
        "attempt": 1,
        "values": {"lr": 0.02, "Größe": 3},
        "metrics": {"acc": "inf", "cost<": "nan"},
        "step": None,
        "budget": None,
        "parent": None,
        "reason": 'a, "b"\nc',
        "origin": "sobol",
        "explanation": None,
        "worker": "",
        "queued": "1970-01-01T00:00:00.000Z",
        "started": "2023-11-14T22:13:20.000Z",
        "finished": "2023-11-14T22:13:30.500Z",
    }


def test_a_measurement_is_a_document() -> None:
    measured = Measurement(3, {"acc": math.nan, "точность": 0.5}, elapsed_s=1.23456)

    assert measurement_document(measured) == {
        "step": 3,
        "elapsed_s": 1.235,
        "metrics": {"acc": "nan", "точность": 0.5},
    }


def test_a_study_is_a_document_with_all_counts_and_its_best_trial() -> None:
    document = json.loads(json_text(study_document(summary(TRIALS[0], TRIALS[3]))))

    assert document["schema"] == "tunesmith.study/1"
    assert document["name"] == "étude"
    assert document["counts"] == {s.value: 0 for s in TrialState} | {"completed": 1, "running": 1}
    assert document["best_trial"]["number"] == 1
    assert document["objectives"][0] == {
        "metric": "acc",
        "goal": "maximize",
        "standard_error": None,
    }
    assert Space.from_json(document["parameters"]) == SPACE
    assert study_document(summary())["best_trial"] is None


# Records


def test_records_have_the_same_columns_in_the_order_of_the_space() -> None:
    records = Trials(TRIALS, SPEC).records()

    columns = ["number", "state", "lr", "Größe", "<b>", "acc", "cost<"]
    assert {tuple(record) for record in records} == {tuple(records[0])}
    assert list(records[0])[:7] == columns
    assert "extra" in records[0]
    assert records[2]["extra"] == 1.0
    assert records[0]["extra"] is records[1]["<b>"] is records[3]["acc"] is None
    assert (records[0]["duration_s"], records[3]["duration_s"]) == (10.5, None)


def test_names_that_are_taken_get_a_prefix_in_every_row() -> None:
    space = Space({"state": Integer(1, 3), "acc": Integer(1, 3), "reason": Integer(1, 3)})
    spec = StudySpec(space, (Objective("acc", "maximize"), Objective("number", "minimize")))
    values = {"state": 1, "acc": 2, "reason": 3}
    told = trial(1, values, {"acc": 0.5, "number": 7.0, "attempt": 9.0}, reason="so")

    row = trial_record(told, spec)

    assert (row["state"], row["parameter.state"]) == ("completed", 1)
    assert (row["acc"], row["metric.acc"]) == (2, 0.5)
    assert (row["number"], row["metric.number"]) == (1, 7.0)
    assert (row["reason"], row["parameter.reason"]) == ("so", 3)
    assert (row["attempt"], row["metric.attempt"]) == (1, 9.0)


# Trials


def test_trials_are_a_sequence() -> None:
    trials = Trials(TRIALS, SPEC)

    assert len(trials) == 4
    assert trials[0] is TRIALS[0]
    assert trials[-1] is TRIALS[3]
    assert list(trials) == TRIALS
    assert isinstance(trials[1:3], Trials)
    assert [t.number for t in trials[1:3]] == [2, 3]


def test_a_frame_has_the_columns_of_the_records() -> None:
    frame = Trials(TRIALS, SPEC).df()

    assert list(frame.columns) == list(Trials(TRIALS, SPEC).records()[0])
    assert frame["lr"].tolist() == [0.01, 0.02, 0.03, 0.04]
    assert frame.loc[0, "acc"] == 0.5
    assert Trials([], SPEC).df().empty


def test_without_pandas_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'tunesmith\[pandas\]'"):
        Trials(TRIALS, SPEC).df()


def test_trials_are_printed_as_a_table() -> None:
    lines = repr(Trials(TRIALS, SPEC)).splitlines()

    assert lines[0].split() == ["#", "state", "acc", "cost<", "lr", "Größe", "<b>"]
    assert lines[1].split() == ["1", "completed", "0.5", "2", "0.01", "2", "<script>"]
    assert lines[4].split() == ["4", "running", "0.04", "5"]
    assert repr(Trials([], SPEC)) == "no trials"


def test_a_long_table_shows_its_end_and_says_so() -> None:
    trials = Trials([trial(n, {"lr": 0.01, "Größe": 2}) for n in range(1, 31)], SPEC)

    lines = repr(trials).splitlines()

    assert lines[1].startswith("11 ")
    assert lines[-2].startswith("30 ")
    assert "10 earlier trials" in lines[-1]
    assert "10 earlier trials" in WellFormed(trials._repr_html_()).text


def test_html_is_escaped() -> None:
    page = WellFormed(Trials(TRIALS, SPEC)._repr_html_())

    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "<script>" in page.text
    assert "cost<" in page.text


# Cards


def test_a_study_is_told_in_a_few_lines() -> None:
    text = study_text(summary(*TRIALS[:1], TRIALS[3], reason="Zoë sagt Halt", spec=ONE))

    assert "study étude: paused (Zoë sagt Halt), maximize acc, default" in text
    assert "1/4" in text
    assert "best 0.5 (#1) lr=0.01 Größe=2 <b>=<script>" in text
    assert "best" not in study_text(summary())


def test_a_card_is_whole_html_without_scripts() -> None:
    ranked = [TRIALS[2], TRIALS[0]]

    page = WellFormed(study_card(summary(*TRIALS[:1], *TRIALS[2:], spec=ONE), ranked))

    assert "script" not in page.tags
    assert "svg" in page.tags
    assert "étude" in page.text
    WellFormed(study_card(summary(), []))


def test_a_curve_needs_two_points() -> None:
    one = study_card(summary(TRIALS[0], spec=ONE), [TRIALS[0]])
    worse = [TRIALS[0], trial(2, TRIALS[0].values, {"acc": 0.1})]

    assert "<svg" not in one
    assert "<svg" not in study_card(summary(*worse, spec=ONE), worse)


def test_a_study_of_several_objectives_shows_its_front_with_every_objective() -> None:
    values = TRIALS[0].values
    trials = [
        trial(1, values, {"acc": 0.5, "cost<": 3.0}),
        trial(2, values, {"acc": 0.9, "cost<": 2.0}),
        trial(3, values, {"acc": 0.7, "cost<": 1.0}),
    ]

    text, page = study_text(summary(*trials)), WellFormed(study_card(summary(*trials), trials))

    told = "front of 2 trials, hypervolume 0.6 against the worst measured (acc=0.5 cost<=3)"
    assert told in text
    assert "best" not in text
    assert told in page.text
    assert page.tags.count("tr") == 3
    assert "minimize cost<" in page.text
    document = strict(json_text(study_document(summary(*trials))))
    assert isinstance(document, dict)
    front = document["front"]
    assert [t["number"] for t in front["trials"]] == [2, 3]
    assert front["reference"] == {"acc": 0.5, "cost<": 3.0}
    assert front["hypervolume"] == pytest.approx(0.6)


def test_several_objectives_of_which_one_is_missing_have_no_front_yet() -> None:
    assert "no trial has every objective yet" in study_text(summary(TRIALS[2]))


# Constraints


BOUNDED = StudySpec(
    SPACE,
    SPEC.objectives[:1],
    constraints=(Constraint("ms", 20.0), Constraint("mib", 8.0, "at_least")),
)


def test_a_best_that_breaks_a_constraint_is_never_called_best() -> None:
    near = trial(7, TRIALS[0].values, {"acc": 0.5, "ms": 23.1, "mib": 9.0})
    spec = replace(BOUNDED, constraints=BOUNDED.constraints[:1])
    told = "no trial keeps ms <= 20 yet; the nearest is trial 7, over by 3.1"

    text, card = study_text(summary(near, spec=spec)), study_card(summary(near, spec=spec), [near])

    assert told in text
    assert "constraint ms <= 20: kept by 0 of 1 trial" in text
    assert told in WellFormed(card).text
    assert "best" not in text + card
    assert study_document(summary(near, spec=spec))["best_is_feasible"] is False


def test_of_several_constraints_those_that_are_broken_are_named() -> None:
    trials = [
        trial(1, TRIALS[0].values, {"acc": 0.5, "ms": 21.0, "mib": 7.5}),
        trial(2, TRIALS[0].values, {"acc": 0.5, "ms": 1.0}),
    ]

    both, unknown = (nearest_text(t, BOUNDED) for t in trials)

    assert both.startswith("no trial keeps ms <= 20 and mib >= 8 yet; the nearest is trial 1, ")
    assert both.endswith("ms over by 1, mib under by 0.5")
    assert unknown.endswith("trial 2, mib not measured")


def test_a_share_of_trials_that_should_keep_a_constraint_stands_beside_those_that_do() -> None:
    found = trial(1, TRIALS[0].values, {"acc": 0.5, "ms": 20.0})
    spec = replace(BOUNDED, constraints=(Constraint("ms", 20.0, safe_fraction=0.9),))

    text = study_text(summary(found, spec=spec))
    document = study_document(summary(found, spec=spec))

    assert "constraint ms <= 20: kept by 1 of 1 trial, wanted: 0.9 of them" in text
    assert document["constraints"][0]["safe_fraction"] == 0.9  # type: ignore[index]


def test_constraints_are_listed_with_how_many_trials_keep_them() -> None:
    trials = [
        trial(n, TRIALS[0].values, {"acc": 0.5, "ms": ms, "mib": mib})
        for n, (ms, mib) in enumerate([(20.0, 8.0), (20.0, 7.0), (30.0, 9.0)], start=1)
    ]
    text = study_text(summary(*trials, spec=BOUNDED))

    assert "maximize acc with ms <= 20 and mib >= 8" in text
    assert "constraint ms <= 20: kept by 2 of 3 trials" in text
    assert "constraint mib >= 8: kept by 2 of 3 trials" in text
    assert "all constraints: kept by 1 of 3 trials" in text
    document = study_document(summary(*trials, spec=BOUNDED))
    assert document["best_is_feasible"] is True
    assert document["constraints"] == [
        {
            "metric": "ms",
            "bound": 20.0,
            "side": "at_most",
            "safe_fraction": 0.0,
            "kept": 2,
            "of": 3,
        },
        {
            "metric": "mib",
            "bound": 8.0,
            "side": "at_least",
            "safe_fraction": 0.0,
            "kept": 2,
            "of": 3,
        },
    ]


def test_tables_and_records_have_a_column_for_each_objective_and_constraint() -> None:
    trials = Trials([trial(1, TRIALS[0].values, {"acc": 0.5})], BOUNDED)

    assert repr(trials).splitlines()[0].split()[:5] == ["#", "state", "acc", "ms", "mib"]
    assert list(trials.records()[0])[5:8] == ["acc", "ms", "mib"]


# Explanations


def explained(metrics: Mapping[str, float], **predictions: Prediction) -> Trial:
    why = Explanation("bayesian", predictions, "log_ei", -1.5, 0.96875, "it <knows>")
    return replace(trial(9, TRIALS[0].values, metrics), explanation=why)


def test_a_prediction_is_compared_with_its_outcome_in_a_sentence() -> None:
    acc, cost = Prediction(0.91, 0.02), Prediction(2.0, 0.5)

    def told(metrics: Mapping[str, float], **predictions: Prediction) -> list[str]:
        return list(map(str, outcomes(explained(metrics, **predictions), SPEC)))

    assert told({"acc": 0.93}, acc=acc) == [
        "predicted acc 0.91 ± 0.02, measured 0.93: better by 0.02, 1.0 sd"
    ]
    assert told({"cost<": 3.0}, **{"cost<": cost}) == [
        "predicted cost< 2 ± 0.5, measured 3: worse by 1, 2.0 sd"
    ]
    assert told({"ms": 3.0}, ms=cost) == ["predicted ms 2 ± 0.5, measured 3: higher by 1, 2.0 sd"]
    assert told({"acc": 0.91}, acc=acc) == [
        "predicted acc 0.91 ± 0.02, measured 0.91: as predicted"
    ]
    assert told({}, acc=acc) == ["predicted acc 0.91 ± 0.02, not measured"]
    assert told({"acc": math.nan}, acc=acc) == ["predicted acc 0.91 ± 0.02, measured nan"]
    assert told({"acc": 1.0}, acc=Prediction(0.5, 0.0)) == [
        "predicted acc 0.5 ± 0, measured 1: better by 0.5"
    ]
    assert told({"acc": 1.0}, acc=Prediction(math.nan, math.inf)) == [
        "predicted acc nan ± inf, measured 1"
    ]


def test_an_outcome_is_a_strict_document() -> None:
    trial = explained({"acc": 0.5}, acc=Prediction(0.25, 0.125), ms=Prediction(math.inf, 1.0))

    documents = strict(json_text([outcome_document(o) for o in outcomes(trial, SPEC)]))

    assert documents == [
        {
            "metric": "acc",
            "predicted": {"mean": 0.25, "sd": 0.125},
            "measured": 0.5,
            "difference": 0.25,
            "deviations": 2.0,
            "better": True,
        },
        {
            "metric": "ms",
            "predicted": {"mean": "inf", "sd": 1.0},
            "measured": None,
            "difference": None,
            "deviations": None,
            "better": None,
        },
    ]


def test_a_trial_that_has_not_ended_shows_what_is_predicted() -> None:
    running = replace(explained({}, acc=Prediction(0.91, 0.02)), state=TrialState.RUNNING)

    assert explanation_lines(running, SPEC) == [
        "searcher bayesian: it <knows>",
        "acquisition log_ei -1.5",
        "feasible with probability 0.9688",
        "predicted acc 0.91 ± 0.02",
    ]
    assert outcomes(running, SPEC) == []


def test_an_explanation_says_no_more_than_it_knows() -> None:
    noted = replace(TRIALS[0], explanation=Explanation(note="the space is small"))
    bare = replace(TRIALS[0], explanation=Explanation(acquisition="uncertainty"))

    assert explanation_lines(TRIALS[0], SPEC) == []
    assert explanation_lines(noted, SPEC) == ["why the space is small"]
    assert explanation_lines(bare, SPEC) == ["acquisition uncertainty"]


def test_an_explanation_is_in_documents_and_predictions_are_in_records() -> None:
    odd = explained({"acc": 0.5}, acc=Prediction(0.25, math.inf))

    document = strict(json_text(trial_document(odd)))

    assert isinstance(document, dict)
    assert document["explanation"] == {
        "searcher": "bayesian",
        "predictions": {"acc": {"mean": 0.25, "sd": "inf"}},
        "acquisition": "log_ei",
        "value": -1.5,
        "feasible": 0.96875,
        "note": "it <knows>",
    }
    records = Trials([TRIALS[0], odd], SPEC).records()
    assert [r["predicted.acc"] for r in records] == [None, 0.25]
    assert [r["predicted_sd.acc"] for r in records] == [None, math.inf]


def test_a_study_says_which_searcher_its_algorithm_chose_and_since_when() -> None:
    choice = explained({})
    told = "algorithm default → bayesian since trial 9: it <knows>"

    text = study_text(summary(choices=[choice]))
    page = WellFormed(study_card(summary(choices=[choice]), []))

    assert told in text
    assert told in page.text
    assert study_document(summary(choices=[choice]))["searchers"] == [
        {"since": 9, "searcher": "bayesian", "note": "it <knows>"}
    ]


def test_small_texts() -> None:
    assert assignments({"lr": 0.012345, "units": 64, "opt": "adam"}) == (
        "lr=0.01235 units=64 opt=adam"
    )
    assert counts_text({TrialState.RUNNING: 2, TrialState.COMPLETED: 12}) == (
        "running 2, completed 12"
    )
    assert counts_text({}) == "no trials yet"
    assert goal_text(SPEC) == "maximize acc, minimize cost<"


# Exports


def test_csv_has_a_line_of_names_and_a_row_a_trial() -> None:
    rows = list(csv.DictReader(io.StringIO(trials_csv(TRIALS, SPEC), newline="")))

    assert [row["number"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["Größe"] == "2"
    assert rows[1]["reason"] == 'a, "b"\nc'
    assert (rows[1]["acc"], rows[1]["cost<"]) == ("inf", "nan")
    assert rows[3]["acc"] == ""
    assert trials_csv([], SPEC).startswith("number,state")


def strict(text: str) -> object:
    def refuse(constant: str) -> object:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_json_is_strict_and_keeps_alphabets() -> None:
    text = trials_json(TRIALS)

    document = strict(text)
    assert isinstance(document, dict)
    assert document["schema"] == "tunesmith.trials/1"
    assert document["trials"] == [trial_document(t) for t in TRIALS]
    assert "Größe" in text
    assert text.endswith("\n")


def test_json_lines_have_one_trial_each() -> None:
    lines = trials_jsonl(TRIALS).splitlines()

    assert [strict(line) for line in lines] == [trial_document(t) for t in TRIALS]
    assert trials_jsonl([]) == ""


def test_json_that_would_not_be_strict_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text({"value": math.nan})
