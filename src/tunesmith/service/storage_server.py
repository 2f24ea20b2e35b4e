"""The imitation of Cloud Storage as a server of its own, for a tuner that runs without a server."""

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from tunesmith.service.storage_api import storage_router

__all__ = ["StorageServer"]


class StorageServer:
    """Serves the buckets on loopback, in a thread of this process, until the ``with`` block ends.

    Args:
        root: The folder with a folder for each bucket.
    """

    def __init__(self, root: Path) -> None:
        app = FastAPI(openapi_url=None)
        app.include_router(storage_router(root))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        )
        # uvicorn would take the signals of the main thread, but it runs in another one.
        self._thread = threading.Thread(target=self._run, name="tunesmith-storage", daemon=True)

    @property
    def url(self) -> str:
        """Its address, for ``STORAGE_EMULATOR_HOST``."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
