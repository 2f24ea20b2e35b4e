"""Runs the command line as ``python -m tunesmith``."""

from tunesmith.cli import main

main()
