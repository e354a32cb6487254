"""One file for each reason to change the database."""
