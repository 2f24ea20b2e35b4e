"""What a route is given of the request: who asks, their project's studies, and the means to answer once."""

import hashlib
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from tunesmith.errors import NotFoundError
from tunesmith.model import Trial
from tunesmith.service.desk import Counter
from tunesmith.service.faults import Refused
from tunesmith.service.gate import CALLER
from tunesmith.service.parts import Parts
from tunesmith.service.roles import Caller
from tunesmith.storage import ServedStorage
from tunesmith.storage.tokens import Role
from tunesmith.storage.wire import pack

__all__ = ["Admin", "Call", "Reader", "Worker", "Writer", "answer", "needs"]

_KEY = re.compile(r"[A-Za-z0-9_-]{8,100}")


@dataclass(slots=True)
class Call:
    """One request, whose caller may make it.

    Attributes:
        caller: Who asks.
        storage: The studies of the caller's project.
        parts: The server.
        key: What the caller calls the request, so that it happens once; ``""`` for nothing.
        asked: A hash of what is asked.
    """

    caller: Caller
    storage: ServedStorage
    parts: Parts
    key: str = ""
    asked: str = ""

    @contextmanager
    def once(self) -> Iterator[Sequence[Trial]]:
        """Let what this thread changes within happen once; see `ServedStorage.once`."""
        key = f"{self.caller.project}/{self.key}"
        with self.storage.once(key, self.asked) if self.key else nullcontext(()) as before:
            yield before
        self.parts.watch.nudge(self.caller.project)

    def counter(self, study: str) -> Counter:
        """Return where the study's clients are served, on the server's event loop only."""
        return self.parts.desk.counter(self.storage, study)

    def refuse_more_studies(self) -> None:
        """Raise `Refused` if the project has as many studies as it may."""
        most = self.parts.settings.limits.studies
        if len(self.storage.revisions()) >= most:
            message = f"The project has {most} studies, as many as it may. Delete some first."
            raise Refused(409, "TooMany", message)


def needs(role: Role) -> Callable[[Request], Coroutine[Any, Any, Call]]:
    """Return a dependency that gives the `Call` to a route, if the caller has the role."""

    async def call(request: Request) -> Call:
        caller: Caller = request.scope[CALLER]
        if not caller.may(role):
            message = f"This needs the role {role}; your token has {caller.role}."
            raise Refused(403, "Forbidden", message, needs=role)
        study = request.path_params.get("study", "")
        if (
            not study.isprintable()
        ):  # no study has such a name, and not every database could look for it
            msg = f"There is no study {study!r}."
            raise NotFoundError(msg)
        parts: Parts = request.app.state.parts
        key = request.headers.get("idempotency-key", "")
        asked = ""
        if key:
            if not _KEY.fullmatch(key):
                message = "An Idempotency-Key has 8 to 100 letters, digits, '-' and '_'."
                raise Refused(422, "RequestError", message)
            body = getattr(request, "_body", b"")  # read by now, where there is one
            said = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
            asked = hashlib.sha256(said + body).hexdigest()
        return Call(caller, parts.storage.in_project(caller.project), parts, key, asked)

    call.role = role  # type: ignore[attr-defined]  # the table of routes and the document read it
    return call


Reader = Annotated[Call, Depends(needs("read"))]
Worker = Annotated[Call, Depends(needs("worker"))]
Writer = Annotated[Call, Depends(needs("write"))]
Admin = Annotated[Call, Depends(needs("admin"))]


def answer(document: object, status: int = 200) -> Response:
    """Return a document as a response, as it is: it is ours, and was checked when it was made."""
    return Response(pack(document), status, media_type="application/json")
