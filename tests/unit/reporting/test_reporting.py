import csv
import io
import json
import math
import sys
from collections.abc import Mapping
from html.parser import HTMLParser

import pytest

from tunesmith.errors import MissingExtraError
from tunesmith.model import (
    Measurement,
    Objective,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Trial,
    TrialState,
)
from tunesmith.reporting import (
    Trials,
    assignments,
    counts_text,
    duration,
    goal_text,
    iso_time,
    json_text,
    measurement_document,
    number,
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


def summary(*trials: Trial, reason: str = "") -> StudySummary:
    counts = {s: n for s in TrialState if (n := sum(t.state is s for t in trials))}
    best = max((t for t in trials if t.counts), key=lambda t: t.metrics["acc"], default=None)
    state = StudyState.PAUSED if reason else StudyState.ACTIVE
    return StudySummary(StudyRecord("étude", SPEC, state, reason, len(trials)), counts, best)


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
        "reason": 'a, "b"\nc',
        "origin": "sobol",
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
    assert document["objectives"][0] == {"metric": "acc", "goal": "maximize"}
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
    text = study_text(summary(*TRIALS[:1], TRIALS[3], reason="Zoë sagt Halt"))

    assert "study étude: paused (Zoë sagt Halt), maximize acc, minimize cost<" in text
    assert "1/4" in text
    assert "best 0.5 (#1) lr=0.01 Größe=2 <b>=<script>" in text
    assert "best" not in study_text(summary())


def test_a_card_is_whole_html_without_scripts() -> None:
    ranked = [TRIALS[2], TRIALS[0]]

    page = WellFormed(study_card(summary(*TRIALS[:1], *TRIALS[2:]), ranked))

    assert "script" not in page.tags
    assert "svg" in page.tags
    assert "étude" in page.text
    assert "minimize cost<" in page.text
    WellFormed(study_card(summary(), []))


def test_a_curve_needs_two_points() -> None:
    one = study_card(summary(TRIALS[0]), [TRIALS[0]])
    worse = [TRIALS[0], trial(2, TRIALS[0].values, {"acc": 0.1})]

    assert "<svg" not in one
    assert "<svg" not in study_card(summary(*worse), worse)


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
