import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tunesmith.execution.mark import MARK

pytest.register_assert_rewrite("tunesmith.testing")


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures of ``databases.py``: tests are folders, so it can't be imported by name."""
    path = Path(__file__).with_name("databases.py")
    spec = importlib.util.spec_from_file_location("databases", path)
    assert spec is not None
    assert spec.loader is not None
    databases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(databases)
    config.pluginmanager.register(databases, "databases")


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores: a sixth of the time, tests wait for processes."""
    known = hasattr(os, "sched_getaffinity")  # not on macOS
    return (len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1) + 1


@pytest.fixture
def until() -> Callable[..., None]:
    """Polls for a condition that must come true soon."""

    def wait(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def marked(tmp_path: Path) -> Callable[[], Mapping[int, Mapping[str, str]]]:
    """Finds the living processes of trials that have their directories below ``tmp_path``.

    Returns a function that gives their variables by process number.
    """

    def find() -> dict[int, Mapping[str, str]]:
        found: dict[int, Mapping[str, str]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    pairs = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                variables = dict(p.split("=", 1) for p in pairs if "=" in p)
                if variables.get(MARK, "").startswith(str(tmp_path)):
                    found[int(entry.name)] = variables
        return found

    return find
