"""The journal's schema: one script, version 1."""

import sqlite3
from pathlib import Path

__all__ = ["APPLICATION_ID", "OLDEST_SQLITE", "SCHEMA_VERSION", "create_schema"]

APPLICATION_ID = 0x72737474  # "rstt", in the header of every journal
SCHEMA_VERSION = 1
OLDEST_SQLITE = (3, 35)
"""The first SQLite with all of the SQL in use: RETURNING and MATERIALIZED."""

_SCRIPT = Path(__file__).with_name("schema.sql")


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the tables and views of a new journal, in one transaction."""
    script = _SCRIPT.read_text(encoding="utf-8")
    header = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
    connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n{header}\nCOMMIT;")
