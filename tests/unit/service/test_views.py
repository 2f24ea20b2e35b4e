import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3

from tunesmith.model import Measurement, Objective, StudySpec, Suggestion, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, ServedStorage

Serve = Callable[..., Any]
Secret = Callable[..., str]
Connect = Callable[..., Any]

_SPACE = Space({"x": Double(0, 1), "y": Double(0, 1)})


@pytest.fixture
def study(storage: ServedStorage) -> ServedStorage:
    """The server's storage, with a study ``s`` of twelve completed trials."""
    storage.create_study("s", StudySpec(_SPACE, (Objective("loss", "minimize"),)))
    points = [Suggestion({"x": i / 12, "y": (i * 5 % 12) / 12}) for i in range(12)]
    for trial in storage.add_trials("s", points, after=0, claim=Claim("w")):
        loss = float(trial.values["x"]) ** 2
        steps = [Measurement(step, {"loss": loss + 1 / (step + 1)}) for step in range(3)]
        storage.report("s", trial.number, 1, steps)
        storage.finish("s", trial.number, 1, TrialState.COMPLETED, metrics={"loss": loss}, step=2)
    return storage


# Columns


def test_trials_come_as_columns(study: ServedStorage, client: Any) -> None:
    found = client.get("/studies/s/columns").json()

    columns = found["columns"]
    assert columns["number"] == list(range(1, 13))
    assert set(columns["state"]) == {"completed"}
    assert columns["values"]["x"] == [i / 12 for i in range(12)]
    assert columns["metrics"]["loss"][3] == (3 / 12) ** 2
    assert (found["size"], found["state"], found["more"]) == (12, "active", False)


def test_only_what_changed_comes_again(study: ServedStorage, client: Any) -> None:
    cursor = client.get("/studies/s/columns").json()["cursor"]
    study.add_trials("s", [Suggestion({"x": 0.5, "y": 0.5})], after=12)

    found = client.get(f"/studies/s/columns?since={cursor}").json()
    after = client.get(f"/studies/s/columns?since={found['cursor']}").json()

    assert found["columns"]["number"] == [13]
    assert after["columns"]["number"] == []


def test_a_large_study_comes_in_pieces_that_miss_nothing(study: ServedStorage, client: Any) -> None:
    numbers, cursor, more = [], -1, True
    while more:
        found = client.get(f"/studies/s/columns?since={cursor}&limit=5&names=number").json()
        numbers += found["columns"]["number"]
        cursor, more = found["cursor"], found["more"]

    assert sorted(numbers) == list(range(1, 13))
    assert cursor == study.study("s").revision


def test_trials_of_one_transaction_are_not_torn_apart(storage: ServedStorage, client: Any) -> None:
    storage.create_study("s", StudySpec(_SPACE, (Objective("loss", "minimize"),)))
    storage.add_trials("s", [Suggestion({"x": i / 9, "y": 0.0}) for i in range(9)], after=0)

    found = client.get("/studies/s/columns?limit=2").json()

    assert (len(found["columns"]["number"]), found["more"]) == (9, False)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("number", {"number"}),
        ("number,state", {"number", "state"}),
        ("values", {"values"}),
        ("values.x,metrics.loss", {"values", "metrics"}),
        ("nothing", set()),
    ],
)
def test_columns_may_be_chosen(
    study: ServedStorage, client: Any, names: str, expected: set[str]
) -> None:
    columns = client.get(f"/studies/s/columns?names={names}").json()["columns"]

    assert set(columns) == expected
    assert names != "values.x,metrics.loss" or set(columns["values"]) == {"x"}


def test_who_knows_more_than_there_is_reads_from_the_beginning(
    study: ServedStorage, client: Any
) -> None:
    found = client.get("/studies/s/columns?since=1000000").json()

    assert len(found["columns"]["number"]) == 12


# Curves


def test_curves_come_with_their_steps(study: ServedStorage, client: Any) -> None:
    found = client.get("/studies/s/curves?trials=3,1").json()

    assert [curve["number"] for curve in found["curves"]] == [1, 3]
    assert found["curves"][0]["steps"] == [0, 1, 2]
    assert found["curves"][0]["values"] == [1.0, 0.5, 1 / 3]


def test_only_curves_that_grew_come_again(study: ServedStorage, client: Any) -> None:
    before = client.get("/studies/s/curves").json()["revision"]
    study.add_trials("s", [Suggestion({"x": 0.5, "y": 0.5})], after=12, claim=Claim("w"))
    study.report("s", 13, 1, [Measurement(0, {"loss": 7.0})])

    found = client.get(f"/studies/s/curves?since={before}").json()

    assert [curve["number"] for curve in found["curves"]] == [13]


def test_a_long_curve_is_thinned_out_without_losing_its_peaks(
    storage: ServedStorage, client: Any
) -> None:
    storage.create_study("s", StudySpec(_SPACE, (Objective("loss", "minimize"),)))
    storage.add_trials("s", [Suggestion({"x": 0.5, "y": 0.5})], after=0, claim=Claim("w"))
    losses = [float(i % 7) for i in range(2000)]
    losses[777], losses[1234] = 99.0, -99.0
    storage.report("s", 1, 1, [Measurement(i, {"loss": y}) for i, y in enumerate(losses)])

    curve = client.get("/studies/s/curves?points=50").json()["curves"][0]

    assert curve["of"] == 2000
    assert len(curve["steps"]) <= 50
    assert {0, 777, 1234, 1999} <= set(curve["steps"])
    assert {99.0, -99.0} <= set(curve["values"])


# What is best, what matters


def test_the_best_come_first(study: ServedStorage, client: Any) -> None:
    best = client.get("/studies/s/best?count=3").json()["trials"]

    assert [trial["number"] for trial in best] == [1, 2, 3]


def test_with_one_objective_the_front_is_the_best_trial(study: ServedStorage, client: Any) -> None:
    front = client.get("/studies/s/front").json()

    assert [trial["number"] for trial in front["trials"]] == [1]


def test_a_front_has_all_that_are_best_in_some_way(storage: ServedStorage, client: Any) -> None:
    goals = (Objective("loss", "minimize"), Objective("cost", "minimize"))
    storage.create_study("s", StudySpec(_SPACE, goals))
    points = [Suggestion({"x": i / 4, "y": 0.0}) for i in range(4)]
    for trial in storage.add_trials("s", points, after=0, claim=Claim("w")):
        n = trial.number
        metrics = {"loss": float(n), "cost": float(4 - n) if n < 4 else 9.0}
        storage.finish("s", n, 1, TrialState.COMPLETED, metrics=metrics)

    front = client.get("/studies/s/front").json()

    assert [trial["number"] for trial in front["trials"]] == [1, 2, 3]
    assert front["hypervolume"] > 0


def test_what_matters_is_told_and_kept_until_a_trial_ends(
    study: ServedStorage, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.get("/studies/s/importance")
    monkeypatch.setattr("tunesmith.service.analyses._importance", lambda *_: {"anew": True})
    second = client.get("/studies/s/importance")
    study.add_trials("s", [Suggestion({"x": 0.5, "y": 0.5})], after=12, claim=Claim("w"))
    study.finish("s", 13, 1, TrialState.COMPLETED, metrics={"loss": 0.25})
    third = client.get("/studies/s/importance")

    assert first.json()["parameters"][0]["name"] == "x"
    assert second.json() == first.json()
    assert third.json() == {"anew": True}


def test_what_matters_for_a_metric_that_nobody_measured_is_refused(
    study: ServedStorage, client: Any
) -> None:
    assert client.get("/studies/s/importance?metric=speed").error["type"] == "MetricError"


def test_the_outlook_says_how_long_it_takes(storage: ServedStorage, client: Any) -> None:
    spec = StudySpec(_SPACE, (Objective("loss", "minimize"),), max_trials=10, max_steps=20)
    storage.create_study("s", spec)
    storage.add_trials("s", [Suggestion({"x": 0.5, "y": 0.5})], after=0, claim=Claim("w"))
    storage.report("s", 1, 1, [Measurement(4, {"loss": 1.0}, elapsed_s=10.0)])

    outlook = client.get("/studies/s/outlook").json()

    assert (outlook["trials"], outlook["steps"]["whole"]) == (10, 200)
    assert outlook["step_s"] == 2.5


# Events


class _Stream:
    """Reads server-sent events as they come."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._lines = self._read()

    def _read(self) -> Iterator[str]:
        rest = b""
        while chunk := self._response.read1():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in lines)

    def next(self) -> Mapping[str, Any]:
        """Return the next event that is no sign of life; fails if the stream ends."""
        event: dict[str, Any] = {}
        for line in self._lines:
            name, _, text = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = json.loads(text) if name == "data" else text
            elif not line and event:
                return event
        raise EOFError

    def has_ended(self) -> bool:
        return all(not line or line.startswith(":") for line in self._lines)


@contextmanager
def _listening(client: Any, path: str, **headers: str) -> Iterator[_Stream]:
    pool = urllib3.PoolManager(timeout=30.0, retries=False)
    head = client.headers | {name.replace("_", "-"): text for name, text in headers.items()}
    response = pool.request(
        "GET", f"{client.url}/api/v1{path}", headers=head, preload_content=False
    )
    assert response.status == 200, response.data
    assert response.headers["Content-Type"].startswith("text/event-stream")
    try:
        yield _Stream(response)
    finally:
        response.close()
        pool.clear()


def test_who_watches_a_study_hears_of_its_trials(study: ServedStorage, client: Any) -> None:
    with _listening(client, "/studies/s/events") as stream:
        first = stream.next()
        client.post("/studies/s/enqueue", {"values": {"x": 0.9, "y": 0.9}})
        second = stream.next()

    assert (first["event"], first["data"]["size"]) == ("study", 12)
    assert second["data"]["trials"] == [{"number": 13, "state": "queued", "attempt": 0}]
    assert int(second["id"]) == second["data"]["revision"]


def test_what_others_change_in_the_database_is_heard_too(study: ServedStorage, client: Any) -> None:
    with _listening(client, "/studies/s/events") as stream:
        stream.next()
        study.add_trials("s", [Suggestion({"x": 0.5, "y": 0.5})], after=12)
        heard = stream.next()

    assert [trial["number"] for trial in heard["data"]["trials"]] == [13]


def test_who_comes_again_hears_what_was_missed(study: ServedStorage, client: Any) -> None:
    with _listening(client, "/studies/s/events") as stream:
        last = stream.next()["id"]
    client.post("/studies/s/enqueue", {"values": {"x": 0.9, "y": 0.9}})
    client.post("/studies/s/enqueue", {"values": {"x": 0.8, "y": 0.8}})

    with _listening(client, "/studies/s/events", Last_Event_ID=last) as stream:
        stream.next()
        missed = stream.next()

    assert [trial["number"] for trial in missed["data"]["trials"]] == [13, 14]


def test_a_stream_ends_when_its_study_is_deleted(study: ServedStorage, client: Any) -> None:
    with _listening(client, "/studies/s/events") as stream:
        stream.next()
        client("DELETE", "/studies/s")
        last = stream.next()
        ended = stream.has_ended()

    assert (last["event"], ended) == ("gone", True)


def test_who_watches_a_project_hears_of_all_its_studies(study: ServedStorage, client: Any) -> None:
    with _listening(client, "/events") as stream:
        first = stream.next()["data"]["revisions"]
        client.post("/studies/s/pause")
        second = stream.next()["data"]["revisions"]
        client("DELETE", "/studies/s")
        third = stream.next()["data"]["revisions"]

    assert second["s"] > first["s"]
    assert third == {"s": None}


def test_another_projects_studies_are_not_heard_of(
    study: ServedStorage, serve: Serve, secret: Secret, connect: Connect
) -> None:
    outsider = connect(serve().url, secret("admin", "other"))

    with _listening(outsider, "/events") as stream:
        study.set_budget("s", max_trials=99)
        study.in_project("other").create_study("own", study.study("s").spec)
        heard: dict[str, Any] = {}
        while "own" not in heard:
            heard |= stream.next()["data"]["revisions"]

    assert set(heard) == {"own"}


def test_a_stream_ends_with_its_token(
    study: ServedStorage, serve: Serve, secret: Secret, connect: Connect
) -> None:
    url = serve().url
    admin, watcher = connect(url, secret("admin")), connect(url, secret("read"))

    with _listening(watcher, "/studies/s/events") as stream:
        stream.next()
        admin("DELETE", f"/tokens/{study.tokens.all()[-1].id}")
        admin.post("/studies/s/pause")
        ended = stream.has_ended()

    assert ended


def test_there_are_no_more_streams_than_the_server_takes(
    study: ServedStorage, serve: Serve
) -> None:
    from tunesmith.service.settings import Limits

    client = serve(limits=Limits(streams=1))

    with _listening(client, "/events") as stream:
        stream.next()
        second = client.get("/events")

    assert second.status == 429


def test_a_server_that_ends_ends_its_streams(
    study: ServedStorage, tmp_path: Any, connect: Connect
) -> None:
    from tunesmith.service.app import make_app
    from tunesmith.service.run import Running
    from tunesmith.service.settings import Settings

    settings = Settings(port=0, data=tmp_path / "data")
    running = Running(make_app(study, settings), settings)
    running.__enter__()
    with _listening(connect(running.url), "/events") as stream:
        stream.next()
        ending = threading.Thread(target=running.__exit__, args=(None, None, None))
        ending.start()
        ended = stream.has_ended()
        ending.join(30)

    assert ended
    assert not ending.is_alive()


# Health


def test_a_server_says_whether_it_can_serve(
    client: Any, storage: ServedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.errors import StorageError

    def fail(_: object) -> None:
        raise StorageError("away")

    well = client("GET", "//readyz")
    monkeypatch.setattr(type(storage), "ping", fail)
    ill = client("GET", "//readyz")
    alive = client("GET", "//healthz")

    assert (well.status, ill.status, alive.status) == (200, 503, 200)
    assert ill.headers["Retry-After"]


@pytest.mark.parametrize("strips", [True, False], ids=["the proxy strips it", "it comes whole"])
def test_a_server_may_live_below_a_path(serve: Serve, strips: bool) -> None:
    client = serve(base_path="/tune")
    root = client.url.removesuffix("/tune")

    client.url = root if strips else client.url

    assert client.get("/whoami").status == 200
    assert client("GET", "//api/v1/openapi.json").json()["servers"] == [{"url": "/tune"}]
