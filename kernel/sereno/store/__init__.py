"""Postgres: all SQL, and the only code that knows asyncpg."""
