"""Senders of messages, counted by SDK and version as their requests name them."""

import re
from collections import Counter
from threading import Lock
from typing import Any

from recorder.model.payloads import Endpoint
from recorder.model.replies import Receipt
from recorder.reading.metrics import Family

__all__ = ["Senders", "sender_of"]

_MOST = 50  # names; whoever sends can make up any number of them
_OTHERS = "others"
_LONGEST = 60
_PRODUCT = re.compile(r"[\w.+-]+(/[\w.+-]+)?", re.ASCII)


def sender_of(message: Any, user_agent: str) -> str:
    """Return the SDK and version of an event, or else the program that the request names.

    >>> sender_of({"properties": {"mp_lib": "node", "$lib_version": "0.24.0"}}, "")
    'node 0.24.0'
    >>> sender_of({"$set": {}}, "python-requests/2.32.3"), sender_of({"$set": {}}, "")
    ('python-requests/2.32.3', 'unknown')
    """
    properties = message.get("properties") if isinstance(message, dict) else None
    library = properties.get("mp_lib") if isinstance(properties, dict) else None
    if isinstance(properties, dict) and isinstance(library, str):
        version = properties.get("$lib_version")
        name = f"{library} {version}" if isinstance(version, str) else library
        return name[:_LONGEST].encode(errors="replace").decode()  # half a surrogate pair has no form in UTF-8
    product = _PRODUCT.match(user_agent)
    return product[0][:_LONGEST] if product else "unknown"


class Senders:
    """Messages since the start, by sender. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: set[str] = set()
        self._counts: dict[str, Counter[tuple[Endpoint, str]]] = {"accepted": Counter(), "refused": Counter()}

    def bounded(self, sender: str) -> str:
        """Return a sender's name, or one for all beyond the first fifty."""
        with self._lock:
            if len(self._known) >= _MOST and sender not in self._known:
                return _OTHERS
            self._known.add(sender)
            return sender

    def count(self, endpoint: Endpoint, sender: str, receipt: Receipt) -> None:
        """Add a request's messages."""
        sender = self.bounded(sender)
        with self._lock:
            for what, number in (("accepted", receipt.accepted), ("refused", receipt.refused)):
                if number:
                    self._counts[what][endpoint, sender] += number

    def families(self) -> list[Family]:
        """Return the counts as metrics."""
        with self._lock:
            counts = {what: dict(counted) for what, counted in self._counts.items()}
        return [
            Family(
                f"restante_relay_{what}_messages",
                "counter",
                f"Messages {what} since the relay was started, by SDK.",
                [
                    ({"endpoint": endpoint, "sender": sender}, number)
                    for (endpoint, sender), number in by.items()
                ],
            )
            for what, by in counts.items()
        ]
