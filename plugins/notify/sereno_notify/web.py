"""Posts over HTTP, and says what went wrong without the address, which is a secret.

httpx is imported when the first message leaves: a leader that has nothing to tell does not pay for
it. Its own log would name every address at level info.
"""

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from sereno import DeliveryError, DeliveryRefusedError, lazy
from sereno_notify.unanswered import UnansweredError

_LATER = frozenset({408, 423, 425, 429})


@cache
def _httpx() -> Any:
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return lazy("httpx")  # for who sends to a webhook or pings


async def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> None:
    """Post `body` to `url`, `timeout` seconds at most; no redirect is followed.

    Raises DeliveryError when it may go well later, DeliveryRefusedError when it will not, and
    UnansweredError when it may have arrived.
    """
    httpx = _httpx()
    host = urlsplit(url).hostname
    try:
        async with httpx.AsyncClient(timeout=timeout, follow_redirects=False) as client:
            response = await client.post(url, content=body, headers=dict(headers))
            status = int(response.status_code)
    # What httpx says may hold the address.
    except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise DeliveryError(f"{host} cannot be reached: {type(error).__name__}") from None
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise DeliveryError(f"{host} cannot be reached within {timeout:g} s") from None
    except httpx.TimeoutException:
        raise UnansweredError(f"{host} did not answer within {timeout:g} s") from None
    except httpx.HTTPError as error:
        raise UnansweredError(f"{host} gave no answer: {type(error).__name__}") from None
    if status in _LATER or status >= 500:
        raise DeliveryError(f"{host} answered {status}")
    if not 200 <= status < 300:
        raise DeliveryRefusedError(f"{host} answered {status}; look at url, secret and headers")
