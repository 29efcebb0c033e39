"""The project's commands."""

import os
import sys

from django.core.management import execute_from_command_line

from sereno import ConfigurationError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lucy.settings")
    try:
        execute_from_command_line(sys.argv)
    except ConfigurationError as fault:  # a variable that cannot be read
        sys.exit(str(fault))
