import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tunesmith.errors import StorageError
from tunesmith.model import Explanation, Suggestion, TrialState
from tunesmith.space import Double
from tunesmith.storage import migrations, open_storage, schema


def migrated(path: Path, version: str = "head") -> sa.Engine:
    """Return a database made by running the migrations up to ``version``."""
    engine = sa.create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()
    return engine


def shape(engine: sa.Engine) -> dict[str, object]:
    """Return all that SQLAlchemy sees of a database's tables, and the words SQLite keeps for them."""
    inspector = sa.inspect(engine)
    tables: dict[str, object] = {
        table: {
            "columns": [
                dict(column, type=str(column["type"])) for column in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "foreign": inspector.get_foreign_keys(table),
            "unique": inspector.get_unique_constraints(table),
            "indexes": {str(index["name"]): index for index in inspector.get_indexes(table)},
            "options": inspector.get_table_options(table),
        }
        for table in inspector.get_table_names()
        if table != schema.version.name
    }
    engine.dispose()
    return tables


def test_migrations_make_the_tables_that_the_schema_declares(tmp_path: Path) -> None:
    declared = sa.create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    schema.metadata.create_all(declared)

    assert shape(migrated(tmp_path / "migrated.db")) == shape(declared)


def test_the_schema_names_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))

    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_a_migrated_database_is_one_that_tunesmith_opens(tmp_path: Path) -> None:
    engine = migrated(tmp_path / "migrated.db")
    engine.dispose()

    storage = open_storage(f"sqlite:///{tmp_path / 'migrated.db'}", create=False)

    assert storage.study_names() == []
    storage.close()


def test_a_database_of_the_first_release_is_read_and_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'first.db'}"
    engine = migrated(tmp_path / "first.db", "0001")
    spec = {
        "space": [{"name": "x", "type": "double", "min": 0.0, "max": 1.0}],
        "objectives": [{"metric": "loss", "goal": "minimize"}],
        "algorithm": {"name": "random"},
        "seed": 3,
        "max_trials": 9,
        "parallel_trials": 1,
        "max_failed_trials": None,
        "measurement": "last",
        "initial": [],
    }
    ended = [("completed", 0.5), ("completed", 0.25), ("failed", None), ("running", None)]
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO study VALUES"
                " (1, 's', :spec, 'active', '', 9, 1, 4, 12, 1.0, 2.0, 'python train.py')"
            ),
            {"spec": json.dumps(spec)},
        )
        for number, (state, loss) in enumerate(ended, start=1):
            connection.execute(
                sa.text(
                    "INSERT INTO trial VALUES (1, :n, :params, 'random', :state, 1, 0, 'w',"
                    " NULL, '', :metrics, NULL, :loss, '', 1.0, 2.0, NULL, :n)"
                ),
                {
                    "n": number,
                    "params": json.dumps({"x": 0.5}),
                    "state": state,
                    "loss": loss,
                    "metrics": "{}" if loss is None else json.dumps({"loss": loss}),
                },
            )
    engine.dispose()

    storage = open_storage(url, create=False)

    record = storage.study("s")
    assert record.spec.space["x"] == Double(0.0, 1.0)
    assert (record.spec.constraints, record.spec.warm_start) == ((), ())
    assert [(t.state, t.explanation) for t in storage.trials("s")] == [
        (state, None) for state, _ in ended
    ]
    assert [t.number for t in storage.trials("s", order="best")] == [2, 1]
    storage.finish("s", 4, 1, TrialState.COMPLETED, metrics={"loss": 0.125})
    storage.add_trials("s", [Suggestion({"x": 0.1}, "", Explanation("bayesian"))], after=4)
    summary = storage.summary("s")
    assert summary.best == storage.trial("s", 4)
    assert [t.number for t in summary.choices] == [5]
    storage.close()
    assert shape(sa.create_engine(url)) == shape(migrated(tmp_path / "new.db"))


def test_a_database_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    open_storage(url).close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.update(schema.version).values(version_num="9999"))

    with pytest.raises(StorageError, match=r"9999.*newer release.*--upgrade"):
        open_storage(url)

    with engine.begin() as connection:
        assert connection.scalars(sa.select(schema.version.c.version_num)).all() == ["9999"]
    engine.dispose()


def test_tables_of_other_programs_may_stand_beside(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:  # as MLflow and Optuna leave it
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('v3.2.0.a')"))
    engine.dispose()

    storage = open_storage(url)

    assert storage.study_names() == []
    storage.close()
