"""The ASGI application: Django, with a node that starts and stops with it, and its pages.

uvicorn callcenter.asgi:application
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings")

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

# Before anything that needs Django's apps. Static files may be Apache's or nginx's to serve.
django = ASGIStaticFilesHandler(get_asgi_application())

from django.conf import settings

MOUNTS = {}


async def pages(scope, receive, send):
    """Hand a request to who is mounted there, and all others to Django."""
    path = f"{scope['path']}/" if scope["type"] == "http" else ""
    for mount, mounted in MOUNTS.items():
        if path.startswith(f"{mount}/"):
            await mounted({**scope, "root_path": mount}, receive, send)
            return
    await django(scope, receive, send)


application = pages
if settings.SCHEDULER:
    from callcenter.node import node
    from sereno import asgi
    from sereno_console import app
    from sereno_django import People

    MOUNTS["/health"] = asgi.health(node)
    MOUNTS["/metrics"] = asgi.metrics(node)
    MOUNTS["/sereno"] = app(node, resolver=People(), log_in="/admin/login/?next=")
    application = asgi.with_lifespan(pages, node)
