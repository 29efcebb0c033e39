"""Signs what is posted, so that a receiver knows who sent it and when.

The header ``X-Sereno-Signature: t=<seconds>,v1=<hex>`` holds the HMAC-SHA-256 of
``<seconds>.<body>`` under the webhook's secret. A receiver computes it anew, compares in constant
time, and refuses what is older than a few minutes.
"""

import hashlib
import hmac

HEADER = "X-Sereno-Signature"


def sign(secret: str, body: bytes, at: int) -> str:
    """Return the header's value for `body`, sent at `at` (seconds since the epoch)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def verify(secret: str, body: bytes, value: str, now: int, tolerance: int = 300) -> bool:
    """Tell whether `value` is the signature of `body`, no older than `tolerance` seconds."""
    parts = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
    at = parts.get("t", "")
    if not at.isdecimal() or abs(now - int(at)) > tolerance:
        return False
    return hmac.compare_digest(sign(secret, body, int(at)), value)
