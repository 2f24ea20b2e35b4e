"""``tunesmith submit``: has a server run a study."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, say
from tunesmith.cli.jobs import follow_job, jobs_client
from tunesmith.cli.options import storage_option
from tunesmith.cli.packing import Parcel, gather, pack
from tunesmith.cli.plan import Overrides, check_program, read_plan
from tunesmith.specs import parse_memory

if TYPE_CHECKING:
    from tunesmith.storage.http_client import HttpClient

__all__ = ["submit_command"]


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
    plan = read_plan(file, Overrides(name=name), storage=storage)
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
    client = jobs_client(storage)
    job = _hand_in(client, plan.name, file.name, parcel)
    say(f"job {job['id']} runs study {plan.name} at {client.address.base}")
    if follow:
        return follow_job(client, str(job["id"]))
    out(str(job["id"]))
    say(
        f"see: tunesmith show {plan.name}, tunesmith jobs {job['id']}; wait: tunesmith wait {plan.name}"
    )
    return Exit.DONE


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
