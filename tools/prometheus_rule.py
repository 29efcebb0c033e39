"""Write the rules as a PrometheusRule for the Prometheus Operator; `--check`: compare."""

import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULES = ROOT / "conf" / "prometheus" / "sereno.rules.yml"
TARGET = ROOT / "conf" / "kubernetes" / "prometheusrule.yaml"
HEAD = """\
# Made from conf/prometheus/sereno.rules.yml by tools/prometheus_rule.py: change that, and run it.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: sereno
spec:
"""


def made() -> str:
    """Return the manifest."""
    rules = RULES.read_text("utf-8")
    return HEAD + textwrap.indent(rules[rules.index("groups:") :], "  ")


def main() -> int:
    """Write it, or compare."""
    if "--check" in sys.argv:
        return int(TARGET.read_text("utf-8") != made())
    TARGET.write_text(made(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
