"""Figures on the server's health: what it counts, and how things stand when it is asked."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.errors import StorageError
from tunesmith.service.shelves import Shelves
from tunesmith.storage import ServedStorage
from tunesmith.storage.census import Census

__all__ = ["Figures", "RequestFigures"]

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_API = "/api/v1"
_CENSUS_S = 10.0  # for so long a count serves all who ask


class Figures:
    """What a server counts of itself; from several threads."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self._requests = Histogram(
            "tunesmith_request_seconds",
            "Seconds from the head of a request to the head of its answer.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=own,
        )
        self._suggestions = Histogram(
            "tunesmith_suggestion_seconds",
            "Seconds that a study thought before it suggested trials.",
            buckets=_SECONDS,
            registry=own,
        )
        self._streams = Gauge("tunesmith_event_streams", "Event streams, open now.", registry=own)
        self._faults = Counter(
            "tunesmith_failed_requests", "Requests that met a fault of the database.", registry=own
        )
        build = Gauge("tunesmith_build_info", "The version that runs.", ("version",), registry=own)
        build.labels(version("tunesmith")).set(1)
        self._lock = threading.Lock()
        self._counted: dict[str | None, tuple[float, Census]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request."""
        self._requests.labels(method, route, str(status)).observe(seconds)
        if status == 503:
            self._faults.inc()

    def thought(self, seconds: float) -> None:
        """Note how long a study thought."""
        self._suggestions.observe(seconds)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count an event stream while it is open."""
        with self._streams.track_inprogress():
            yield

    def text(self, storage: ServedStorage, shelves: Shelves, project: str | None) -> bytes:
        """Return all figures, and how things stand with a project's studies, or with all if None."""
        now = CollectorRegistry()
        now.register(_Standing(storage, shelves, self._census(storage, project)))
        return generate_latest(self._registry) + generate_latest(now)

    def _census(self, storage: ServedStorage, project: str | None) -> Census | None:
        """Return a count that is a few seconds old at most; None if the database does not answer."""
        with self._lock:
            at, census = self._counted.get(project, (0.0, Census()))
            if at and time.monotonic() - at < _CENSUS_S:
                return census
            try:
                census = storage.census(project)
            except StorageError:
                return None
            self._counted[project] = (time.monotonic(), census)
            return census


class _Standing:
    """How things stand at the moment, as Prometheus' client collects it."""

    def __init__(self, storage: ServedStorage, shelves: Shelves, census: Census | None) -> None:
        self._storage = storage
        self._shelves = shelves
        self._census = census

    def collect(self) -> Iterable[Metric]:
        """Yield the figures."""
        up = self._census is not None
        yield GaugeMetricFamily("tunesmith_database_up", "Whether the database answers.", float(up))
        faults = CounterMetricFamily(
            "tunesmith_database_faults",
            "Faults of the database, by what came of them.",
            labels=["outcome"],
        )
        for outcome, count in self._storage.fault_counts.items():
            faults.add_metric([outcome], count)
        yield faults
        files = self._shelves.bytes()
        yield GaugeMetricFamily(
            "tunesmith_files_bytes", "Bytes of files, outputs and code of jobs.", files
        )
        if self._census is None:
            return
        for name, counts in (
            ("studies", self._census.studies),
            ("trials", self._census.trials),
            ("jobs", self._census.jobs),
        ):
            family = GaugeMetricFamily(
                f"tunesmith_{name}", f"{name.capitalize()}, by state.", labels=["state"]
            )
            for state, count in counts.items():
                family.add_metric([str(state)], count)
            yield family
        yield GaugeMetricFamily(
            "tunesmith_leases", "Running trials whose lease is good.", self._census.leases
        )


class RequestFigures:
    """Counts every request; stands before an ASGI app.

    Args:
        app: The app.
        figures: Where they are counted.
    """

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _template(scope)
                method = scope["method"] if route else "any"
                seconds = time.perf_counter() - began
                self._figures.answered(method, route or "none", message["status"], seconds)
            await send(message)

        await self._app(scope, receive, send_counted)


def _template(scope: Scope) -> str:
    """Return a request's path with names for its parts: a series for each study would be too many."""
    path = str(getattr(scope.get("route"), "path", ""))
    below_api = _API in scope["path"] and not path.startswith(_API)
    return f"{_API}{path}" if path and below_api else path
