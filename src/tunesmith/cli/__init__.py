"""The command line: parses arguments, calls one function, prints.

app.py       the table of commands, loaded one at a time, and what errors become
names.py     studies and trials by the short names people type
console.py   where words go: data to stdout, narration to stderr
"""

from tunesmith.cli.app import main

__all__ = ["main"]
