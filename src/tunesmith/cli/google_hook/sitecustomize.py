"""Points Google's Python clients at a server of Tunesmith's, in the process that finds this on its path.

Python imports it when it starts, before the program. It changes nothing until the program imports one of
the clients; then it gives that client the defaults that the guides have people write. What the program
says itself goes before. It runs under the program's own Python, which may be an older one and has no
Tunesmith: so it uses the standard library alone.
"""

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Optional

_SERVER = "TUNESMITH_GOOGLE_SERVER"
_TOKEN = "TUNESMITH_GOOGLE_TOKEN"  # noqa: S105 - a variable's name
_PROJECT = "TUNESMITH_GOOGLE_PROJECT"


def _credentials() -> Any:
    """Return credentials that say nothing, or the token where the server wants one."""
    # The program's own google-auth, which not every installation of Tunesmith has.
    token, server = os.environ.get(_TOKEN), os.environ[_SERVER]
    if not token:
        return importlib.import_module("google.auth.credentials").AnonymousCredentials()
    usual: Any = importlib.import_module("google.oauth2.credentials").Credentials

    class ForServer(usual):  # type: ignore[misc]
        # The client hands its credentials on, to Google's storage for one, which must not learn the token.
        def before_request(self, request: Any, method: str, url: str, headers: Any) -> None:
            if url.startswith(server + "/"):
                super().before_request(request, method, url, headers)

    return ForServer(token)


def _point_aiplatform(module: ModuleType) -> None:
    """Give `aiplatform.init` its defaults."""
    settings = module.global_config
    if not hasattr(
        settings, "_api_transport"
    ):  # before 1.43: it speaks gRPC alone, which finds its way
        return
    settings._api_transport = "rest"  # noqa: SLF001 - there is no other way in; so below
    settings._project = os.environ[_PROJECT]  # noqa: SLF001
    init, ours = (
        settings.init,
        {"_api_endpoint": os.environ[_SERVER], "_credentials": _credentials()},
    )

    def lead() -> None:
        """Give what REST needs; without it gRPC finds its own way."""
        rest = settings._api_transport == "rest"  # noqa: SLF001
        for name, value in ours.items():
            if getattr(settings, name, None) in (None, value):
                setattr(settings, name, value if rest else None)

    def pointed(*args: Any, **named: Any) -> None:
        init(*args, **named)
        lead()

    settings.init = functools.wraps(init)(pointed)
    lead()


def _point_discovery(module: ModuleType) -> None:
    """Give what builds clients of `ml` v1 its defaults; other services stay where they are."""
    build, from_document = module.build, module.build_from_document

    def pointed(serviceName: str, version: str, *args: Any, **named: Any) -> Any:  # noqa: N803 - its own
        if serviceName == "ml":
            _fill(named, has_http=bool(args))
            if "static_discovery" in inspect.signature(build).parameters:
                named.setdefault("static_discovery", True)
        return build(serviceName, version, *args, **named)

    # CloudTuner has a document of its own.
    def pointed_document(service: Any, *args: Any, **named: Any) -> Any:
        told = service if isinstance(service, dict) else json.loads(service)
        if told.get("name") == "ml":
            _fill(named, has_http=len(args) > 2)
        return from_document(service, *args, **named)

    module.build, module.build_from_document = pointed, pointed_document  # type: ignore[attr-defined]


def _fill(named: "dict[str, Any]", *, has_http: bool) -> None:
    """Add credentials and the server's address to arguments that have none."""
    if not has_http and named.get("http") is None and named.get("credentials") is None:
        named["credentials"] = _credentials()
    if named.get("client_options") is None:
        named["client_options"] = {"api_endpoint": os.environ[_SERVER]}


_POINTED: "dict[str, Callable[[ModuleType], None]]" = {
    "google.cloud.aiplatform.initializer": _point_aiplatform,
    "googleapiclient.discovery": _point_discovery,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the clients' modules where they are, and has them pointed once they are loaded."""

    def find_spec(
        self,
        fullname: str,
        path: "Optional[Sequence[str]]" = None,  # noqa: UP045 - older Pythons
        target: "Optional[ModuleType]" = None,  # noqa: UP045 - likewise
    ) -> "Optional[importlib.machinery.ModuleSpec]":  # noqa: UP045 - likewise
        if fullname not in _POINTED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, _POINTED[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module as its own loader does, and points it."""

    def __init__(self, own: Any, point: "Callable[[ModuleType], None]") -> None:
        self._own = own
        self._point = point

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> "Optional[ModuleType]":  # noqa: UP045 - as above
        made: Optional[ModuleType] = self._own.create_module(spec)  # noqa: UP045 - as above
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._own.exec_module(module)
        self._point(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def _run_hidden_one() -> None:
    """Run the ``sitecustomize`` that this one stands before, if the installation has one."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - loads less
    rest = [place for place in sys.path if os.path.abspath(place or ".") != here]  # noqa: PTH100 - likewise
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get(_SERVER):
    sys.meta_path.insert(0, _Finder())
_run_hidden_one()
