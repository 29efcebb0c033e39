"""The background jobs of a CRM, in its FastAPI process."""
