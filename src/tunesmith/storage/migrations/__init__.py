"""Moves databases of earlier releases forward to today's tables. One file a step, in ``versions/``."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from tunesmith.errors import StorageError

__all__ = ["upgrade"]


def upgrade(engine: Engine, found: str) -> None:
    """Bring a database from version ``found`` to the newest, whole or not at all.

    Raises:
        StorageError: the database was made by a newer Tunesmith than this one.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found not in known:
        msg = (
            f"The storage {engine.url} has tables of version {found}, which this Tunesmith does not"
            " know. It was made by a newer release: pip install --upgrade tunesmith"
        )
        raise StorageError(msg)
    with engine.connect().execution_options(tunesmith_write="durable") as connection:
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, "head")
