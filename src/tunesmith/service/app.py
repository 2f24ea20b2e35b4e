"""The server as an ASGI app."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool

from tunesmith.service import metrics
from tunesmith.service.access import Access
from tunesmith.service.desk import Desk
from tunesmith.service.faults import answer_faults
from tunesmith.service.figures import Figures, RequestFigures
from tunesmith.service.fronts.google.faults import GoogleFaults
from tunesmith.service.fronts.google.mounting import mount_google
from tunesmith.service.gate import Gate
from tunesmith.service.last_resort import LastResort
from tunesmith.service.logging import RequestLog
from tunesmith.service.openapi import describe
from tunesmith.service.parts import Parts
from tunesmith.service.routes import (
    access,
    files,
    health,
    jobs,
    logs,
    origins,
    studies,
    tune,
    verbs,
    views,
)
from tunesmith.service.settings import Settings
from tunesmith.service.shelves import Shelves
from tunesmith.storage import ServedStorage

__all__ = ["make_app", "routers"]

_LOG = logging.getLogger("tunesmith.service")
_API = "/api/v1"
# Routes are tried in this order: what is asked for most comes first.
_MODULES = (tune, verbs, studies, views, files, logs, jobs, origins, access)
_CHORES_S = 300.0


def make_app(storage: ServedStorage, settings: Settings | None = None) -> FastAPI:
    """Return the app that serves the studies of a storage.

    Args:
        storage: Where they are; stays the caller's.
        settings: How it serves; the defaults if None.
    """
    settings = settings or Settings()
    figures = Figures()
    parts = Parts(
        storage,
        settings,
        Access(storage, settings),
        Shelves(settings),
        figures,
        Desk(figures.thought),
    )
    app = FastAPI(
        title="Tunesmith",
        version=version("tunesmith"),
        openapi_url=f"{_API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_life,
    )
    app.state.parts = parts
    app.include_router(health.router)
    app.include_router(metrics.router)
    for module in _MODULES:
        app.include_router(module.router, prefix=_API)
        prepare = getattr(module, "prepare", None)
        if prepare is not None:
            prepare(parts)
    parts.stops += [parts.desk.close]
    parts.chores += [storage.tokens.sweep, storage.sweep]
    mount_google(app, parts)
    answer_faults(app)
    describe(app, routers())
    app.add_middleware(LastResort)
    app.add_middleware(Gate, settings=settings, access=parts.access)
    app.add_middleware(GoogleFaults, base_path=settings.base_path)
    app.add_middleware(RequestFigures, figures=figures)
    app.add_middleware(RequestLog)
    return app


def routers() -> list[tuple[str, APIRouter]]:
    """Return all routers, each with what stands before its paths."""
    return [
        ("", health.router),
        ("", metrics.router),
        *((_API, module.router) for module in _MODULES),
    ]


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    for start in parts.starts:
        await run_in_threadpool(start)
    chores = asyncio.create_task(_do_chores(parts))
    try:
        yield
    finally:
        parts.is_ready = False
        chores.cancel()
        for stop in reversed(parts.stops):
            await run_in_threadpool(stop)


async def _do_chores(parts: Parts) -> None:
    while True:
        await asyncio.sleep(_CHORES_S)
        for chore in parts.chores:
            try:
                await run_in_threadpool(chore)
            except Exception:  # what fails now is tried again, and is nobody's request
                _LOG.exception("a chore failed")
