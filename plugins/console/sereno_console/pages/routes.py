"""Every page's address: each module of pages adds its own to `PAGES`."""

from sereno_console.web.routes import RouteTable

PAGES = RouteTable()
"""``@PAGES.on("GET", "/jobs/{job}", needs="read")`` above an ``async def page(request)``."""
