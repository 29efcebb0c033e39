"""What this plugin brings to the demonstration: a telephone exchange that keeps writing calls."""

from sereno_etl_ivr.demo.exchange import DEMO, write_calls

__all__ = ["DEMO", "write_calls"]
