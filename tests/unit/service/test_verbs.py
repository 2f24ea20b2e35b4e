import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.model import Measurement, StudyState, TrialState
from tunesmith.service.settings import Limits
from tunesmith.service.turns import Turns
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, ServedStorage, wire
from tunesmith.testing.studies import spec_of, suggestions

Serve = Callable[..., Any]
SPEC = wire.spec_document(spec_of(Space({"x": Double(0.0, 1.0)})))
ME = {"worker": "me", "lease_s": 60}
ADDED = {"suggestions": [{"values": {"x": 0.5}}], "after": 0, "claim": ME}
TOPIC = ("default", "s")


@pytest.fixture
def study(storage: ServedStorage) -> str:
    storage.create_study("s", spec_of(Space({"x": Double(0.0, 1.0)})))
    return "s"


@pytest.fixture
def running(storage: ServedStorage, study: str) -> int:
    (trial,) = storage.add_trials(study, suggestions(0.5), after=0, claim=Claim("me", 60.0))
    return trial.number


# Once


def test_trials_that_are_asked_for_twice_under_a_key_are_added_once(
    client: Any, storage: ServedStorage, study: str
) -> None:
    first = client.post("/studies/s/trials", ADDED, Idempotency_Key="abcdefgh-1")
    again = client.post("/studies/s/trials", ADDED, Idempotency_Key="abcdefgh-1")

    assert first.status == again.status == 200
    assert first.json() == again.json()
    assert storage.study("s").size == 1


def test_a_trial_is_claimed_once_under_a_key(
    client: Any, storage: ServedStorage, study: str
) -> None:
    storage.add_trials("s", suggestions(0.1, 0.2), after=0)

    claimed = [client.post("/studies/s/claim", ME, Idempotency_Key="abcdefgh") for _ in range(3)]

    assert [c.json()["trials"][0]["number"] for c in claimed] == [1, 1, 1]
    assert storage.trial("s", 2).state is TrialState.QUEUED


def test_a_study_that_was_deleted_is_deleted_again_under_the_same_key_only(
    client: Any, study: str
) -> None:
    statuses = [
        client("DELETE", "/studies/s", Idempotency_Key=key).status
        for key in ("abcdefgh", "abcdefgh", "other-key")
    ]

    assert statuses == [204, 204, 404]


def test_a_retry_whose_reply_was_lost_is_no_error(
    client: Any, storage: ServedStorage, running: int
) -> None:
    storage.finish("s", running, 1, TrialState.FAILED, metrics={})

    statuses = [
        client.post("/studies/s/trials/1/retry", Idempotency_Key=key).status
        for key in ("abcdefgh", "abcdefgh", "other-key")
    ]

    assert statuses == [204, 204, 409]


# Roles


@pytest.mark.parametrize(
    ("state", "status"), [("finished", 204), ("failed", 204), ("active", 403), ("stopped", 403)]
)
def test_a_worker_says_that_a_study_has_ended_and_nothing_else(
    client: Any, secret: Callable[..., str], study: str, state: str, status: int
) -> None:
    bearer = {"Authorization": f"Bearer {secret('worker')}"}

    answer = client.post("/studies/s/state", {"state": state}, **bearer)

    assert answer.status == status
    if status == 403:
        assert answer.error["needs"] == "write"


def test_a_worker_runs_a_trial_from_its_claim_to_its_end(
    client: Any, storage: ServedStorage, secret: Callable[..., str], study: str
) -> None:
    bearer = {"Authorization": f"Bearer {secret('worker')}"}
    measured = {"attempt": 1, "measurements": [{"step": 0, "metrics": {"loss": 0.5}}]}
    ended = {"attempt": 1, "state": "completed", "metrics": {"loss": 0.5}, "step": 0}

    answers = [
        client.post("/studies/s/trials", ADDED, **bearer),
        client.post("/studies/s/renew", ME, **bearer),
        client.post("/studies/s/trials/1/measurements", measured, **bearer),
        client.post("/studies/s/trials/1/finish", ended, **bearer),
    ]

    assert [a.status for a in answers] == [200, 204, 200, 200]
    assert storage.trial("s", 1).state is TrialState.COMPLETED
    assert storage.measurements("s", 1) == [Measurement(0, {"loss": 0.5})]


def test_another_projects_study_is_not_found(
    client: Any, secret: Callable[..., str], study: str
) -> None:
    bearer = {"Authorization": f"Bearer {secret('admin', 'other')}"}

    assert client.get("/studies/s", **bearer).status == 404
    assert client.get("/studies", **bearer).json() == {"studies": []}


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        {"name": "s", "spec": {}},
        {"name": "a/b", "spec": SPEC},
        {"name": "", "spec": SPEC},
        {"name": "t", "spec": SPEC | {"max_trials": 0}},
        {"name": "t", "spec": SPEC | {"objectives": 7}},
        {"name": "t", "spec": SPEC | {"seed": {}}},
        {"name": "t", "spec": SPEC, "commmand": "x"},
        {"name": "t", "spec": SPEC, "command": "\0"},
    ],
)
def test_what_makes_no_study_is_refused(client: Any, body: object) -> None:
    answer = client.post("/studies", body)

    assert answer.status == 422
    assert answer.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"attempt": 1, "measurements": [{"step": -1, "metrics": {}}]},
        {"attempt": 1, "measurements": [{"step": 2**63, "metrics": {}}]},
        {"attempt": 1, "measurements": [{"step": 0, "metrics": {"loss": "much"}}]},
        {"attempt": 1, "measurements": [{"step": 0, "metrics": {"\0": 1.0}}]},
        {"attempt": 1, "measurements": [{"step": 0, "metrics": {"m" * 201: 1.0}}]},
        {"attempt": 2**31, "measurements": []},
        {"attempt": 1, "measurements": [], "claim": {"worker": "w" * 201}},
    ],
)
def test_a_report_that_can_not_be_stored_is_refused(
    client: Any, storage: ServedStorage, running: int, body: object
) -> None:
    answer = client.post("/studies/s/trials/1/measurements", body)

    assert answer.status == 422
    assert storage.measurements("s", 1) == []


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**40)])
def test_a_number_that_no_trial_has_is_refused(client: Any, study: str, number: str) -> None:
    assert client.get(f"/studies/s/trials/{number}").status in (404, 422)


def test_a_project_has_only_so_many_studies(serve: Serve, storage: ServedStorage) -> None:
    client = serve(limits=Limits(studies=1))

    statuses = [client.post("/studies", {"name": n, "spec": SPEC}).status for n in ("a", "b")]

    assert statuses == [200, 409]
    assert list(storage.study_names()) == ["a"]


def test_a_request_adds_only_so_many_trials(serve: Serve, study: str) -> None:
    client = serve(limits=Limits(trials_per_request=1))

    answer = client.post("/studies/s/trials", ADDED | {"suggestions": [{"values": {}}] * 2})

    assert answer.status == 422


# Copies


def whole_study(storage: ServedStorage, running: int) -> Any:
    storage.report("s", running, 1, [Measurement(0, {"loss": 0.5, "acc": 0.25})])
    storage.finish("s", running, 1, TrialState.COMPLETED, metrics={"loss": 0.5}, step=0)
    return wire.changes_document(storage.changes("s", -1, curves=True))


def test_a_whole_study_is_copied_over_http(
    client: Any, storage: ServedStorage, running: int
) -> None:
    document = whole_study(storage, running)

    first = client.post("/studies/copy/import", document, Idempotency_Key="abcdefgh")
    again = client.post("/studies/copy/import", document, Idempotency_Key="abcdefgh")
    other = client.post("/studies/copy/import", document)

    assert [first.status, again.status, other.status] == [204, 204, 409]
    copied = wire.changes_document(storage.changes("copy", -1, curves=True))
    assert copied["trials"] == document["trials"]
    assert copied["measurements"] == document["measurements"]


def renumbered(document: Any) -> None:
    document["trials"][0]["number"] = 2


def enlarged(document: Any) -> None:
    document["record"]["size"] = 7


def misplaced(document: Any) -> None:
    document["measurements"][0]["number"] = 9


def doubled(document: Any) -> None:
    document["measurements"] *= 2


def outgrown(document: Any) -> None:
    document["trials"][0]["revision"] = 2**40


@pytest.mark.parametrize("spoil", [renumbered, enlarged, misplaced, doubled, outgrown])
def test_what_is_no_whole_study_is_not_taken(
    client: Any, storage: ServedStorage, running: int, spoil: Callable[[Any], None]
) -> None:
    document = whole_study(storage, running)
    spoil(document)

    answer = client.post("/studies/copy/import", document)

    assert answer.status == 422
    assert list(storage.study_names()) == ["s"]


# Reading


def test_studies_are_listed_by_name_or_with_their_records(
    client: Any, storage: ServedStorage, study: str
) -> None:
    storage.create_study("t", spec_of(Space({"x": Double(0.0, 1.0)})))
    storage.set_state("t", StudyState.PAUSED, "tea")

    names = client.get("/studies?fields=names").json()["studies"]
    (first,) = client.get("/studies?limit=1").json()["studies"]
    (second,) = client.get("/studies?limit=1&offset=1").json()["studies"]

    assert [s["name"] for s in names] == ["t", "s"]
    assert (first["name"], first["record"]["state"], first["record"]["reason"]) == ("t", "paused", "tea")  # fmt: skip
    assert second["name"] == "s"


def test_who_knows_all_is_told_only_the_time(
    client: Any, storage: ServedStorage, study: str
) -> None:
    first = client.get("/studies/s/changes")
    known = {"If_None_Match": first.headers["ETag"]}

    same = client.get("/studies/s/changes?since=0", **known)
    storage.add_trials("s", suggestions(0.5), after=0)
    changed = client.get("/studies/s/changes?since=0", **known)

    assert (same.status, same.body) == (304, b"")
    assert float(same.headers["Tunesmith-Time"]) >= first.json()["now"]
    assert [t["number"] for t in changed.json()["trials"]] == [1]


def test_a_study_that_was_made_anew_is_told_in_full(
    client: Any, storage: ServedStorage, study: str
) -> None:
    known = {"If_None_Match": client.get("/studies/s/changes").headers["ETag"]}
    storage.delete_study("s")
    storage.create_study("s", spec_of(Space({"y": Double(0.0, 1.0)})))

    answer = client.get("/studies/s/changes?since=0", **known)

    assert answer.status == 200
    assert answer.json()["record"]["spec"]["space"][0]["name"] == "y"


# Turns


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    async def follow() -> list[str]:
        turns, order = Turns(), []

        async def think(name: str) -> None:
            assert await turns.take(TOPIC, name, 60.0)
            order.append(name)
            await asyncio.sleep(0)
            turns.give_back(TOPIC, name)

        await turns.take(TOPIC, "first", 0.0)
        others = [asyncio.create_task(think(name)) for name in "abc"]
        await asyncio.sleep(0)
        assert order == []
        turns.give_back(TOPIC, "first")
        await asyncio.gather(*others)
        return order

    assert asyncio.run(follow()) == ["a", "b", "c"]


def test_who_waits_too_long_gets_no_turn() -> None:
    async def wait() -> bool:
        turns = Turns()
        await turns.take(TOPIC, "first", 0.0)
        return await turns.take(TOPIC, "second", 0.01)

    assert not asyncio.run(wait())


def test_studies_have_turns_of_their_own() -> None:
    async def take() -> list[bool]:
        turns = Turns()
        return [await turns.take((p, s), f"{p}{s}", 0.0) for p in "ab" for s in "st"]

    assert asyncio.run(take()) == [True] * 4


def test_who_asks_again_for_its_turn_still_has_it() -> None:
    async def twice() -> bool:
        turns = Turns()
        await turns.take(TOPIC, "mine", 0.0)
        return await turns.take(TOPIC, "mine", 0.0)

    assert asyncio.run(twice())


def test_a_turn_that_is_never_given_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.service.turns._HOLD_S", 0.01)

    async def take() -> bool:
        turns = Turns()
        await turns.take(TOPIC, "dies", 0.0)
        return await turns.take(TOPIC, "next", 60.0)

    assert asyncio.run(take())


def test_a_turn_of_somebody_else_is_not_given_back() -> None:
    async def meddle() -> bool:
        turns = Turns()
        await turns.take(TOPIC, "mine", 0.0)
        turns.give_back(TOPIC, "yours")
        return await turns.take(TOPIC, "yours", 0.0)

    assert not asyncio.run(meddle())


def test_who_leaves_the_line_gets_no_turn_and_holds_up_nobody() -> None:
    async def leave() -> list[bool]:
        turns = Turns()
        await turns.take(TOPIC, "first", 0.0)
        gone, stays = (asyncio.create_task(turns.take(TOPIC, name, 60.0)) for name in ("b", "c"))
        await asyncio.sleep(0)
        turns.give_back(TOPIC, "b")
        turns.give_back(TOPIC, "first")
        return [await gone, await stays]

    assert asyncio.run(leave()) == [False, True]


def test_a_turn_is_taken_and_given_back_over_http(client: Any, study: str) -> None:
    first = client.post("/studies/s/asking/first-turn?wait_s=5")
    second = client.post("/studies/s/asking/second-turn?wait_s=0")
    given = client("DELETE", "/studies/s/asking/first-turn")
    third = client.post("/studies/s/asking/third-turn?wait_s=0")

    granted = [a.json()["granted"] for a in (first, second, third)]
    assert granted == [True, False, True]
    assert given.status == 204
