"""Writes of one transaction that go to the database together, shortly before it is committed.

A statement costs the way to the server and back, however many rows it has. So rows wait until
something is read that they would change, and those of one kind go in one statement.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Insert, Update

__all__ = ["Writes"]


class Writes:
    """Rows that wait for their statements.

    Args:
        connection: The transaction's.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[tuple[int, tuple[str, ...]], list[Mapping[str, object]]] = {}
        self._statements: dict[int, Insert | Update] = {}
        self._touched: set[tuple[str, int]] = set()

    def later(
        self, statement: Insert | Update, number: int, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Let a statement be executed for ``rows``, which all belong to trial ``number``.

        What waits for the same table and trial is written first: the order of the statements is lost.
        """
        table = statement.table.description
        self.now(table, number)
        self._touched.add((table, number))
        self._statements[id(statement)] = statement
        for row in rows:
            self._waiting.setdefault((id(statement), tuple(row)), []).append(row)

    def now(self, table: str, number: int | None = None) -> None:
        """Write what waits if any of it is for this table, and for this trial if one is named."""
        if any(t == table and number in (None, n) for t, n in self._touched):
            self.all()

    def all(self) -> None:
        """Write all that waits."""
        waiting, self._waiting = self._waiting, {}
        self._touched.clear()
        for (statement, _), rows in waiting.items():
            self._connection.execute(self._statements[statement], rows)
