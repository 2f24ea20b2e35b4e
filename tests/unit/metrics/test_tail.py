from pathlib import Path

from tunesmith.metrics.tail import Lines, Tail

MANY = 2**20


def read(lines: Lines, limit: int = MANY, *, final: bool = False) -> list[bytes]:
    return list(lines.blocks(limit, final=final))


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_file_that_is_not_there_yet_gives_nothing(tmp_path: Path) -> None:
    assert Tail(tmp_path / "later").read(MANY) == b""
    assert Tail(tmp_path / "no folder" / "later").read(MANY) == b""


def test_each_byte_is_read_once(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "f")
    append(tmp_path / "f", b"abc")

    first = tail.read(2)
    append(tmp_path / "f", b"d")

    assert (first, tail.read(MANY), tail.read(MANY)) == (b"ab", b"cd", b"")


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "f")
    append(tmp_path / "f", b"old")
    tail.read(MANY)

    append(tmp_path / "new", b"longer than the old one")
    (tmp_path / "new").replace(tmp_path / "f")

    assert tail.read(MANY) == b"longer than the old one"
    assert tail.restarts == 1


def test_a_file_that_was_cut_short_is_read_from_its_start(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "f")
    append(tmp_path / "f", b"long")
    tail.read(MANY)

    (tmp_path / "f").write_bytes(b"new")

    assert tail.read(MANY) == b"new"


def test_a_line_waits_for_its_end(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "f", longest=100)
    append(tmp_path / "f", b"one\ntw")

    first = read(lines)
    append(tmp_path / "f", b"o\n")

    assert (first, read(lines), read(lines)) == ([b"one"], [b"two"], [])


def test_the_last_look_takes_a_line_without_an_end(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "f", longest=100)
    append(tmp_path / "f", b"one\ntwo")

    assert read(lines, final=True) == [b"one", b"two"]
    assert read(lines, final=True) == []


def test_a_carriage_return_ends_a_line(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "f", longest=100)
    append(tmp_path / "f", b"10%\r20%\r30%")

    assert read(lines) == [b"10%\n20%"]


def test_one_look_reads_one_block_and_the_last_look_reads_all(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "f", longest=100)
    append(tmp_path / "f", b"a\nb\nc\nd\ne\n")

    assert read(lines, limit=4) == [b"a\nb"]
    assert read(lines, limit=4, final=True) == [b"c\nd", b"e"]


def test_a_line_that_spans_blocks_is_cut_to_its_beginning(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "f", longest=3)
    append(tmp_path / "f", b"abcdefgh" * 10 + b"\nnext\n")

    blocks = read(lines, limit=8, final=True)

    assert [line[:3] for block in blocks for line in block.split(b"\n")] == [b"abc", b"nex"]


def test_the_beginning_of_a_line_is_forgotten_with_its_file(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "f", longest=100)
    append(tmp_path / "f", b"one\nunfinished")
    read(lines)

    (tmp_path / "f").write_bytes(b"two\n")

    assert read(lines) == [b"two"]
