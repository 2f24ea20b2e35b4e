"""``tunesmith submit`` and ``jobs``: have a server run a study, and see what became of it."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, say, table
from tunesmith.cli.options import format_option, storage_option
from tunesmith.cli.packing import Parcel, gather, pack
from tunesmith.cli.plan import Overrides, check_program, read_plan
from tunesmith.errors import NotFoundError
from tunesmith.reporting import duration, json_text
from tunesmith.specs import parse_memory
from tunesmith.storage import default_url, is_remote, open_storage, shown

if TYPE_CHECKING:
    from tunesmith.storage.http_client import HttpClient

__all__ = ["jobs_command", "submit_command"]

_LOOK_S = 1.0
_ENDS = {"finished": Exit.DONE, "failed": Exit.STUDY_FAILED, "stopped": Exit.TERMINATED}


@click.command("submit", short_help="have a server run a study")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", metavar="STUDY", help="The study's name.")
@click.option(
    "--with",
    "more",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A file or folder to be sent too, such as data that git ignores.",
)
@click.option(
    "--largest",
    default="100MiB",
    show_default=True,
    metavar="SIZE",
    help="How large the code may be.",
)
@click.option("--dry-run", is_flag=True, help="List what would be sent, and send nothing.")
@click.option("-f", "--follow", is_flag=True, help="Print what the job prints, until it ends.")
@storage_option
def submit_command(
    file: Path,
    *,
    name: str | None,
    more: tuple[Path, ...],
    largest: str,
    dry_run: bool,
    follow: bool,
    storage: str | None,
) -> int:
    """Send FILE and the code beside it to a server, which runs the study.

    What git lists in FILE's folder is sent; without git all files there but hidden ones and virtual
    environments. The server needs to be started with --executor local, and your token the role write:
    the code runs on the server's machine, as its user. The study goes on when the server is started
    again; `tunesmith stop STUDY` ends it.
    """
    plan = read_plan(file, Overrides(name=name))
    check_program(plan)
    folder = file.absolute().parent
    try:
        parcel = gather(folder, more, largest_mib=parse_memory(largest))
    except ValueError as error:
        msg = f"--largest: {error}"
        raise click.UsageError(msg) from error
    for left_out in parcel.left_out:
        say(f"{left_out} is a link that leads out of the folder: not sent")
    if dry_run:
        for path, place in parcel.files:
            out(f"{place.stat().st_size:>12}  {path}")
        say(f"{len(parcel.files)} files, {parcel.size} bytes")
        return Exit.DONE
    client = _client(storage)
    job = _hand_in(client, plan.name, file.name, parcel)
    say(f"job {job['id']} runs study {plan.name} at {client.address.base}")
    if follow:
        return _follow(client, str(job["id"]))
    out(str(job["id"]))
    say(
        f"see: tunesmith show {plan.name}, tunesmith jobs {job['id']}; wait: tunesmith wait {plan.name}"
    )
    return Exit.DONE


@click.command("jobs", short_help="list the jobs of a server")
@click.argument("job", required=False)
@click.option("--stop", is_flag=True, help="End the job; its study stays, and can go on elsewhere.")
@click.option("-f", "--follow", is_flag=True, help="Print what the job prints, until it ends.")
@storage_option
@format_option("table", "json")
def jobs_command(
    job: str | None, *, stop: bool, follow: bool, storage: str | None, output: str
) -> int:
    """List the jobs that a server was handed, the last first; or show JOB and what it printed last."""
    client = _client(storage)
    if job is None:
        if stop or follow:
            raise click.UsageError("Name the JOB; `tunesmith jobs` lists them.")
        jobs = client.document("GET", "/jobs")
        if output == "json":
            out(json_text({"schema": "tunesmith.jobs/1", "jobs": jobs}))
        elif jobs:
            head = ["job", "study", "state", "submitted", "reason"]
            out(table([head, *map(_row, jobs)]))
        else:
            say("There are no jobs yet. `tunesmith submit FILE` hands one in.")
        return Exit.DONE
    if stop:
        found = client.document("POST", f"/jobs/{job}/stop", {"reason": "stopped by a person"})
        say(f"job {job} is {found['state']}" + (", and is asked to end" if _runs(found) else ""))
        return Exit.DONE
    if follow:
        return _follow(client, job)
    found = client.document("GET", f"/jobs/{job}")
    if output == "json":
        out(json_text({"schema": "tunesmith.job/1", **found}))
        return Exit.DONE
    out(f"job {job}: {found['state']}" + (f", {found['reason']}" if found["reason"] else ""))
    out(f"study {found['study']}, from {found['file']}, started {found['starts']} times")
    for line in _printed(client, job, "&tail=20")[0].decode(errors="replace").splitlines():
        out(f"   {line}")
    return Exit.DONE


def _client(storage: str | None) -> "HttpClient":
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


def _hand_in(client: "HttpClient", study: str, file: str, parcel: Parcel) -> Mapping[str, Any]:
    """Send the code, unless the server has it, and have it run; return the job."""
    from tunesmith.storage.remote_files import RemoteFiles  # noqa: PLC0415 - as above

    handle, place = tempfile.mkstemp(prefix="tunesmith-", suffix=".tar.gz")
    path = Path(place)
    try:
        with os.fdopen(handle, "w+b") as packed:
            code = pack(parcel, packed)
        order = {"study": study, "file": file, "code": {"sha256": code.sha256, "size": code.size}}
        answer = client.document("POST", "/jobs", order)
        if answer["missing"]:
            say(f"sending {len(parcel.files)} files, {code.size} bytes")
            RemoteFiles(client).send(path, code)
            answer = client.document("POST", "/jobs", order)
    finally:
        path.unlink()
    job: Mapping[str, Any] = answer["job"]
    return job


def _follow(client: "HttpClient", job: str) -> int:
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
