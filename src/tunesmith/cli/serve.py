"""``tunesmith serve``: studies over HTTP, for a team."""

import contextlib
import logging
import re
import resource
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from tunesmith.cli.console import out, say
from tunesmith.cli.grpc_front import grpc_options, serving_grpc
from tunesmith.cli.options import storage_option
from tunesmith.errors import SpecError, StorageError
from tunesmith.execution.images import image_entry
from tunesmith.specs.site import SiteSection, read_section
from tunesmith.storage import (
    ServedStorage,
    default_url,
    is_remote,
    make_files_root,
    open_storage,
    shown,
)

__all__ = ["open_served", "serve_command", "served_images"]


@click.command("serve", short_help="serve the studies to a team, over HTTP")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 for any."
)
@storage_option
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where files and jobs are kept; beside the SQLite file, or .tunesmith/server, by default.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "none"]),
    default="none",
    show_default=True,
    help="What runs submitted jobs: this machine, or nothing.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Jobs at once.",
)
@click.option(
    "--buckets",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="What stands for Cloud Storage: a folder with a folder for each bucket.",
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="IMAGE=PLACE",
    help="What runs in place of a container image: the folder with its Dockerfile, or a command; may"
    " be repeated.",
)
@grpc_options
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with the section 'tunesmith', whose images and buckets count where options say nothing.",
)
@click.option(
    "--base-path", default="", metavar="/PATH", help="What a proxy puts before all paths."
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name of this server, such as tune.example.org or *.example.org; may be repeated.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy (or network) whose word on clients and https is believed; may be repeated.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--log-requests/--no-log-requests",
    default=True,
    show_default=True,
    help="Whether to write a line for each request.",
)
def serve_command(
    *,
    host: str,
    port: int,
    storage: str | None,
    data: Path | None,
    executor: str,
    workers: int,
    buckets: Path | None,
    images: tuple[str, ...],
    grpc_port: int | None,
    grpc_certificate: Path | None,
    grpc_key: Path | None,
    site: Path | None,
    base_path: str,
    allowed_hosts: tuple[str, ...],
    trusted_proxies: tuple[str, ...],
    log_format: str,
    log_requests: bool,
) -> None:
    """Serve the studies of a storage to anybody with a token: CLI, Python, HTTP.

    On this machine nobody needs a token until there is one. Any other address than a loopback one needs
    tokens first: tunesmith token create. It ends by SIGTERM or Ctrl-C when requests under way are
    answered; trials that run elsewhere go on, and are there when it starts again.
    """
    # FastAPI takes long to load, and no other command needs it.
    from tunesmith.service.app import make_app  # noqa: PLC0415
    from tunesmith.service.logging import configure_logging  # noqa: PLC0415
    from tunesmith.service.run import address, listen, run  # noqa: PLC0415
    from tunesmith.service.settings import Settings  # noqa: PLC0415

    url = storage or default_url()
    section = SiteSection() if site is None else read_section(site)
    served = open_served(url)
    settings = Settings(
        host=host,
        port=port,
        base_path=_base(base_path),
        allowed_hosts=allowed_hosts,
        trusted_proxies=trusted_proxies,
        data=data or make_files_root(url) / "server",
        executor=executor,
        workers=workers,
        buckets=buckets or section.buckets,
        images=(*map(_image, images), *served_images(section)),
    )
    if section != SiteSection(section.images, section.buckets):
        say(f"Of {site} a server has images and buckets; a job says all else itself.")
    has_tokens = served.tokens.any()
    if not has_tokens:
        _refuse_open_door(
            url,
            host=host,
            is_local=settings.is_local,
            behind_proxy=bool(base_path or allowed_hosts or trusted_proxies),
        )
    configure_logging("json" if log_format == "json" else "text")
    if not log_requests:
        logging.getLogger("tunesmith.requests").setLevel(logging.WARNING)
    _take_all_descriptors()
    app = make_app(served, settings)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen(settings))
        where = address(settings, listening.getsockname()[1])
        if grpc_port is not None:
            place = f"[{host.strip('[]')}]:{grpc_port}" if ":" in host else f"{host}:{grpc_port}"
            stack.enter_context(serving_grpc(place, where, grpc_certificate, grpc_key))
        run(app, settings, listening, lambda: _welcome(url, where, has_tokens=has_tokens))
    served.close()
    say("Tunesmith has ended. The same command starts it again; nothing is lost.")


def _welcome(url: str, where: str, *, has_tokens: bool) -> None:
    """Say where the server is, and what to type next."""
    out(f"Tunesmith serves {shown(url)} at {where}")
    if not has_tokens:
        say("Anybody on this machine may do anything here, until there is a first token:")
        say(f"  tunesmith token create --name me --role admin --storage {shown(url)}")
    say(f"Now tune, from any directory:  tunesmith run tune.yaml --storage {where}")


def open_served(url: str) -> ServedStorage:
    """Return the storage at ``url``, if it is one that a server can stand before.

    Raises:
        StorageError: it is not: another server, say.
    """
    storage = None if is_remote(url) else open_storage(url)
    if not hasattr(storage, "in_project"):
        msg = (
            f"A server stands before a database, and {shown(url)} is none. Name one with --storage."
        )
        raise StorageError(msg)
    return cast("ServedStorage", storage)


def _refuse_open_door(url: str, *, host: str, is_local: bool, behind_proxy: bool) -> None:
    """Raise `StorageError` if others than this machine's users could come in without a token."""
    if is_local and not behind_proxy:
        return
    who = "Programs on other machines" if not is_local else "Whoever reaches the proxy"
    where = f"could do anything at {host}" if not is_local else "could do anything"
    msg = (
        f"{who} {where}, since there are no tokens. Make one first: tunesmith token create --name me"
        f" --role admin --storage {shown(url)}"
    )
    raise StorageError(msg)


def _image(text: str) -> tuple[str, str]:
    """Return an image, or a pattern, and what runs in its place."""
    pattern, mark, place = text.partition("=")
    if not (mark and pattern and place):
        msg = f"--image is IMAGE=FOLDER or IMAGE=COMMAND; given {text!r}."
        raise click.UsageError(msg)
    folder = Path(place).expanduser()
    meant = str(folder.absolute()) if folder.is_dir() else place
    try:
        image_entry(pattern, meant)
    except SpecError as error:
        msg = f"--image: {error.problems[0].message}"
        raise click.UsageError(msg) from error
    return pattern, meant


def served_images(section: SiteSection) -> Iterator[tuple[str, str]]:
    """Yield what a file says of images; a server runs a command wherever the trial is."""
    for entry in section.images:
        if entry.install:
            msg = f"--site: {entry.pattern}: a server installs nothing for an image; leave install out."
            raise click.UsageError(msg)
        assert entry.folder is not None, "a file's entry has the file's folder, if no other"
        words = [str(f) if (f := entry.folder / w).is_file() else w for w in entry.command]
        yield entry.pattern, shlex.join(words) if words else str(entry.folder)


def _base(path: str) -> str:
    """Return a base path with a slash before it and none behind."""
    inner = path.strip("/")
    if not re.fullmatch(r"([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?", inner):
        msg = f"--base-path is a path such as /tunesmith; given {path!r}."
        raise click.UsageError(msg)
    return f"/{inner}" if inner else ""


def _take_all_descriptors() -> None:
    """Take as many file descriptors as this process may have: each connection needs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
