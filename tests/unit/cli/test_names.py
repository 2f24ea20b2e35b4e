from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tunesmith import Double, Study
from tunesmith.cli.names import Target, find, find_study, find_trial
from tunesmith.cli.origin import keep_document
from tunesmith.errors import NotFoundError
from tunesmith.storage import Storage, open_storage


@pytest.fixture
def storage() -> Iterator[Storage]:
    opened = open_storage("sqlite://")
    for name in ("digits-1", "digits-2", "mnist"):
        study = Study({"x": Double(0, 1)}, maximize="a", name=name, storage=opened)
        for value in (0.1, 0.9, 0.5):
            study.tell(study.ask(), a=value)
    yield opened
    opened.close()


def test_a_study_is_found_by_its_name_a_unique_beginning_or_at(storage: Storage) -> None:
    storage.touch("digits-2")

    assert find_study(storage, "mnist") == "mnist"
    assert find_study(storage, "mn") == "mnist"
    assert find_study(storage, "digits-1") == "digits-1"
    assert find_study(storage, "@") == "digits-2"


def test_trials_are_found_by_number_and_as_the_best(storage: Storage) -> None:
    storage.touch("mnist")

    assert find(storage, "digits-1/3") == Target("digits-1", 3)
    assert find(storage, "mn/best") == Target("mnist", 2)
    assert find(storage, "@best") == Target("mnist", 2)
    assert find_trial(storage, "@/3")[1].metrics == {"a": 0.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digits", "may be any of: digits-1, digits-2"),
        ("mnits", "Did you mean 'mnist'"),
        ("zzz", "tunesmith ls"),
        ("mnist/first", "by its number, such as mnist/7"),
    ],
)
def test_what_is_not_found_is_answered_with_what_there_is(
    storage: Storage, text: str, words: str
) -> None:
    with pytest.raises(NotFoundError, match=words):
        find(storage, text)


def test_a_title_that_several_studies_have_is_answered_with_their_names(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        "displayName: wide & deep\njobSpec: {workerPoolSpecs: [{containerSpec: {imageUri: x}}]}"
    )
    with closing(open_storage(f"sqlite:///{tmp_path / 's.db'}")) as storage:
        for name in ("wide-1", "wide-2"):
            keep_document(Study({"x": Double(0, 1)}, maximize="a", name=name, storage=storage), job)

        with pytest.raises(NotFoundError, match="may be any of: wide-1, wide-2"):
            find_study(storage, "wide & deep")


def test_a_study_is_no_trial(storage: Storage) -> None:
    with pytest.raises(NotFoundError, match="Name one of its trials"):
        find_trial(storage, "mnist")


def test_an_empty_storage_says_how_to_fill_it() -> None:
    with pytest.raises(NotFoundError, match="tunesmith demo"):
        find_study(open_storage("sqlite://"), "@")
