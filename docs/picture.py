# ruff: noqa: INP001 - a program, not a package
"""Draws docs/images/run.svg: runs the example in a terminal of its own and takes its picture.

    python docs/picture.py

The picture is what the terminal showed in the middle of the run; only the folder's name is made up.
"""

import io
import os
import pty
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "run.svg"
WIDTH = 106
TAKEN_AT = 11  # trials that have ended

_REDRAW = re.compile(r"(?:\r?(?:\x1b\[1A)?\x1b\[2K)+")
_CURSOR = re.compile(r"\x1b\[\?25[lh]|\r")
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Run, choose the moment, draw."""
    head, *frames = _REDRAW.split(record())
    head, _, first = head.partition("\x1b[?25l")
    frame = next(f for f in [first, *frames] if f.lstrip().startswith(f"{TAKEN_AT}/"))
    shown = _CURSOR.sub("", f"$ tunesmith run tune.yaml\n{head}{frame}")

    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(shown), overflow="fold")
    svg = console.export_svg(title="tunesmith", unique_id="run")
    PICTURE.write_text(_FONTS.sub("", svg), encoding="utf-8")  # fonts come from the reader's system


def record() -> str:
    """Return all that the example writes to a terminal."""
    written = bytearray()

    def read(terminal: int) -> bytes:
        data = os.read(terminal, 65536)
        written.extend(data)
        return data

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve() / "digits"
        shutil.copytree(ROOT / "examples" / "digits", place)
        os.environ |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": str(WIDTH), "LINES": "40", "TERM": "xterm-256color",
        }  # fmt: skip
        os.chdir(place)
        pty.spawn([sys.executable, "-m", "tunesmith", "run", "tune.yaml"], read)
        os.chdir(ROOT)
        return written.decode().replace(str(place.parent), "~")


if __name__ == "__main__":
    main()
