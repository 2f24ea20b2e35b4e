r"""The section ``tunesmith`` of a job's file: what this machine has for the job, as its owner knows it.

    tunesmith:
      images:
        gcr.io/my-project/digits: ./train           # the folder with its Dockerfile
        gcr.io/my-project/*: python -m trainer.task  # or a command, which runs in the file's folder
        gcr.io/my-project/torch: {folder: ./torch, command: python train.py, install: true}
      buckets: ./buckets      # gs://NAME is the folder NAME in it
      addresses: gs           # or paths: what programs are told of their buckets
      engine: podman          # or docker, none, auto
      project: my-project     # what programs take for their project
      region: europe-west4

Nothing else is allowed in it, and all of it may be left out. Paths count from the file's folder. The
section may stand in a file of its own too.
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from tunesmith.execution.engine import EngineName
from tunesmith.execution.images import ImageEntry
from tunesmith.specs.faults import Faults, Span
from tunesmith.specs.fields import Fields, kind_of, word_list
from tunesmith.specs.located import Listing, Table, compose

__all__ = ["SECTION", "SiteSection", "read_section", "take_section"]

SECTION = "tunesmith"
"""The key under which the section stands."""

_OWNER = SECTION
_ADDRESSES = ("paths", "gs")


@dataclass(frozen=True, slots=True)
class SiteSection:
    """What is said of this machine, as far as it is said.

    Attributes:
        images: What runs in place of images; the first that means an image counts.
        buckets: The folder with a folder for each bucket; None if that is not said.
        gs: Whether programs are told ``gs://`` addresses; None if that is not said.
        engine: What runs containers; None if that is not said.
        project: The project that programs are told; ``""`` if that is not said.
        region: The region, likewise.
    """

    images: tuple[ImageEntry, ...] = ()
    buckets: Path | None = None
    gs: bool | None = None
    engine: EngineName | None = None
    project: str = ""
    region: str = ""

    def before(self, other: "SiteSection") -> "SiteSection":
        """Return what both say; where both speak, this one counts."""
        return SiteSection(
            images=self.images + other.images,
            buckets=other.buckets if self.buckets is None else self.buckets,
            gs=other.gs if self.gs is None else self.gs,
            engine=other.engine if self.engine is None else self.engine,
            project=self.project or other.project,
            region=self.region or other.region,
        )


def read_section(path: Path) -> SiteSection:
    """Return what the file at ``path`` says, which holds the section and nothing else.

    Raises:
        SpecError: the file can't be read, or has faults; each with its place.
    """
    faults = Faults([], file=str(path))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        faults.add("E100", f"the file can't be read: {error.strerror}")
        raise faults.error() from error
    except UnicodeDecodeError as error:
        faults.add("E100", "the file is not UTF-8. Save it as UTF-8, without a special encoding.")
        raise faults.error() from error
    faults = Faults(text.splitlines(), file=str(path))
    root = compose(text, faults)
    faults.check()
    if not isinstance(root, Table):
        what = "the file is empty" if root is None else f"given {kind_of(root)}"
        message = f"a mapping with the section {SECTION!r} is needed; {what}"
        faults.add("E101", message, root.at if root else Span(1, 1))
        raise faults.error()
    fields = Fields(root, faults)
    fields.require(SECTION)
    fields.done()
    section = take_section(root, faults, path)[1]
    faults.check()
    return section


def take_section(root: Table, faults: Faults, path: Path) -> tuple[Table, SiteSection]:
    """Return a document without its section, and what the section says.

    Args:
        root: The document.
        faults: Takes the section's faults.
        path: The document's file, from whose folder paths count.
    """
    entries = {key: entry for key, entry in root.entries.items() if key != SECTION}
    inner = Fields(root, faults).inner(SECTION, owner=_OWNER, code="E120")
    if inner is None:
        return replace(root, entries=entries), SiteSection()
    folder = path.absolute().parent
    buckets = inner.text("buckets")
    addresses = inner.choice("addresses", _ADDRESSES)
    section = SiteSection(
        images=_images(inner, folder),
        buckets=None if buckets is None else folder / Path(buckets).expanduser(),
        gs=None if addresses is None else addresses == "gs",
        engine=cast("EngineName | None", inner.choice("engine", get_args(EngineName))),
        project=inner.text("project") or "",
        region=inner.text("region") or "",
    )
    inner.done()
    return replace(root, entries=entries), section


def _images(fields: Fields, folder: Path) -> tuple[ImageEntry, ...]:
    owner = f"{_OWNER}: images"
    images = fields.inner("images", owner=owner, code="E121")
    if images is None:
        return ()
    found = []
    for image, entry in images.table.entries.items():
        if isinstance(entry.node, Table):
            inner = Fields(entry.node, fields.faults, owner=f"{owner}: {image}", code="E121")
            found.append(_spelt_out(image, inner, folder))
        elif (meant := images.text(image)) is not None:
            found.append(_meant(image, meant, folder, images))
    return tuple(entry for entry in found if entry is not None)


def _meant(image: str, meant: str, folder: Path, fields: Fields) -> ImageEntry | None:
    """Return the entry of a folder or command in one text; None, and a fault, if it is neither."""
    place = folder / Path(meant).expanduser()
    if place.is_dir():
        return ImageEntry(image, place)
    if place.is_file():
        return ImageEntry(image, folder, (str(place),))
    words = _words(meant)
    if not words or (len(words) == 1 and "/" in meant):
        message = f"{meant!r} is no folder or program in {folder}, and no command either"
        fields.fault(image, f"{fields.label(image)}: {message}")
        return None
    return ImageEntry(image, folder, words)


def _spelt_out(image: str, fields: Fields, folder: Path) -> ImageEntry | None:
    """Return the entry of a mapping; None, and a fault for each reason, if it makes none."""
    given = fields.text("folder")
    place = folder if given is None else folder / Path(given).expanduser()
    command = _command(fields)
    install = fields.flag("install") or False
    fields.done()
    if given is None and not fields.has("command"):
        message = f"{fields.owner} needs a folder with its Dockerfile, or a command"
        fields.faults.add("E103", message, fields.table.at)
        return None
    if not place.is_dir():
        fields.fault("folder", f"{fields.label('folder')}: there is no folder {place}")
        return None
    return ImageEntry(image, place, command, install=install)


def _command(fields: Fields) -> tuple[str, ...]:
    node = fields.node("command")
    if isinstance(node, Listing):
        found = word_list(node, fields.label("command"), fields.faults)
        return tuple(word for word, _ in found)
    text = fields.text("command")
    words = _words(text or "")
    if text is not None and not words:
        fields.fault("command", f"{fields.label('command')}: {text!r} is no command")
    return words


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a command; none of a text with a quote that is not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return ()
