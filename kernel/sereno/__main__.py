"""``python -m sereno`` is ``sereno``."""

from sereno.cli import main

if __name__ == "__main__":
    main()
