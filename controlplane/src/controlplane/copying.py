"""Copy every row of one database into another one of the same form, whatever the engines are.

For: `madfleet migrate`, and backups of PostgreSQL.
Not for: who may do that, and when; nor for the tables' form (migrations/).
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, MetaData, Table, func, insert, select, text

BATCH_ROWS = 1000
FORM = "alembic_version"
SEEDED = frozenset({"fleet", "fleet_policy"})
"""Tables that have a row of their own in a database that nobody has used yet."""


def list_tables(engine: Engine) -> list[Table]:
    """List the tables of a database that hold what is ours; one that refers to another comes after it."""
    form = MetaData()
    form.reflect(engine)
    return [table for table in form.sorted_tables if table.name != FORM]


def copy_rows(source: Engine, sink: Engine) -> dict[str, int]:
    """Copy everything in one transaction on each side; return how many rows each table has, if any.

    `source` is read as of one moment, if it is PostgreSQL; nobody else may write to a SQLite file meanwhile.
    `sink` is of the same revision and holds nothing.

    Raises:
        sqlalchemy.exc.DatabaseError: Either fails; nothing was copied.
    """
    tables = list_tables(source)
    with source.connect() as reader, sink.begin() as writer:
        if reader.dialect.name == "postgresql":
            reader.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        for table in tables:
            if table.name in SEEDED:
                writer.execute(table.delete())
            for rows in _read_batches(reader, table):
                writer.execute(insert(table), rows)
        counts = {table.name: count_rows(writer, table) for table in tables}
        if counts != {table.name: count_rows(reader, table) for table in tables}:
            raise AssertionError(counts)  # a row was lost between two engines, and neither said so
        if writer.dialect.name == "postgresql":
            _advance_sequences(writer, tables)
    return {name: count for name, count in counts.items() if count}


def count_rows(connection: Connection, table: Table) -> int:
    """Count the rows of a table."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _read_batches(reader: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    result = reader.execute(select(table)).mappings()
    for rows in result.partitions(BATCH_ROWS):
        yield [{str(name): value for name, value in row.items()} for row in rows]


def _advance_sequences(writer: Connection, tables: Sequence[Table]) -> None:
    """Have the next number of each table come after those that were copied."""
    for table in tables:
        for column in table.primary_key.columns:
            names = {"table": f'"{table.name}"', "column": column.name}
            sequence = writer.execute(
                text("SELECT pg_get_serial_sequence(:table, :column)"), names
            ).scalar_one()
            highest = writer.execute(select(func.max(column))).scalar_one() if sequence else None
            if highest is not None:
                writer.execute(
                    text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest}
                )
