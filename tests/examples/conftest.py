"""What the examples' tests share: the examples stand beside the tests, installed by nobody."""

import sys

from ..faults.process import ROOT

sys.path += [str(ROOT / "examples" / name) for name in ("cache", "crm")]
