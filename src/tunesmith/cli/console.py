"""Where words go: data to stdout, narration to stderr; colours only where a person looks."""

import os
import sys
from collections.abc import Sequence

__all__ = ["is_live", "out", "say", "table"]


def out(text: str) -> None:
    """Print data."""
    print(text)


def say(text: str) -> None:
    """Print narration."""
    print(text, file=sys.stderr, flush=True)


def is_live() -> bool:
    """Whether a person looks at a terminal that can rewrite lines."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of them the head, as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
