from pathlib import Path

import pytest

from tunesmith.cli.follow import Follower
from tunesmith.cli.printed import from_folders


def test_lines_are_printed_once_with_their_trial_in_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
    follower = Follower(from_folders(lambda number: tmp_path / str(number)))
    follower.add(1)
    follower.add(2)

    (tmp_path / "1" / "stdout").write_bytes(b"one\nhalf")
    (tmp_path / "2" / "stderr").write_bytes("größer\n".encode())
    follower.print_new()
    with (tmp_path / "1" / "stdout").open("ab") as file:
        file.write(b" more\n")
    follower.print_new()
    follower.print_new()

    assert capsys.readouterr().out.splitlines() == ["#1 | one", "#2 | größer", "#1 | half more"]


def test_the_last_line_of_an_ended_trial_is_printed_even_without_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stdout").write_bytes(b"no end")
    follower = Follower(from_folders(lambda _: tmp_path))
    follower.add(7)

    follower.remove(7)
    follower.print_new()
    follower.print_new()

    assert capsys.readouterr().out == "#7 | no end\n"


def test_the_rest_of_a_long_output_is_printed_to_the_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = 200_000
    (tmp_path / "stdout").write_text("0123456789\n" * lines + "the end")
    follower = Follower(from_folders(lambda _: tmp_path))
    follower.add(1)

    follower.print_rest()

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == lines + 1
    assert printed[-1] == "#1 | the end"
