"""The console as one ASGI application: what is asked of each request, and in which order."""
