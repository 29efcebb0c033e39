import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookshop.settings")
application = get_wsgi_application()

if os.environ.get("BOOKSHOP_NODE"):
    import sereno_django

    sereno_django.start()
