"""How the database came to its present form; Alembic runs these in the order of their revisions."""
