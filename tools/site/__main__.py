"""Build the site: ``python -m tools.site [FOLDER]``, by default ``build/site``."""

import gc
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main
from tools.site.stage import ROOT, staged

HERE = Path(__file__).parent


def main(target: Path) -> int:
    """Build it strictly, anew: a warning is an error. Return the exit code."""
    source = target.with_name(f"{target.name}-source")
    for place in (target, source):
        shutil.rmtree(place, ignore_errors=True)
    staged(source)
    gc.disable()  # going through trees that stay took a third of the time
    strict = ["-q", "-W", "--keep-going", "-n", "-j", "auto"]
    return build_main([*strict, "-b", "html", "-c", str(HERE), str(source), str(target)])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT / "build/site"))
