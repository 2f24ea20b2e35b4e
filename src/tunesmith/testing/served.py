"""What a storage keeps that a server stands before: projects, answers given once, tokens."""
# ruff: noqa: D102 - a test's name is its sentence

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tunesmith.errors import ConflictError, NotFoundError, StateError
from tunesmith.model import Explanation, Measurement, Prediction, StudyState, Suggestion, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, KeyReusedError, ServedStorage
from tunesmith.testing.clock import Clock
from tunesmith.testing.studies import spec_of, suggestions

__all__ = ["ServedStorageContract"]

_LINE = Space({"x": Double(0.0, 1.0)})
_ME, _OTHER = Claim("me", lease_s=60.0), Claim("other", lease_s=60.0)


def _make(storage: ServedStorage, name: str = "s") -> None:
    storage.create_study(name, spec_of(_LINE))


class ServedStorageContract:
    """Give the fixtures ``storage``, empty, and ``clock``, which it reads."""

    # Projects

    def test_each_project_has_its_own_study_of_a_name(self, storage: ServedStorage) -> None:
        theirs = storage.in_project("theirs")
        _make(storage)
        _make(theirs)

        theirs.add_trials("s", suggestions(0.5), after=0)

        assert theirs.study("s").size == 1
        assert storage.study("s").size == 0
        with pytest.raises(ConflictError):
            _make(theirs)

    def test_studies_of_other_projects_are_not_found_by_any_verb(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.5), after=0, claim=_ME)
        theirs = storage.in_project("theirs")
        calls: list[Callable[[], object]] = [
            lambda: theirs.study("s"),
            lambda: theirs.summary("s"),
            lambda: theirs.delete_study("s"),
            lambda: theirs.set_state("s", StudyState.PAUSED),
            lambda: theirs.set_budget("s", max_trials=1),
            lambda: theirs.touch("s"),
            lambda: theirs.add_trials("s", suggestions(0.1), after=1),
            lambda: theirs.claim("s", _ME),
            lambda: theirs.renew("s", _ME),
            lambda: theirs.report("s", 1, 1, []),
            lambda: theirs.finish("s", 1, 1, TrialState.FAILED, metrics={}),
            lambda: theirs.pause("s", 1, 1, "", metrics={}),
            lambda: theirs.resume("s", 1),
            lambda: theirs.extend("s", 1, 1, 5),
            lambda: theirs.requeue("s", 1, 1, ""),
            lambda: theirs.retry("s", 1),
            lambda: theirs.request_stop("s", 1, ""),
            lambda: theirs.request_pause("s", 1, ""),
            lambda: theirs.changes("s", -1),
            lambda: theirs.trial("s", 1),
            lambda: theirs.trials("s"),
            lambda: theirs.measurements("s", 1),
            lambda: theirs.measured("s", 1),
        ]
        before = storage.changes("s", -1)

        for call in calls:
            with pytest.raises(NotFoundError):
                call()

        assert list(theirs.study_names()) == []
        assert dict(theirs.revisions()) == {}
        assert storage.changes("s", -1) == before

    @pytest.mark.parametrize("project", ["", "*"])
    def test_a_project_has_a_name_of_its_own(self, storage: ServedStorage, project: str) -> None:
        with pytest.raises(ValueError, match="project"):
            storage.in_project(project)

    def test_the_revisions_of_all_studies_are_read_at_once(self, storage: ServedStorage) -> None:
        _make(storage, "a")
        _make(storage, "b")
        storage.add_trials("b", suggestions(0.5), after=0)

        assert dict(storage.revisions()) == {
            name: storage.study(name).revision for name in ("a", "b")
        }

    def test_a_sign_of_life_is_given(self, storage: ServedStorage) -> None:
        storage.ping()

    # Once

    def test_what_is_asked_again_under_its_key_happens_once(
        self, storage: ServedStorage, clock: Clock
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        with storage.once("p/claims"):
            first = storage.claim("s", _ME)

        clock.now += 5
        with storage.once("p/claims"):
            again = storage.claim("s", _ME)

        assert first is not None
        assert again == first
        assert [t.state for t in storage.trials("s")] == [TrialState.RUNNING, TrialState.QUEUED]

    def test_every_verb_that_changes_something_gives_its_first_answer_again(
        self, storage: ServedStorage, clock: Clock
    ) -> None:
        why = Explanation("tpe", {"loss": Prediction(0.5, 1e-300)}, note="ü")
        point = Suggestion({"x": 0.25}, "model", why)
        calls: list[Callable[[], object]] = [
            lambda: storage.create_study("s", spec_of(_LINE), command="python 'ä'"),
            lambda: storage.add_trials("s", [point, *suggestions(0.5)], after=0),
            lambda: storage.add_trials("s", suggestions(0.75), after=2, claim=_ME),
            lambda: storage.claim("s", _ME),
            lambda: storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})]),
            lambda: storage.extend("s", 1, 1, 9),
            lambda: storage.request_pause("s", 1, "tea"),
            lambda: storage.pause("s", 1, 1, "tea", metrics={"loss": 1.0}, step=0),
            lambda: storage.resume("s", 1, "on"),
            lambda: storage.claim("s", _ME),
            lambda: storage.requeue("s", 1, 2, "lost", fault=True),
            lambda: storage.claim("s", _ME),
            lambda: storage.request_stop("s", 1, "enough"),
            lambda: storage.finish("s", 1, 3, TrialState.STOPPED, metrics={"loss": 1.0}),
            lambda: storage.retry("s", 1),
            lambda: storage.set_budget("s", max_trials=20),
            lambda: storage.set_state(
                "s", StudyState.PAUSED, "noon", at=storage.study("s").revision
            ),
            lambda: storage.touch("s", "python"),
        ]
        for position, call in enumerate(calls):
            with storage.once(f"p/{position}"):
                first = call()
            after = storage.changes("s", -1, curves=True)

            clock.now += 1
            with storage.once(f"p/{position}"):
                again = call()

            assert again == first, position
            assert storage.changes("s", -1, curves=True) == after, position

    def test_a_deletion_asked_again_leaves_the_next_study_of_that_name_alone(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        with storage.once("p/deletes"):
            storage.delete_study("s")

        with storage.once("p/deletes"):
            storage.delete_study("s")
        _make(storage)
        with storage.once("p/deletes"):
            storage.delete_study("s")

        assert list(storage.study_names()) == ["s"]

    def test_an_answer_that_was_given_before_the_study_moved_on_is_given_again(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        with storage.once("p/adds"):
            added = storage.add_trials("s", suggestions(0.1), after=0, claim=_ME)
        storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0})
        storage.add_trials("s", suggestions(0.2), after=1)

        with storage.once("p/adds"):
            again = storage.add_trials("s", suggestions(0.1), after=0, claim=_ME)

        assert again == added
        assert storage.study("s").size == 2

    def test_calls_under_one_key_are_told_apart(self, storage: ServedStorage) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2, 0.3), after=0)

        def claim_two() -> list[int]:
            with storage.once("p/two"):
                return [t.number for t in (storage.claim("s", _ME), storage.claim("s", _ME)) if t]

        assert claim_two() == [1, 2]
        assert claim_two() == [1, 2]
        assert storage.trial("s", 3).state is TrialState.QUEUED

    def test_a_call_that_was_cut_off_is_taken_up_where_it_ended(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        with storage.once("p/stops"):
            storage.request_stop("s", 1, "a")

        with storage.once("p/stops"):
            for number in (1, 2):
                storage.request_stop("s", number, "b")

        assert [t.reason for t in storage.trials("s")] == ["a", "b"]

    def test_a_verb_that_failed_may_succeed_when_it_is_asked_again(
        self, storage: ServedStorage
    ) -> None:
        with storage.once("p/late"), pytest.raises(NotFoundError):
            storage.add_trials("s", suggestions(0.1), after=0)
        _make(storage)

        with storage.once("p/late"):
            added = storage.add_trials("s", suggestions(0.1), after=0)

        assert [t.number for t in added] == [1]

    def test_an_error_that_comes_of_the_question_itself_is_raised(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1), after=0)

        for _ in range(2):
            with storage.once("p/wrong"), pytest.raises(StateError):
                storage.resume("s", 1)

    def test_what_found_nothing_to_change_may_find_something_later(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        with storage.once("p/waits"):
            assert storage.claim("s", _ME) is None
        storage.add_trials("s", suggestions(0.1), after=0)

        with storage.once("p/waits"):
            claimed = storage.claim("s", _ME)

        assert claimed is not None

    def test_the_trials_handed_out_under_a_key_are_known(self, storage: ServedStorage) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1), after=0)
        with storage.once("p/asks") as before:
            assert list(before) == []
            claimed = storage.claim("s", _ME)
            (added,) = storage.add_trials("s", suggestions(0.2), after=1, claim=_ME)
            storage.add_trials("s", suggestions(0.3), after=2)  # queued, for anybody

        with storage.once("p/asks") as before:
            handed_out = sorted(before, key=lambda trial: trial.number)

        assert handed_out == [claimed, added]

    def test_keys_are_told_apart_by_every_character(self, storage: ServedStorage) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2, 0.3), after=0)

        numbers = []
        for key in ["p/Key", "p/key", "p/key "]:
            with storage.once(key):
                claimed = storage.claim("s", _ME)
                numbers.append(claimed and claimed.number)

        assert numbers == [1, 2, 3]

    @pytest.mark.parametrize("verb", ["the same", "another"])
    def test_a_key_stands_for_one_request(self, storage: ServedStorage, verb: str) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        with storage.once("p/key", "one request"):
            storage.claim("s", _ME)
        before = storage.changes("s", -1)

        calls: dict[str, Callable[[], object]] = {
            "the same": lambda: storage.claim("s", _ME),
            "another": lambda: storage.request_stop("s", 2, "no"),
        }
        with storage.once("p/key", "another request"), pytest.raises(KeyReusedError, match="p/key"):
            calls[verb]()
        with storage.once("p/key", "another request") as handed_out, pytest.raises(KeyReusedError):
            list(handed_out)

        assert storage.changes("s", -1) == before

    def test_what_is_outside_of_a_key_has_nothing_to_do_with_it(
        self, storage: ServedStorage
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        with storage.once("p/key"):
            storage.claim("s", _ME)

        claimed = storage.claim("s", _ME)

        assert claimed is not None
        assert claimed.number == 2

    def test_answers_are_forgotten_after_three_days(
        self, storage: ServedStorage, clock: Clock
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        with storage.once("p/key"):
            storage.claim("s", _ME)

        clock.now += 2 * 86400
        storage.sweep()
        with storage.once("p/key"):
            kept = storage.claim("s", _OTHER)
        clock.now += 2 * 86400
        storage.sweep()
        with storage.once("p/key"):
            forgotten = storage.claim("s", _OTHER)

        assert kept is not None
        assert forgotten is not None
        assert (kept.number, forgotten.number) == (1, 2)

    # Copies

    def test_a_study_that_is_imported_is_the_one_that_was_read(
        self, storage: ServedStorage, clock: Clock
    ) -> None:
        why = Explanation("tpe", {"loss": Prediction(0.5, 1e-300)}, value=math.inf, note="ü 😀")
        storage.create_study("s", spec_of(_LINE, max_trials=9), command="python 'ä'")
        points = [Suggestion({"x": n / 8}, "model", why, budget=3) for n in range(6)]
        storage.add_trials("s", points, after=0, claim=_ME)
        clock.now += 1.25
        values = {"loss": math.nan, "acc": -1.5e-300}
        storage.report("s", 1, 1, [Measurement(0, values), Measurement(2**62, {"loss": 1.0}, 0.5)])
        storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 0.5, "acc": math.inf})
        storage.requeue("s", 2, 1, "lost", fault=True)
        storage.claim("s", _OTHER)
        storage.report("s", 2, 2, [Measurement(1, {"loss": 4.0})])
        storage.finish("s", 2, 2, TrialState.STOPPED, metrics={"loss": 0.25}, step=1, reason="r")
        storage.pause("s", 3, 1, "tea", metrics={"loss": 3.0})
        storage.request_stop("s", 4, "enough")
        storage.set_budget("s", max_trials=12)
        storage.set_state("s", StudyState.PAUSED, "noon")
        whole = storage.changes("s", -1, curves=True)
        theirs = storage.in_project("theirs")
        clock.now += 5

        theirs.import_study("copy", whole)

        copied = theirs.changes("copy", -1, curves=True)
        assert repr(copied.record) == repr(replace(whole.record, name="copy"))
        assert repr(copied.trials) == repr(whole.trials)
        assert repr(copied.measurements) == repr(whole.measurements)
        assert repr(theirs.summary("copy").best) == repr(storage.summary("s").best)
        assert [t.number for t in theirs.trials("copy", order="best")] == [2, 1]
        theirs.set_state("copy", StudyState.ACTIVE)
        assert [t.number for t in theirs.add_trials("copy", suggestions(0.5), after=6)] == [7]
        assert storage.study("s") == whole.record

    def test_a_study_is_not_imported_over_another(self, storage: ServedStorage) -> None:
        _make(storage)
        _make(storage, "other")
        storage.add_trials("s", suggestions(0.5), after=0)

        with pytest.raises(ConflictError, match="'other'"):
            storage.import_study("other", storage.changes("s", -1, curves=True))

        assert storage.study("other").size == 0

    # Tokens

    def test_a_token_is_found_by_its_secret(self, storage: ServedStorage, clock: Clock) -> None:
        token, secret = storage.tokens.create("Zoë's laptop", "worker", "default")

        found = storage.tokens.find(secret)

        assert found == token
        assert (token.name, token.role, token.project) == ("Zoë's laptop", "worker", "default")
        assert (token.created, token.expires, token.revoked) == (clock.now, None, None)
        assert secret.startswith(f"ts_{token.id}_")
        assert len(secret) > 50

    def test_a_token_is_not_found_by_another_secret(self, storage: ServedStorage) -> None:
        token, secret = storage.tokens.create("a", "read", "p")
        _, other = storage.tokens.create("b", "admin", "*")
        swapped = f"ts_{token.id}_{other.split('_', 2)[2]}"

        for wrong in ["", "ts", "ts__", secret[:-1], secret + "x", secret.upper(), swapped]:
            assert storage.tokens.find(wrong) is None

    def test_no_secret_is_kept(self, storage: ServedStorage) -> None:
        token, secret = storage.tokens.create("a", "read", "p")

        assert secret.split("_", 2)[2] not in repr(token) + repr(storage.tokens.all())

    def test_a_token_ends_when_it_expires(self, storage: ServedStorage, clock: Clock) -> None:
        _, secret = storage.tokens.create("a", "read", "p", expires=clock.now + 60)

        clock.now += 59
        assert storage.tokens.find(secret) is not None
        clock.now += 1
        assert storage.tokens.find(secret) is None

    def test_a_token_that_was_revoked_is_bad_for_ever(
        self, storage: ServedStorage, clock: Clock
    ) -> None:
        token, secret = storage.tokens.create("a", "read", "p")

        revoked = storage.tokens.revoke(token.id)
        clock.now += 5
        again = storage.tokens.revoke(token.id)

        assert storage.tokens.find(secret) is None
        assert again == revoked
        assert revoked.revoked == clock.now - 5

    def test_a_token_that_is_not_there_is_not_revoked(self, storage: ServedStorage) -> None:
        with pytest.raises(NotFoundError, match="ghost"):
            storage.tokens.revoke("ghost")

    def test_tokens_are_listed_by_project(self, storage: ServedStorage, clock: Clock) -> None:
        made = []
        for project in ["p", "q", "p"]:
            clock.now += 1
            made.append(storage.tokens.create("a", "read", project)[0])
        storage.tokens.revoke(made[0].id)

        assert [t.id for t in storage.tokens.all()] == [t.id for t in made]
        assert [t.id for t in storage.tokens.all("p")] == [made[0].id, made[2].id]
        assert list(storage.tokens.all("none")) == []

    def test_a_session_is_good_no_longer_than_its_token(self, storage: ServedStorage) -> None:
        token, _ = storage.tokens.create("a", "read", "p")
        _, secret = storage.tokens.create("browser", "read", "p", parent=token.id)
        was_good = storage.tokens.find(secret) is not None

        storage.tokens.revoke(token.id)

        assert was_good
        assert storage.tokens.find(secret) is None
        assert [t.name for t in storage.tokens.all()] == ["a"]

    def test_sessions_that_ended_are_forgotten(self, storage: ServedStorage, clock: Clock) -> None:
        good, _ = storage.tokens.create("good", "read", "p")
        bad, _ = storage.tokens.create("bad", "read", "p")
        secrets = [
            storage.tokens.create("b", "read", "p", parent=parent.id, expires=expires)[1]
            for parent, expires in [(good, None), (bad, None), (good, clock.now + 1)]
        ]
        storage.tokens.revoke(bad.id)
        clock.now += 2

        forgotten = storage.tokens.sweep()

        assert forgotten == 2
        assert [storage.tokens.find(s) is not None for s in secrets] == [True, False, False]
        assert len(storage.tokens.all()) == 2

    def test_it_is_known_whether_there_has_been_a_token(self, storage: ServedStorage) -> None:
        before = storage.tokens.any()
        token, _ = storage.tokens.create("a", "read", "p")
        storage.tokens.revoke(token.id)

        assert (before, storage.tokens.any()) == (False, True)

    def test_the_use_of_a_token_is_noted(self, storage: ServedStorage, clock: Clock) -> None:
        token, secret = storage.tokens.create("a", "read", "p")
        clock.now += 9

        storage.tokens.used(token.id)
        clock.now += 1
        storage.tokens.used(token.id)

        found = storage.tokens.find(secret)
        assert found is not None
        assert found.used == clock.now - 1
