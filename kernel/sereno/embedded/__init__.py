"""The embedded PostgreSQL: one server, from a wheel, for all processes of this machine and user."""

from sereno.embedded.account import SystemAccount
from sereno.embedded.directory import data_directory, memory_directory
from sereno.embedded.programs import PostgresPrograms
from sereno.embedded.server import EmbeddedPostgres
from sereno.embedded.wheel import MAJOR, find_programs

__all__ = [
    "MAJOR",
    "EmbeddedPostgres",
    "PostgresPrograms",
    "SystemAccount",
    "data_directory",
    "find_programs",
    "memory_directory",
]
