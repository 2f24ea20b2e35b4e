"""What may go wrong with a database: which faults pass by themselves, and the words for those that don't."""

import sqlite3
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError

from tunesmith.storage.locate import shown

__all__ = ["SERVER_MAY_RESTART_S", "explain", "passes"]

SERVER_MAY_RESTART_S = 60.0
"""For how many seconds a fault that may pass is waited out."""

# SQLSTATEs of PostgreSQL, and error numbers of MySQL and MariaDB.
_TURNED_AWAY = {
    "40001",  # serialisation failure
    "40P01",  # deadlock
    "55P03",  # lock timeout
    1020,  # the row has changed since it was read
    1205,  # lock wait timeout
    1213,  # deadlock
}
_RESTARTING = {
    "57P01",  # ended by the administrator
    "57P02",  # crashed beside another
    "57P03",  # starts or stops
    "25P03",  # idle in a transaction for too long
    "53300",  # too many connections
    1040,  # too many connections
    1053,  # stops
    2002,  # no socket, or connection refused (and so is 2003)
    2003,
    2006,  # gone away
    2013,  # lost during a query
    4031,  # idle for too long
}
# libpq gives no code with what is said while one connects.
_NO_ANSWER = (
    "Connection refused",
    "No such file or directory",
    "server closed the connection",
    "the database system is",
    "terminating connection",
    "timeout expired",
    "connection timeout",
    "too many clients",
    "remaining connection slots",
    "connection is lost",
    "the connection is closed",
    "Connection reset",
    "Connection timed out",
    "could not receive data",
    "SSL connection has been closed",
)
_STALE_PLAN = "cached plan must not change result type"  # another process has migrated the tables


def _code(error: DBAPIError) -> object:
    """Return MySQL's number of an error, or PostgreSQL's SQLSTATE; None where it has none."""
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0]
    return getattr(error.orig, "sqlstate", None)


def _is_lost(error: DBAPIError) -> bool:
    if error.connection_invalidated or _code(error) in _RESTARTING:
        return True
    return _code(error) is None and any(sign in str(error.orig) for sign in _NO_ANSWER)


def passes(error: DBAPIError) -> bool:
    """Return whether the same transaction may succeed in a moment."""
    if isinstance(error.orig, sqlite3.Error):
        return False  # a busy database was waited for long enough
    return _is_lost(error) or _code(error) in _TURNED_AWAY or _STALE_PLAN in str(error.orig)


_SQLITE = {
    "disk is full": "The disk is full. Free some space and run the same command again; nothing is lost.",
    "disk I/O error": "The disk failed or is full. Run the same command again once it is well.",
    "readonly": "It is read-only for you. Choose another place with --storage, or mend its permissions.",
    "unable to open": "It can't be opened. Does its folder exist, and may you write there?",
    "database is locked": "Another process held it for a minute. Is it on a network disk?",
    "not a database": "That file is no SQLite database. Choose another with --storage.",
    "malformed": "The file is damaged. Restore it from a copy; `sqlite3 FILE .recover` may save the rest.",
}
_PASSWORD = "Check the user and the password in the URL."  # noqa: S105 - a sentence about one
_NOT_THERE = "Is the server running there, and does it listen at that host and port?"
_READ_ONLY = (
    "It takes no changes: a replica, or read-only for this user. Give the URL of the primary."
)
_NO_RIGHT = "The user may not do that. Grant it the right, as docs/how-to/databases.md shows."
_TOO_MANY = "It has too many connections. Close some, or raise its max_connections."
_FULL = "Its disk is full. Free some space there; nothing is lost."
_TOO_LONG = "A name or text is longer than its column. On SQLite, such could be stored."
_SERVERS: dict[object, str] = {
    "28P01": _PASSWORD,
    "28000": _PASSWORD,
    1045: _PASSWORD,
    1698: _PASSWORD,
    "25006": _READ_ONLY,
    1290: _READ_ONLY,
    1792: _READ_ONLY,
    1836: _READ_ONLY,
    "42501": _NO_RIGHT,
    1044: _NO_RIGHT,
    1142: _NO_RIGHT,
    "53300": _TOO_MANY,
    1040: _TOO_MANY,
    "53100": _FULL,
    1021: _FULL,
    1114: _FULL,
    "22001": _TOO_LONG,
    1406: _TOO_LONG,
    2002: _NOT_THERE,
    2003: _NOT_THERE,
    2005: "There is no host of that name.",
}


_POSTGRESQL_AT_CONNECT = {
    "password authentication failed": _PASSWORD,
    "no password supplied": _PASSWORD,
    "no pg_hba.conf entry": "The server does not let this user in from here; see its pg_hba.conf.",
    "role ": "The server has no such user. Make it, as docs/how-to/databases.md shows.",
    "Connection refused": _NOT_THERE,
    "No such file or directory": _NOT_THERE,
    "timeout expired": _NOT_THERE,
    "connection timeout": _NOT_THERE,
    "resolve host": "There is no host of that name.",
    "too many clients": _TOO_MANY,
    "remaining connection slots": _TOO_MANY,
}


def explain(error: DBAPIError | sqlite3.Error, url: str) -> str:
    """Return what went wrong with the storage at ``url``, and what to do."""
    cause = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    advice = _advice(error, cause, url)
    return (
        f"The storage {shown(url)} failed ({cause}). {advice}"
        if advice
        else f"The storage {shown(url)} failed: {cause}"
    )


def _advice(error: DBAPIError | sqlite3.Error, cause: str, url: str) -> str:
    if not isinstance(error, DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return _first(_SQLITE, cause)
    code = _code(error)
    name = url.partition("?")[0].rpartition("/")[2]
    if code == 1049:
        return f"Make it: CREATE DATABASE `{name}` CHARACTER SET utf8mb4;"
    if code == "3D000" or (code is None and "database " in cause and "does not exist" in cause):
        return f"Make it: createdb {name}"
    return _SERVERS.get(code, "") or (_first(_POSTGRESQL_AT_CONNECT, cause) if code is None else "")


def _first(advice: Mapping[str, str], cause: str) -> str:
    return next((words for sign, words in advice.items() if sign in cause), "")
