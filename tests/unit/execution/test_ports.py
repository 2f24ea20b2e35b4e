import errno
import socket
from typing import Any

import pytest

from tunesmith.errors import StorageError
from tunesmith.execution import ports as module
from tunesmith.execution.ports import HOST, Ports


def binds(port: int) -> bool:
    with socket.socket() as server:
        try:
            server.bind((HOST, port))
        except OSError:
            return False
        return True


def test_ports_are_held_until_their_replicas_start() -> None:
    ports = Ports(2)
    first, second = ports.numbers

    ports.open(first)

    assert binds(first)
    assert not binds(second)
    ports.close()
    assert binds(second)


def test_a_port_is_locked_also_after_its_replica_has_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = Ports(1)
    (port,) = held.numbers
    held.open(port)
    monkeypatch.setattr(module, "_FIRST", port)
    monkeypatch.setattr(module, "_end", lambda: port + 1)

    with pytest.raises(StorageError, match="No 1 ports between"):
        Ports(1)

    held.close()
    again = Ports(1)
    assert again.numbers == (port,)
    again.close()


def test_a_machine_that_gives_no_more_sockets_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[socket.socket] = []

    class Few(socket.socket):
        def __init__(self, *args: Any) -> None:
            if len(given) == 5:
                raise OSError(errno.EMFILE, "Too many open files")
            super().__init__(*args)
            given.append(self)

    monkeypatch.setattr(socket, "socket", Few)

    with pytest.raises(OSError, match="Too many"):
        Ports(10)

    assert len(given) == 5
    assert {each.fileno() for each in given} == {-1}


def test_ports_are_below_those_that_the_system_gives_away() -> None:
    ports = Ports(20)

    end = int(module._RANGE_FILE.read_text().split()[0])
    assert len(set(ports.numbers)) == 20
    assert all(port < end for port in ports.numbers)
    ports.close()
