import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tunesmith import search
from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.storage import ServedStorage

Serve = Callable[..., Any]

_DOUBLE = {"type": "double", "min": 0, "max": 1}
_STUDY = {"minimize": "loss", "algorithm": "random", "seed": 1, "parameters": {"x": _DOUBLE}}


@pytest.fixture
def made(client: Any) -> Callable[..., Any]:
    """Makes a study ``s`` of these keys beside the usual ones; returns the client."""

    def make(name: str = "s", **keys: Any) -> Any:
        assert client("PUT", f"/studies/{name}", _STUDY | keys).status == 201
        return client

    return make


def _suggest(client: Any, study: str = "s", worker: str = "w", **keys: Any) -> Any:
    answer = client.post(f"/studies/{study}/suggest", {"worker": worker, **keys})
    assert answer.status == 200, answer.body
    return answer.json()["trials"]


def _report(client: Any, number: int, step: int, loss: float, attempt: int = 1) -> Any:
    body = {"attempt": attempt, "step": step, "metrics": {"loss": loss}}
    return client.post(f"/studies/s/trials/{number}/report", body)


def _complete(client: Any, number: int, attempt: int = 1, **how: Any) -> Any:
    return client.post(f"/studies/s/trials/{number}/complete", {"attempt": attempt, **how})


# Making a study


def test_a_study_is_made_of_a_small_document_and_continued_by_it(client: Any) -> None:
    made = client("PUT", "/studies/s", _STUDY | {"max_trials": 3, "command": "python train.py"})
    again = client("PUT", "/studies/s", _STUDY | {"max_trials": 5})

    assert (made.status, again.status) == (201, 200)
    assert made.json()["command"] == "python train.py"
    assert made.json()["spec"]["seed"] == 1
    assert again.json()["spec"]["max_trials"] == 5


def test_a_study_with_another_space_is_another_study(made: Callable[..., Any]) -> None:
    answer = made()("PUT", "/studies/s", _STUDY | {"parameters": {"y": _DOUBLE}})

    assert answer.status == 409
    assert answer.error["type"] == "MismatchError"


def test_faults_of_a_study_are_told_all_at_once(client: Any) -> None:
    answer = client(
        "PUT", "/studies/s", {"minimise": "loss", "parameters": {"x": {"type": "dobule"}}}
    )

    assert answer.status == 422
    assert answer.error["type"] == "SpecError"
    assert len(answer.error["problems"]) >= 2


@pytest.mark.parametrize(
    "keys", [{"directory": "/etc"}, {"retries": 2}, {"study": "other"}, {"command": 7}]
)
def test_what_belongs_to_a_file_that_is_run_is_refused(client: Any, keys: dict[str, Any]) -> None:
    assert client("PUT", "/studies/s", _STUDY | keys).status == 422


def test_a_project_has_no_more_studies_than_it_may(serve: Serve) -> None:
    from tunesmith.service.settings import Limits

    client = serve(limits=Limits(studies=1))
    client("PUT", "/studies/a", _STUDY)

    more = client("PUT", "/studies/b", _STUDY)
    same = client("PUT", "/studies/a", _STUDY)

    assert (more.status, same.status) == (409, 200)


# A trial's life


def test_a_trial_is_suggested_reported_and_completed(made: Callable[..., Any]) -> None:
    client = made(max_trials=1)

    trial = _suggest(client)[0]
    verdict = _report(client, trial["number"], 1, 0.5)
    ended = _complete(client, trial["number"], metrics={"loss": 0.25})

    assert (trial["number"], trial["state"], trial["worker"]) == (1, "running", "w")
    assert verdict.json() == {"stop": False, "pause": False, "reason": "", "budget": None}
    assert ended.json()["state"] == "completed"
    assert ended.json()["metrics"] == {"loss": 0.25}


def test_the_last_completion_finishes_the_study(made: Callable[..., Any]) -> None:
    client = made(max_trials=2)
    _suggest(client, count=2)

    _complete(client, 1, metrics={"loss": 1})
    _complete(client, 2, metrics={"loss": 1})

    record = client.get("/studies/s").json()
    assert (record["state"], record["reason"]) == ("finished", "all 2 trials have ended")


def test_the_last_point_of_a_space_finishes_the_study(client: Any) -> None:
    grid = {"minimize": "loss", "algorithm": "grid", "parameters": {"u": [1, 2]}}
    client("PUT", "/studies/s", grid)
    numbers = [trial["number"] for trial in _suggest(client, count=2)]
    waiting = client.post("/studies/s/suggest", {"worker": "w"})

    for number in numbers:
        _complete(client, number, metrics={"loss": 1})

    assert waiting.status == 409
    assert client.get("/studies/s").json()["state"] == "finished"


def test_what_was_reported_counts_where_no_metrics_are_given(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client)
    _report(client, 1, 1, 0.5)
    _report(client, 1, 2, 0.125)

    ended = _complete(client, 1).json()

    assert (ended["state"], ended["metrics"], ended["step"]) == ("completed", {"loss": 0.125}, 2)


def test_several_measurements_are_reported_at_once(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client)

    body = {
        "attempt": 1,
        "measurements": [{"step": i, "metrics": {"loss": 1 / (i + 1)}} for i in range(5)],
    }
    answer = client.post("/studies/s/trials/1/report", body)

    assert answer.status == 200
    assert client.get("/studies/s/curves").json()["curves"][0]["steps"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("how", "state", "reason"),
    [
        ({"error": "out of memory"}, "failed", "out of memory"),
        ({"infeasible": "too large"}, "infeasible", "too large"),
        ({"metrics": {"loss": "nan"}}, "failed", "loss was nan"),
    ],
)
def test_a_trial_may_end_otherwise(
    made: Callable[..., Any], how: dict[str, Any], state: str, reason: str
) -> None:
    client = made()
    _suggest(client)

    ended = _complete(client, 1, **how).json()

    assert (ended["state"], ended["reason"]) == (state, reason)


@pytest.mark.parametrize("how", [{}, {"metrics": {"accuracy": 1}}])
def test_a_trial_does_not_end_without_its_metric(made: Callable[..., Any], how: Any) -> None:
    client = made()
    _suggest(client)

    answer = _complete(client, 1, **how)

    assert answer.status == 422
    assert answer.error["type"] == "MetricError"


@pytest.mark.parametrize("name", ["error", "infeasible", "trial", "self"])
def test_a_metric_may_have_any_name(client: Any, name: str) -> None:
    client("PUT", "/studies/s", _STUDY | {"minimize": name})
    _suggest(client)

    assert _complete(client, 1, metrics={name: 0.5}).json()["metrics"] == {name: 0.5}


def test_who_no_longer_holds_a_trial_changes_nothing(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client)

    reported, completed = (
        _report(client, 1, 1, 0.5, attempt=2),
        _complete(client, 1, attempt=2, error="x"),
    )

    for answer in (reported, completed):
        assert (answer.status, answer.error["type"]) == (409, "LeaseLostError")


def test_a_trial_that_is_not_there_is_not_found(made: Callable[..., Any]) -> None:
    client = made()

    assert _report(client, 7, 1, 0.5).status == 404
    assert _complete(client, 7, error="x").status == 404
    assert client.post("/studies/none/suggest", {"worker": "w"}).status == 404


# Stopping and pausing


def test_a_rule_stops_a_trial_over_http_and_says_why(made: Callable[..., Any]) -> None:
    client = made(stopping={"name": "threshold", "upper": 10})
    _suggest(client)

    verdict = _report(client, 1, 1, 99.0).json()
    ended = _complete(client, 1).json()

    assert verdict["stop"]
    assert (ended["state"], ended["reason"]) == ("stopped", verdict["reason"])


def test_what_a_rule_said_outlives_the_server(serve: Serve) -> None:
    before = serve()
    before("PUT", "/studies/s", _STUDY | {"stopping": {"name": "threshold", "upper": 10}})
    _suggest(before)
    verdict = _report(before, 1, 1, 99.0).json()

    after = serve()
    ended = _complete(after, 1).json()

    assert (ended["state"], ended["reason"]) == ("stopped", verdict["reason"])


def test_a_person_stops_a_trial_and_its_worker_hears_of_it(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client)

    client.post("/studies/s/trials/1/stop", {"reason": "hopeless"})
    verdict = _report(client, 1, 1, 0.5).json()

    assert verdict == {"stop": True, "pause": False, "reason": "hopeless", "budget": None}


def test_a_person_pauses_a_trial_and_lets_it_go_on(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client)
    client.post("/studies/s/trials/1/pause", {"reason": "lunch"})
    verdict = _report(client, 1, 1, 0.5).json()
    paused = _complete(client, 1, paused=verdict["reason"]).json()

    resumed = client.post("/studies/s/trials/1/resume").json()
    again = _suggest(client)[0]

    assert verdict["pause"]
    assert (paused["state"], resumed["state"]) == ("paused", "queued")
    assert (again["number"], again["attempt"]) == (1, 2)


def test_a_study_is_paused_resumed_and_stopped(made: Callable[..., Any]) -> None:
    client = made()

    states = []
    for wish in ("pause", "resume", "stop"):
        assert client.post(f"/studies/s/{wish}", {"reason": "so"}).status == 204
        states.append(client.get("/studies/s").json()["state"])

    assert states == ["paused", "active", "stopped"]
    assert client.post("/studies/s/suggest", {"worker": "w"}).error["type"] == "StudyEnded"


def test_a_larger_budget_lets_a_finished_study_go_on(made: Callable[..., Any]) -> None:
    client = made(max_trials=1)
    _suggest(client)
    _complete(client, 1, metrics={"loss": 1})

    client.post("/studies/s/budget", {"max_trials": 2})

    assert _suggest(client)[0]["number"] == 2


def test_an_ended_trial_runs_again_and_is_continued(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client, count=2)
    _complete(client, 1, error="power cut")
    _report(client, 2, 5, 0.5)
    _complete(client, 2)

    again = client.post("/studies/s/trials/1/again").json()
    longer = client.post("/studies/s/trials/2/continue", {"steps": 9}).json()

    assert again["state"] == "queued"
    assert (longer["number"], longer["parent"], longer["budget"]) == (3, 2, 9)


def test_a_point_of_ones_own_is_tried_next(made: Callable[..., Any]) -> None:
    client = made()

    queued = client.post("/studies/s/enqueue", {"values": {"x": 0.5}})
    outside = client.post("/studies/s/enqueue", {"values": {"x": 5}})

    assert (queued.status, outside.status) == (201, 422)
    assert _suggest(client)[0]["values"] == {"x": 0.5}


# Leases


def test_a_trial_of_a_silent_worker_goes_to_another(client: Any, storage: ServedStorage) -> None:
    client("PUT", "/studies/s", _STUDY)
    _suggest(client, worker="silent", lease_s=1e-6)

    again = _suggest(client, worker="other")[0]

    assert (again["number"], again["attempt"], again["worker"]) == (1, 2, "other")


def test_a_report_renews_the_lease_as_it_was(made: Callable[..., Any]) -> None:
    client = made()
    before = _suggest(client, lease_s=500)[0]

    _report(client, 1, 1, 0.5)

    after = client.get("/studies/s/trials/1").json()
    assert after["lease_until"] > before["lease_until"]
    assert after["lease_until"] - before["lease_until"] < 60


def test_a_claim_without_end_stays_so(made: Callable[..., Any]) -> None:
    client = made()
    _suggest(client, lease_s=None)

    _report(client, 1, 1, 0.5)

    assert client.get("/studies/s/trials/1").json()["lease_until"] is None


# Exactly once


def test_a_suggestion_asked_for_again_is_the_same(made: Callable[..., Any]) -> None:
    client = made()

    first = client.post(
        "/studies/s/suggest", {"worker": "w", "count": 3}, Idempotency_Key="k-0000001"
    )
    again = client.post(
        "/studies/s/suggest", {"worker": "w", "count": 3}, Idempotency_Key="k-0000001"
    )

    assert len(first.json()["trials"]) == 3
    assert again.json() == first.json()
    assert client.get("/studies/s").json()["size"] == 3


def test_a_suggestion_asked_for_again_after_a_restart_is_the_same(serve: Serve) -> None:
    before = serve()
    before("PUT", "/studies/s", _STUDY)
    first = before.post("/studies/s/suggest", {"worker": "w"}, Idempotency_Key="k-0000001")

    again = serve().post("/studies/s/suggest", {"worker": "w"}, Idempotency_Key="k-0000001")

    assert again.json() == first.json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("trials/1/complete", {"attempt": 1, "metrics": {"loss": 0.5}}),
        ("trials/1/complete", {"attempt": 1, "error": "broken"}),
        ("trials/1/report", {"attempt": 1, "step": 1, "metrics": {"loss": 0.5}}),
        ("enqueue", {"values": {"x": 0.75}}),
        ("trials/1/stop", {"reason": "hopeless"}),
        ("pause", {}),
        ("budget", {"max_trials": 7}),
    ],
)
def test_a_change_asked_for_again_happens_once(
    made: Callable[..., Any], path: str, body: dict[str, Any]
) -> None:
    client = made()
    _suggest(client)

    first = client.post(f"/studies/s/{path}", body, Idempotency_Key="k-0000001")
    record = client.get("/studies/s").json()
    again = client.post(f"/studies/s/{path}", body, Idempotency_Key="k-0000001")

    assert first.status < 300
    assert (again.status, again.body) == (first.status, first.body)
    assert client.get("/studies/s").json() == record


def test_a_key_stands_for_one_request(made: Callable[..., Any]) -> None:
    client = made()
    client.post("/studies/s/suggest", {"worker": "w"}, Idempotency_Key="k-0000001")

    other = client.post("/studies/s/suggest", {"worker": "v"}, Idempotency_Key="k-0000001")

    assert (other.status, other.error["type"]) == (422, "KeyReusedError")


def test_a_key_used_twice_is_no_harm_to_who_asks_at_the_same_time(made: Callable[..., Any]) -> None:
    client = made()
    client.post("/studies/s/suggest", {"worker": "w"}, Idempotency_Key="k-0000001")

    def ask(i: int) -> int:
        key = {"Idempotency_Key": "k-0000001"} if i % 4 == 0 else {}
        return int(client.post("/studies/s/suggest", {"worker": f"v{i}"}, **key).status)

    with ThreadPoolExecutor(12) as threads:
        statuses = list(threads.map(ask, range(12)))

    assert statuses == [422 if i % 4 == 0 else 200 for i in range(12)]


# Many at once


def test_who_asks_at_the_same_time_gets_different_trials(made: Callable[..., Any]) -> None:
    client = made()

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda i: _suggest(client, worker=f"w{i}")[0], range(64)))

    assert sorted(trial["number"] for trial in found) == list(range(1, 65))
    assert {trial["worker"] for trial in found} == {f"w{i}" for i in range(64)}


def test_many_at_once_never_get_more_than_the_study_may_have(made: Callable[..., Any]) -> None:
    client = made(max_trials=20)

    def life(i: int) -> int:
        done = 0
        while (answer := client.post("/studies/s/suggest", {"worker": f"w{i}"})).status == 200:
            for trial in answer.json()["trials"]:
                _report(client, trial["number"], 1, 0.5)
                done += _complete(client, trial["number"], metrics={"loss": 0.5}).status == 200
        return done

    with ThreadPoolExecutor(8) as threads:
        done = sum(threads.map(life, range(8)))

    record = client.get("/studies/s").json()
    assert (done, record["size"], record["state"]) == (20, 20, "finished")


class _Thinking:
    """A searcher that thinks until it is told to stop."""

    def __init__(self) -> None:
        self.begun, self.enough = threading.Event(), threading.Event()

    def check(self, spec: StudySpec) -> None:
        pass

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        if len(history.trials) and history.spec.seed == 7:
            self.begun.set()
            assert self.enough.wait(30)
        return [Suggestion({"x": float(rng.random())}) for _ in range(count)]


@pytest.fixture
def thinking(monkeypatch: pytest.MonkeyPatch) -> _Thinking:
    """Every study's searcher; that of a study with seed 7 thinks long about its second trial."""
    searcher = _Thinking()
    monkeypatch.setattr("tunesmith.study.advisor.make_searcher", lambda _: searcher)
    assert search
    return searcher


def test_a_study_that_thinks_holds_up_neither_others_nor_its_own_reports(
    made: Callable[..., Any], thinking: _Thinking
) -> None:
    client = made("s", seed=7, stopping="median")
    made("other")
    _suggest(client)

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(_suggest, client)
        assert thinking.begun.wait(30)
        other = _suggest(client, "other")
        reported = _report(client, 1, 1, 0.5)
        completed = _complete(client, 1, metrics={"loss": 0.5})
        was_thinking = not slow.done()
        thinking.enough.set()
        found = slow.result()

    assert was_thinking
    assert (len(other), reported.status, completed.status) == (1, 200, 200)
    assert found[0]["number"] == 2


# A study made anew


def test_a_study_that_was_deleted_and_made_anew_is_another(made: Callable[..., Any]) -> None:
    client = made()
    for number in (1, 2):
        _suggest(client)
        _complete(client, number, metrics={"loss": 1})
    client("DELETE", "/studies/s")
    gone = client.post("/studies/s/suggest", {"worker": "w"})

    made(minimize="cost")
    trial = _suggest(client)[0]
    ended = _complete(client, 1, metrics={"cost": 3})

    assert gone.status == 404
    assert trial["number"] == 1
    assert ended.json()["metrics"] == {"cost": 3}
    assert client.get("/studies/s/columns").json()["columns"]["number"] == [1]
