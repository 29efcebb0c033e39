import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookshop.settings")
application = get_asgi_application()

if os.environ.get("BOOKSHOP_NODE"):
    import sereno_django
    from sereno import asgi

    application = asgi.with_lifespan(application, sereno_django.node())
