import pytest

from tunesmith.specs import format_duration, format_memory, parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("2d", 172800.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        (" 0.5 ", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10 minutes", "-5s", "30m1h", "nan", "1h30", "1e999"])
def test_what_is_no_duration_is_answered_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration\. Write 90s, 10m, 1h30m, or a number"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("512", 512.0),
        ("2GiB", 2048.0),
        ("2Gi", 2048.0),
        ("500MB", 500e6 / 2**20),
        ("500 mb", 500e6 / 2**20),
        ("1048576B", 1.0),
        ("0.5GiB", 512.0),
    ],
)
def test_memory_is_read_in_mib(text: str, mib: float) -> None:
    assert parse_memory(text) == mib


@pytest.mark.parametrize("text", ["", "GiB", "0", "-1GiB", "2 gigs", "2G2M", "inf"])
def test_what_is_no_memory_is_answered_with_examples(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is no amount of memory\. Write 500MB, 2GiB, or a number"
    ):
        parse_memory(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "1m30s"), (5400, "1h30m"), (172800, "48h"), (0.1, "0.1s"), (1e-05, "1e-05s")],
)
def test_a_written_duration_reads_back(seconds: float, text: str) -> None:
    written = format_duration(seconds)

    assert written == text
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("mib", "text"), [(2048, "2GiB"), (500, "500MiB"), (500e6 / 2**20, "476.837158203125MiB")]
)
def test_written_memory_reads_back(mib: float, text: str) -> None:
    written = format_memory(mib)

    assert written == text
    assert parse_memory(written) == mib
