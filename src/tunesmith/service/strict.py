"""Bodies of requests, read strictly: what is no sound JSON never comes to a route."""

import json
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from tunesmith.service.faults import Refused

__all__ = ["Router", "read_json"]

_LARGE = 2**18
_DEPTH = 64  # C would raise RecursionError, but far deeper
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


class Router(APIRouter):
    """An `APIRouter` whose routes read their bodies by `read_json`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"route_class": _StrictRoute} | settings)


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            # What takes long to read must not hold up everybody else.
            large = len(body) > _LARGE
            self._json = await run_in_threadpool(read_json, body) if large else read_json(body)
        return self._json


def read_json(body: bytes) -> object:
    """Return the value that ``body`` writes.

    Raises:
        Refused: it is no JSON in UTF-8, has half a character, names a thing twice in one object, has NaN
            or a number that no machine number can hold, or is nested too deeply.
    """
    if _is_deep(body):
        raise _unsound(f"it is nested more than {_DEPTH} deep")
    try:
        found: object = json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError as error:
        raise _unsound(f"byte {error.start} is no UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _unsound(str(error)) from None
    if _HALVES.search(body):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _unsound("it has half a character, such as \\ud800 alone") from None
    return found


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


def _is_deep(body: bytes) -> bool:
    """Whether brackets are nested too deeply; those within texts do not count."""
    if body.count(b"[") + body.count(b"{") <= _DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > _DEPTH:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        msg = f"{twice[:50]!r} is there twice in one object"
        raise ValueError(msg)
    return found


def _no_constant(text: str) -> object:
    msg = f'{text} is no JSON; where a metric may be it, write "{text}" as a text'
    raise ValueError(msg)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        msg = f"{text[:30]} is too large"
        raise ValueError(msg)
    return number


def _int(text: str) -> int:
    if len(text) > 30:
        msg = f"{text[:10]}… has {len(text)} digits"
        raise ValueError(msg)
    return int(text)


def _unsound(why: str) -> Refused:
    return Refused(400, "JsonError", f"The body is no sound JSON: {why}.")
