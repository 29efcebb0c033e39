"""Programs that measure; each prints its figures and a JSON line."""
