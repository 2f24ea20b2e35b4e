"""Moves databases of earlier releases forward to today's tables. One file a step, in ``versions/``."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tunesmith.errors import StorageError

__all__ = ["upgrade"]


def upgrade(connection: Connection, found: str) -> None:
    """Bring a database from version ``found`` to the newest, in the transaction of ``connection``.

    MySQL ends that with every step; there, an upgrade that broke off is taken up where it was.

    Raises:
        StorageError: the database was made by a newer Tunesmith than this one.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found not in known:
        msg = (
            f"The storage {connection.engine.url} has tables of version {found}, which this Tunesmith does not"
            " know. It was made by a newer release: pip install --upgrade tunesmith"
        )
        raise StorageError(msg)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
