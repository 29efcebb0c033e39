"""What every error of this package offers in the end."""

REMEDY = "or set database_url to a PostgreSQL 14 or newer"
