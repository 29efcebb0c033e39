from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("name")
        parser.add_argument("--loud", action="store_true")

    def handle(self, name, loud, **options):
        if name == "nobody":
            raise CommandError("there is nobody")
        if name == "exit":
            raise SystemExit(3)
        self.stdout.write(f"hello {name}{'!' if loud else ''}\nand", ending="")
        self.stdout.write(" good night", ending="")
        self.stderr.write("it is late")
