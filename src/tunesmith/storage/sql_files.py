"""Which files a server keeps of each trial: rows of the table ``artifact``."""

from sqlalchemy import Connection, delete, insert, select

from tunesmith.errors import LeaseLostError, NotFoundError
from tunesmith.storage.engine import Database, Now
from tunesmith.storage.manifest import Manifest, StoredFile
from tunesmith.storage.schema import artifact, study, trial

__all__ = ["SqlFiles"]


class SqlFiles:
    """The files of the trials of one project.

    Args:
        database: Where the tables are.
        project: The project.
    """

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def manifest(self, study: str, number: int) -> Manifest:
        """Return a trial's files; raise `NotFoundError` if there is no such trial."""

        def read(connection: Connection) -> Manifest:
            study_id, _ = self._trial(connection, study, number)
            rows = connection.execute(
                select(artifact)
                .where(artifact.c.study_id == study_id, artifact.c.number == number)
                .order_by(artifact.c.path)
            ).all()
            files = {row.path: StoredFile(row.sha256, row.size) for row in rows}
            return Manifest(max((row.attempt for row in rows), default=0), files)

        return self._database.reading(read)

    def replace(self, study: str, number: int, manifest: Manifest) -> None:
        """Have a trial's files be these, and no others.

        Raises:
            NotFoundError: there is no such trial.
            LeaseLostError: another attempt has the trial by now.
        """

        def write(connection: Connection) -> None:
            study_id = self._held(connection, study, number, manifest.attempt)
            _delete(connection, study_id, number)
            self._insert(connection, study_id, number, manifest)

        self._database.writing(write, durable=True)

    def put(self, study: str, number: int, path: str, file: StoredFile, attempt: int) -> None:
        """Add a file to a trial's, or exchange it; raises what `replace` raises."""

        def write(connection: Connection) -> None:
            study_id = self._held(connection, study, number, attempt)
            _delete(connection, study_id, number, path)
            self._insert(connection, study_id, number, Manifest(attempt, {path: file}))

        self._database.writing(write, durable=True)

    def remove(self, study: str, number: int, path: str | None = None) -> bool:
        """Remove a file of a trial, or all; return whether there was one."""

        def write(connection: Connection) -> bool:
            study_id, _ = self._trial(connection, study, number, lock=True)
            return _delete(connection, study_id, number, path) > 0

        return self._database.writing(write)

    def digests(self) -> frozenset[str]:
        """Return the hashes of all contents that are used."""
        query = (
            select(artifact.c.sha256)
            .distinct()
            .join(study, study.c.id == artifact.c.study_id)
            .where(study.c.project == self._project)
        )
        return self._database.reading(lambda c: frozenset(c.execute(query).scalars()))

    def _trial(
        self, connection: Connection, name: str, number: int, *, lock: bool = False
    ) -> tuple[int, int]:
        """Return the study's id and the trial's attempt."""
        query = (
            select(trial.c.study_id, trial.c.attempt)
            .join(study, study.c.id == trial.c.study_id)
            .where(study.c.project == self._project, study.c.name == name, trial.c.number == number)
        )
        row = connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            msg = f"There is no trial {name}/{number}."
            raise NotFoundError(msg)
        return row.study_id, row.attempt

    def _held(self, connection: Connection, name: str, number: int, attempt: int) -> int:
        study_id, now = self._trial(connection, name, number, lock=True)
        if attempt != now:
            msg = f"Trial {name}/{number} is at attempt {now}; attempt {attempt} can't change its files."
            raise LeaseLostError(msg)
        return study_id

    def _insert(
        self, connection: Connection, study_id: int, number: int, manifest: Manifest
    ) -> None:
        now = self._database.now(connection.execute(select(Now())).scalar())
        rows = [
            {
                "study_id": study_id,
                "number": number,
                "path": path,
                "sha256": file.sha256,
                "size": file.size,
                "attempt": manifest.attempt,
                "stored": now,
            }
            for path, file in manifest.files.items()
        ]
        if rows:
            connection.execute(insert(artifact), rows)


def _delete(connection: Connection, study_id: int, number: int, path: str | None = None) -> int:
    query = delete(artifact).where(artifact.c.study_id == study_id, artifact.c.number == number)
    if path is not None:
        query = query.where(artifact.c.path == path)
    return connection.execute(query).rowcount
