from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.execution import trial_directory
from tunesmith.service.allowance import Allowance
from tunesmith.service.outputs import read_output
from tunesmith.service.settings import Limits, Settings
from tunesmith.service.shelves import Shelves
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, ServedStorage, files_root
from tunesmith.storage.address import Address
from tunesmith.storage.http_client import HttpClient
from tunesmith.storage.manifest import OutputName
from tunesmith.storage.remote_files import RemoteFiles
from tunesmith.testing.studies import spec_of, suggestions

LOG = "/studies/s/trials/1/logs/stdout"


@pytest.fixture(autouse=True)
def trial(storage: ServedStorage) -> None:
    """A running trial 1 of the study ``s``."""
    storage.create_study("s", spec_of(Space({"x": Double(0.0, 1.0)})))
    storage.add_trials("s", suggestions(0.5), after=0, claim=Claim("me", 60.0))


def append(client: Any, offset: int, data: bytes, attempt: int = 1) -> Any:
    return client("POST", f"{LOG}?attempt={attempt}&offset={offset}", raw=data)


def test_what_is_appended_is_read(client: Any) -> None:
    append(client, 0, b"one\n")
    append(client, 4, b"two\n")

    got = client.get(LOG)

    assert (got.status, got.body) == (200, b"one\ntwo\n")
    assert [got.headers[f"Log-{name}"] for name in ("Offset", "Size", "Attempt")] == ["0", "8", "1"]
    assert got.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_same_bytes_again_change_nothing(client: Any) -> None:
    append(client, 0, b"one\ntwo\n")

    again = append(client, 4, b"two\nthree\n")

    assert again.json() == {"offset": 14}
    assert client.get(LOG).body == b"one\ntwo\nthree\n"


def test_bytes_that_would_leave_a_gap_are_refused_with_the_place_that_is_wanted(
    client: Any,
) -> None:
    append(client, 0, b"one\n")

    refused = append(client, 5, b"more")

    assert (refused.status, refused.error["wanted"]) == (409, 4)
    assert refused.headers["Upload-Offset"] == "4"


def test_other_bytes_at_a_place_are_refused(client: Any) -> None:
    append(client, 0, b"one\n")

    assert append(client, 0, b"two\n").status == 409
    assert client.get(LOG).body == b"one\n"


def test_each_attempt_has_a_log_of_its_own(client: Any, storage: ServedStorage) -> None:
    append(client, 0, b"first\n")
    storage.requeue("s", 1, 1, "again")
    storage.claim("s", Claim("me", 60.0))
    append(client, 0, b"second\n", attempt=2)

    assert client.get(LOG).body == b"second\n"
    assert client.get(f"{LOG}?attempt=1").body == b"first\n"


def test_an_attempt_that_there_is_not_yet_has_no_log(client: Any) -> None:
    assert append(client, 0, b"early", attempt=2).status == 409


def test_a_piece_of_a_log_is_given(client: Any) -> None:
    append(client, 0, b"one\ntwo\nthree\n")
    pieces = {
        "offset=4&limit=3": b"two",
        "offset=100": b"",
        "tail=1": b"three\n",
        "tail=2": b"two\nthree\n",
        "tail=9": b"one\ntwo\nthree\n",
        "tail=9&limit=7": b"\nthree\n",
    }

    got = {query: client.get(f"{LOG}?{query}").body for query in pieces}

    assert got == pieces


def test_the_last_lines_of_a_long_log_are_found(tmp_path: Path) -> None:
    lines = [f"line {i} {'x' * 90}\n".encode() for i in range(5000)]
    (tmp_path / "log").write_bytes(b"".join(lines))

    got = read_output(tmp_path / "log", offset=0, limit=10**6, tail=3000)

    assert got.data == b"".join(lines[2000:])
    assert got.offset + len(got.data) == got.size


def test_pieces_that_make_no_sense_are_refused(client: Any) -> None:
    queries = ["offset=-1", "limit=0", "limit=99999999", "tail=0", "attempt=0", "offset=x"]

    statuses = {query: client.get(f"{LOG}?{query}").status for query in queries}

    assert statuses == dict.fromkeys(queries, 422)


def test_what_was_not_printed_is_not_found(client: Any) -> None:
    places = ["s/trials/1", "s/trials/2", "t/trials/1"]

    statuses = [client.get(f"/studies/{place}/logs/stdout").status for place in places]

    assert statuses == [404, 404, 404]


def test_there_are_two_streams(client: Any) -> None:
    assert client.get("/studies/s/trials/1/logs/..%2fsecret").status == 404
    assert client.get("/studies/s/trials/1/logs/passwd").status == 422


def test_a_log_that_grows_too_long_is_refused(serve: Callable[..., Any]) -> None:
    client = serve(limits=replace(Limits(), log_bytes=10))
    append(client, 0, b"0123456789")

    refused = append(client, 10, b"x")

    assert refused.status == 413


def test_a_new_study_does_not_find_the_log_of_a_deleted_one(
    client: Any, storage: ServedStorage
) -> None:
    append(client, 0, b"old\n")
    storage.delete_study("s")
    storage.create_study("s", spec_of(Space({"x": Double(0.0, 1.0)})))
    storage.add_trials("s", suggestions(0.5), after=0, claim=Claim("me", 60.0))

    assert client.get(LOG).status == 404


def test_logs_of_deleted_studies_are_swept(tmp_path: Path, storage: ServedStorage) -> None:
    outputs = Shelves(Settings(data=tmp_path)).of("default").outputs
    record = storage.study("s")
    other = replace(record, created=record.created - 100)
    output = OutputName(1, 1, "stdout")
    for study in (record, other):
        outputs.append(study, output, 0, b"printed")

    freed = outputs.forget(lambda name: storage.study(name).created)

    assert freed == len(b"printed")
    assert outputs.read(record, output, offset=0, limit=10, tail=None).size == 7


def test_what_a_trial_prints_on_the_servers_own_machine_is_read_where_it_is(
    client: Any, storage: ServedStorage
) -> None:
    directory = trial_directory(files_root(storage.url), "s", 1)
    directory.mkdir(parents=True)
    (directory / "stdout").write_text("here\n")

    assert client.get(LOG).body == b"here\n"


def test_the_client_goes_on_where_the_server_wants_it(client: Any) -> None:
    remote = RemoteFiles(HttpClient(Address.parse(client.url)))
    output = OutputName(1, 1, "stdout")

    offsets = [
        remote.append("s", output, offset, data)
        for offset, data in [(0, b"one\n"), (0, b"one\n"), (9, b"gap"), (4, b"two\n")]
    ]

    assert offsets == [4, 4, 4, 8]
    assert remote.read("s", output, offset=4) == b"two\n"


def test_bytes_are_counted_where_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"12345")
    allowance = Allowance(folder, 100)

    allowance.take(10)

    assert allowance.used == 15
    assert allowance.recount() == 5
