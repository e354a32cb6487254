"""Run migrations on the connection that database.py hands in; Alembic calls this file by its name."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
