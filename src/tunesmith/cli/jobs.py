"""``tunesmith jobs``: what a server was handed to run, by ``submit`` or by clients of Google's."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, say, table
from tunesmith.cli.options import format_option, storage_option
from tunesmith.cli.origin import Origin, origin_at, served_origins
from tunesmith.errors import NotFoundError
from tunesmith.reporting import duration, json_text
from tunesmith.storage import default_url, is_remote, open_storage, shown

if TYPE_CHECKING:
    from tunesmith.storage.http_client import HttpClient

__all__ = ["follow_job", "jobs_client", "jobs_command"]

_LOOK_S = 1.0
_ENDS = {"finished": Exit.DONE, "failed": Exit.STUDY_FAILED, "stopped": Exit.TERMINATED}


@click.command("jobs", short_help="list the jobs of a server")
@click.argument("job", required=False)
@click.option("--stop", is_flag=True, help="End the job; its study stays, and can go on elsewhere.")
@click.option("-f", "--follow", is_flag=True, help="Print what the job prints, until it ends.")
@click.option(
    "--document",
    is_flag=True,
    help="Print the document of Google's that the job was made from, as it was sent.",
)
@storage_option
@format_option("table", "json")
def jobs_command(
    job: str | None, *, stop: bool, follow: bool, document: bool, storage: str | None, output: str
) -> int:
    """List the jobs that a server was handed, the last first; or show JOB and what it printed last.

    A job of a client of Google's is also found by its number, whole name or display name there.
    """
    client = jobs_client(storage)
    if job is None:
        if stop or follow or document:
            raise click.UsageError("Name the JOB; `tunesmith jobs` lists them.")
        _list(client, output)
        return Exit.DONE
    origin = _origin(client, job)
    id_ = job if origin is None else origin.job
    if document:
        _print_document(client, id_, origin)
    elif stop:
        found = client.document("POST", f"/jobs/{id_}/stop", {"reason": "stopped by a person"})
        say(f"job {id_} is {found['state']}" + (", and is asked to end" if _runs(found) else ""))
    elif follow:
        return follow_job(client, id_)
    else:
        _show(client, id_, origin, output)
    return Exit.DONE


def jobs_client(storage: str | None) -> "HttpClient":
    """Return what speaks to the server; raise `click.UsageError` if the storage is none."""
    url = storage or default_url()
    if not is_remote(url):
        msg = (
            f"Jobs are run by a server, and {shown(url)} is none. Name one: --storage"
            " https://tune.example.org; or run the study here: tunesmith run FILE."
        )
        raise click.UsageError(msg)
    from tunesmith.storage.remote import RemoteStorage  # noqa: PLC0415 - loads an HTTP client

    opened = open_storage(url)
    assert isinstance(opened, RemoteStorage)
    return opened.client


def follow_job(client: "HttpClient", job: str) -> int:
    """Print what a job prints until it has ended; return the exit status that says how."""
    offset = 0
    while True:
        found = client.document("GET", f"/jobs/{job}")
        data, offset = _printed(client, job, f"&offset={offset}")
        while data:
            for line in data.decode(errors="replace").splitlines():
                out(line)
            data, offset = _printed(client, job, f"&offset={offset}")
        if not _runs(found):
            say(
                f"job {job} is {found['state']}"
                + (f": {found['reason']}" if found["reason"] else "")
            )
            return _ENDS[found["state"]]
        time.sleep(_LOOK_S)


def _list(client: "HttpClient", output: str) -> None:
    jobs = client.document("GET", "/jobs")
    made = {origin.job: origin for origin in served_origins(client)}
    if output == "json":
        documents = [{**job, "origin": _document(made.get(job["id"]))} for job in jobs]
        out(json_text({"schema": "tunesmith.jobs/1", "jobs": documents}))
    elif jobs:
        rows = [["job", "study", "state", "submitted", "reason"], *map(_row, jobs)]
        if made:
            told = [made[job["id"]].words if job["id"] in made else "" for job in jobs]
            rows = [[*row, words] for row, words in zip(rows, ["from", *told], strict=True)]
        out(table(rows))
    else:
        say("There are no jobs yet. `tunesmith submit FILE` hands one in.")


def _show(client: "HttpClient", job: str, origin: Origin | None, output: str) -> None:
    found = client.document("GET", f"/jobs/{job}")
    whole = None if origin is None else origin_at(client, origin.study)
    if output == "json":
        out(json_text({"schema": "tunesmith.job/1", **found, "origin": _document(whole)}))
        return
    out(f"job {job}: {found['state']}" + (f", {found['reason']}" if found["reason"] else ""))
    if whole is None:
        out(f"study {found['study']}, from {found['file']}, started {found['starts']} times")
    else:
        study = f"study {found['study']}, " if whole.tunes else ""
        out(f"{study}from a {whole.whole}, started {found['starts']} times")
    for line in _printed(client, job, "&tail=20")[0].decode(errors="replace").splitlines():
        out(f"   {line}")


def _print_document(client: "HttpClient", job: str, origin: Origin | None) -> None:
    whole = None if origin is None else origin_at(client, origin.study)
    if whole is None:
        msg = f"Job {job} was made from no document of Google's."
        raise NotFoundError(msg)
    out(whole.document)


def _origin(client: "HttpClient", text: str) -> Origin | None:
    """Return what a client of Google's made, by its names there or by the job here; None if nothing."""
    made = [origin for origin in served_origins(client) if origin.job]
    found = [origin for origin in made if text in (origin.job, *origin.names)]
    if len(found) > 1:
        those = ", ".join(f"{origin.job} ({origin.name})" for origin in found[:8])
        msg = f"{text!r} may be any of: {those}."
        raise NotFoundError(msg)
    return found[0] if found else None


def _document(origin: Origin | None) -> Mapping[str, object] | None:
    return None if origin is None else origin.to_json()


def _printed(client: "HttpClient", job: str, query: str) -> tuple[bytes, int]:
    """Return a piece of what a job's tuner printed, in whole lines if it is not all, and where it ends."""
    try:
        answer = client.ask("GET", f"/jobs/{job}/logs/stderr?limit=262144{query}")
    except NotFoundError:
        return b"", 0
    data = answer.body
    end = data.rfind(b"\n") + 1
    if end:
        data = data[:end]
    return data, int(answer.headers["log-offset"]) + len(data)


def _runs(job: Mapping[str, Any]) -> bool:
    return job["state"] in ("queued", "running")


def _row(job: Mapping[str, Any]) -> list[str]:
    ago = duration(time.time() - job["submitted"])
    reason = str(job["reason"])
    return [
        job["id"],
        job["study"],
        job["state"],
        f"{ago} ago",
        reason if len(reason) <= 60 else reason[:59] + "…",
    ]
