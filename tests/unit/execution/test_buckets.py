from pathlib import Path

import pytest

from tunesmith.errors import SpecError, StorageError
from tunesmith.execution.buckets import Buckets, lay_link


@pytest.mark.parametrize(
    "address", ["gs://a-bucket/b/c.txt", "/gcs/a-bucket/b/c.txt", "gs://a-bucket/b//c.txt/"]
)
def test_a_bucket_is_a_folder(address: str, tmp_path: Path) -> None:
    assert Buckets(tmp_path).path(address) == tmp_path / "a-bucket" / "b" / "c.txt"


def test_other_addresses_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buckets = Buckets(tmp_path / "buckets")

    assert buckets.path("file:///data/my%20file") == Path("/data/my file")
    assert buckets.path("/data/x") == Path("/data/x")
    assert buckets.path("data") == tmp_path / "data"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("gs://{YOUR_BUCKET}/x", "'{YOUR_BUCKET}' would have 3 to 222 small letters"),
        ("gs:///x", "names no bucket"),
        ("gs://../x", "names no bucket"),
        ("gs://bucket/../../etc", "leads out of its bucket"),
        ("s3://bucket/x", "s3:// is neither gs:// nor a path"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(address: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=words):
        Buckets(tmp_path).path(address)


def test_programs_are_told_paths_with_the_slash_that_was_there(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path)

    assert buckets.told("gs://bucket/1/model/") == f"{tmp_path}/bucket/1/model/"
    assert buckets.told("gs://bucket/1") == f"{tmp_path}/bucket/1"


def test_programs_with_a_client_are_told_gs_addresses(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path, "http://127.0.0.1:1")

    assert buckets.told("/gcs/bucket/1/model/") == "gs://bucket/1/model/"
    assert buckets.told("/data/1") == "/data/1"
    assert buckets.replaced("--data=gs://bucket") == "--data=gs://bucket"


def test_an_argument_names_a_path_only_where_there_is_something(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "train.csv").touch()
    buckets = Buckets(tmp_path)

    words = "--files=gs://bucket/train.csv,gs://bucket/eval.csv,gs://other/train.csv"
    wanted = f"--files={tmp_path}/bucket/train.csv,gs://bucket/eval.csv,gs://other/train.csv"
    assert buckets.replaced(words) == wanted


def test_a_link_takes_the_place_of_a_link_and_of_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "bucket" / "job" / "1"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        lay_link(place, tmp_path / name)

    assert place.resolve() == tmp_path / "new"
    place.unlink()
    place.mkdir()
    with pytest.raises(StorageError, match="no trial wrote it"):
        lay_link(place, tmp_path / "new")


def test_a_link_is_laid_over_one_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "1").symlink_to(tmp_path / "gone")
    (tmp_path / "here").mkdir()

    lay_link(tmp_path / "1", tmp_path / "here")

    assert (tmp_path / "1").resolve() == tmp_path / "here"
