"""Students, their accounts and their ingests."""
