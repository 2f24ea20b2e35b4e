import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.study import worker
from tunesmith.study.worker import is_dead, own_name

NAME = "from tunesmith.study.worker import own_name; print(own_name(), flush=True)"


def test_every_name_is_new_and_tells_host_and_process() -> None:
    first, second = own_name(), own_name()

    assert first != second
    assert first.split(":")[1] == str(os.getpid())
    assert len(first) <= 200


def test_who_lives_is_not_dead() -> None:
    assert not is_dead(own_name())


def test_a_process_is_dead_once_it_ended_even_if_nobody_has_collected_it() -> None:
    command = [sys.executable, "-c", NAME + "; input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        name = process.stdout.readline().decode().strip()
        alive = is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        as_zombie = is_dead(name)
        process.wait()
        gone = is_dead(name)

    assert (alive, as_zombie, gone) == (False, True, True)


def test_a_process_number_that_came_again_is_another_process() -> None:
    host, pid, place, birth, nonce = own_name().split(":")
    earlier = f"{birth.partition('.')[0]}.1"

    assert is_dead(":".join([host, pid, place, earlier, nonce]))


def test_a_process_of_an_earlier_boot_is_dead() -> None:
    host, pid, place, birth, nonce = own_name().split(":")
    earlier = f"00000000.{birth.partition('.')[2]}"

    assert is_dead(":".join([host, pid, place, earlier, nonce]))


@pytest.mark.parametrize("name", ["", "gpu-1", "a:b:c:d:e", "host:99999999:elsewhere:x.1:n"])
def test_of_others_nothing_is_known(name: str) -> None:
    assert not is_dead(name)


def test_containers_that_share_all_but_processes_are_different_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_machine_id(path: Path, *args: object, **kwargs: object) -> str:
        if str(path) == "/etc/machine-id":
            raise FileNotFoundError(path)
        return str(read(path, *args, **kwargs))

    read: Callable[..., str] = Path.read_text
    monkeypatch.setattr(Path, "read_text", no_machine_id)
    here = worker._place()

    monkeypatch.setattr(os, "readlink", lambda _: "pid:[4026539999]")

    assert worker._place() != here
