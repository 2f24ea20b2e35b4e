"""What Alembic runs: the migrations, on the connection that `upgrade` hands in."""

from alembic import context

from tunesmith.storage.schema import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
    render_as_batch=True,  # SQLite changes a table only by copying it
)
with context.begin_transaction():
    context.run_migrations()
