"""The notifier that posts to a URL."""

import time

import msgspec

from sereno import Notification, Notifier
from sereno_notify.payload import FORMATS
from sereno_notify.settings import Webhook
from sereno_notify.signature import HEADER, sign
from sereno_notify.web import post


class WebhookNotifier(Notifier):
    """Posts each notification to one URL; `Idempotency-Key` is the same at every try."""

    def __init__(self, name: str, chosen: Webhook) -> None:
        self._name = name
        self._chosen = chosen

    @property
    def name(self) -> str:
        """The name of its table."""
        return self._name

    async def send(self, notification: Notification) -> None:
        """Post `notification`. Raises DeliveryError, and UnansweredError."""
        chosen = self._chosen
        body = msgspec.json.encode(FORMATS[chosen.format](notification, chosen.attachment_bytes))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "sereno-notify",
            "Idempotency-Key": f"sereno-{notification.message_id or notification.id}",
            **chosen.headers,
        }
        if chosen.secret is not None:
            headers[HEADER] = sign(chosen.secret, body, int(time.time()))
        await post(chosen.url, body, headers, chosen.timeout.total_seconds())
