"""For an ASGI application that has a node in its process: pages to mount, and a lifespan."""

from sereno.app.asgi import health, metrics, status_of, with_lifespan

__all__ = ["health", "metrics", "status_of", "with_lifespan"]
