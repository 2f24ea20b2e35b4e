import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tunesmith.execution.mark import MARK, OWNER
from tunesmith.execution.tree import kill_marked, memory_mib, signal_tree, sweep

WAITS = "import sys; sys.stdin.read()"
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({ready!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
"""


@contextmanager
def process(code: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **variables},
        start_new_session=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def test_a_signal_reaches_children_that_left_the_group() -> None:
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WAITS!r}], start_new_session=True,
                         stdin=subprocess.PIPE)
print(child.pid, flush=True)
print(child.wait(), flush=True)
"""
    with process(code) as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.send_signal(signal.SIGCONT)

        signal_tree(started.pid, signal.SIGTERM)

        assert started.wait(10) == -signal.SIGTERM


def test_a_group_is_swept_after_its_leader_ended() -> None:
    code = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {WAITS!r}], stdin=0)
"""
    with process(code) as started:
        started.wait(10)

        sweep(started.pid)

        assert started.stdout is not None
        assert started.stdout.read() == b""  # the child held its other end


def test_a_daemon_is_found_by_its_mark(
    tmp_path: Path,
    until: Callable[[Callable[[], object]], None],
    marked: Callable[[], Mapping[int, Mapping[str, str]]],
) -> None:
    ready = tmp_path / "ready"
    marks = {MARK: str(tmp_path), OWNER: f"tuner of {tmp_path}"}
    with process(DAEMON.format(ready=str(ready)), **marks) as started:
        started.wait(10)
        until(lambda: ready.exists() and ready.read_text())

        killed = kill_marked(directories=[str(tmp_path)])

        assert killed == 1
        until(lambda: not marked())


def test_processes_of_another_tuner_or_trial_are_left_alone(tmp_path: Path) -> None:
    with process(WAITS, **{MARK: str(tmp_path / "1"), OWNER: f"b {tmp_path}"}) as started:
        others = kill_marked(owner=f"a {tmp_path}", directories=[str(tmp_path / "1")])
        others += kill_marked(owner=f"b {tmp_path}", directories=[str(tmp_path / "2")])
        others += kill_marked(owner=f"a {tmp_path}")
        assert others == 0
        assert started.poll() is None

        assert kill_marked(owner=f"b {tmp_path}") == 1
        assert started.wait(10) == -signal.SIGKILL


def test_memory_counts_the_whole_tree() -> None:
    code = """
import subprocess, sys
eater = "x = bytearray(60_000_000); print(len(x), flush=True); sys_in = input()"
child = subprocess.Popen([sys.executable, "-c", eater])
child.wait()
"""
    with process(code) as started:
        assert started.stdout is not None
        started.stdout.readline()

        assert memory_mib(started.pid) > 60


def test_a_process_that_is_gone_has_no_memory_and_takes_no_signal() -> None:
    with process("pass") as started:
        started.wait(10)

    signal_tree(started.pid, signal.SIGTERM)
    sweep(started.pid)

    assert memory_mib(started.pid) == 0
