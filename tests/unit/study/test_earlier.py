"""Studies that learn from earlier ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import NotFoundError, SpecError
from tunesmith.model import TrialState
from tunesmith.space import Double, Space
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study, earlier
from tunesmith.testing.clock import Clock

Make = Callable[..., Study]


@pytest.fixture
def storage(url: str, clock: Clock) -> SqlStorage:
    return SqlStorage(url, clock=clock)


@pytest.fixture
def old(make: Make, storage: SqlStorage) -> Study:
    """A study of three trials that ended: two completed, one failed."""
    study = make(name="old", storage=storage)
    study.tell(study.ask(), 0.5)
    study.tell(study.ask(), error="out of memory")
    study.tell(study.ask(), 0.25)
    return study


def test_a_study_has_the_ended_trials_of_those_it_learns_from(
    make: Make, old: Study, storage: SqlStorage
) -> None:
    old.ask()  # still runs

    study = make(name="new", storage=storage, warm_start=["old"])

    (source,) = study.history.earlier
    assert source.name == "old"
    assert source.spec == old.spec
    assert [(t.number, t.state) for t in source.trials] == [
        (1, TrialState.COMPLETED),
        (2, TrialState.FAILED),
        (3, TrialState.COMPLETED),
    ]


def test_what_ends_after_a_study_was_made_teaches_it_nothing(
    make: Make, old: Study, storage: SqlStorage, clock: Clock
) -> None:
    make(name="new", storage=storage, warm_start="old")
    clock.now += 1
    old.tell(old.ask(), 0.1)

    again = Study.load("new", storage)

    (source,) = again.history.earlier
    assert [t.number for t in source.trials] == [1, 2, 3]


def test_of_a_large_study_the_newest_trials_that_count_are_read(
    make: Make, old: Study, storage: SqlStorage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "_MOST", 2)
    study = make(name="new", storage=storage, warm_start=[old])
    clock.now += 1
    for trial in old.ask(7):
        old.tell(trial, 0.1)

    (source,) = study.history.earlier

    assert [t.number for t in source.trials] == [2, 3]


def test_nothing_is_read_before_a_searcher_asks(
    make: Make, old: Study, storage: SqlStorage
) -> None:
    study = make(name="new", storage=storage, warm_start=["old"])
    storage.delete_study("old")

    with pytest.warns(UserWarning, match="'new' learnt from 'old', which is gone"):
        assert study.history.earlier == ()


def test_a_study_in_memory_learns_from_one_in_any_storage(make: Make, old: Study) -> None:
    first = make(name="first")
    first.tell(first.ask(), 0.5)

    study = make(warm_start=[old, first])
    first.close()

    assert [(e.name, len(e.trials)) for e in study.history.earlier] == [("old", 3), ("first", 1)]


def test_a_study_that_is_kept_learns_only_from_its_own_storage(
    make: Make, old: Study, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"'old' in .*studies\.db\. A study in .*other\.db learns"):
        make(name="new", storage=f"sqlite:///{tmp_path / 'other.db'}", warm_start=[old])


def test_the_same_storage_opened_again_is_the_same(make: Make, old: Study, url: str) -> None:
    study = make(name="new", storage=url, warm_start=[old])

    assert len(study.history.earlier[0].trials) == 3


@pytest.mark.parametrize(
    ("warm_start", "words"),
    [
        (["empty"], "'empty', in which no trial has ended with 'loss' yet"),
        (["other"], "none of the parameters x; it has y"),
        (["new"], "can't learn from itself"),
        (["old", "old"], "twice"),
    ],
)
def test_an_earlier_study_that_can_teach_nothing_is_refused(
    make: Make,
    old: Study,
    storage: SqlStorage,
    warm_start: list[str],
    words: str,
) -> None:
    make(name="empty", storage=storage)
    other = make(Space({"y": Double(0, 1)}), name="other", storage=storage)
    other.tell(other.ask(), 1.0)

    with pytest.raises(SpecError, match=words):
        make(name="new", storage=storage, warm_start=warm_start)
    assert set(storage.study_names()) == {old.name, "empty", "other"}


def test_an_earlier_study_that_is_not_there_is_named_with_those_that_are(
    make: Make, old: Study, storage: SqlStorage
) -> None:
    with pytest.raises(NotFoundError, match=r"'odl', which is not in .*\. There are: 'old'"):
        make(name="new", storage=old.storage, warm_start=["odl"])
    assert list(storage.study_names()) == ["old"]


def test_a_study_goes_on_though_an_earlier_one_is_gone(
    make: Make, old: Study, storage: SqlStorage
) -> None:
    make(name="new", storage=old.storage, warm_start=["old"])
    storage.delete_study("old")

    again = make(name="new", storage=storage, warm_start=["old"])

    assert again.spec.warm_start == ("old",)
