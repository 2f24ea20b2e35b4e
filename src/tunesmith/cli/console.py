"""Where words go: data to stdout, narration to stderr; colours only where a person looks."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

__all__ = ["is_live", "out", "pass_on", "say", "table"]


def out(text: str) -> None:
    """Print data."""
    _print(text, sys.stdout)


def say(text: str) -> None:
    """Print narration."""
    _print(text, sys.stderr)


def pass_on(data: bytes, stream: TextIO) -> None:
    """Print what a program printed, byte for byte."""
    try:
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        _print_no_more(stream)


def _print(text: str, stream: TextIO) -> None:
    # At once, since another program may read along.
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        _print_no_more(stream)


def _print_no_more(stream: TextIO) -> None:
    """Have what is printed go nowhere: nobody reads any more, and what goes on here goes on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def is_live() -> bool:
    """Whether a person looks at a terminal that can rewrite lines."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of them the head, as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
