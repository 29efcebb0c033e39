"""The migration of the permissions: Sereno makes its own tables."""
