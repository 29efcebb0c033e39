"""Where calls come from: one protocol, and one module for each kind of server."""

from sereno_etl_ivr.source.opening import open_source
from sereno_etl_ivr.source.protocol import Source

__all__ = ["Source", "open_source"]
