"""``python -m tests.faults.chaos``."""

import sys

from .program import main

sys.exit(main())
