"""The ledger of a job's lines: when each was here, the same at every look."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tunesmith.service.fronts.google.lines import Block, Source, lines_of, look

SECOND = 10**6


class House:
    """A folder with what processes printed, and a ledger of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledgers" / "job.jsonl"
        self.sources = [
            Source(folder / name, "workerpool0-0", 1, "INFO") for name in ("stdout", "stderr")
        ]

    def print(self, name: str, text: str, at: int) -> None:
        """Have a process print something, at a time in seconds."""
        with (self.folder / name).open("a", newline="") as file:
            file.write(text)
        os.utime(self.folder / name, (at, at))

    def look(self, now: int, *, ended: bool = False) -> Sequence[Block]:
        return look(self.ledger, self.sources, now=now * SECOND, ended=ended)

    def said(self, now: int, *, ended: bool = False) -> list[tuple[float, str]]:
        """Look, and return all lines with their times in seconds."""
        blocks = self.look(now, ended=ended)
        return [(line.at / SECOND, line.text) for block in blocks for line in lines_of(block)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_lines_have_the_time_of_the_last_write_before_the_first_look(house: House) -> None:
    house.print("stdout", "a\nb\n", at=10)
    first = house.said(now=12)
    house.print("stdout", "c\n", at=20)

    second = house.said(now=22)

    assert first == [(10, "a"), (10, "b")]
    assert second == [*first, (20, "c")]
    assert house.said(now=99) == second


def test_lines_of_several_files_stand_in_the_order_of_their_times(house: House) -> None:
    house.print("stderr", "late\n", at=11)
    house.print("stdout", "early\n", at=10)

    assert house.said(now=12) == [(10, "early"), (11, "late")]


def test_what_is_new_is_later_than_all_that_was_there_whatever_the_clocks_say(house: House) -> None:
    house.print("stdout", "a\n", at=10)
    house.said(now=12)
    house.print("stderr", "clock went back\n", at=5)
    house.print("stdout", "from the future\n", at=1000)

    said = house.said(now=20)

    assert [text for _, text in said] == ["a", "clock went back", "from the future"]
    assert [at for at, _ in said] == [10, 10.000001, 20]


def test_a_line_that_has_not_ended_waits_until_it_has_or_the_job_has(house: House) -> None:
    house.print("stdout", "whole\nhal", at=10)
    house.print("stderr", "no end", at=10)

    waiting = house.said(now=12)
    house.print("stdout", "f\n", at=15)

    assert waiting == [(10, "whole")]
    assert house.said(now=20) == [(10, "whole"), (15, "half")]
    assert house.said(now=20, ended=True)[1:] == [(15, "half"), (15.000001, "no end")]


def test_a_file_that_is_moved_stays_the_same_and_what_takes_its_place_is_another(
    house: House,
) -> None:
    house.print("stdout", "first attempt\n", at=10)
    house.said(now=12)
    aside = house.folder / "1-attempt-1"
    aside.mkdir()
    (house.folder / "stdout").rename(aside / "stdout")
    house.sources.append(Source(aside / "stdout", "workerpool0-0", 1, "INFO"))
    house.print("stdout", "second\n", at=15)

    assert house.said(now=20) == [(10, "first attempt"), (15, "second")]


def test_what_is_no_text_or_has_carriage_returns_is_told_as_well_as_can_be(house: House) -> None:
    (house.folder / "stdout").write_bytes(b"\xff\r\n\nz\xc3\xbc\n")

    assert [text for _, text in house.said(now=2 * 10**9)] == [
        "\N{REPLACEMENT CHARACTER}",
        "",
        "zü",
    ]


def test_much_at_once_is_cut_into_blocks_of_whole_lines(house: House) -> None:
    lines = [f"{number} {'x' * 100}" for number in range(30_000)]
    house.print("stdout", "".join(f"{line}\n" for line in lines), at=10)
    house.print("stderr", "y" * 3_000_000, at=11)

    blocks = house.look(now=12)
    said = [text for _, text in house.said(now=12)]

    assert max(block.end - block.begin for block in blocks) <= 2**20
    assert said[:30_000] == lines
    assert "".join(said[30_000:]) == "y" * 3_000_000


def test_a_note_that_was_half_written_when_the_server_died_is_made_again(house: House) -> None:
    house.print("stdout", "a\n", at=10)
    before = house.said(now=12)
    with house.ledger.open("a") as file:
        file.write('["1 stdout 7", 99')
    house.print("stdout", "b\n", at=13)

    assert house.said(now=14) == [*before, (13, "b")]
    assert house.said(now=15) == [*before, (13, "b")]


def test_files_that_are_gone_say_nothing(house: House) -> None:
    house.print("stdout", "a\n", at=10)
    house.said(now=12)
    (house.folder / "stdout").unlink()

    assert house.said(now=14) == []
